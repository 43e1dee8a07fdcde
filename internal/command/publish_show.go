// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

// status runs `publish status`.
func (p *publishing) status(ctx context.Context, uri string) int {
	s, code := p.state(ctx, uri)
	if s == nil {
		return code
	}
	findings, err := p.publisher.Check(ctx, s)
	if err != nil {
		return p.fail(exitError, err)
	}
	code = exitOK
	if !s.Sealed {
		code = exitProblem
	}
	for _, f := range findings {
		if !f.OK() {
			code = exitProblem
		}
	}
	if p.json {
		return p.printJSON(code, map[string]any{
			"version": s.Latest.Version, "sha256": s.Latest.SHA256, "publication": s.Latest.Number, "action": s.Record.Action, "done": s.Sealed, "findings": list(findings),
		})
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KIND\tREGION\tNAME\tSTATE\t")
	for _, f := range findings {
		mark := ""
		if !f.OK() {
			mark = "want " + f.Want
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", f.Kind, f.Region, f.Name, f.Is, mark)
	}
	_ = w.Flush()
	switch {
	case !s.Sealed:
		fmt.Fprintf(p.out, "Publication %d (%s of %s) is not complete: run it again, or roll back:\n%s\n",
			s.Latest.Number, s.Record.Action, s.Latest.Version, p.again("rollback", " -to VERSION", uri))
	case code == exitOK:
		fmt.Fprintf(p.out, "Everything is at version %s.\n", s.Latest.Version)
	}
	return code
}

// history runs `publish history`.
func (p *publishing) history(ctx context.Context, uri string) int {
	src, err := publish.ParseSource(uri, p.region)
	if err != nil {
		return p.fail(exitUsage, err)
	}
	publications, err := p.publisher.History(ctx, src, p.count)
	if err != nil {
		return p.fail(exitError, err)
	}
	if p.json {
		return p.printJSON(exitOK, map[string]any{"publications": list(publications)})
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tTIME\tACTION\tVERSION\tPREVIOUS\tCOMPLETE")
	for _, r := range publications {
		done := "no"
		if r.Sealed {
			done = "yes"
		}
		at := r.At
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", r.Number, stampOf(&at), r.Action, r.Version, r.Previous, done)
	}
	_ = w.Flush()
	return exitOK
}
