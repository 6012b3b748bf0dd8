package api

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/julienschmidt/httprouter"
)

// tree finds targets by method and path. The router under it cannot hold a
// literal beside a parameter, so a literal with such a sibling is widened to a
// parameter there, named by its position, and chosen by its text here.
type tree struct {
	router  *httprouter.Router
	methods []string // sorted
}

// leaf holds the targets whose patterns are one path to the router.
type leaf struct{ candidates []candidate } // literals before parameters

// candidate is a target and what its pattern says about the wildcards of the
// router: the text of a widened literal, or nothing for a parameter.
type candidate struct {
	target *target
	expect []string
}

// slot receives the leaf from the router's handle.
type slot struct {
	http.ResponseWriter // never used, the router wants one
	leaf                *leaf
}

// placed is a pattern on its way into the router.
type placed struct {
	target   *target
	segments []segment
	path     string   // for the router
	expect   []string // per wildcard of path
}

// newTree puts targets into the router. Equal patterns are an error.
func newTree(targets []*target) (*tree, error) {
	t := &tree{router: httprouter.New()}
	byMethod := map[string][]*placed{}
	for _, target := range targets {
		segments, err := parsePattern(target.full)
		if err != nil {
			return nil, err
		}
		byMethod[target.Method] = append(byMethod[target.Method], &placed{target: target, segments: segments})
	}
	for method, group := range byMethod {
		if err := widen(group, 0); err != nil {
			return nil, fmt.Errorf("%s: %w", method, err)
		}
		if err := t.add(method, group); err != nil {
			return nil, err
		}
		t.methods = append(t.methods, method)
	}
	slices.Sort(t.methods)
	return t, nil
}

// widen appends segment number depth to the paths of a group whose paths are
// equal so far, and goes on with the groups that are still equal.
func widen(group []*placed, depth int) error {
	longer := map[string][]*placed{}
	wide := slices.ContainsFunc(group, func(p *placed) bool {
		return len(p.segments) > depth && p.segments[depth].kind == parameter
	})
	for _, p := range group {
		if len(p.segments) == depth {
			continue
		}
		switch s := p.segments[depth]; {
		case s.kind == remainder:
			if others := len(group) - ended(group, depth); others > 1 {
				return fmt.Errorf("%s has siblings, which {%s...} cannot have", p.target.full, s.text)
			}
			p.path += "/*rest"
			p.expect = append(p.expect, "")
		case wide:
			p.path += fmt.Sprintf("/:%d", depth)
			p.expect = append(p.expect, "")
			if s.kind == literal {
				p.expect[len(p.expect)-1] = s.text
			}
		default:
			p.path += "/" + s.text
		}
		longer[p.path] = append(longer[p.path], p)
	}
	for _, next := range longer {
		if err := widen(next, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func ended(group []*placed, depth int) (count int) {
	for _, p := range group {
		if len(p.segments) == depth {
			count++
		}
	}
	return count
}

// add registers the leaves of one method.
func (t *tree) add(method string, group []*placed) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("%s: %v", method, reason)
		}
	}()
	leaves := map[string]*leaf{}
	for _, p := range group {
		path := cmp.Or(p.path, "/")
		at := leaves[path]
		if at == nil {
			at = &leaf{}
			leaves[path] = at
			t.router.Handle(method, path, func(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) {
				w.(*slot).leaf = at
			})
		}
		at.candidates = append(at.candidates, candidate{p.target, p.expect})
	}
	for _, at := range leaves {
		slices.SortFunc(at.candidates, moreLiteral)
		for i := 1; i < len(at.candidates); i++ {
			if one, two := at.candidates[i-1], at.candidates[i]; slices.Equal(one.expect, two.expect) {
				return fmt.Errorf("%s %s and %s are the same pattern", method, one.target.full, two.target.full)
			}
		}
	}
	return nil
}

// moreLiteral orders candidates: at the first difference a literal comes before
// a parameter.
func moreLiteral(a, b candidate) int {
	for i := range a.expect {
		if one, two := a.expect[i], b.expect[i]; one != two {
			if one == "" || two == "" {
				return -cmp.Compare(len(one), len(two))
			}
			return strings.Compare(one, two)
		}
	}
	return 0
}

// find returns the target of a path and the values of its parameters, still
// percent-encoded if the path is.
func (t *tree) find(s *slot, method, path string) (*target, []string) {
	handle, wildcards, _ := t.router.Lookup(method, path)
	if handle == nil {
		return nil, nil
	}
	handle(s, nil, nil)
	for i := range s.leaf.candidates {
		found := &s.leaf.candidates[i]
		if found.fits(wildcards) {
			return found.target, found.values(wildcards)
		}
	}
	return nil, nil
}

func (c *candidate) fits(wildcards httprouter.Params) bool {
	for i, text := range c.expect {
		if text != "" && wildcards[i].Value != text {
			return false
		}
	}
	return true
}

func (c *candidate) values(wildcards httprouter.Params) []string {
	if len(c.expect) == 0 {
		return nil
	}
	values := make([]string, 0, len(c.expect))
	for i, text := range c.expect {
		if text == "" {
			// The router keeps the slash before a remainder.
			values = append(values, strings.TrimPrefix(wildcards[i].Value, "/"))
		}
	}
	return values
}

// allowed lists the methods that a path answers, OPTIONS included, and a target
// of one of them. It is empty for an unknown path.
func (t *tree) allowed(s *slot, path string) (methods []string, of *target) {
	for _, method := range t.methods {
		found, _ := t.find(s, method, path)
		if found == nil {
			continue
		}
		of = found
		methods = append(methods, method)
		if found.Spec.Head {
			methods = append(methods, http.MethodHead)
		}
	}
	if of != nil {
		methods = append(methods, http.MethodOptions)
		slices.Sort(methods)
	}
	return methods, of
}
