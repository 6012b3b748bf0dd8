package fsm_test

import (
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/store"
)

func TestAlarmsFreezeBusinessWritesAndNoOthers(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	full := fsm.AlarmChange{Kind: fsm.NoSpace, Node: "node-1", Reason: "disk"}
	r := p.ask(1, "a", 1)
	p.AsNode(func() { fsmtest.Must(p.Machine, fsm.RaiseAlarm, full) })
	p.Equal(code(p.Apply(r)[0]), "no_space")
	p.AsNode(func() {
		fsmtest.Must(p.Machine, fsm.RaiseAlarm, full) // changes nothing
		fsmtest.Must(p.Machine, fsm.RaiseAlarm, fsm.AlarmChange{Kind: fsm.Diverged, Node: "node-2"})
	})
	p.Read(func(v *store.View) {
		p.Equal(len(fsm.Alarms(v)), 2)
		p.Equal(fsm.Alarms(v)[1].Reason, "disk")
	})
	p.Equal(code(p.Apply(r)[0]), "writes_frozen")
	tried, err := p.try(r)
	p.Equal(err, nil)
	p.Equal(code(tried), "writes_frozen")
	fsmtest.Must(p.Machine, survey, add{Name: "s"})
	p.Reopen(false)
	p.As(fsm.Actor{Kind: fsm.Operator, ID: "root"})
	fsmtest.Must(p.Machine, fsm.DisarmAlarm, full)
	fsmtest.Rejects(p.Machine, addTo, add{Name: "a", By: 1}, fsm.ErrWriteFrozen) // one is left
	fsmtest.Rejects(p.Machine, fsm.DisarmAlarm, full, fsm.ErrAlarmNotFound)
	p.AsNode(func() {
		fsmtest.Must(p.Machine, fsm.RaiseAlarm, fsm.AlarmChange{Kind: fsm.RolledBack, Node: "node-3"}) // freezes nothing
		fsmtest.Must(p.Machine, fsm.RaiseAlarm, full)
	})
	fsmtest.Must(p.Machine, fsm.DisarmAlarm, fsm.AlarmChange{Kind: fsm.Diverged, Node: "node-2"})
	tried, err = p.try(r)
	p.Equal(err, nil)
	p.Equal(code(tried), "no_space")
	fsmtest.Must(p.Machine, fsm.DisarmAlarm, full)
	fsmtest.Must(p.Machine, fsm.DisarmAlarm, fsm.AlarmChange{Kind: fsm.RolledBack, Node: "node-3"})
	p.Equal(code(p.Apply(r)[0]), "")
	p.Read(func(v *store.View) { p.Equal(len(fsm.Alarms(v)), 0) })
}

// What was answered before the alarm is still answered: it moves nothing.
func TestReplaysAreAnsweredWhileFrozen(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	r := p.ask(1, "a", 1)
	p.Apply(r)
	p.AsNode(func() { fsmtest.Must(p.Machine, fsm.RaiseAlarm, fsm.AlarmChange{Kind: fsm.Diverged, Node: "n"}) })
	p.Equal(p.Apply(r)[0].Replayed, true)
}

func TestSystemCommandsAreForNodesAndOperators(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	operator := fsm.Actor{Kind: fsm.Operator, ID: "root"}
	for _, who := range []fsm.Actor{{}, {Kind: fsm.User, ID: "u"}, {Kind: fsm.Service, ID: "s"}, operator} {
		p.As(who)
		fsmtest.Rejects(p.Machine, fsm.Found, fsm.FoundCluster{LedgerID: "x"}, fsm.ErrNotPermitted)
		fsmtest.Rejects(p.Machine, fsm.BeginTerm, fsm.TermBegun{Term: 9}, fsm.ErrNotPermitted)
		fsmtest.Rejects(p.Machine, fsm.Assert, fsm.Assertion{Index: 1}, fsm.ErrNotPermitted)
		if who == operator {
			continue
		}
		fsmtest.Rejects(p.Machine, fsm.RaiseAlarm, fsm.AlarmChange{Kind: fsm.NoSpace}, fsm.ErrNotPermitted)
		fsmtest.Rejects(p.Machine, fsm.DisarmAlarm, fsm.AlarmChange{Kind: fsm.NoSpace}, fsm.ErrNotPermitted)
	}
	fsmtest.Rejects(p.Machine, fsm.RaiseAlarm, fsm.AlarmChange{Kind: "tired"}, fsm.ErrUnknownAlarm)
	p.Read(func(v *store.View) {
		_, begun := fsm.TermOf(v, 9)
		_, founded := fsm.ClusterOf(v)
		p.Equal(begun || founded, false)
	})
}

func TestAClusterIsFoundedOnce(t *testing.T) {
	p := newProbe(t, fsmtest.Options{Modules: []fsm.Module{module(), chainModule()}})
	p.AsNode(func() {
		want := fsm.FoundCluster{ID: "c1", LedgerID: "ledger.example.com/main"}
		fsmtest.Must(p.Machine, fsm.Found, want)
		fsmtest.Rejects(p.Machine, fsm.Found, fsm.FoundCluster{ID: "c2", LedgerID: "other.example.com"}, fsm.ErrFounded)
	})
	p.Read(func(v *store.View) {
		c, ok := fsm.ClusterOf(v)
		p.Equal(ok, true)
		p.Equal([]string{c.ID, c.LedgerID}, []string{"c1", "ledger.example.com/main"})
		term, ok := fsm.TermOf(v, 1)
		p.Equal(ok, true)
		p.Equal(term, fsm.Term{Term: 1, Node: "node-1", Index: 1, Time: fsmtest.Start + 1})
	})
}

func TestAnAssertionTellsAReplicaThatDiffers(t *testing.T) {
	var diverged []uint64
	p := newProbe(t, fsmtest.Options{Observe: fsm.Observer{Diverged: func(index uint64) { diverged = append(diverged, index) }}})
	p.Apply(p.ask(1, "a", 1))
	index, digest, _ := p.Machine.Machine().Digest()
	p.Apply(p.ask(2, "a", 1))
	p.AsNode(func() {
		fsmtest.Must(p.Machine, fsm.Assert, fsm.Assertion{Index: index, Digest: digest})
		p.Equal(len(diverged), 0)
		fsmtest.Must(p.Machine, fsm.Assert, fsm.Assertion{Index: index + 1000, Digest: digest}) // not known yet
		fsmtest.Must(p.Machine, fsm.Assert, fsm.Assertion{Index: 0, Digest: digest})
		p.Equal(len(diverged), 0)
		digest[31] ^= 1
		before := p.value("a")
		fsmtest.Must(p.Machine, fsm.Assert, fsm.Assertion{Index: index, Digest: digest})
		p.Equal(diverged, []uint64{index})
		p.Equal(p.value("a"), before)
		p.Reopen(true) // a fresh process has nothing to compare with
		fsmtest.Must(p.Machine, fsm.Assert, fsm.Assertion{Index: index, Digest: digest})
		p.Equal(len(diverged), 1)
	})
	p.Equal(p.Machine.Machine().Err() == nil, true)
}

func TestEachAssertionIsCountedByItsResult(t *testing.T) {
	var results []fsm.Comparison
	p := newProbe(t, fsmtest.Options{Observe: fsm.Observer{Compared: func(c fsm.Comparison) { results = append(results, c) }}})
	p.Apply(p.ask(1, "a", 1))
	index, digest, _ := p.Machine.Machine().Digest()
	p.AsNode(func() {
		fsmtest.Must(p.Machine, fsm.Assert, fsm.Assertion{Index: index, Digest: digest})
		fsmtest.Must(p.Machine, fsm.Assert, fsm.Assertion{Index: index + 1000, Digest: digest})
		fsmtest.Must(p.Machine, fsm.Assert, fsm.Assertion{Index: index})
	})
	p.Equal(results, []fsm.Comparison{fsm.Equal, fsm.NotComparable, fsm.Different})
	p.AsNode(func() {
		p.Reopen(true) // a fresh process has nothing to compare with
		fsmtest.Must(p.Machine, fsm.Assert, fsm.Assertion{Index: index, Digest: digest})
	})
	p.Equal(results[3:], []fsm.Comparison{fsm.NotComparable})
}

// An assertion about an entry so old that the ring has moved on is not taken
// for a difference.
func TestTheRingOfDigestsForgetsTheOldest(t *testing.T) {
	var diverged []uint64
	p := newProbe(t, fsmtest.Options{Unchecked: true, Observe: fsm.Observer{Diverged: func(index uint64) { diverged = append(diverged, index) }}})
	p.Apply(p.ask(1, "a", 1))
	index, _, _ := p.Machine.Machine().Digest()
	for range 4096 {
		p.Apply()
	}
	p.AsNode(func() {
		fsmtest.Must(p.Machine, fsm.Assert, fsm.Assertion{Index: index})
		p.Equal(len(diverged), 0)
		fsmtest.Must(p.Machine, fsm.Assert, fsm.Assertion{Index: index + 4000})
		p.Equal(diverged, []uint64{index + 4000})
	})
}
