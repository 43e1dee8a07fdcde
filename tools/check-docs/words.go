// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// unusual maps wordings that a native reader stumbles over to the usual ones. An
// entry is a regular expression for whole words.
var unusual = []struct{ wording, usual string }{
	{`anew`, "again"},
	{`look-alikes?`, "compatible endpoint"},
	{`to be had`, "available"},
	{`go(es)? on with`, "resume, or continue with"},
	{`nobody knows`, "unknown"},
	{`(what|whatever) becomes of`, "the result of"},
	{`gone back to`, "restored"},
	{`(otherwise|other) than it does`, "differently"},
	{`does it without|does without`, "does not need"},
	{`whereof|thereof|wherein|therein`, "of which, in which"},
	{`is no more`, "no longer exists"},
	{`where nothing else is (said|set)`, "by default"},
	{`slip of the pen`, "typo"},
	{`ends? itself`, "shuts itself down"},
	{`begging`, "backoff"},
	{`in vain`, "without a result"},
	{`what (it|there) is (for|of)`, "name it"},
	{`mend(s|ed|ing)?`, "fix"},
	{`asks? (AWS|EC2|IAM|STS|S3|CloudFormation) (whether|for|what)`, "checks, or requests"},
}

// checkWords finds unusual wordings in all text of the repository: documents, code,
// its messages and comments.
func checkWords() []error {
	output, err := exec.Command("git", "ls-files", "-co", "--exclude-standard", "--", "*.go", "*.md", "*.mdx", "*.sh", "*.hcl", "GNUmakefile").Output()
	if err != nil {
		return []error{fmt.Errorf("listing texts: %w", err)}
	}
	var findings []error
	for _, file := range strings.Fields(string(output)) {
		text, err := os.ReadFile(file)
		if err != nil || strings.HasPrefix(file, "tools/check-docs/") || strings.Contains(file, "testdata/") {
			continue // deleted; or the list and its tests; or other people's words
		}
		for _, f := range wordsIn(string(text)) {
			findings = append(findings, fmt.Errorf("%s:%s", file, f))
		}
	}
	return findings
}

// wordsIn returns `LINE: finding` for each unusual wording.
func wordsIn(text string) []string {
	var found []string
	for i, line := range strings.Split(text, "\n") {
		for k, pattern := range patterns {
			if words := pattern.FindString(line); words != "" {
				found = append(found, fmt.Sprintf("%d: unusual wording %q; write %q", i+1, words, unusual[k].usual))
			}
		}
	}
	return found
}

var patterns = func() []*regexp.Regexp {
	all := make([]*regexp.Regexp, len(unusual))
	for i, u := range unusual {
		all[i] = regexp.MustCompile(`(?i)\b(` + u.wording + `)\b`)
	}
	return all
}()
