// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package api contains what the actions of the simulated EC2 have in common: the request
// with its dry run and client token, filters and pages of lists, tags and permissions.
package api

import (
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/store"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Request is the request being served, and the settings that apply to it.
type Request struct {
	Params   query.Params
	Action   string
	Now      time.Time
	Account  string        // twelve digits
	IDs      *store.IDs    // ids of new resources
	Tokens   Tokens        // of the region
	PageSize int           // resources on a page of a list that requests none; 0 means all
	NotFound time.Duration // how long a new resource is not found
}

// errDryRun ends a call that would have succeeded.
var errDryRun = &query.Error{Code: "DryRunOperation", Message: "Request would have succeeded, but DryRun flag is set.", Status: 412}

// Commit ends a dry run. Every action calls it between the last check and the first
// change.
func (r *Request) Commit() error {
	if r.Params.Bool("DryRun", false) {
		return errDryRun
	}
	return nil
}

// IsNew reports whether a resource is too new to be found by its id.
func (r *Request) IsNew(createdAt time.Time) bool { return r.Now.Sub(createdAt) < r.NotFound }

// Success is the response of an action that returns only success.
var Success = struct {
	Return bool `xml:"return"`
}{true}

// WellFormed reports whether an id has the prefix and 8 or 17 hexadecimal digits.
func WellFormed(id, prefix string) bool {
	digits, ok := strings.CutPrefix(id, prefix+"-")
	return ok && (len(digits) == 8 || len(digits) == 17) && strings.Trim(digits, "0123456789abcdef") == ""
}

// Stamp formats a time like EC2.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// BoolValue is a Boolean attribute in a response.
type BoolValue struct {
	Value bool `xml:"value"`
}
