// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

// kind is the shape of a node.
type kind uint8

const (
	scalar kind = iota
	object
	list
	alias
)

// node is a JSON or YAML value with its position in the source. In JSON everything
// is flow style, and every string has double quotes.
type node struct {
	kind   kind
	start  int    // first byte, tag and anchor included
	body   int    // first byte after tag and anchor
	end    int    // past the last byte; -1 if unknown
	text   string // a scalar's decoded text, an alias's anchor
	str    bool   // the scalar is a string to its parser
	null   bool
	quote  byte // '"', '\'', '|' for a block scalar, 0 for none
	tag    string
	anchor string
	flow   bool
	entry  []entry
	item   []*node
	target *node // of an alias, one level
}

type entry struct{ key, val *node }

// find returns the index of the entry named key; -1 if there is none.
func (n *node) find(key string) int {
	for i, e := range n.entry {
		if e.key.text == key {
			return i
		}
	}
	return -1
}

// isMerge reports whether a key is YAML's merge key.
func (n *node) isMerge() bool { return n.text == "<<" && n.quote == 0 }

// tail returns the last entry in e, which may be e itself.
func (e entry) tail() entry {
	if n := len(e.val.entry); n > 0 {
		return e.val.entry[n-1].tail()
	}
	return e
}

// intrinsic reports whether n is a function call (a tag such as !Ref, or an object
// such as {"Ref": ...}) instead of a value.
func (n *node) intrinsic() bool { return n.function() != "" }

// function returns the name of the function that n calls, as written: Ref, !Ref,
// Fn::Transform, !Rain::Include; empty if n is a value.
func (n *node) function() string {
	switch {
	case n.customTag():
		return n.tag
	case n.kind == object && len(n.entry) == 1 && isFunction(n.entry[0].key.text):
		return n.entry[0].key.text
	}
	return ""
}

// reference reports whether n is a call of Ref, a common placeholder for a future
// image. CloudFormation allows no calls in Mappings, so it can be replaced. Any
// other call may be processed by a macro, a transform or a tool, so it is content.
func (n *node) reference() bool {
	switch n.function() {
	case "!Ref":
		return n.kind == scalar
	case "Ref":
		return true
	}
	return false
}

// customTag reports whether n has a tag that YAML does not define.
func (n *node) customTag() bool {
	switch n.tag {
	case "", "!", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!map", "!!seq":
		return false
	}
	return true
}

// keptTag returns the tag of n that an edit of the value keeps. Only string tags are
// kept.
func (n *node) keptTag() string {
	if n.tag == "!!str" || n.tag == "!" {
		return n.tag
	}
	return ""
}

// shortForms are the tags that CloudFormation defines.
var shortForms = map[string]bool{
	"!Ref": true, "!And": true, "!Base64": true, "!Cidr": true, "!Condition": true, "!Equals": true, "!FindInMap": true,
	"!GetAtt": true, "!GetAZs": true, "!If": true, "!ImportValue": true, "!Join": true, "!Length": true, "!Not": true, "!Or": true,
	"!Select": true, "!Split": true, "!Sub": true, "!ToJsonString": true, "!Transform": true,
}

func isFunction(name string) bool {
	return name == "Ref" || len(name) > 4 && name[:4] == "Fn::"
}

// same reports whether two nodes are equal except for their positions.
func same(a, b *node) bool {
	if a.kind != b.kind || a.text != b.text || a.str != b.str || a.null != b.null || a.quote != b.quote ||
		a.tag != b.tag || a.anchor != b.anchor || a.flow != b.flow ||
		len(a.entry) != len(b.entry) || len(a.item) != len(b.item) {
		return false
	}
	for i := range a.entry {
		if !same(a.entry[i].key, b.entry[i].key) || !same(a.entry[i].val, b.entry[i].val) {
			return false
		}
	}
	for i := range a.item {
		if !same(a.item[i], b.item[i]) {
			return false
		}
	}
	return true
}
