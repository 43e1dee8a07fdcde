// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight_test

import (
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/preflight"
)

// Credentials that expire before the build can end are a warning; an unknown expiry
// is none.
func TestSession(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		expires time.Time
		warns   bool
	}{
		"unknown":    {},
		"too early":  {now.Add(time.Hour), true},
		"afterwards": {now.Add(8 * time.Hour), false},
	} {
		l := newLab(t)
		l.plan.Session = preflight.Session{Expires: test.expires, Source: "AWS_CREDENTIAL_EXPIRATION", Ends: now.Add(7 * time.Hour), Why: "6h for the instance (max_build_time) and 1h for the copies"}
		report := l.run()
		if err := report.Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		const want = "credentials: they expire at 2026-11-28 13:00 UTC (AWS_CREDENTIAL_EXPIRATION), possibly before the build ends, " +
			"want credentials that are valid until 2026-11-28 19:00 UTC (6h for the instance (max_build_time) and 1h for the copies); get new ones"
		if text := strings.Join(report.Warnings(), "\n"); strings.Contains(text, want) != test.warns || !test.warns && strings.Contains(text, "credentials") {
			t.Errorf("%s: got the warnings %q", name, text)
		}
	}
}
