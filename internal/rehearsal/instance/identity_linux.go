// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/imds"
)

// awaitIdentity is the first program of a machine. It waits until the rehearsal has
// connected the network and written the identity, and becomes systemd.
const awaitIdentity = "/usr/libexec/rehearsal/init"

//go:embed disk/init
var awaitIdentityScript []byte

//go:embed disk/pushed-keys
var pushedKeysScript []byte

//go:embed disk/device-lists
var deviceListsScript []byte

//go:embed disk/device-probe.service
var deviceProbe []byte

// writeIdentity writes the file by which cloud-init recognizes EC2. The first digits of
// a Xen instance's UUID are "ec2"; DMI data, as on other instances, would not be read in
// a container
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/identify_ec2_instances.html).
// /sys of a machine is read-only, so it gets another one, with the same folders.
//
//go:embed scripts/write-identity.sh
var writeIdentity string

// identify gives a machine, which waits for it, the identity of its instance.
func (m *machine) identify(ctx context.Context, leader int) error {
	id := strings.TrimPrefix(m.spec.ID, "i-")
	uuid := fmt.Sprintf("ec2%05.5s-0000-4000-8000-%012.12s", id, id)
	err := m.host.run(ctx, "UUID="+uuid+"\n"+writeIdentity, "/usr/bin/nsenter", "--target="+strconv.Itoa(leader), "--user", "--mount", "/bin/sh")
	if err != nil {
		return fmt.Errorf("writing the instance's identity: %w", err)
	}
	return nil
}

// baseFiles adds the files of a machine that EC2's images have too, or that stand for a
// part of EC2.
func (b base) baseFiles() error {
	for _, f := range []struct {
		name    string
		content []byte
		mode    os.FileMode
	}{
		{awaitIdentity, awaitIdentityScript, 0o755},
		{"/usr/libexec/rehearsal/pushed-keys", pushedKeysScript, 0o755},
		{"/usr/lib/systemd/system-generators/rehearsal-device-lists", deviceListsScript, 0o755},
		{"/etc/fstab", nil, 0o644},
		{"/etc/environment", []byte("PATH=\"" + path + "\"\n"), 0o644},
		{"/etc/systemd/system.conf.d/rehearsal.conf", []byte("[Manager]\nDefaultTimeoutStopSec=20s\n"), 0o644},
		{"/etc/ssh/sshd_config.d/10-rehearsal.conf", []byte("AuthorizedKeysCommand /usr/libexec/rehearsal/pushed-keys %u\nAuthorizedKeysCommandUser nobody\nUseDNS no\n"), 0o644},
	} {
		if err := b.write(f.name, f.content, f.mode); err != nil {
			return err
		}
	}
	const probe = "/usr/lib/systemd/system/rehearsal-device-probe.service"
	return errors.Join(
		b.write(probe, deviceProbe, 0o644),
		b.link(probe, "/etc/systemd/system/multi-user.target.wants/rehearsal-device-probe.service"),
		os.MkdirAll(b.dir+filesInside, 0o755))
}

// cloudConfig is the configuration of cloud-init in an image of a rehearsal. The name of
// the user depends on the image.
const cloudConfig = `# Written by the rehearsal, as EC2's images have it.
datasource_list: [Ec2]
datasource: {Ec2: {max_wait: 60, timeout: 10, metadata_urls: ["http://169.254.169.254"]}} # others ask the name service
network: {config: disabled} # the rehearsal has configured it
updates: {network: {when: [boot-new-instance]}} # no udev, which would tell of new interfaces
apt: {preserve_sources_list: true}
locale: "false" # keeps the image's
manage_etc_hosts: true
disable_root: %t
ssh_genkeytypes: [ed25519, ecdsa]
system_info:
  default_user:
    name: %s
    gecos: %[2]s
    groups: [adm, sudo, video]
    lock_passwd: true
    shell: /bin/bash
    sudo: ["ALL=(ALL) NOPASSWD:ALL"]
`

// writeFirstDisk writes the files of a seeded image: an image that was captured has
// them.
func (m *machine) writeFirstDisk() error {
	upper := m.hostPath("upper")
	name := filepath.Join(upper, "etc/cloud/cloud.cfg.d/90-rehearsal.cfg")
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(name, fmt.Appendf(nil, cloudConfig, m.spec.User != "root", m.spec.User), 0o644),
		os.WriteFile(filepath.Join(upper, "etc/machine-id"), nil, 0o444),
		writeResolver(upper))
}

// describe completes the instance's metadata with what its network is.
func (m *machine) describe() imds.Instance {
	i := imds.Instance{}
	if m.spec.Metadata != nil {
		i = m.spec.Metadata()
	}
	i.ID, i.Keys, i.UserData, i.User = m.spec.ID, m.spec.AuthorizedKeys, m.spec.UserData, m.spec.User
	i.PrivateIP = m.privateIP()
	i.Hostname = "ip-" + strings.ReplaceAll(i.PrivateIP, ".", "-")
	if i.Region != "" {
		i.Hostname += "." + i.Region + ".compute.internal"
	}
	if m.spec.PushedKeys != nil {
		i.PushedKeys = m.spec.PushedKeys()
	}
	return i
}

// privateIP returns the address of the machine in its own network.
func (m *machine) privateIP() string {
	_, last, _ := strings.Cut(m.spec.Address, ".")
	_, last, _ = strings.Cut(last, ".")
	return "10.0." + last
}
