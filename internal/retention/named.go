// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package retention

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
)

// InFiles returns a function that reports which file, of those that match the
// patterns, contains an image's id. A pattern without matches or an unreadable
// file is an error, as the ids are then unknown.
func InFiles(patterns []string) (func(id string) string, error) {
	naming := map[string]string{}
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", pattern, err)
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%q: no such file", pattern)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			for _, id := range artifact.ImageIDs(string(text)) {
				naming[id] = "its id is in " + file
			}
		}
	}
	return func(id string) string { return naming[id] }, nil
}
