package fsm_test

import (
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/store"
)

var operator = fsm.Actor{Kind: fsm.Operator, ID: "root"}

// founded is a probe with one member, node-1.
func founded(t *testing.T) *probe {
	p := newProbe(t, fsmtest.Options{})
	p.AsNode(func() { fsmtest.Must(p.Machine, fsm.Admit, fsm.Admission{Node: "node-1", Address: "a:1"}) })
	p.As(operator)
	return p
}

func (p *probe) admit(in fsm.Admission, want ...*fsm.Rejection) {
	p.Helper()
	p.AsNode(func() {
		if len(want) > 0 {
			fsmtest.Rejects(p.Machine, fsm.Admit, in, want[0])
			return
		}
		fsmtest.Must(p.Machine, fsm.Admit, in)
	})
}

func TestATokenLetsOneNodeIn(t *testing.T) {
	p := founded(t)
	p.admit(fsm.Admission{Node: "node-2"}, fsm.ErrTokenInvalid)
	p.admit(fsm.Admission{Node: "node-2", Token: "00"}, fsm.ErrTokenInvalid)
	fsmtest.Must(p.Machine, fsm.CreateToken, fsm.TokenCreated{Hash: "aa", Lifetime: store.Hour})
	fsmtest.Must(p.Machine, fsm.CreateToken, fsm.TokenCreated{Hash: "bb", Lifetime: store.Hour, Node: "node-3"})
	p.AsNode(func() {
		fsmtest.Must(p.Machine, fsm.Announce, fsm.Announcement{Node: "node-1", Address: "a:1", Seen: fsm.Announced{Boots: 1}})
	})
	p.admit(fsm.Admission{Node: "node-1", Token: "aa"}, fsm.ErrMemberExists) // and keeps the token
	p.admit(fsm.Admission{Node: "node-2", Token: "bb"}, fsm.ErrTokenInvalid) // it is another's
	p.admit(fsm.Admission{Node: "node-2", Token: "aa", Address: "b:1"})
	p.admit(fsm.Admission{Node: "node-4", Token: "aa"}, fsm.ErrTokenInvalid) // it is used up
	p.admit(fsm.Admission{Node: "node-3", Token: "bb"})
	p.Read(func(v *store.View) {
		p.Equal(len(fsm.Members(v)), 3)
		m, known := fsm.MemberOf(v, "node-2")
		p.Equal([]any{known, m.Address, m.Admitted != 0}, []any{true, "b:1", true})
	})
}

// A join that was refused behind the admission must not cost the id.
func TestANodeNobodyHasHeardOfMayTryAgain(t *testing.T) {
	p := founded(t)
	for _, hash := range []store.ID{"aa", "bb"} {
		fsmtest.Must(p.Machine, fsm.CreateToken, fsm.TokenCreated{Hash: hash, Lifetime: store.Hour})
	}
	p.admit(fsm.Admission{Node: "node-2", Token: "aa", Address: "taken:1"})
	p.admit(fsm.Admission{Node: "node-2", Token: "aa", Address: "b:1"}, fsm.ErrTokenInvalid)
	p.admit(fsm.Admission{Node: "node-2"}, fsm.ErrMemberExists)
	p.admit(fsm.Admission{Node: "node-2", Token: "bb", Address: "b:1"})
	p.Read(func(v *store.View) {
		m, _ := fsm.MemberOf(v, "node-2")
		p.Equal(m.Address, "b:1")
	})
}

// The record of a member says which operators have let it in and removed it.
func TestAMemberSaysWhoLetItInAndWhoRemovedIt(t *testing.T) {
	p := founded(t)
	p.As(fsm.Actor{Kind: fsm.Operator, ID: "ann", Agent: "uid 7"})
	fsmtest.Must(p.Machine, fsm.CreateToken, fsm.TokenCreated{Hash: "aa", Lifetime: store.Hour})
	p.admit(fsm.Admission{Node: "node-2", Token: "aa", Address: "b:1"})
	for _, who := range []string{"bob", "eve"} { // the second one is too late
		p.As(fsm.Actor{Kind: fsm.Operator, ID: who})
		fsmtest.Must(p.Machine, fsm.RemoveMember, fsm.Removal{Node: "node-2"})
	}
	p.AsNode(func() { fsmtest.Must(p.Machine, fsm.RemoveMember, fsm.Removal{Node: "node-1"}) })
	p.Read(func(v *store.View) {
		one, _ := fsm.MemberOf(v, "node-1")
		two, _ := fsm.MemberOf(v, "node-2")
		p.Equal([]string{one.AdmittedBy, one.RemovedBy, two.AdmittedBy, two.RemovedBy}, []string{"", "", "ann (uid 7)", "bob"})
	})
}

func TestATokenIsLookedUpAsItWillBeUsed(t *testing.T) {
	p := founded(t)
	fsmtest.Must(p.Machine, fsm.CreateToken, fsm.TokenCreated{Hash: "aa", Lifetime: store.Hour, Node: "node-3"})
	p.Read(func(v *store.View) {
		p.Equal([]bool{fsm.TokenAdmits(v, "aa", "node-2"), fsm.TokenAdmits(v, "aa", "node-3")}, []bool{false, true})
	})
	p.Clock = p.Clock.Add(store.Hour)
	fsmtest.Must(p.Machine, fsm.CreateToken, fsm.TokenCreated{Hash: "bb", Lifetime: store.Hour}) // time passes in the log
	p.Read(func(v *store.View) { p.Equal(fsm.TokenAdmits(v, "aa", "node-3"), false) })
}

func TestATokenEnds(t *testing.T) {
	p := founded(t)
	for _, lifetime := range []int64{-1, 0, fsm.LongestToken + 1} {
		fsmtest.Rejects(p.Machine, fsm.CreateToken, fsm.TokenCreated{Hash: "aa", Lifetime: lifetime}, fsm.ErrTokenLifetime)
	}
	fsmtest.Must(p.Machine, fsm.CreateToken, fsm.TokenCreated{Hash: "aa", Lifetime: store.Hour})
	p.Clock = p.Clock.Add(store.Hour)
	p.admit(fsm.Admission{Node: "node-2", Token: "aa"}, fsm.ErrTokenInvalid)
}

func TestARemovedNodeNeverComesBack(t *testing.T) {
	p := founded(t)
	fsmtest.Rejects(p.Machine, fsm.RemoveMember, fsm.Removal{Node: "node-9"}, fsm.ErrMemberUnknown)
	fsmtest.Must(p.Machine, fsm.CreateToken, fsm.TokenCreated{Hash: "aa", Lifetime: store.Hour})
	fsmtest.Must(p.Machine, fsm.RemoveMember, fsm.Removal{Node: "node-1"})
	fsmtest.Must(p.Machine, fsm.RemoveMember, fsm.Removal{Node: "node-1"}) // again changes nothing
	p.admit(fsm.Admission{Node: "node-1", Token: "aa"}, fsm.ErrMemberRemoved)
	p.AsNode(func() {
		fsmtest.Rejects(p.Machine, fsm.Announce, fsm.Announcement{Node: "node-1"}, fsm.ErrMemberRemoved)
	})
	p.Read(func(v *store.View) {
		p.Equal([]bool{fsm.Removed(v, "node-1"), fsm.Removed(v, "node-2")}, []bool{true, false})
	})
}

// A node whose files are older than what it said was restored from a copy of its
// machine: it has forgotten votes, and must give none.
func TestANodeThatWasRolledBackIsNamed(t *testing.T) {
	said := fsm.Announced{Boots: 5, Index: 100, Epoch: 2, Oldest: 1, Newest: 1, Program: "v1"}
	for name, c := range map[string]struct {
		now        fsm.Announced
		rolledBack bool
	}{
		"the same again":          {said, false},
		"more of all":             {fsm.Announced{Boots: 6, Index: 101, Epoch: 3}, false},
		"a shorter log":           {fsm.Announced{Boots: 6, Index: 99, Epoch: 2}, true},
		"fewer starts":            {fsm.Announced{Boots: 4, Index: 100, Epoch: 2}, true},
		"an older epoch":          {fsm.Announced{Boots: 6, Index: 200, Epoch: 1}, true},
		"a new epoch starts anew": {fsm.Announced{Boots: 6, Index: 1, Epoch: 3}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := founded(t)
			p.AsNode(func() {
				fsmtest.Rejects(p.Machine, fsm.Announce, fsm.Announcement{Node: "node-7"}, fsm.ErrMemberUnknown)
				fsmtest.Must(p.Machine, fsm.Announce, fsm.Announcement{Node: "node-1", Address: "x:1", Seen: said})
				got := fsmtest.Must(p.Machine, fsm.Announce, fsm.Announcement{Node: "node-1", Address: "y:1", Seen: c.now})
				p.Equal(got.RolledBack, c.rolledBack)
			})
			p.Read(func(v *store.View) {
				m, _ := fsm.MemberOf(v, "node-1")
				p.Equal(m.Address == "y:1", !c.rolledBack)
				p.Equal(len(fsm.Alarms(v)) == 1, c.rolledBack)
			})
			p.Equal(code(p.Apply(p.ask(1, "a", 1))[0]), "") // it freezes nothing
		})
	}
}

func TestAVersionIsPutInForceWhenAllCanRunIt(t *testing.T) {
	p := founded(t)
	fsmtest.Rejects(p.Machine, fsm.FinalizeUpgrade, fsm.Upgrade{Version: fsm.NewestVersion}, fsm.ErrNotNewer)
	next := fsm.Upgrade{Version: fsm.NewestVersion + 1}
	fsmtest.Rejects(p.Machine, fsm.FinalizeUpgrade, next, fsm.ErrMemberTooOld)
	p.AsNode(func() {
		fsmtest.Must(p.Machine, fsm.Announce, fsm.Announcement{Node: "node-1", Seen: fsm.Announced{Boots: 1, Oldest: 1, Newest: next.Version}})
	})
	// All others can: this program, which cannot, stops instead of going on alone.
	p.Deliver(p.Sealed(fsmtest.Request(p.Machine, fsm.FinalizeUpgrade, next)))
	p.halted("this program knows up to 1")
}

func TestAnEpochIsRecordedOnce(t *testing.T) {
	p := founded(t)
	begin := fsm.EpochReason{Epoch: 2, Reason: "recovered", Node: "node-1"}
	p.AsNode(func() {
		fsmtest.Must(p.Machine, fsm.BeginEpoch, begin)
		fsmtest.Rejects(p.Machine, fsm.BeginEpoch, begin, fsm.ErrEpochExists)
	})
	p.Read(func(v *store.View) {
		all := fsm.Epochs(v)
		p.Equal([]any{len(all), all[0].Reason, all[0].Time != 0}, []any{1, "recovered", true})
	})
}

func TestCommandsAboutMembersAreForNodesAndOperators(t *testing.T) {
	p := founded(t)
	for _, who := range []fsm.Actor{{}, {Kind: fsm.User, ID: "u"}, {Kind: fsm.Service, ID: "s"}} {
		p.As(who)
		fsmtest.Rejects(p.Machine, fsm.CreateToken, fsm.TokenCreated{Lifetime: 1}, fsm.ErrNotPermitted)
		fsmtest.Rejects(p.Machine, fsm.Admit, fsm.Admission{Node: "x"}, fsm.ErrNotPermitted)
		fsmtest.Rejects(p.Machine, fsm.RemoveMember, fsm.Removal{Node: "node-1"}, fsm.ErrNotPermitted)
		fsmtest.Rejects(p.Machine, fsm.Announce, fsm.Announcement{Node: "node-1"}, fsm.ErrNotPermitted)
		fsmtest.Rejects(p.Machine, fsm.FinalizeUpgrade, fsm.Upgrade{Version: 2}, fsm.ErrNotPermitted)
		fsmtest.Rejects(p.Machine, fsm.BeginEpoch, fsm.EpochReason{Epoch: 2}, fsm.ErrNotPermitted)
	}
}
