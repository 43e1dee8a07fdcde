// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

const (
	// integration is the path of the plugin's components on HashiCorp's site.
	integration = "/packer/integrations/eth-mining/ethminer/latest/components/"
	// repository is the URL of this repository, which .web-docs links to.
	repository = "https://github.com/eth-mining/packer-plugin-ethminer/blob/main/"
)

// elsewhere lists the prefixes of links that cannot be checked without a network:
// other sites, and other pages of HashiCorp's site.
var elsewhere = []string{"https://", "http://", "mailto:", "/packer/docs/", "/packer/integrations/hashicorp/"}

// checkLinks returns the number of links and an error for each broken one.
func (s site) checkLinks() (int, []error) {
	count := 0
	var findings []error
	for _, file := range slices.Sorted(maps.Keys(s)) {
		for _, l := range s[file].links {
			count++
			if err := s.checkLink(file, l.target); err != nil {
				findings = append(findings, fmt.Errorf("%s:%d: link %q: %w", file, l.line, l.target, err))
			}
		}
	}
	return count, findings
}

func (s site) checkLink(file, target string) error {
	where, anchor, _ := strings.Cut(target, "#")
	var to string
	switch {
	case where == "":
		to = file
	case strings.HasPrefix(where, integration):
		to = path.Join(".web-docs/components", strings.TrimPrefix(where, integration), "README.md")
	case strings.HasPrefix(where, repository):
		to = strings.TrimPrefix(where, repository)
	case slices.ContainsFunc(elsewhere, func(start string) bool { return strings.HasPrefix(where, start) }):
		return nil
	case strings.HasPrefix(where, "/"):
		return fmt.Errorf("want a path relative to the file, or a prefix of %s", strings.Join(elsewhere, ", "))
	default:
		to = path.Join(path.Dir(file), where)
	}
	if strings.HasPrefix(to, "../") {
		return fmt.Errorf("target is outside the repository")
	}
	if _, err := os.Stat(to); err != nil {
		return fmt.Errorf("%s does not exist", to)
	}
	if anchor == "" {
		return nil
	}
	p, known := s[to]
	if !known {
		return fmt.Errorf("%s is not a document with headings", to)
	}
	if !p.anchors[anchor] {
		return fmt.Errorf("%s has no heading %q", to, anchor)
	}
	return nil
}
