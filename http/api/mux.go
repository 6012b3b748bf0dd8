package api

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"coffer/fsm"
	"coffer/store"
)

// Options are what a Mux is made of. Surfaces and Fatal must be given, and what
// the routes need.
type Options struct {
	Surfaces []Surface

	// Reader opens views for Call.Read.
	Reader fsm.Reader
	// Authorise checks in a view that the session of an actor holds, and its
	// role if the route asks for one. It is asked on every protected route,
	// whatever the kind of the actor, and its error is answered.
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
	// Fatal is told about damaged data, and the process exits: a server that went
	// on would answer from it.
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

// NewMux compiles all surfaces. It returns every mistake it finds at once.
func NewMux(o Options) (*Mux, error) {
	o.Logger = cmp.Or(o.Logger, slog.Default())
	o.Deadline = cmp.Or(o.Deadline, defaultDeadline)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Fatal == nil {
		return nil, errors.New("there is no Options.Fatal")
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
