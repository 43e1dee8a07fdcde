// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package lazyregexp provides regular expressions for package variables that are
// compiled on first use. Packer starts every plugin several times per command,
// mostly to describe it; compiling all expressions would delay each start.
package lazyregexp

import (
	"regexp"
	"sync"
)

// Regexp is a regular expression that is compiled on first use. Its methods are those
// of regexp.Regexp.
type Regexp struct {
	compile func() *regexp.Regexp
}

// New returns a Regexp for an expression. An invalid expression panics on first use,
// as with regexp.MustCompile.
func New(expression string) Regexp {
	return Regexp{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })}
}

// Match reports whether b contains a match.
func (r Regexp) Match(b []byte) bool { return r.compile().Match(b) }

// MatchString reports whether s contains a match.
func (r Regexp) MatchString(s string) bool { return r.compile().MatchString(s) }

// FindString returns the leftmost match in s; empty if there is none.
func (r Regexp) FindString(s string) string { return r.compile().FindString(s) }

// FindStringSubmatch returns the leftmost match in s, followed by its submatches; nil
// if there is no match.
func (r Regexp) FindStringSubmatch(s string) []string { return r.compile().FindStringSubmatch(s) }

// FindAllString returns the first n successive matches in s, or all if n is negative;
// nil if there is no match.
func (r Regexp) FindAllString(s string, n int) []string { return r.compile().FindAllString(s, n) }

// FindAllIndex returns the first n successive matches in b, or all if n is negative,
// each as the offsets of its start and end; nil if there is no match.
func (r Regexp) FindAllIndex(b []byte, n int) [][]int { return r.compile().FindAllIndex(b, n) }

// ReplaceAllString returns s with all matches replaced by to, in which $1 or ${1}
// stands for the first submatch.
func (r Regexp) ReplaceAllString(s, to string) string { return r.compile().ReplaceAllString(s, to) }
