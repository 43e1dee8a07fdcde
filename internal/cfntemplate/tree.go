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

// node is a value of either syntax with its place in the source. JSON is the
// case in which everything is flow and every string has double quotes.
type node struct {
	kind   kind
	start  int    // first byte, tag and anchor included
	body   int    // first byte after tag and anchor
	end    int    // past the last byte; -1 where the parser does not tell
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

// find returns the entry of n named key; -1 if there is none.
func (n *node) find(key string) int {
	for i, e := range n.entry {
		if e.key.text == key {
			return i
		}
	}
	return -1
}

// tail is the last entry in e, which may be e itself.
func (e entry) tail() entry {
	if n := len(e.val.entry); n > 0 {
		return e.val.entry[n-1].tail()
	}
	return e
}

// intrinsic says whether n is a function call (a tag such as !Ref, or an object
// {"Ref": ...}). CloudFormation takes none in Mappings, so in a cell it can only
// be a placeholder.
func (n *node) intrinsic() bool {
	if n.kind != object {
		return n.customTag()
	}
	return !n.customTag() && len(n.entry) == 1 && isFunction(n.entry[0].key.text)
}

// customTag says whether n has a tag that is not one of YAML's own.
func (n *node) customTag() bool { return len(n.tag) > 1 && n.tag[0] == '!' && n.tag[1] != '!' }

func isFunction(name string) bool {
	return name == "Ref" || len(name) > 4 && name[:4] == "Fn::"
}

// same says whether two nodes are equal in everything but their place.
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
