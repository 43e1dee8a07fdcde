// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package releaser

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// made is the release that all tests inspect. Building it takes minutes.
var made struct {
	version string
	gnupg   string
	files   files
}

func TestMain(m *testing.M) {
	code, err := setUp(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a release:", err)
		code = 1
	}
	os.Exit(code)
}

func setUp(m *testing.M) (int, error) {
	if runtime.GOOS != "linux" {
		// On other systems Go trusts only the system's authorities, and not the one of
		// the simulated GitHub.
		fmt.Println("SKIPPED: needs Linux: SSL_CERT_FILE has no effect on", runtime.GOOS)
		return 0, nil
	}
	goreleaser, packer := os.Getenv("GORELEASER"), os.Getenv("PACKER")
	if goreleaser == "" || packer == "" {
		return 0, fmt.Errorf("GORELEASER and PACKER are not set; run: make test-releaser")
	}
	version, err := command(nil, "tools/version")
	if err != nil {
		return 0, err
	}
	made.version = strings.TrimSpace(version)
	if made.gnupg, err = os.MkdirTemp("", "gnupg"); err != nil {
		return 0, err
	}
	home := []string{"GNUPGHOME=" + made.gnupg}
	defer os.RemoveAll(made.gnupg)
	defer func() { _, _ = command(home, "gpgconf", "--kill", "all") }()
	if _, err := command(home, "gpg", "--batch", "--passphrase", "", "--quick-generate-key", "release test", "ed25519", "sign"); err != nil {
		return 0, err
	}
	keys, err := command(home, "gpg", "--list-keys", "--with-colons")
	if err != nil {
		return 0, err
	}
	fingerprint := regexp.MustCompile(`(?m)^fpr:+([0-9A-F]+):`).FindStringSubmatch(keys)
	if fingerprint == nil {
		return 0, fmt.Errorf("got no fingerprint from gpg:\n%s", keys)
	}
	if made.files, err = snapshot(goreleaser, made.version, made.gnupg, fingerprint[1]); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

var systems = []string{
	"darwin_amd64", "darwin_arm64", "freebsd_amd64", "freebsd_arm64",
	"linux_amd64", "linux_arm64", "windows_amd64", "windows_arm64",
}

var here = runtime.GOOS + "_" + runtime.GOARCH

// TestFiles checks the files of the release: Packer relies on their names and on the
// checksum file, and users verify the signature.
func TestFiles(t *testing.T) {
	var want []string
	for _, system := range systems {
		want = append(want, name(made.version, api, system)+".cdx.json", name(made.version, api, system)+".zip")
	}
	sumsName := project + "_v" + made.version + "_SHA256SUMS"
	want = append(want, sumsName, sumsName+".sig")
	slices.Sort(want)
	var got []string
	for file := range made.files {
		got = append(got, file)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got files\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	var lines []string
	for _, system := range systems {
		file := name(made.version, api, system) + ".zip"
		lines = append(lines, hash(made.files[file])+"  "+file+"\n")
	}
	if got, want := string(made.files[sumsName]), strings.Join(lines, ""); got != want {
		t.Errorf("got %s\n%s\nwant exactly one line for each zip:\n%s", sumsName, got, want)
	}

	dist := filepath.Join(root(), "build/dist", sumsName)
	if _, err := command([]string{"GNUPGHOME=" + made.gnupg}, "gpg", "--verify", dist+".sig", dist); err != nil {
		t.Error(err)
	}
}

// TestPrograms inspects each zip. Except for this machine's, they contain an empty
// program, built with the plugin's flags.
func TestPrograms(t *testing.T) {
	stamp, err := command(nil, "git", "log", "-1", "--format=%ct")
	if err != nil {
		t.Fatal(err)
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(stamp), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	committed := time.Unix(seconds, 0)
	for _, system := range systems {
		t.Run(system, func(t *testing.T) {
			want := name(made.version, api, system)
			header, content, err := program(made.files[want+".zip"])
			if err != nil {
				t.Fatal(err)
			}
			goos, goarch, _ := strings.Cut(system, "_")
			if goos == "windows" {
				want += ".exe"
			}
			if header.Name != want {
				t.Errorf("got program %q, want %q", header.Name, want)
			}
			if mode := header.Mode(); mode != 0o755 {
				t.Errorf("got mode %v of the program, want 0755", mode)
			}
			if !header.Modified.Equal(committed) {
				t.Errorf("got time %v of the program, want the commit's %v", header.Modified, committed)
			}
			info, err := buildinfo.Read(bytes.NewReader(content))
			if err != nil {
				t.Fatal(err)
			}
			settings := map[string]string{}
			for _, s := range info.Settings {
				settings[s.Key] = s.Value
			}
			for key, want := range map[string]string{
				"GOOS": goos, "GOARCH": goarch, "CGO_ENABLED": "0", "-trimpath": "true", "vcs.revision": "",
			} {
				if settings[key] != want {
					t.Errorf("got build setting %s=%q, want %q", key, settings[key], want)
				}
			}
		})
	}
}

// TestPlugin inspects this machine's program, the plugin itself.
func TestPlugin(t *testing.T) {
	path, content := plugin(t)
	output, err := exec.Command(path, "describe").Output()
	if err != nil {
		t.Fatal(err)
	}
	var described struct {
		Version, Builders, Provisioners any
		API                             string   `json:"api_version"`
		PostProcessors                  []string `json:"post_processors"`
	}
	if err := json.Unmarshal(output, &described); err != nil {
		t.Fatal(err)
	}
	if described.Version != made.version || described.API != api {
		t.Errorf("describe: got version %v, API %v, want %v, %v as in the file names", described.Version, described.API, made.version, api)
	}
	folders, err := command(nil, "go", "env", "GOROOT", "GOMODCACHE")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range append(strings.Fields(folders), root()) {
		if bytes.Contains(content, []byte(folder)) {
			t.Errorf("the program contains the local path %s", folder)
		}
	}
}

// TestReproducible builds the plugin again, with the command in CONTRIBUTING.md.
func TestReproducible(t *testing.T) {
	_, released := plugin(t)
	again := filepath.Join(t.TempDir(), "again")
	if _, err := command([]string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags",
		"-s -w -X github.com/"+repo+"/version.VersionPrerelease=", "-o", again, "."); err != nil {
		t.Fatal(err)
	}
	rebuilt, err := os.ReadFile(again)
	if err != nil {
		t.Fatal(err)
	}
	if hash(released) != hash(rebuilt) {
		t.Errorf("two builds of one commit differ: %s and %s", hash(released), hash(rebuilt))
	}
}

// TestBill compares the bill of materials with the plugin's dependencies.
func TestBill(t *testing.T) {
	var bill struct {
		Format   string `json:"bomFormat"`
		Metadata struct {
			Component struct {
				PURL string `json:"purl"`
			} `json:"component"`
		} `json:"metadata"`
		Components []struct {
			PURL string `json:"purl"`
		} `json:"components"`
	}
	if err := json.Unmarshal(made.files[name(made.version, api, here)+".cdx.json"], &bill); err != nil {
		t.Fatal(err)
	}
	if want := "pkg:golang/github.com/" + repo + "@v" + made.version; bill.Format != "CycloneDX" || bill.Metadata.Component.PURL != want {
		t.Errorf("got a %q bill of %q, want CycloneDX of %q", bill.Format, bill.Metadata.Component.PURL, want)
	}
	sdk, err := command(nil, "go", "list", "-m", "-f", "pkg:golang/{{.Path}}@{{.Version}}", "github.com/hashicorp/packer-plugin-sdk")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{strings.TrimSpace(sdk), "pkg:golang/std@" + strings.TrimPrefix(runtime.Version(), "go")} {
		found := false
		for _, c := range bill.Components {
			found = found || c.PURL == want
		}
		if !found {
			t.Errorf("the bill of %d components lacks %s", len(bill.Components), want)
		}
	}
}

// plugin extracts this machine's program.
func plugin(t *testing.T) (path string, content []byte) {
	t.Helper()
	header, content, err := program(made.files[name(made.version, api, here)+".zip"])
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), header.Name)
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return path, content
}
