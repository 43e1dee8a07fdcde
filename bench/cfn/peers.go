// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package cfn measures how one cell of a region map is set: by this project and
// by the libraries and tools that people reach for. It is a module of its own,
// so that no peer is a dependency of the plugin.
//
//	go test -C bench ./cfn -run TestTable -v -table
//	go test -C bench ./cfn -run TestRows -v -rows FILE
//	go test -C bench ./cfn -run XXX -bench .
package cfn

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
	"github.com/tailscale/hujson"
	"github.com/tidwall/sjson"
	yaml3 "go.yaml.in/yaml/v3"
	yaml4 "go.yaml.in/yaml/v4"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
)

const mapping, attribute = "AWSRegion2AMI", "AMI"

// Peer sets the cell of a region and returns the new text.
type Peer struct {
	Name   string
	Module string // pinned in go.mod; empty for a program
	Note   string // what it does differently
	Set    func(src []byte, region, ami string) ([]byte, error)
}

// Ours is internal/cfntemplate, its proof included.
var Ours = Peer{"ours, proof included", "", "", func(src []byte, region, ami string) ([]byte, error) {
	t, err := cfntemplate.Parse("template", src)
	if err != nil {
		return nil, err
	}
	out, _, err := t.Apply(mapping, cfntemplate.Edit{Region: region, Attribute: attribute, Value: ami})
	return out, err
}}

// YAMLPeers make a round trip: text to tree, tree to text.
var YAMLPeers = []Peer{
	Ours,
	{"yaml/v3 parse alone", "go.yaml.in/yaml/v3", "parses only, edits nothing", func(src []byte, _, _ string) ([]byte, error) {
		var doc yaml3.Node
		return nil, yaml3.Unmarshal(src, &doc)
	}},
	{"yaml/v3 round trip", "go.yaml.in/yaml/v3", "round trip", func(src []byte, region, ami string) ([]byte, error) {
		var doc yaml3.Node
		if err := yaml3.Unmarshal(src, &doc); err != nil {
			return nil, err
		}
		n := doc.Content[0]
		for _, key := range []string{"Mappings", mapping, region, attribute} {
			n = child3(n, key)
			if n == nil {
				return nil, fmt.Errorf("no %s", key)
			}
		}
		n.Value = ami
		var out bytes.Buffer
		e := yaml3.NewEncoder(&out)
		e.SetIndent(2)
		err := errors.Join(e.Encode(&doc), e.Close())
		return out.Bytes(), err
	}},
	{"yaml/v4 round trip", "go.yaml.in/yaml/v4", "round trip", func(src []byte, region, ami string) ([]byte, error) {
		var doc yaml4.Node
		if err := yaml4.Unmarshal(src, &doc); err != nil {
			return nil, err
		}
		n := doc.Content[0]
		for _, key := range []string{"Mappings", mapping, region, attribute} {
			n = child4(n, key)
			if n == nil {
				return nil, fmt.Errorf("no %s", key)
			}
		}
		n.Value = ami
		var out bytes.Buffer
		e := yaml4.NewEncoder(&out)
		e.SetIndent(2)
		err := errors.Join(e.Encode(&doc), e.Close())
		return out.Bytes(), err
	}},
	{"goccy/go-yaml round trip", "github.com/goccy/go-yaml", "round trip", func(src []byte, region, ami string) ([]byte, error) {
		file, err := parser.ParseBytes(src, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		path, err := yaml.PathString(fmt.Sprintf("$.Mappings.%s.'%s'.%s", mapping, region, attribute))
		if err != nil {
			return nil, err
		}
		if err := path.ReplaceWithReader(file, strings.NewReader(ami)); err != nil {
			return nil, err
		}
		return []byte(file.String()), nil
	}},
}

func child3(n *yaml3.Node, key string) *yaml3.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func child4(n *yaml4.Node, key string) *yaml4.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// JSONPeers set the value in the text, except jq, which is a process that
// re-writes it all.
var JSONPeers = []Peer{
	Ours,
	{"sjson", "github.com/tidwall/sjson", "proves nothing, accepts duplicate keys", func(src []byte, region, ami string) ([]byte, error) {
		return sjson.SetBytes(src, strings.Join([]string{"Mappings", mapping, region, attribute}, "."), ami)
	}},
	{"hujson", "github.com/tailscale/hujson", "proves nothing, accepts duplicate keys, rejects a byte order mark", func(src []byte, region, ami string) ([]byte, error) {
		v, err := hujson.Parse(src)
		if err != nil {
			return nil, err
		}
		patch := fmt.Sprintf(`[{"op": "replace", "path": "/Mappings/%s/%s/%s", "value": %q}]`, mapping, region, attribute, ami)
		if err := v.Patch([]byte(patch)); err != nil {
			return nil, err
		}
		return v.Pack(), nil
	}},
	{"jq (a process)", "", "a process for each edit", func(src []byte, region, ami string) ([]byte, error) {
		cmd := exec.Command("jq", "--arg", "v", ami, fmt.Sprintf(".Mappings.%s[%q].%s = $v", mapping, region, attribute))
		cmd.Stdin = bytes.NewReader(src)
		return cmd.Output()
	}},
}
