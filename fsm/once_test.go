package fsm_test

import (
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/store"
)

func TestTheSameRequestAppliesOnce(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	r := p.ask(1, "a", 5)
	first := p.Apply(r)[0]
	for range 3 {
		again := p.Apply(r)[0]
		p.Equal(again.Replayed, true)
		again.Replayed = false
		p.Equal(again, first)
	}
	p.Equal(p.value("a"), int64(5))
	p.Equal(len(p.seen()), 1)
}

func TestTheSameRequestTwiceInOneEntryAppliesOnce(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	r, other := p.ask(1, "a", 5), p.ask(2, "a", 7)
	got := p.Apply(r, r, other, r)
	p.Equal([]bool{got[0].Replayed, got[1].Replayed, got[2].Replayed, got[3].Replayed}, []bool{false, true, false, true})
	p.Equal(result[added](p, got[1]), result[added](p, got[0]))
	p.Equal(result[added](p, got[3]), result[added](p, got[0]))
	p.Equal(p.value("a"), int64(12))
}

func TestAnotherBodyUnderTheSameIDIsRefused(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	first := p.Apply(p.ask(1, "a", 5))[0]
	got := p.Apply(p.ask(1, "a", 6))[0]
	p.Equal(code(got), "idempotency_key_reused")
	p.Equal(got.Index, first.Index)
	p.Equal(got.Replayed, false)
	p.Equal(len(got.Result), 0)
	p.Equal(p.value("a"), int64(5))
	p.Equal(p.Apply(p.ask(1, "a", 5))[0].Replayed, true)
	inOne := p.Apply(p.ask(2, "a", 1), p.ask(2, "a", 2))
	p.Equal(code(inOne[1]), "idempotency_key_reused")
}

func TestRequestsAreRememberedAcrossRestarts(t *testing.T) {
	for _, flushed := range []bool{true, false} {
		p := newProbe(t, fsmtest.Options{})
		first := p.Apply(p.ask(1, "a", 5))[0]
		p.Reopen(flushed)
		again := p.Apply(p.ask(1, "a", 5))[0]
		p.Equal(again.Replayed, true)
		p.Equal(again.Index, first.Index)
		p.Reopen(!flushed)
		p.Equal(code(p.Apply(p.ask(1, "a", 6))[0]), "idempotency_key_reused")
		p.Equal(p.value("a"), int64(5))
	}
}

func TestRequestsAreForgottenByLogTime(t *testing.T) {
	const keep = 90 * store.Minute
	for _, c := range []struct {
		name    string
		after   int64
		forgets bool
	}{
		{"one microsecond early", keep - 1, false},
		{"to the microsecond", keep, true},
		{"while its partition still exists", keep + store.Minute, true},
		{"long after its partition is gone", 9 * store.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProbe(t, fsmtest.Options{Retention: func(store.Reader) int64 { return keep }})
			p.Apply(p.ask(1, "a", 5))
			p.Clock += store.Time(c.after) - 1 // Apply adds one
			got := p.Apply(p.ask(1, "a", 5))[0]
			p.Equal(got.Replayed, !c.forgets)
			want := int64(5)
			if c.forgets {
				want = 10
			}
			p.Equal(p.value("a"), want)
			if c.forgets { // from then on it is known again
				p.Equal(p.Apply(p.ask(1, "a", 5))[0].Replayed, true)
			}
			p.Equal(p.value("a"), want)
		})
	}
}

func TestOldPartitionsOfRequestsAreDropped(t *testing.T) {
	p := newProbe(t, fsmtest.Options{Retention: func(store.Reader) int64 { return store.Hour }})
	for i := range byte(20) {
		p.Apply(p.ask(i+1, "a", 1))
		p.Advance(20 * store.Minute)
	}
	kept := 0
	for _, row := range p.Dump() {
		if contains(row, "system.requests/") {
			kept++
		}
	}
	if kept < 4 || kept > 8 {
		t.Errorf("%d requests are kept, an hour holds three and the hour before may stand", kept)
	}
}

// A clock that was set back must not bring a forgotten request to life, nor
// make a known one apply again: only log time counts.
func TestRequestsAreNotForgottenByTheLeadersClock(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	p.Apply(p.ask(1, "a", 5))
	p.Clock -= store.Time(30 * store.Day)
	p.Equal(p.Apply(p.ask(1, "a", 5))[0].Replayed, true)
	p.Clock += store.Time(60 * store.Day)
	p.Equal(p.Apply(p.ask(1, "a", 5))[0].Replayed, false)
	p.Clock -= store.Time(60 * store.Day)
	p.Equal(p.Apply(p.ask(1, "a", 5))[0].Replayed, true)
	p.Equal(p.value("a"), int64(10))
}

func TestForgottenRejectionsMayBeTriedAgain(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	refused := p.ask(1, "a", -3)
	p.Equal(code(p.Apply(refused)[0]), "too_low")
	p.Equal(p.value("a"), int64(0))
	p.Equal(len(p.seen()), 0)
	p.Apply(p.ask(2, "a", 10))
	again := p.Apply(refused)[0]
	p.Equal(code(again), "")
	p.Equal(again.Replayed, false)
	p.Equal(p.value("a"), int64(7))
}

func TestKeptRejectionsAreAnsweredAgain(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	refused := p.ask(1, "a", -3)
	refused.KeepRejection = true
	first := p.Apply(refused)[0]
	p.Equal(code(first), "too_low")
	p.Apply(p.ask(2, "a", 10))
	again := p.Apply(refused)[0]
	p.Equal(again.Replayed, true)
	p.Equal(again.Rejection, first.Rejection)
	p.Equal(p.value("a"), int64(10))
	p.Equal(code(p.Apply(p.ask(1, "a", 3))[0]), "idempotency_key_reused")
}

func TestDeclinedRequestsKeepTheirWrites(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	r := fsmtest.Request(p.Machine, act, behave{How: "decline"})
	for i := range int64(3) { // not remembered: it declines, and writes, anew
		got := p.Apply(r)[0]
		p.Equal(code(got), "too_low")
		p.Equal(got.Replayed, false)
		p.Equal(p.value("acts"), i+1)
	}
	r = fsmtest.Request(p.Machine, act, behave{How: "decline"})
	r.KeepRejection = true
	p.Equal(p.Apply(r)[0].Replayed, false)
	p.Equal(p.value("acts"), int64(4))
	got := p.Apply(r)[0]
	p.Equal(got.Replayed, true)
	p.Equal(code(got), "too_low")
	p.Equal(p.value("acts"), int64(4))
}

func TestAReplayObservesItself(t *testing.T) {
	replays, rejected := 0, []string{}
	p := newProbe(t, fsmtest.Options{Observe: fsm.Observer{
		Replayed: func() { replays++ },
		Rejected: func(command, code string) { rejected = append(rejected, command+" "+code) },
	}})
	p.Apply(p.ask(1, "a", 5), p.ask(1, "a", 5), p.ask(2, "a", -9))
	p.Equal(replays, 1)
	p.Equal(rejected, []string{"probe.add/1 too_low"})
}
