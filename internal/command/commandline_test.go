// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"bytes"
	"strings"
	"testing"
)

// TestCommandLines: all subcommands parse their command line the same way.
func TestCommandLines(t *testing.T) {
	for _, tt := range []struct {
		args     string
		code     int
		out, err string // beginnings; the other stream is empty
	}{
		{args: "", code: exitUsage, err: "packer-plugin-ethminer is a Packer plugin"},
		{args: "-h", out: "packer-plugin-ethminer is a Packer plugin"},
		{args: "--help", out: "packer-plugin-ethminer is a Packer plugin"},
		{args: "help", out: "packer-plugin-ethminer is a Packer plugin"},
		{args: "version", out: "packer-plugin-ethminer 0."},
		{args: "--version", out: "packer-plugin-ethminer 0."},
		{args: "nope", code: exitUsage, err: "packer-plugin-ethminer: unknown command \"nope\"\nRun `packer-plugin-ethminer help`"},
		{args: "map", code: exitUsage, err: "map: got \"\", want get, set or diff\nRun `packer-plugin-ethminer map -h` for help.\n"},
		{args: "map -h", out: "packer-plugin-ethminer map edits"},
		{args: "map help", out: "packer-plugin-ethminer map edits"},
		{args: "map get --help", out: "packer-plugin-ethminer map edits"},
		{args: "map put T", code: exitUsage, err: `map: got "put", want get, set or diff`},
		{args: "map get", code: exitUsage, err: "map: get: no template given"},
		{args: "map get -nope T", code: exitUsage, err: "map: flag provided but not defined: -nope"},
		{args: "sweep -h", out: "packer-plugin-ethminer sweep removes"},
		{args: "sweep --nope", code: exitUsage, err: "sweep: flag provided but not defined: -nope\nRun `packer-plugin-ethminer sweep -h`"},
		{args: "sweep now", code: exitUsage, err: `sweep: unexpected argument "now"`},
		{args: "publish", code: exitUsage, err: `publish: got "", want status,`},
		{args: "publish help", out: "packer-plugin-ethminer publish shows"},
		{args: "publish check -h", out: "packer-plugin-ethminer publish shows"},
		{args: "publish check -nope", code: exitUsage, err: "publish: flag provided but not defined: -nope"},
		{args: "publish status", code: exitUsage, err: "publish: status: got 0 arguments, want one"},
		{args: "rehearsal-aws", code: exitUsage, err: `rehearsal-aws: got "", want serve,`},
		{args: "rehearsal-aws --help", out: "packer-plugin-ethminer rehearsal-aws runs"},
		{args: "rehearsal-aws stop -h", out: "packer-plugin-ethminer rehearsal-aws runs"},
		{args: "rehearsal-aws stop -nope", code: exitUsage, err: "rehearsal-aws: flag provided but not defined: -nope"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := dispatch(t.Context(), strings.Fields(tt.args), streams{out: &out, err: &errs})
			if code != tt.code || !strings.HasPrefix(out.String(), tt.out) || !strings.HasPrefix(errs.String(), tt.err) ||
				(out.Len() > 0) == (errs.Len() > 0) {
				t.Errorf("exit %d, want %d\nstdout %s\nwant   %s\nstderr %s\nwant   %s", code, tt.code, &out, tt.out, &errs, tt.err)
			}
		})
	}
}
