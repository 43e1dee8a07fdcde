// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package machinereadable

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestTypesAreDocumented compares the types with the table of docs/output.md.
func TestTypesAreDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "types.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	ast.Inspect(file, func(n ast.Node) bool {
		if value, ok := n.(*ast.BasicLit); ok {
			if text, err := strconv.Unquote(value.Value); err == nil && strings.HasPrefix(text, "ethminer-") {
				types = append(types, text)
			}
		}
		return true
	})
	page, err := os.ReadFile("../../docs/output.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(ethminer-[a-z-]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		documented = append(documented, row[1])
	}
	slices.Sort(types)
	slices.Sort(documented)
	if len(types) == 0 || !slices.Equal(types, documented) {
		t.Errorf("the page has the types %q, the package %q", documented, types)
	}
}
