// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
)

//go:embed scripts
var scripts embed.FS

// scriptFiles returns the content of the folder scripts.
func scriptFiles() fs.FS {
	files, err := fs.Sub(scripts, "scripts")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return files
}

// scriptsHash changes with every change of the scripts, so that a newer plugin runs
// all phases again.
func scriptsHash() string {
	sum := sha256.New()
	_ = fs.WalkDir(scripts, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := scripts.ReadFile(path)
		fmt.Fprintf(sum, "%s %d\n%s", path, len(data), data)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil))
}
