// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package lazyregexp has regular expressions for package variables that cost
// nothing until they are used. Packer starts every plugin several times a
// command, mostly to ask what it is; compiling them all each time, with what the
// garbage collector then has to look at, would be what a user waits for.
package lazyregexp

import (
	"regexp"
	"sync"
)

// Regexp is compiled when it is first used.
type Regexp struct {
	compile func() *regexp.Regexp
}

// New takes an expression that is known to be right: it panics at its first use
// otherwise, as regexp.MustCompile does at once.
func New(expression string) Regexp {
	return Regexp{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })}
}

// The methods are those of regexp.Regexp.

func (r Regexp) Match(b []byte) bool                    { return r.compile().Match(b) }
func (r Regexp) MatchString(s string) bool              { return r.compile().MatchString(s) }
func (r Regexp) FindString(s string) string             { return r.compile().FindString(s) }
func (r Regexp) FindStringSubmatch(s string) []string   { return r.compile().FindStringSubmatch(s) }
func (r Regexp) FindAllString(s string, n int) []string { return r.compile().FindAllString(s, n) }
func (r Regexp) ReplaceAllString(s, to string) string   { return r.compile().ReplaceAllString(s, to) }
