// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// Unit files are parsed as in systemd.syntax(7).
func TestParseUnit(t *testing.T) {
	u := &unitFile{name: "a@b.service", values: map[string][]string{}}
	if err := u.parse(`# a comment
; another
[Unit]
Description = with = sign
[Service]
ExecStart=/bin/one \
# a comment within
  two
Environment=A=1
Environment=
Environment=B=2
Environment=C=3
# a comment does not go on \
ExecStop=/bin/` + strings.Repeat("x", 3000) + `
`); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"Unit.Description":    {"with = sign"},
		"Service.ExecStart":   {"/bin/one two"},
		"Service.Environment": {"B=2", "C=3"},
		"Service.ExecStop":    {"/bin/" + strings.Repeat("x", 3000)},
	}
	for i, v := range u.values["Service.ExecStart"] {
		u.values["Service.ExecStart"][i] = strings.Join(strings.Fields(v), " ")
	}
	if !reflect.DeepEqual(u.values, want) {
		t.Errorf("got %q, want %q", u.values, want)
	}
	if got, err := u.expand("%n %N %p %i %t %%"); err != nil || got != "a@b.service a@b a b /run %" {
		t.Errorf("specifiers: got %q, %v", got, err)
	}
	if _, err := u.expand("%y"); err == nil {
		t.Error("an unknown specifier was accepted")
	}
	for _, bad := range []string{"Key=before a section\n", "[Service]\nnonsense\n"} {
		if (&unitFile{values: map[string][]string{}}).parse(bad) == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestExecLine(t *testing.T) {
	env := map[string]string{"TWO": "one two", "EMPTY": ""}
	for line, want := range map[string][]string{
		`/bin/a b  c`:                 {"/bin/a", "b", "c"},
		`/bin/a "b c" 'd "e"' f\sg`:   {"/bin/a", "b c", `d "e"`, "f g"},
		`/bin/a $TWO ${TWO} x${TWO}y`: {"/bin/a", "one", "two", "one two", "xone twoy"},
		`/bin/a $EMPTY "${EMPTY}" $$`: {"/bin/a", "", "$"},
		`-/bin/a \x41`:                {"/bin/a", "A"},
	} {
		e, err := parseExec(line)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if got := substitute(e.argv, env); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
		if e.mayFail != (line[0] == '-') {
			t.Errorf("%s: got mayFail %v", line, e.mayFail)
		}
	}
	for _, bad := range []string{"", "-", `/bin/a "b`, `/bin/a \x4`, "@/bin/a"} {
		if _, err := parseExec(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestSpan(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": time.Minute, "15": 15 * time.Second, "0.5": 500 * time.Millisecond, "1min 30s": 90 * time.Second, "2 minutes": 2 * time.Minute,
		"100ms": 100 * time.Millisecond, "infinity": 0, "1h": time.Hour, "3sec": 3 * time.Second,
	} {
		u := &unitFile{values: map[string][]string{"Service.X": {value}}}
		if got, err := u.span("Service.X", time.Minute); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", value, got, err, want)
		}
	}
	u := &unitFile{values: map[string][]string{"Service.X": {"soon"}}}
	if _, err := u.span("Service.X", 0); err == nil {
		t.Error("the time span soon was accepted")
	}
}

func TestParseEnvironment(t *testing.T) {
	got := parseEnvironment("# no\n\nA=1\nB=\"two words\"\nC='x'\nD=a b \\\nc\n1X=bad\nE=\n")
	want := map[string]string{"A": "1", "B": "two words", "C": "x", "D": "a b c", "E": ""}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
