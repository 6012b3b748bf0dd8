package api

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"coffer/fsm"
	"coffer/store"
)

// Options are what a Mux is made of. Only Surfaces must be given, and what
// their routes need.
type Options struct {
	Surfaces []Surface

	// Reader opens views for Call.Read.
	Reader fsm.Reader
	// Authorise checks in a view that the session of an actor holds, and its
	// role if the route asks for one. Its error is answered.
	Authorise func(v *store.View, actor fsm.Actor, role string) error
	// BodyHash is the keyed hash of fingerprints; idempotent routes need it.
	BodyHash func(message []byte) [32]byte
	// Epoch is that of the cluster, for Coffer-Index.
	Epoch func() uint32

	Proxies  Proxies
	Hosts    []string      // names this server answers for, all when empty
	Deadline time.Duration // of one request, 10 s when zero
	Fallback Envelope      // for requests of no area, ProblemDetails when nil

	Logger  *slog.Logger // access log and causes, slog.Default when nil
	Observe Observer
	// Fatal is told about damaged data; the process exits. Panics when nil.
	Fatal func(error)
	// Strict answers internal_error for a code that the route does not declare,
	// for tests.
	Strict bool
	// Now is the clock of windows and durations, time.Now when nil.
	Now func() time.Time
}

// defaultDeadline ends requests that find no leader.
const defaultDeadline = 10 * time.Second

// Mux is the handler of all surfaces.
type Mux struct {
	options  Options
	tree     *tree
	areas    []*area // longest prefix first
	fallback *area
	limiter  *limiter
	hosts    map[string]bool
}

// area is an Area at work.
type area struct {
	Area
	surface *Surface
	read    class // of requests that no route answers
	write   class
}

// target is a Route at work.
type target struct {
	Route
	area    *area
	full    string   // pattern with prefix
	label   string   // method and full, for logs
	params  []string // names of the parameters, in order
	binder  *binder
	class   class
	schemes []Scheme        // in the order they are tried
	known   map[string]bool // codes it may answer
}

// NewMux compiles all surfaces. It returns every mistake it finds at once.
func NewMux(o Options) (*Mux, error) {
	o.Logger = cmp.Or(o.Logger, slog.Default())
	o.Deadline = cmp.Or(o.Deadline, defaultDeadline)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Fatal == nil {
		o.Fatal = func(err error) { panic(err) }
	}
	if o.Epoch == nil {
		o.Epoch = func() uint32 { return 0 }
	}
	fallback := Area{Envelope: o.Fallback}
	if o.Fallback == nil {
		fallback = Area{Envelope: ProblemDetails{}, ProblemMedia: ProblemDetailsMedia}
	}
	m := &Mux{options: o, limiter: newLimiter(), fallback: &area{Area: fallback, surface: &Surface{}}}
	if len(o.Hosts) > 0 {
		m.hosts = map[string]bool{}
		for _, name := range o.Hosts {
			m.hosts[strings.ToLower(name)] = true
		}
	}
	targets, err := m.compile()
	if err != nil {
		return nil, err
	}
	m.tree, err = newTree(targets)
	return m, err
}

func (m *Mux) epoch() uint32 { return m.options.Epoch() }

// compile makes areas and targets of the surfaces.
func (m *Mux) compile() (targets []*target, err error) {
	var mistakes []error
	plans, classes := newCompiler(), classNumbers{}
	names := map[string]bool{}
	for i := range m.options.Surfaces {
		surface := &m.options.Surfaces[i]
		for _, declared := range surface.Areas {
			at := &area{Area: declared, surface: surface}
			at.read = classes.of(surface, RateRead)
			at.write = classes.of(surface, RateWrite)
			m.areas = append(m.areas, at)
			if err := at.check(names); err != nil {
				mistakes = append(mistakes, err)
				continue
			}
			for _, route := range declared.Routes {
				made, err := m.target(at, route, plans, classes)
				if err != nil {
					mistakes = append(mistakes, fmt.Errorf("%s %s%s: %w", route.Method, at.Prefix, route.Pattern, err))
					continue
				}
				targets = append(targets, made)
			}
		}
	}
	slices.SortStableFunc(m.areas, func(a, b *area) int { return cmp.Compare(len(b.Prefix), len(a.Prefix)) })
	return targets, errors.Join(mistakes...)
}

func (a *area) check(names map[string]bool) error {
	switch {
	case a.Name == "":
		return fmt.Errorf("an area of surface %s has no name", a.surface.Name)
	case names[a.Name]:
		return fmt.Errorf("two areas are named %s", a.Name)
	case a.Envelope == nil:
		return fmt.Errorf("area %s has no envelope", a.Name)
	}
	names[a.Name] = true
	if _, err := parsePattern(cmp.Or(a.Prefix, "/")); err != nil {
		return fmt.Errorf("prefix of area %s: %w", a.Name, err)
	}
	return nil
}

// classNumbers numbers the rate classes of all surfaces.
type classNumbers map[[2]string]uint16

func (n classNumbers) of(s *Surface, rate Rate) class {
	key := [2]string{s.Name, string(rate)}
	number, known := n[key]
	if !known {
		number = uint16(len(n))
		n[key] = number
	}
	return class{rate, number}
}

// target checks one route and makes it work.
func (m *Mux) target(at *area, r Route, plans *compiler, classes classNumbers) (*target, error) {
	t := &target{Route: r, area: at, full: at.Prefix + r.Pattern}
	t.label = r.Method + " " + t.full
	t.Spec.Status = cmp.Or(r.Spec.Status, 200)
	t.class = classes.of(at.surface, rateOf(r.Method, r.Spec.Rate))
	if r.Pattern != "" && r.Pattern[0] != '/' {
		return nil, errors.New("its pattern does not begin with a slash")
	}
	segments, err := parsePattern(t.full)
	if err != nil {
		return nil, err
	}
	var mistakes []error
	if t.schemes, err = schemesOf(at.surface, r.Spec.Auth); err != nil {
		mistakes = append(mistakes, err)
	}
	if err := m.checkSpec(r); err != nil {
		mistakes = append(mistakes, err)
	}
	for _, s := range segments {
		if s.kind != literal {
			t.params = append(t.params, s.text)
		}
	}
	if r.raw == nil {
		if t.binder, err = plans.newBinder(&t.Route, &at.Area, t.params); err != nil {
			mistakes = append(mistakes, err)
		}
		if err := checkOutput(r.Out); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	if t.known, err = t.codes(); err != nil {
		mistakes = append(mistakes, err)
	}
	return t, errors.Join(mistakes...)
}

// schemesOf are those of a policy; on a public route any may set the tier.
func schemesOf(s *Surface, a Auth) ([]Scheme, error) {
	if !a.declared {
		return nil, errors.New("declares no Auth")
	}
	if a.Public() {
		return s.Schemes, nil
	}
	var schemes []Scheme
	for _, name := range a.schemes {
		i := slices.IndexFunc(s.Schemes, func(s Scheme) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("surface %s has no scheme %s", s.Name, name)
		}
		schemes = append(schemes, s.Schemes[i])
	}
	return schemes, nil
}

// checkOutput tells whether a result can be encoded at all.
func checkOutput(t reflect.Type) error {
	out := reflect.New(t).Interface()
	if _, itself := out.(Responder); itself {
		return nil
	}
	if _, err := AppendJSON(nil, out); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}

// checkSpec looks for declarations that contradict each other.
func (m *Mux) checkSpec(r Route) error {
	s := r.Spec
	switch {
	case s.Summary == "" && !s.Hidden:
		return errors.New("declares no Summary")
	case s.Idempotent && !r.Writes():
		return errors.New("is idempotent, but changes nothing")
	case s.Idempotent && s.Auth.Public():
		return errors.New("is idempotent, but a public route cannot tell whose key it is")
	case s.Idempotent && m.options.BodyHash == nil:
		return errors.New("is idempotent, but there is no Options.BodyHash")
	case r.raw != nil && !s.Auth.Public():
		return errors.New("is protected, but a raw handler checks no session")
	case s.Head && r.Writes():
		return errors.New("answers HEAD, but is no GET")
	case s.BodyLimit < 0 || s.BodyLimit > MaxBodyLimit:
		return fmt.Errorf("has a body limit outside 0 to %d", MaxBodyLimit)
	case !s.Auth.Public() && r.raw == nil && (m.options.Reader == nil || m.options.Authorise == nil):
		return errors.New("is protected, but there is no Options.Reader or no Options.Authorise")
	}
	return nil
}

// codes are those the route may answer. Each must be in the area's table.
func (t *target) codes() (map[string]bool, error) {
	known := map[string]bool{}
	for code := range standard {
		known[code] = true
	}
	declared := t.Spec.Rejections.And(t.area.Rejections...)
	if t.Spec.NotFound != nil {
		declared = declared.And(t.Spec.NotFound)
	}
	for _, rejection := range declared {
		known[rejection.Code] = true
	}
	for _, code := range t.Spec.Codes {
		known[code] = true
	}
	if t.binder != nil && t.binder.plan != nil {
		t.binder.plan.codes(known)
	}
	var missing []error
	for _, code := range slices.Sorted(maps.Keys(known)) {
		if !t.area.Codes.covers(code) {
			missing = append(missing, fmt.Errorf("code %s is not in the table of area %s", code, t.area.Name))
		}
	}
	return known, errors.Join(missing...)
}
