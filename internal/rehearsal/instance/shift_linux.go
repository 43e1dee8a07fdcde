// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// A machine runs in a user namespace whose uids and gids begin at firstID on the host,
// so that its root is nobody there. The layers are mounted with the same shift.

// firstID is the host's uid of a machine's root: 2^30, far from those that adduser,
// /etc/subuid and systemd hand out.
const firstID, idCount = 1 << 30, 1 << 16

// shiftMount mounts the file system of from, without those mounted below it, on to, with
// the uids of a machine. It runs on the mount thread.
func shiftMount(from, to string) error {
	users, err := machineUsers()
	if err != nil {
		return err
	}
	defer func() { _ = users.Close() }()
	tree, err := unix.OpenTree(unix.AT_FDCWD, from, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("cloning the mount of %s: %w", from, err)
	}
	defer func() { _ = unix.Close(tree) }()
	shift := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(users.Fd())}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &shift); err != nil {
		return fmt.Errorf("shifting the uids of %s, which requires Linux 6.3 and a file system that can: %w", from, err)
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, to, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mounting %s with other uids: %w", from, err)
	}
	return nil
}

// machineUsers returns a user namespace with the uids of a machine.
func machineUsers() (*os.File, error) {
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: firstID, Size: idCount}}
	c := exec.Command("/bin/sh", "-c", "read -r _")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, Pdeathsig: unix.SIGKILL}
	end, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("creating a user namespace: %w", err)
	}
	defer func() {
		_ = end.Close()
		_ = c.Wait() // read fails at the end of its input
	}()
	return os.Open("/proc/" + strconv.Itoa(c.Process.Pid) + "/ns/user")
}

// asMachine runs f with the file owner of a machine's root, and all capabilities.
// Otherwise overlayfs could not create files in shifted layers. It runs on the mount
// thread.
func asMachine(f func() error) error {
	// Without the bit, another owner costs the capabilities for files.
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, 1<<2, 0, 0, 0); err != nil { // SECBIT_NO_SETUID_FIXUP
		return fmt.Errorf("keeping capabilities: %w", err)
	}
	_, err := unix.SetfsuidRetUid(firstID)
	_, err2 := unix.SetfsgidRetGid(firstID)
	err = errors.Join(err, err2)
	if err == nil {
		err = f()
	}
	_, err2 = unix.SetfsuidRetUid(0)
	_, err3 := unix.SetfsgidRetGid(0)
	return errors.Join(err, err2, err3, unix.Prctl(unix.PR_SET_SECUREBITS, 0, 0, 0, 0))
}
