// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package test

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// limitRow matches a row of docs/waiting.md that names a constant.
var limitRow = regexp.MustCompile("(?m)^\\| (.*?) \\| ([0-9]+) (s|min|h|attempts) \\|.*\\| `(\\S+) (\\S+)` \\|$")

// The limits in docs/waiting.md are those of the code.
func TestWaitingPage(t *testing.T) {
	page, err := os.ReadFile("../docs/waiting.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := limitRow.FindAllStringSubmatch(string(page), -1)
	if named := strings.Count(string(page), "` |\n"); len(rows) < 25 || named < len(rows) {
		t.Fatalf("found %d rows that name a constant", len(rows))
	}
	units := map[string]int64{"attempts": 1, "s": int64(time.Second), "min": int64(time.Minute), "h": int64(time.Hour)}
	for _, row := range rows {
		n, _ := strconv.ParseInt(row[2], 10, 64)
		want, ok := constantOf(t, filepath.Join("..", row[4]), row[5])
		if got := n * units[row[3]]; !ok || got != want {
			t.Errorf("%s: docs/waiting.md has %s %s, %s has the constant %s = %s (found: %t)", row[1], row[2], row[3], row[4], row[5], time.Duration(want), ok)
		}
	}
}

// constantOf returns the value of a constant that is a number, a duration such as
// 2 * time.Minute, or a unit.
func constantOf(t *testing.T, folder, name string) (value int64, ok bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range parsed.Decls {
			general, is := declaration.(*ast.GenDecl)
			if !is || general.Tok != token.CONST {
				continue
			}
			for _, spec := range general.Specs {
				values := spec.(*ast.ValueSpec)
				for i, known := range values.Names {
					if known.Name == name && i < len(values.Values) {
						return evaluate(values.Values[i])
					}
				}
			}
		}
	}
	return 0, false
}

func evaluate(e ast.Expr) (value int64, ok bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		return constant.Int64Val(constant.MakeFromLiteral(e.Value, e.Kind, 0))
	case *ast.SelectorExpr:
		unit := map[string]time.Duration{"Millisecond": time.Millisecond, "Second": time.Second, "Minute": time.Minute, "Hour": time.Hour}[e.Sel.Name]
		return int64(unit), unit > 0
	case *ast.BinaryExpr:
		x, known := evaluate(e.X)
		y, also := evaluate(e.Y)
		return x * y, known && also && e.Op == token.MUL
	}
	return 0, false
}
