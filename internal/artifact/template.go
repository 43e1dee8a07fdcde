// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package artifact

import "encoding/json"

// Template is the result of ethminer-cfn. It is one JSON string under the state key
// StateTemplate. Fields are only added, never removed or renamed.
type Template struct {
	// Path is the file that was written, or would be written without dry_run.
	Path string `json:"path"`
	// DryRun is true if nothing was written or published.
	DryRun bool `json:"dry_run,omitempty"`
	// Refused is why nothing was written or published although it was no dry run: a launch
	// test has failed, and the build kept the images.
	Refused string `json:"refused,omitempty"`
	// Diff is the unified diff from the template to the result; empty if they are equal.
	Diff string `json:"diff,omitempty"`
	// Publication is what was published, in one line; empty without a publication.
	Publication string `json:"publication,omitempty"`
	// Published lists what was published, one line each; empty without a publication.
	Published []string `json:"published,omitempty"`
}

// NotWritten returns why no file was written; empty if it was.
func (t Template) NotWritten() string {
	if t.DryRun {
		return "dry_run"
	}
	return t.Refused
}

// JSON returns the result as the text under StateTemplate.
func (t Template) JSON() string {
	text, _ := json.Marshal(t) // strings and bools always encode
	return string(text)
}

// DecodeTemplate returns the result under the state key StateTemplate of an artifact,
// and whether there is one.
func DecodeTemplate(state any) (t Template, ok bool) {
	text, ok := state.(string)
	if !ok || json.Unmarshal([]byte(text), &t) != nil {
		return Template{}, false
	}
	return t, true
}
