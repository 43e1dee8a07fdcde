// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package releases

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

var imageID = lazyregexp.New(`ami-[0-9a-f]{8,17}\b`)

// InFiles returns who of the files that the patterns match names an image,
// wherever in them. A pattern that matches nothing, and a file that cannot be
// read, is an error: what they name is not known.
func InFiles(patterns []string) (func(id string) string, error) {
	naming := map[string]string{}
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", pattern, err)
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%q: there is no such file", pattern)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			for _, id := range imageID.FindAllString(string(text), -1) {
				naming[id] = "it is named by " + file
			}
		}
	}
	return func(id string) string { return naming[id] }, nil
}
