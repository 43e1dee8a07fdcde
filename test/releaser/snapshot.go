// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package releaser

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	project = "packer-plugin-ethminer"
	repo    = "eth-mining/" + project
	api     = "x5.0"
)

// root is the repository's top folder.
func root() string {
	folder, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	return folder
}

// command runs a program in the top folder and returns what it printed.
func command(environment []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = root()
	cmd.Env = append(os.Environ(), environment...)
	output, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, output)
	}
	return string(output), nil
}

// snapshot makes a release by the configuration that the release workflow uses,
// without publishing it. This machine's program is the plugin; those of the other
// systems are empty (testdata/go). It is signed by the key of the fingerprint in
// the GnuPG home.
func snapshot(goreleaser, version, gnupg, fingerprint string) (files, error) {
	_, err := command([]string{
		// Without a remote goreleaser does not look at git at all, and stamps
		// files with the hour instead of the commit's time.
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=remote.origin.url", "GIT_CONFIG_VALUE_0=https://github.com/" + repo,
		"PLUGIN_VERSION=" + version,
		"GNUPGHOME=" + gnupg,
		"GPG_FINGERPRINT=" + fingerprint,
		"RELEASE_GO=" + filepath.Join(root(), "test/releaser/testdata/go"),
	}, goreleaser, "release", "--snapshot", "--clean", "--parallelism", "2")
	if err != nil {
		return nil, err
	}
	release := files{}
	entries, err := os.ReadDir(filepath.Join(root(), "build/dist"))
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if entry.IsDir() || !strings.HasPrefix(entry.Name(), project) {
			continue // goreleaser's own notes and the unpacked programs
		}
		if release[entry.Name()], err = os.ReadFile(filepath.Join(root(), "build/dist", entry.Name())); err != nil {
			return nil, err
		}
	}
	return release, nil
}

// name is that of a zip without its ending, and of the program in it without
// Windows's.
func name(version, api, system string) string {
	return project + "_v" + version + "_" + api + "_" + system
}

// sums writes a checksum file of zips.
func sums(zips files) []byte {
	var text bytes.Buffer
	for file, content := range zips {
		fmt.Fprintf(&text, "%s  %s\n", hash(content), file)
	}
	return text.Bytes()
}

// release is a zip and its checksum file.
func release(version, file string, content []byte) files {
	zips := files{file: content}
	return files{file: content, project + "_v" + version + "_SHA256SUMS": sums(zips)}
}

func hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// program returns the header and the content of a zip's only file.
func program(archive []byte) (*zip.FileHeader, []byte, error) {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, nil, err
	}
	if len(r.File) != 1 {
		return nil, nil, fmt.Errorf("%d files in the zip; want the program alone", len(r.File))
	}
	f, err := r.File[0].Open()
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	return &r.File[0].FileHeader, content, err
}

// renamed is a zip whose only file has another name; it stays compressed.
func renamed(archive []byte, name string) ([]byte, error) {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, err
	}
	raw, err := r.File[0].OpenRaw()
	if err != nil {
		return nil, err
	}
	header := r.File[0].FileHeader
	header.Name = name
	return write(func(w *zip.Writer) (io.Writer, error) { return w.CreateRaw(&header) }, raw)
}

// zipped is a zip of one program.
func zipped(name, content string) ([]byte, error) {
	header := zip.FileHeader{Name: name, Method: zip.Deflate}
	header.SetMode(0o755)
	return write(func(w *zip.Writer) (io.Writer, error) { return w.CreateHeader(&header) }, strings.NewReader(content))
}

func write(create func(*zip.Writer) (io.Writer, error), content io.Reader) ([]byte, error) {
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	f, err := create(w)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(f, content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}
