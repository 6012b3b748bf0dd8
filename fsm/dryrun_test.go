package fsm_test

import (
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/store"
)

// try runs a request against the latest view.
func (p *probe) try(r fsm.Request) (o fsm.Outcome, err error) {
	p.Read(func(v *store.View) { o, err = p.Machine.Machine().Try(v, r, p.Clock+1, [16]byte{7}) })
	return o, err
}

func TestADryRunAnswersLikeTheRealThingAndChangesNothing(t *testing.T) {
	p := newProbe(t, fsmtest.Options{Lenient: true})
	p.Apply(p.ask(1, "a", 5))
	for name, r := range map[string]fsm.Request{
		"a result":    p.ask(2, "a", 7),
		"a rejection": p.ask(3, "a", -77),
		"declined":    fsmtest.Request(p.Machine, act, behave{How: "decline"}),
		"a panic":     fsmtest.Request(p.Machine, act, behave{How: "panic"}),
	} {
		digest, dump, applied := p.Digest(), p.Dump(), p.Machine.Machine().Applied()
		tried, err := p.try(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		p.Equal(tried.Index, applied)
		p.Equal(p.Digest(), digest)
		p.Equal(fsmtest.FirstDifference(p.Dump(), dump), "")
		real := p.Apply(r)[0]
		p.Equal(real.Replayed, false) // the dry run is not remembered
		p.Equal(tried.Rejection, real.Rejection)
		if real.Rejection == nil {
			got, want := result[added](p, tried), result[added](p, real)
			p.Equal(got.Value, want.Value)
			p.Equal(got.Now, want.Now)
		}
	}
}

func TestADryRunTakesATimeAfterTheState(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	p.Apply(p.ask(1, "a", 5))
	p.Read(func(v *store.View) {
		for at, want := range map[store.Time]store.Time{0: p.Clock + 1, p.Clock: p.Clock + 1, p.Clock + 50: p.Clock + 50} {
			o, err := p.Machine.Machine().Try(v, p.ask(2, "a", 1), at, [16]byte{})
			if err != nil {
				t.Fatal(err)
			}
			p.Equal(result[added](p, o).Now, want)
		}
	})
}

func TestADryRunOfWhatTheMachineDoesNotKnowIsAnError(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	unknown, damaged := p.ask(1, "a", 1), p.ask(1, "a", 1)
	unknown.Command = "probe.later/1"
	if o, err := p.try(unknown); err == nil {
		t.Errorf("it answers %+v", o)
	}
	damaged.Payload = store.Encode("text")
	o, err := p.try(damaged)
	p.Equal(code(o), "internal_error")
	p.Equal(err, nil)
	p.Equal(p.Machine.Machine().Err() == nil, true)
}

// Dry runs come from many requests at once while the log goes on.
func TestDryRunsAndTheLogDoNotDisturbEachOther(t *testing.T) {
	p := newProbe(t, fsmtest.Options{FlushBytes: 2 << 10})
	p.Apply(p.ask(1, "a", 1))
	r, m := p.ask(2, "a", 1000), p.Machine.Machine()
	stop, done := make(chan struct{}), make(chan error, 2)
	for range cap(done) {
		go func() {
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				v := p.View()
				row, _ := counters.Get(v, "a")
				o, err := m.Try(v, r, 0, [16]byte{})
				v.Close()
				if err != nil || result[added](p, o).Value != row.Value+1000 {
					done <- errPlain
					return
				}
			}
		}()
	}
	for range 300 {
		fsmtest.Must(p.Machine, addTo, add{Name: "a", By: 1})
	}
	close(stop)
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error("a dry run did not see the state of its view")
		}
	}
	p.Equal(p.value("a"), int64(301))
}
