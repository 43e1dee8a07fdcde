// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package store contains tables of the simulated EC2's resources, and generates their
// ids. It has no other state.
package store

// Table contains resources by id, in the order of their creation.
type Table[T any] struct {
	byID  map[string]T
	order []string
}

// Put adds or replaces a resource.
func (t *Table[T]) Put(id string, v T) {
	if t.byID == nil {
		t.byID = map[string]T{}
	}
	if _, ok := t.byID[id]; !ok {
		t.order = append(t.order, id)
	}
	t.byID[id] = v
}

// Get returns a resource, and whether it exists.
func (t *Table[T]) Get(id string) (T, bool) {
	v, ok := t.byID[id]
	return v, ok
}

// Remove removes a resource, if it exists.
func (t *Table[T]) Remove(id string) {
	delete(t.byID, id)
	for i, have := range t.order {
		if have == id {
			t.order = append(t.order[:i:i], t.order[i+1:]...)
			return
		}
	}
}

// All returns the resources; the caller may change the table while it iterates.
func (t *Table[T]) All() []T {
	out := make([]T, 0, len(t.order))
	for _, id := range t.order {
		out = append(out, t.byID[id])
	}
	return out
}
