package api

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// plan is a request type, compiled: its members in declaration order, those of
// embedded structs in the place of the embedding.
type plan struct {
	of     reflect.Type
	steps  []step
	byName map[string]int // body members, by wire name
}

// step is one thing to look at in declaration order: a member or a Checker.
type step struct {
	member
	check bool // index leads to a Checker, the rest of the step is empty
}

// member is one field of a request type.
type member struct {
	name   string
	source source
	index  []int // from the struct of the plan
	shape  shape
	rules  []rule
	codes  map[string]string   // by tag of the rule; "" for all
	modify func(string) string // before the rules run
	always bool                // parse "" when the parameter is absent
}

// source is the part of a request that a member comes from.
type source uint8

const (
	fromBody source = iota
	fromPath
	fromQuery
	fromHeader
	fromForm
)

// sourceTags are the struct tags that name the sources.
var sourceTags = [...]string{
	fromBody: "json", fromPath: "path", fromQuery: "query", fromHeader: "header", fromForm: "form",
}

// maxMembers is how many members one struct may have: the bits of a uint64.
const maxMembers = 64

// compiler makes plans and keeps those it has made.
type compiler struct {
	plans  map[reflect.Type]*plan
	making map[reflect.Type]bool
	rules  *ruleMaker
}

func newCompiler() *compiler {
	return &compiler{plans: map[reflect.Type]*plan{}, making: map[reflect.Type]bool{}, rules: newRuleMaker()}
}

// plan compiles a struct type. Anything it does not know is an error.
func (c *compiler) plan(t reflect.Type) (*plan, error) {
	if p := c.plans[t]; p != nil {
		return p, nil
	}
	if c.making[t] {
		return nil, fmt.Errorf("%s contains itself, so its depth has no limit", t)
	}
	c.making[t] = true
	defer delete(c.making, t)
	p := &plan{of: t, byName: map[string]int{}}
	if err := c.add(p, t, nil); err != nil {
		return nil, err
	}
	if len(p.steps) > maxMembers {
		return nil, fmt.Errorf("%s has more than %d members", t, maxMembers)
	}
	c.plans[t] = p
	return p, nil
}

// add appends the fields of t, which lies at index inside the plan's type.
func (c *compiler) add(p *plan, t reflect.Type, index []int) error {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(index[:len(index):len(index)], i)
		if err := c.addField(p, t, f, at); err != nil {
			return fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
	}
	if reflect.PointerTo(t).Implements(checkerType) {
		p.steps = append(p.steps, step{member: member{index: index}, check: true})
	}
	return nil
}

var checkerType = reflect.TypeFor[Checker]()

func (c *compiler) addField(p *plan, owner reflect.Type, f reflect.StructField, index []int) error {
	if f.Anonymous && f.Type.Kind() == reflect.Struct && !hasSource(f) {
		return c.add(p, f.Type, index)
	}
	if !f.IsExported() {
		return nil
	}
	m := member{index: index}
	found := false
	for candidate, key := range sourceTags {
		tag, ok := f.Tag.Lookup(key)
		name, options, _ := strings.Cut(tag, ",")
		if !ok || name == "-" {
			continue
		}
		if found {
			return errors.New("has two of the tags json, path, query, header, form")
		}
		if name == "" || strings.Contains(options, "string") {
			return fmt.Errorf("tag %s needs a plain name", key)
		}
		m.source, m.name, found = source(candidate), name, true
	}
	if !found {
		if f.Tag.Get("json") == "-" {
			return nil
		}
		return errors.New("has none of the tags json, path, query, header, form")
	}
	if err := c.complete(&m, owner, f); err != nil {
		return err
	}
	if _, twice := p.byName[m.name]; twice && m.source == fromBody {
		return fmt.Errorf("member %q is declared twice", m.name)
	}
	if m.source == fromBody {
		p.byName[m.name] = len(p.steps)
	}
	p.steps = append(p.steps, step{member: m})
	return nil
}

func hasSource(f reflect.StructField) bool {
	for _, tag := range sourceTags {
		if _, ok := f.Tag.Lookup(tag); ok {
			return true
		}
	}
	return false
}

// complete fills in how a member is read and what must hold for it.
func (c *compiler) complete(m *member, owner reflect.Type, f reflect.StructField) error {
	var err error
	if m.codes, err = parseCodes(f.Tag.Get("code")); err != nil {
		return err
	}
	if m.modify, err = parseModifiers(f.Tag.Get("mod"), f.Type); err != nil {
		return err
	}
	tags := f.Tag.Get("validate")
	if m.shape, err = c.shape(f.Type, tags); err != nil {
		return err
	}
	if m.source != fromBody {
		if m.shape.parse == nil {
			return fmt.Errorf("a %s cannot come from the %s", f.Type, sourceTags[m.source])
		}
		if _, m.always = f.Tag.Lookup("clamp"); m.always {
			m.shape.parse, err = clamped(f)
		}
		if err != nil {
			return err
		}
	}
	m.rules, err = c.rules.make(owner, f, tags)
	return err
}

// parseCodes reads the tag `code`: one code for all rules, or rule=code pairs.
func parseCodes(tag string) (map[string]string, error) {
	if tag == "" {
		return nil, nil
	}
	codes := map[string]string{}
	for pair := range strings.SplitSeq(tag, ",") {
		name, code, split := strings.Cut(pair, "=")
		if !split {
			name, code = "", name
		}
		if _, twice := codes[name]; twice || code == "" {
			return nil, fmt.Errorf("tag code %q is not code or rule=code", tag)
		}
		codes[name] = code
	}
	return codes, nil
}

// codes adds the codes that tags of the plan name.
func (p *plan) codes(known map[string]bool) {
	for i := range p.steps {
		s := &p.steps[i]
		for _, code := range s.codes {
			known[code] = true
		}
		for _, nested := range s.shape.nested {
			nested.codes(known)
		}
	}
}
