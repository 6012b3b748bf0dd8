package fsm_test

import (
	"errors"
	"slices"
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/store"
)

var (
	notes = store.NewTable("listener.notes", func(c *counter) store.ID { return store.ID(c.Name) })

	errListener = fsm.Reject(fsm.Conflict, "too_low") // as probe.tell declares
	errClosed   = fsm.Reject(fsm.Forbidden, "door_closed")
)

// listener is a domain that follows the probe's hook.
func listener(name string, run func(ctx *fsm.Context, event add) error, tables ...store.Shape) fsm.Module {
	return fsm.Module{Name: name, Tables: tables, Listens: []fsm.Listener{counted.Listen(run)}}
}

func TestListenersRunInModuleOrderInTheSameBatch(t *testing.T) {
	var order []string
	follow := func(name string) func(*fsm.Context, add) error {
		return func(ctx *fsm.Context, event add) error {
			order = append(order, name)
			row, _ := counters.Get(ctx, store.ID(event.Name)) // sees what the handler wrote
			notes.Put(ctx, counter{Name: name, Value: row.Value})
			return nil
		}
	}
	p := newProbe(t, fsmtest.Options{Modules: []fsm.Module{
		listener("zebra", follow("zebra"), notes), module(), listener("ant", follow("ant")),
	}})
	fsmtest.Must(p.Machine, tell, add{Name: "a", By: 3})
	p.Equal(order, []string{"zebra", "ant"})
	p.Read(func(v *store.View) {
		for _, name := range order {
			row, _ := notes.Get(v, store.ID(name))
			p.Equal(row.Value, int64(3))
		}
	})
}

func TestARejectionOfAListenerRollsEverythingBack(t *testing.T) {
	p := newProbe(t, fsmtest.Options{Modules: []fsm.Module{
		module(),
		listener("ant", func(ctx *fsm.Context, event add) error {
			notes.Put(ctx, counter{Name: "ant", Value: event.By})
			return nil
		}, notes),
		listener("bee", func(_ *fsm.Context, event add) error {
			if event.By > 10 {
				return errListener
			}
			return nil
		}),
	}})
	fsmtest.Must(p.Machine, tell, add{Name: "a", By: 3})
	dump := p.Dump()
	fsmtest.Rejects(p.Machine, tell, add{Name: "a", By: 30}, errListener)
	p.Equal(fsmtest.FirstDifference(p.Dump(), slices.Clone(dump)), appliedOnly(p, dump))
	p.Equal(p.value("a"), int64(3))
	p.Read(func(v *store.View) {
		row, _ := notes.Get(v, "ant")
		p.Equal(row.Value, int64(3))
	})
}

// appliedOnly is the difference a refused request makes: the row that says how
// far the log is applied, and no other.
func appliedOnly(p *probe, before []string) string {
	p.Helper()
	after := p.Dump()
	p.Equal(len(after), len(before))
	var difference string
	for i := range after {
		if after[i] == before[i] {
			continue
		}
		if !contains(after[i], "store.meta") {
			p.Fatalf("row %d changed: %s", i, after[i])
		}
		difference = fsmtest.FirstDifference(after, before)
	}
	return difference
}

// guard is a module that looks at every request first.
func guard(name string, before func(*fsm.Context) error, refusals ...*fsm.Rejection) fsm.Module {
	return fsm.Module{Name: name, Before: before, Refusals: refusals}
}

func TestBeforeRunsAheadOfEveryHandlerInModuleOrder(t *testing.T) {
	var order []string
	note := func(name string) func(*fsm.Context) error {
		return func(ctx *fsm.Context) error {
			order = append(order, name)
			row, _ := counters.Get(ctx, store.ID(name))
			counters.Put(ctx, counter{Name: name, Value: row.Value + 1})
			if ctx.Actor.ID == "nobody" {
				return errClosed
			}
			return nil
		}
	}
	p := newProbe(t, fsmtest.Options{Modules: []fsm.Module{guard("wasp", note("wasp"), errClosed), module(), guard("asp", note("asp"), errClosed)}})
	order = nil
	fsmtest.Must(p.Machine, addTo, add{Name: "a", By: 1})
	p.Equal(order, []string{"wasp", "asp"})
	wasp := p.value("wasp")
	p.As(fsm.Actor{ID: "nobody"})
	fsmtest.Rejects(p.Machine, addTo, add{Name: "a", By: 1}, errClosed)
	p.Equal(order, []string{"wasp", "asp", "wasp"})
	p.Equal(p.value("wasp"), wasp) // what it wrote is gone with the refusal
	p.Equal(p.value("a"), int64(1))
	fsmtest.Rejects(p.Machine, survey, add{Name: "a"}, errClosed) // system commands too

	codes := []string{}
	for _, r := range p.Machine.Machine().Refusals() {
		codes = append(codes, r.Code)
	}
	p.Equal(codes, []string{"idempotency_key_reused", "internal_error", "writes_frozen", "no_space", "door_closed", "door_closed"})
}

// A refusal ahead of the handler is not remembered either, so the same request
// may pass once its actor may.
func TestARefusalOfBeforeIsForgotten(t *testing.T) {
	open := false
	p := newProbe(t, fsmtest.Options{Unchecked: true, Modules: []fsm.Module{module(), guard("door", func(ctx *fsm.Context) error {
		if !open && ctx.Actor.Kind == fsm.User {
			return errClosed
		}
		return nil
	}, errClosed)}})
	p.As(fsm.Actor{Kind: fsm.User})
	r := p.ask(1, "a", 1)
	p.Equal(code(p.Apply(r)[0]), "door_closed")
	open = true
	p.Equal(code(p.Apply(r)[0]), "")
	open = false
	// A replay is answered whatever the guard says now: it moves nothing.
	p.Equal(p.Apply(r)[0].Replayed, true)
}

// An error that is no rejection is a failed request, in a guard as in a
// handler: it must not stop every node.
func TestAFailingGuardFailsTheRequestOnly(t *testing.T) {
	fails := false
	p := newProbe(t, fsmtest.Options{Lenient: true, Unchecked: true, Modules: []fsm.Module{module(), guard("door", func(*fsm.Context) error {
		if fails {
			return errors.New("the door is stuck")
		}
		return nil
	})}})
	fails = true
	p.Equal(code(p.Apply(p.ask(1, "a", 1))[0]), "internal_error")
	fails = false
	p.Equal(code(p.Apply(p.ask(1, "a", 1))[0]), "")
}

func TestAGuardMayAnswerOnlyWhatItDeclares(t *testing.T) {
	p := newProbe(t, fsmtest.Options{Modules: []fsm.Module{module(), guard("door", func(ctx *fsm.Context) error {
		if ctx.Actor.Kind == fsm.User {
			return errClosed
		}
		return nil
	})}})
	p.As(fsm.Actor{Kind: fsm.User})
	p.Deliver(p.Sealed(p.ask(1, "a", 1)))
	p.halted("door_closed, which it does not declare")
}
