package fsm_test

import (
	"errors"
	"strings"
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/store"
)

// The probe domain is a counter per name, a list of what handlers saw, and
// commands that misbehave when asked to.
type counter struct {
	Name  string `cbor:"1,keyasint"`
	Value int64  `cbor:"2,keyasint"`
}

type sighting struct {
	Now   store.Time `cbor:"1,keyasint"`
	Index uint64     `cbor:"2,keyasint"`
	ID    store.ID   `cbor:"3,keyasint"`
	By    string     `cbor:"4,keyasint,omitempty"`
}

type add struct {
	Name string `cbor:"1,keyasint"`
	By   int64  `cbor:"2,keyasint"`
}

type added struct {
	Value int64      `cbor:"1,keyasint"`
	Now   store.Time `cbor:"2,keyasint"`
	ID    store.ID   `cbor:"3,keyasint"`
}

type behave struct {
	How   string `cbor:"1,keyasint"`
	Ticks int64  `cbor:"2,keyasint,omitempty"`
}

type ticked struct {
	Times []store.Time `cbor:"1,keyasint"`
}

var (
	counters  = store.NewTable("probe.counters", func(c *counter) store.ID { return store.ID(c.Name) })
	sightings = store.NewJournal[sighting]("probe.seen")

	errLow        = fsm.Reject(fsm.Conflict, "too_low")
	errUndeclared = fsm.Reject(fsm.Conflict, "never_declared")
	errPlain      = errors.New("no rejection at all")

	addTo  = fsm.Command[add, added]{Name: "probe.add/1", Rejects: fsm.Rejections{errLow}}
	act    = fsm.Command[behave, ticked]{Name: "probe.act/1", Rejects: fsm.Rejections{errLow}}
	survey = fsm.Command[add, added]{Name: "probe.survey/1", System: true}
	tell   = fsm.Command[add, fsm.Nothing]{Name: "probe.tell/1", Rejects: fsm.Rejections{errLow}}

	counted = fsm.NewHook[add]("probe.counted")
)

func addHandler(ctx *fsm.Context, c add) (added, error) {
	row, _ := counters.Get(ctx, store.ID(c.Name))
	row.Name, row.Value = c.Name, row.Value+c.By
	counters.Put(ctx, row)
	id := ctx.NewID("see")
	sightings.Add(ctx, sighting{Now: ctx.Now, Index: ctx.Index, ID: id, By: ctx.Actor.ID})
	if row.Value < 0 {
		return added{}, errLow.With(fsm.Number("value", row.Value), fsm.Text("name", c.Name))
	}
	return added{Value: row.Value, Now: ctx.Now, ID: id}, nil
}

// actHandler writes a row and then does what it is told.
func actHandler(ctx *fsm.Context, c behave) (ticked, error) {
	row, _ := counters.Get(ctx, "acts")
	counters.Put(ctx, counter{Name: "acts", Value: row.Value + 1})
	var times []store.Time
	for range c.Ticks {
		times = append(times, ctx.Tick())
	}
	switch c.How {
	case "reject":
		return ticked{}, errLow
	case "decline":
		return ticked{}, fsm.Declined(errLow)
	case "undeclared":
		return ticked{}, errUndeclared
	case "declineUndeclared":
		return ticked{}, fsm.Declined(errUndeclared)
	case "error":
		return ticked{}, errPlain
	case "panic":
		panic("on purpose")
	case "nil":
		var none *counter
		none.Value++
	case "zero byte":
		counters.Get(ctx, "a\x00b")
	case "damage":
		store.Corrupt("probe.counters", []byte("acts"), errPlain)
	}
	return ticked{Times: times}, nil
}

// module is the probe domain; changes vary it.
func module(changes ...func(*fsm.Module)) fsm.Module {
	m := fsm.Module{
		Name:   "probe",
		Tables: []store.Shape{counters, sightings},
		Commands: []fsm.Handler{
			fsm.Handle(addTo, addHandler), fsm.Handle(survey, addHandler), fsm.Handle(act, actHandler),
			fsm.Handle(tell, func(ctx *fsm.Context, c add) (fsm.Nothing, error) {
				if _, err := addHandler(ctx, c); err != nil {
					return fsm.Nothing{}, err
				}
				return fsm.Nothing{}, counted.Fire(ctx, c)
			}),
		},
	}
	for _, change := range changes {
		change(&m)
	}
	return m
}

// probe is a machine with the probe domain.
type probe struct {
	*fsmtest.Machine
	halts []error
}

func newProbe(t *testing.T, o fsmtest.Options) *probe {
	t.Helper()
	p := &probe{}
	if o.Modules == nil {
		o.Modules = []fsm.Module{module()}
	}
	if o.Halt == nil {
		o.Halt = func(err error) { p.halts = append(p.halts, err) }
	}
	o.Unfounded = true
	p.Machine = fsmtest.New(t, o)
	t.Cleanup(func() {
		if len(p.halts) > 0 && p.Machine.Machine().Err() == nil {
			t.Errorf("a replica halted: %v", p.halts)
		}
	})
	return p
}

func (p *probe) value(name store.ID) (value int64) {
	p.Read(func(v *store.View) {
		row, _ := counters.Get(v, name)
		value = row.Value
	})
	return value
}

func (p *probe) seen() (all []sighting) {
	p.Read(func(v *store.View) {
		for i := range sightings.Length(v) {
			all = append(all, sightings.At(v, i))
		}
	})
	return all
}

// ask is a request for a counter, with a request id made from a number.
func (p *probe) ask(id byte, name string, by int64) fsm.Request {
	r := fsmtest.Request(p.Machine, addTo, add{Name: name, By: by})
	r.RequestID, r.BodyHash = fsm.RequestID{id}, [32]byte{byte(by), byte(by >> 8)}
	return r
}

// do asks for behaviour, with a new request id.
func (p *probe) do(how string, ticks int64) fsm.Outcome {
	p.Helper()
	return p.Apply(fsmtest.Request(p.Machine, act, behave{How: how, Ticks: ticks}))[0]
}

// result decodes what a command answered.
func result[T any](p *probe, o fsm.Outcome) (out T) {
	p.Helper()
	if o.Rejection != nil {
		p.Fatalf("rejected: %v", o.Rejection)
	}
	if err := store.Decode(o.Result, &out); err != nil {
		p.Fatal(err)
	}
	return out
}

func code(o fsm.Outcome) string {
	if o.Rejection == nil {
		return ""
	}
	return o.Rejection.Code
}

// halted expects the machine to have stopped for a reason with this text, and
// that it told so once.
func (p *probe) halted(want string) {
	p.Helper()
	err := p.Machine.Machine().Err()
	if err == nil || len(p.halts) != 1 || !contains(err.Error(), want) {
		p.Fatalf("halted %d times with %v, want once with %q", len(p.halts), err, want)
	}
}

func contains(text, part string) bool { return strings.Contains(text, part) }
