// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"cmp"
	"errors"
	"fmt"
)

// explained is an error of AWS with a text that explains it.
type explained struct {
	error
	text string
}

func (e explained) Error() string { return e.text }
func (e explained) Unwrap() error { return e.error }

// Explain returns an error that explains one of AWS, whose cause it names at its end.
func Explain(err error, format string, args ...any) error {
	return explained{err, fmt.Sprintf(format, args...) + " (" + Cause(err) + ")"}
}

// IsExplained reports whether Explain has returned the error.
func IsExplained(err error) bool {
	var e explained
	return errors.As(err, &e)
}

// Denied explains an error that AWS returns to credentials without the permission need,
// or that are not valid in a region; it returns others unchanged.
func Denied(err error, need, region string) error {
	switch Code(err) {
	case "AccessDenied", "AccessDeniedException", "Forbidden", "UnauthorizedOperation":
		return Explain(err, "these credentials lack the permission %s in %s; allow it", cmp.Or(RefusedBy(err).Action, need), region)
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidToken", "OptInRequired", "SubscriptionRequiredException", "AuthFailure":
		return Explain(err, "%s does not accept these credentials: the region may not be enabled for the account", region)
	}
	return err
}
