// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// factOf maps fields of Build and keys of the state bag to facts.
var factOf = map[string]Fact{
	"adopted": Adopted, "unreleased": Adopted, "spared": Adopted, "verdicts": Adopted, "Inherited": Adopted, "Sourced": Adopted,
	"keySourceImage": SourceImage,
	"replaces":       ReplacedImages,
	"vpc":            Places, "places": Places,
	"admitted":          Admitted,
	"keySecurityGroups": SecurityGroups,
	"keyProfile":        Profile,
	"userData":          UserData,
	"keyInstance":       Instance, "keyInstanceID": Instance, "Report.InstanceID": Instance,
	"Measured": Benchmark, "Report.Benchmark": Benchmark,
	"image": BuildImage, "imageTook": BuildImage, "intermediary": BuildImage,
	"Images": Images, "made": Images,
	"AccountImages": AccountImages, "madeThere": AccountImages,
	"tests": LaunchTests, "cleared": LaunchTests,
}

// notFacts are the fields of Build that belong to the build as a whole.
var notFacts = []string{
	"Pace", "Config", "Clients", "Report", "Waits", "wait", "ledger", "freed", "prices", "others", "mu", "given", "test", "decided", // given or accounted
	"launched", "runs", "lost", // the accounts of the instance
	"Done", "Begun", "Checked", "CheckedLater", "committed", "held", // the outcome
}

var declared = []Step{
	Adopt{}, Preflight{}, &SourceInfo{}, FindOld{}, OlderBuilds{}, Network{}, CallerAddress{}, &KeyPair{}, &SecurityGroup{},
	&InstanceProfile{}, CleanVolumes{}, Arm{}, Launch{}, CheckImage{}, SkipProvision{}, &Connect{}, ReadBenchmark{}, Stop{},
	Disarm{}, CreateImage{}, Terminate{}, AwaitSource{}, Distribute{}, CopyAccounts{}, Release{}, Replace{}, SetParameters{}, Protect{}, Retire{},
	BeginLaunchTests{}, AwaitLaunchTests{}, &JudgeTest{}, CheckLaunch{},
}

// TestFacts compares the declarations with the source: Run and the functions of this
// package that it calls read only facts that the step needs or yields, and set exactly
// those that it yields.
func TestFacts(t *testing.T) {
	source := parse(t)
	for _, name := range source.build {
		if _, isFact := factOf[name]; isFact == slices.Contains(notFacts, name) {
			t.Errorf("Build.%s: want it in either factOf or notFacts", name)
		}
	}
	for kind := range source.runs {
		if kind != "Restart" && !slices.ContainsFunc(declared, func(s Step) bool { return typeName(s) == kind }) {
			t.Errorf("%s declares no facts", kind)
		}
	}
	for _, step := range declared {
		kind := typeName(step)
		needs, yields := step.Facts()
		reads, writes := map[Fact]bool{}, map[Fact]bool{}
		source.follow(kind+".Run", reads, writes, map[string]bool{
			// The requests of dry runs take their facts from a state bag of their own.
			"Build.runInstancesInput": kind == "Preflight", "Build.copyRequest": kind == "Preflight",
		})
		if kind == "SourceInfo" { // its Run is packer-plugin-amazon's
			continue
		}
		for fact := range writes {
			if !slices.Contains(yields, fact) {
				t.Errorf("%s sets %q and does not yield it", kind, fact)
			}
		}
		for _, fact := range yields {
			if !writes[fact] {
				t.Errorf("%s yields %q and does not set it", kind, fact)
			}
		}
		for fact := range reads {
			if !slices.Contains(needs, fact) && !slices.Contains(yields, fact) {
				t.Errorf("%s reads %q and does not need it", kind, fact)
			}
		}
		for _, fact := range needs {
			if !reads[fact] {
				t.Errorf("%s needs %q and does not read it", kind, fact)
			}
		}
	}
}

// packageSource is the source of this package.
type packageSource struct {
	build     []string // the fields of Build
	runs      map[string]bool
	functions map[string]*ast.FuncDecl // by "Type.name", or ".name"
}

func parse(t *testing.T) packageSource {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	p := packageSource{runs: map[string]bool{}, functions: map[string]*ast.FuncDecl{}}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				kind := receiver(n)
				p.functions[kind+"."+n.Name.Name] = n
				if n.Name.Name == "Run" {
					p.runs[kind] = true
				}
			case *ast.TypeSpec:
				if n.Name.Name != "Build" {
					break
				}
				for _, field := range n.Type.(*ast.StructType).Fields.List {
					if len(field.Names) == 0 {
						p.build = append(p.build, field.Type.(*ast.Ident).Name)
					}
					for _, name := range field.Names {
						p.build = append(p.build, name.Name)
					}
				}
			}
			return true
		})
	}
	return p
}

// follow adds the facts that a function and those that it calls read and set.
func (p packageSource) follow(name string, reads, writes map[Fact]bool, seen map[string]bool) {
	function := p.functions[name]
	if function == nil || seen[name] {
		return
	}
	seen[name] = true
	set := map[ast.Node]bool{} // selectors and calls that set a fact
	ast.Inspect(function.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, to := range n.Lhs {
				if index, ok := to.(*ast.IndexExpr); ok {
					to = index.X
				}
				set[to] = true
			}
		case *ast.UnaryExpr: // a pointer is taken to change the value
			if index, ok := n.X.(*ast.IndexExpr); ok && n.Op == token.AND {
				set[index.X] = true
			}
		}
		return true
	})
	note := func(n ast.Node, what string, writing bool) {
		if fact, ok := factOf[what]; ok && writing {
			writes[fact] = true
		} else if ok && !set[n] {
			reads[fact] = true
		}
	}
	ast.Inspect(function.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if called, ok := n.Fun.(*ast.Ident); ok {
				p.follow("."+called.Name, reads, writes, seen)
			}
			if called, ok := n.Fun.(*ast.SelectorExpr); ok && text(called.X) == "state" && len(n.Args) > 0 {
				note(n, text(n.Args[0]), called.Sel.Name != "Get" && called.Sel.Name != "GetOk")
			}
		case *ast.SelectorExpr:
			on, what := text(n.X), n.Sel.Name
			switch {
			case on == "b" || on == "BuildOf()":
				note(n, what, set[n])
				p.follow("Build."+what, reads, writes, seen)
			case on == "b.Report":
				note(n, "Report."+what, set[n])
			case function.Recv != nil && len(function.Recv.List[0].Names) > 0 && on == function.Recv.List[0].Names[0].Name:
				p.follow(receiver(function)+"."+what, reads, writes, seen)
			}
		}
		return true
	})
}

// text returns an identifier, a selector or a call as text, without arguments.
func text(n ast.Expr) string {
	switch n := n.(type) {
	case *ast.Ident:
		return n.Name
	case *ast.SelectorExpr:
		return text(n.X) + "." + n.Sel.Name
	case *ast.CallExpr:
		return text(n.Fun) + "()"
	}
	return ""
}

// receiver returns the type of a method's receiver; empty for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	kind := f.Recv.List[0].Type
	if pointer, ok := kind.(*ast.StarExpr); ok {
		kind = pointer.X
	}
	return text(kind)
}

func typeName(step Step) string {
	name := fmt.Sprintf("%T", step)
	return name[strings.LastIndex(name, ".")+1:]
}
