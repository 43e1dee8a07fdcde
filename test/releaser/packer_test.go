// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package releaser

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestInstall installs the release from the simulated GitHub with the real Packer, and
// runs the example with it.
func TestInstall(t *testing.T) {
	user := newUser(t)
	user.host.publish("v"+made.version, made.files)

	output, code := user.packer(t, "init", "example/eth-mining.pkr.hcl")
	if code != 0 {
		t.Fatalf("packer init: got exit code %d, want 0:\n%s", code, output)
	}
	if want := "Installed plugin github.com/eth-mining/ethminer v" + made.version; !strings.Contains(output, want) {
		t.Errorf("packer init: got output without %q:\n%s", want, output)
	}
	// The checksum file and this machine's zip were fetched, and nothing else.
	prefix := "/" + repo + "/releases/download/v" + made.version + "/"
	sumsName, zipName := project+"_v"+made.version+"_SHA256SUMS", name(made.version, api, here)+".zip"
	want := []string{
		hostAPI + "/repos/" + repo + "/git/matching-refs/tags",
		hostFiles + prefix + sumsName, hostAssets + prefix + sumsName,
		hostFiles + prefix + zipName, hostAssets + prefix + zipName,
	}
	if served, _ := user.host.asked(); !slices.Equal(served, want) {
		t.Errorf("packer init: got requests\n%s\nwant\n%s", strings.Join(served, "\n"), strings.Join(want, "\n"))
	}
	installed := name(made.version, api, here)
	if got, want := user.installed(t), []string{installed, installed + "_SHA256SUM"}; !slices.Equal(got, want) {
		t.Fatalf("packer init: got %q in the plugin folder, want %q", got, want)
	}

	// A second run finds the installed plugin and makes no request.
	user.host.publish("v"+made.version, nil)
	if output, code := user.packer(t, "init", "example/eth-mining.pkr.hcl"); code != 0 {
		t.Errorf("second packer init: got exit code %d, want 0:\n%s", code, output)
	}

	output, code = user.packer(t, "build", "-var", "rehearsal=true", "-var", "rehearsal_instance=none", "example/eth-mining.pkr.hcl")
	if code != 0 {
		t.Fatalf("packer build: got exit code %d, want 0:\n%s", code, output)
	}
	filled, err := os.ReadFile(filepath.Join(user.folder, "build/rehearsal/eth-mining-cfn.template"))
	if err != nil {
		t.Fatal(err)
	}
	for _, region := range []string{
		"eu-central-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ap-northeast-1", "eu-west-1", "eu-west-2",
	} {
		id := regexp.MustCompile(`created:[\s\S]*` + region + `: (ami-[0-9a-f]+)`).FindStringSubmatch(output)
		if id == nil {
			t.Errorf("packer build: got output without an image in %s:\n%s", region, output)
		} else if !strings.Contains(string(filled), id[1]) {
			t.Errorf("the template lacks %s of %s", id[1], region)
		}
	}
	if served, refused := user.host.asked(); len(served)+len(refused) > 0 {
		t.Errorf("after packer init: got external requests: served %q, refused %q", served, refused)
	}
}

// TestInconsistentReleaseIsRejected: Packer rejects a release with any inconsistency, and installs nothing.
func TestInconsistentReleaseIsRejected(t *testing.T) {
	zipName := name(made.version, api, here) + ".zip"
	good := made.files[zipName]
	describes := func(version string) string {
		return fmt.Sprintf("#!/bin/sh\necho '{\"version\":%q,\"sdk_version\":\"0.6.9\",\"api_version\":%q,"+
			"\"builders\":[],\"post_processors\":[],\"provisioners\":[],\"datasources\":[]}'\n", version, api)
	}
	for _, c := range []struct {
		name    string
		version string
		files   func() (files, error)
		says    string
	}{
		{
			name:    "wrong checksum",
			version: made.version,
			files: func() (files, error) {
				wrong := release(made.version, zipName, append(slices.Clone(good), 0))
				wrong[zipName] = good
				return wrong, nil
			},
			says: "did not match.\nExpected: " + hash(append(slices.Clone(good), 0)) + "\nGot     : " + hash(good),
		},
		{
			name:    "wrong name inside the zip",
			version: made.version,
			files: func() (files, error) {
				archive, err := renamed(good, project)
				return release(made.version, zipName, archive), err
			},
			says: `could not find a "` + strings.TrimSuffix(zipName, ".zip") + `" file in zipfile`,
		},
		{
			name:    "newer API version",
			version: made.version,
			files: func() (files, error) {
				name := name(made.version, "x5.1", here)
				archive, err := renamed(good, name)
				return release(made.version, name+".zip", archive), err
			},
			says: `could not find a local nor a remote checksum for plugin "github.com/eth-mining/ethminer"`,
		},
		{
			name:    "other API version",
			version: made.version,
			files: func() (files, error) {
				name := name(made.version, "x6.0", here)
				archive, err := renamed(good, name)
				return release(made.version, name+".zip", archive), err
			},
			says: `could not find a local nor a remote checksum for plugin "github.com/eth-mining/ethminer"`,
		},
		{
			name:    "no zip for this system",
			version: made.version,
			files: func() (files, error) {
				other := name(made.version, api, "plan9_386") + ".zip"
				return release(made.version, other, good), nil
			},
			says: `could not find a local nor a remote checksum for plugin "github.com/eth-mining/ethminer"`,
		},
		{
			name:    "tag differs from the program's version",
			version: "9.9.9",
			files: func() (files, error) {
				name := name("9.9.9", api, here)
				archive, err := renamed(good, name)
				return release("9.9.9", name+".zip", archive), err
			},
			says: `binary reported version ("` + made.version + `") is different from the expected "9.9.9"`,
		},
		{
			name:    "development version",
			version: made.version,
			files: func() (files, error) {
				archive, err := zipped(strings.TrimSuffix(zipName, ".zip"), describes(made.version+"-dev"))
				return release(made.version, zipName, archive), err
			},
			says: "binary reported a pre-release version of " + made.version + "-dev",
		},
		{
			name:    "no checksum file",
			version: made.version,
			files:   func() (files, error) { return files{zipName: good}, nil },
			says:    "could not get sha256 checksum file",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			user := newUser(t)
			release, err := c.files()
			if err != nil {
				t.Fatal(err)
			}
			user.host.publish("v"+c.version, release)
			output, code := user.packer(t, "init", "example/eth-mining.pkr.hcl")
			if code != 1 {
				t.Errorf("packer init: got exit code %d, want 1", code)
			}
			if !strings.Contains(output, c.says) {
				t.Errorf("packer init: got output without %q:\n%s", c.says, output)
			}
			if got := user.installed(t); len(got) > 0 {
				t.Errorf("packer init: got %q in the plugin folder, want nothing", got)
			}
		})
	}
	// The unmodified release installs from the same simulated GitHub.
	t.Run("nothing wrong", func(t *testing.T) {
		user := newUser(t)
		user.host.publish("v"+made.version, release(made.version, zipName, good))
		if output, code := user.packer(t, "init", "example/eth-mining.pkr.hcl"); code != 0 {
			t.Errorf("packer init: got exit code %d, want 0:\n%s", code, output)
		}
	})
}

// user is a user with the example and a new Packer, who can reach only the simulated
// GitHub.
type user struct {
	folder      string
	host        *host
	environment []string
}

func newUser(t *testing.T) *user {
	t.Helper()
	h, err := newHost(repo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	folder := t.TempDir()
	u := &user{folder: folder, host: h}
	if err := os.CopyFS(filepath.Join(folder, "example"), os.DirFS(filepath.Join(root(), "example"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tmp", "plugins"} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	authority := filepath.Join(folder, "authority.pem")
	if err := os.WriteFile(authority, h.authority, 0o644); err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": folder, "TMPDIR": filepath.Join(folder, "tmp"),
		"PACKER_PLUGIN_PATH": filepath.Join(folder, "plugins"), "PACKER_CONFIG_DIR": filepath.Join(folder, "config"),
		"CHECKPOINT_DISABLE": "1", "PACKER_NO_COLOR": "1",
		"HTTPS_PROXY": h.proxy.URL, "HTTP_PROXY": h.proxy.URL, "SSL_CERT_FILE": authority,
	}
	for _, key := range slices.Sorted(maps.Keys(environment)) {
		u.environment = append(u.environment, key+"="+environment[key])
	}
	return u
}

// packer runs Packer in the user's folder and returns what it printed and its
// exit code.
func (u *user) packer(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(os.Getenv("PACKER"), args...)
	cmd.Dir, cmd.Env = u.folder, u.environment
	output, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(output), cmd.ProcessState.ExitCode()
}

// installed lists the files in the plugin folder.
func (u *user) installed(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(filepath.Join(u.folder, "plugins"), func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, entry.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}
