package node

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rule says what one room may import: ours, then theirs. A name ending in /...
// stands for everything below.
type rule struct {
	room   string
	ours   []string
	theirs []string
}

// rules are the floor plan. The first rule whose room matches counts.
var rules = []rule{
	{"", list("node/command"), nil},
	{"node/command", list("node node/bench"), list("github.com/alecthomas/kong")},
	{"store", nil, list("go.etcd.io/bbolt/... github.com/fxamacker/cbor/v2 github.com/tidwall/btree")},
	{"ledgerchain", list("store"), list("golang.org/x/mod/sumdb/...")},
	{"snapshot", list("store ledgerchain"), list("github.com/hashicorp/raft filippo.io/age golang.org/x/time/rate")},
	{"fsm", list("store snapshot ledgerchain"), list("github.com/hashicorp/raft github.com/fxamacker/cbor/v2")},
	{"fsm/modules", list("fsm/... store"), nil},
	{"fsm/fsmtest/...", list("fsm/... store ledgerchain"), list("github.com/... go.etcd.io/bbolt/...")},
	{"cluster", nil, list("github.com/hashicorp/... go.etcd.io/bbolt/...")},
	{"http/api", list("fsm store"), list("github.com/julienschmidt/httprouter github.com/go-playground/validator/v10 github.com/go-json-experiment/json/...")},
	{"http/apitest", nil, list("github.com/google/go-cmp/...")},
	{"http/secret", nil, list("golang.org/x/crypto/...")},
	{"http/auth", list("http/api http/secret fsm store fsm/identity fsm/settings"), list("github.com/golang-jwt/jwt/v5")},
	{"http/openapi", list("http/api http/secret fsm store fsm/identity fsm/settings"), list("github.com/swaggest/... github.com/go-json-experiment/json/...")},
	{"http/admin", list("http/api http/secret fsm/... store"), list("github.com/go-json-experiment/json/jsontext")},
	{"http/aevion", list("http/api http/secret fsm/... store"), list("github.com/go-json-experiment/json/...")},
	{"http/aevion/...", list("http/aevion http/api http/secret fsm/... store"), list("github.com/go-json-experiment/json/...")},
	{"http", list("http/... fsm/... store"), list("github.com/swaggest/swgui/...")},
	{"node/task", list("fsm/... store ledgerchain"), nil},
	{"node/bench", nil, list("go.etcd.io/bbolt/...")},
	{"node/rig", list("node http/admin"), list("github.com/anishathalye/porcupine")},
	{"node", list("..."), list("...")},
}

// cores stand in the order in which they may know each other.
var cores = list("settings identity limits outbox reputation ledger wallet")

func list(names string) []string { return strings.Fields(names) }

// allowed applies the rule of a room to one import.
func allowed(room, path string) bool {
	if core, ok := strings.CutPrefix(room, "fsm/"); ok && room != "fsm/modules" && !strings.HasPrefix(room, "fsm/fsmtest") {
		return allowedBelowTheLog(core, path)
	}
	for _, r := range rules {
		if !matches(r.room, room) {
			continue
		}
		if ours, ok := strings.CutPrefix(path, "coffer/"); ok {
			return slices.ContainsFunc(r.ours, func(p string) bool { return matches(p, ours) })
		}
		return slices.ContainsFunc(r.theirs, func(p string) bool { return matches(p, path) })
	}
	return false
}

// allowedBelowTheLog: a core knows the cores before it, a product domain all
// cores, and no product domain knows another.
func allowedBelowTheLog(domain, path string) bool {
	if path == "coffer/fsm" || path == "coffer/store" || path == "coffer/ledgerchain" {
		return true
	}
	other, ok := strings.CutPrefix(path, "coffer/fsm/")
	if !ok || !slices.Contains(cores, other) {
		return false
	}
	own := slices.Index(cores, domain)
	return own < 0 || slices.Index(cores, other) < own
}

func matches(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "..."); ok {
		return strings.HasPrefix(name+"/", prefix)
	}
	return pattern == name
}

// source is one parsed file.
type source struct {
	room string // its folder, from the top
	path string
	test bool
	file *ast.File
	set  *token.FileSet
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != ".." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel("..", path)
		room := filepath.ToSlash(filepath.Dir(relative))
		if room == "." {
			room = ""
		}
		all = append(all, source{room: room, path: relative, test: strings.HasSuffix(name, "_test.go"), file: file, set: set})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("only %d files found", len(all))
	}
	return all
}

func (s source) imports() []string {
	var paths []string
	for _, i := range s.file.Imports {
		paths = append(paths, strings.Trim(i.Path.Value, `"`))
	}
	return paths
}

func TestImportsFollowTheFloorPlan(t *testing.T) {
	for _, s := range sources(t) {
		for _, path := range s.imports() {
			first, _, _ := strings.Cut(path, "/")
			if s.test || !strings.Contains(first, ".") && first != "coffer" {
				continue // the standard library is free, tests may look around
			}
			if !allowed(s.room, path) {
				t.Errorf("%s: %q may not import %s", s.path, s.room, path)
			}
		}
	}
}

func TestTopLevelHasOnlyItsRooms(t *testing.T) {
	rooms := list("main.go main_test.go node fsm store http ledgerchain snapshot cluster testdata go.mod go.sum Makefile README.md LICENSE docs")
	made := list("bin coffer-data") // by make
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasPrefix(name, ".") && !slices.Contains(rooms, name) && !slices.Contains(made, name) {
			t.Errorf("%s does not belong to the top level", name)
		}
	}
}

// belowTheLog tells whether a file must be a pure function of state and entry.
func (s source) belowTheLog() bool {
	if s.test || strings.HasPrefix(s.room, "fsm/fsmtest") {
		return false
	}
	return s.room == "fsm" || strings.HasPrefix(s.room, "fsm/") || s.room == "ledgerchain"
}

// exempt are uses that do not touch what is applied: request ids are drawn at
// the door.
var exempt = map[string][]string{
	"fsm/request.go": {"crypto/rand"},
}

func TestNothingBelowTheLogLooksOutside(t *testing.T) {
	banned := list("os net net/http math/rand math/rand/v2 crypto/rand time")
	clocks := list("Now Since Until After Tick NewTimer NewTicker Sleep AfterFunc")
	for _, s := range sources(t) {
		if !s.belowTheLog() {
			continue
		}
		for _, path := range s.imports() {
			if slices.Contains(banned, path) && path != "time" && !slices.Contains(exempt[filepath.ToSlash(s.path)], path) {
				t.Errorf("%s imports %s", s.path, path)
			}
		}
		maps := mapsOf(s.file)
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: go statement", s.set.Position(n.Pos()))
			case *ast.BasicLit:
				if n.Kind == token.FLOAT {
					t.Errorf("%s: float", s.set.Position(n.Pos()))
				}
			case *ast.Ident:
				if n.Name == "float64" || n.Name == "float32" {
					t.Errorf("%s: %s", s.set.Position(n.Pos()), n.Name)
				}
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clocks, n.Sel.Name) {
					t.Errorf("%s: time.%s", s.set.Position(n.Pos()), n.Sel.Name)
				}
			case *ast.RangeStmt:
				if x, ok := n.X.(*ast.Ident); ok && maps[x.Name] {
					t.Errorf("%s: range over the map %s", s.set.Position(n.Pos()), x.Name)
				}
				if x, ok := n.X.(*ast.SelectorExpr); ok && maps[x.Sel.Name] {
					t.Errorf("%s: range over the map %s", s.set.Position(n.Pos()), x.Sel.Name)
				}
			}
			return true
		})
	}
}

// mapsOf names the variables and fields of a file that are visibly maps.
func mapsOf(file *ast.File) map[string]bool {
	maps := map[string]bool{}
	isMap := func(e ast.Expr) bool {
		switch e := e.(type) {
		case *ast.MapType:
			return true
		case *ast.CompositeLit:
			_, ok := e.Type.(*ast.MapType)
			return ok
		case *ast.CallExpr:
			if name, ok := e.Fun.(*ast.Ident); ok && name.Name == "make" && len(e.Args) > 0 {
				_, ok := e.Args[0].(*ast.MapType)
				return ok
			}
		}
		return false
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			for _, name := range n.Names {
				maps[name.Name] = maps[name.Name] || isMap(n.Type)
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				maps[name.Name] = maps[name.Name] || isMap(n.Type) || i < len(n.Values) && isMap(n.Values[i])
			}
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				if name, ok := left.(*ast.Ident); ok && len(n.Rhs) == len(n.Lhs) {
					maps[name.Name] = maps[name.Name] || isMap(n.Rhs[i])
				}
			}
		}
		return true
	})
	return maps
}

// wellKnown methods are documented by the interfaces they belong to.
var wellKnown = list("Error String Unwrap")

func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.file.Name.Name == "main" {
			continue
		}
		for _, declaration := range s.file.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && exportedReceiver(d) && d.Doc == nil && !slices.Contains(wellKnown, d.Name.Name) {
					t.Errorf("%s: %s is not documented", s.set.Position(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				s.checkDocs(t, d)
			}
		}
	}
}

// exportedReceiver tells whether a function, or the type of its receiver, is
// seen from outside.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

func (s source) checkDocs(t *testing.T, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
				t.Errorf("%s: %s is not documented", s.set.Position(spec.Pos()), spec.Name.Name)
			}
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				if name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
					t.Errorf("%s: %s is not documented", s.set.Position(spec.Pos()), name.Name)
				}
			}
		}
	}
}
