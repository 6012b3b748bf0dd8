package fsm_test

import (
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/store"
)

func TestLogTimeRisesWithEveryRequest(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	var last store.Time
	for i, step := range []int64{0, store.Second, -store.Day, 0, -store.Hour, store.Day, 1, 1} {
		p.Clock += store.Time(step)
		for _, o := range p.Apply(p.ask(byte(3*i+1), "a", 1), p.ask(byte(3*i+2), "a", 1), p.ask(byte(3*i+3), "a", 1)) {
			now := result[added](p, o).Now
			if now <= last {
				t.Fatalf("entry %d: time %d after %d", i, now, last)
			}
			last = now
		}
		p.Read(func(v *store.View) { p.Equal(v.Applied().Time, last) })
	}
}

func TestLogTimeIsTheLeadersWhereItCan(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	p.Advance(store.Minute)
	got := p.Apply(p.ask(1, "a", 1), p.ask(2, "a", 1), p.ask(3, "a", 1))
	for i, o := range got {
		p.Equal(result[added](p, o).Now, p.Clock+store.Time(i))
	}
	ahead := p.Clock
	p.Clock -= store.Time(store.Hour)
	p.Equal(result[added](p, p.Apply(p.ask(4, "a", 1))[0]).Now, ahead+3)
}

func TestEveryChainEntryTakesATick(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	got := p.Apply(
		fsmtest.Request(p.Machine, act, behave{Ticks: 4}),
		fsmtest.Request(p.Machine, act, behave{}),
		fsmtest.Request(p.Machine, act, behave{Ticks: 2, How: "reject"}),
		fsmtest.Request(p.Machine, act, behave{Ticks: 1}),
	)
	at := p.Clock
	p.Equal(result[ticked](p, got[0]).Times, []store.Time{at, at + 1, at + 2, at + 3})
	p.Equal(code(got[2]), "too_low")
	// One for the request without entries, two for those that were dropped.
	p.Equal(result[ticked](p, got[3]).Times, []store.Time{at + 7})
	p.Read(func(v *store.View) { p.Equal(v.Applied().Time, at+7) })
}

func TestReplaysAndRefusalsTakeATickEach(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	got := p.Apply(p.ask(1, "a", 1), p.ask(1, "a", 1), p.ask(2, "a", -9), p.ask(1, "a", 7), p.ask(3, "a", 1))
	p.Equal(result[added](p, got[4]).Now, p.Clock+4)
}

func TestRandomValuesDifferWithinAnEntryAndAcrossEntries(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	seen := map[store.ID]bool{}
	for i := range byte(10) {
		p.Apply(p.ask(2*i+1, "a", 1), p.ask(2*i+2, "a", 1))
	}
	for _, s := range p.seen() {
		if seen[s.ID] {
			t.Fatalf("id %s was drawn twice", s.ID)
		}
		if len(s.ID) != len("see_")+32 {
			t.Fatalf("id %s has another length", s.ID)
		}
		seen[s.ID] = true
	}
	p.Equal(len(seen), 20)
}

// A request draws as many values as it likes; a dry run draws others.
func TestRandomValuesDifferWithinARequest(t *testing.T) {
	type drawn struct {
		IDs    []store.ID `cbor:"1,keyasint"`
		Blinds [][]byte   `cbor:"2,keyasint"`
	}
	draw := fsm.Command[fsm.Nothing, drawn]{Name: "dice.draw/1"}
	p := newProbe(t, fsmtest.Options{Modules: []fsm.Module{module(), {Name: "dice", Commands: []fsm.Handler{
		fsm.Handle(draw, func(ctx *fsm.Context, _ fsm.Nothing) (out drawn, err error) {
			for range 5 {
				blind := ctx.Blind()
				out.IDs, out.Blinds = append(out.IDs, ctx.NewID("die")), append(out.Blinds, blind[:])
			}
			return out, nil
		})}}}})
	seen := map[string]bool{}
	count := func(o drawn) {
		for i := range o.IDs {
			for _, value := range []string{string(o.IDs[i]), string(o.Blinds[i])} {
				if seen[value] {
					t.Fatalf("%x was drawn twice", value)
				}
				seen[value] = true
			}
		}
	}
	r := fsmtest.Request(p.Machine, draw, fsm.Nothing{})
	tried, err := p.try(r)
	p.Equal(err, nil)
	count(result[drawn](p, tried))
	count(result[drawn](p, p.Apply(r)[0]))
	count(fsmtest.Must(p.Machine, draw, fsm.Nothing{}))
	p.Equal(len(seen), 30)
}

// A membership entry takes no time: leaders may write any number of them.
func TestLogTimeComesFromRequestsOnly(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	p.Apply(p.ask(1, "a", 1))
	var before store.Time
	p.Read(func(v *store.View) { before = v.Applied().Time })
	p.Advance(store.Day)
	p.Deliver(p.membership(1), p.Sealed())
	p.Read(func(v *store.View) { p.Equal(v.Applied().Time, before) })
	var index uint64
	fsmtest.Must(p.Machine, survey, add{Name: "a"})
	p.Read(func(v *store.View) { index = v.Applied().Index })
	p.Equal(p.seen()[1].Index, index)
	p.Equal(p.seen()[1].By, fsm.Actor{}.ID)
}
