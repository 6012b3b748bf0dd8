package identity_test

import (
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/identity"
	"coffer/fsm/wallet"
	"coffer/store"
)

func sessions(b *bank.Bank, surface identity.Surface, user string) (list []identity.Session) {
	b.Read(func(v *store.View) {
		for s := range identity.Sessions(v, surface, store.ID(user)) {
			list = append(list, s)
		}
	})
	return list
}

func TestARevokedSessionMayDoNothing(t *testing.T) {
	b := newBank(t)
	first := b.Register("ann@example.org")
	second := login(b, identity.AEVION)
	fsmtest.Must(b.Machine, identity.RevokeSession, identity.EndSession{Session: store.ID(first.Session), Action: "session.revoke"})
	b.Equal([]bool{holds(b, first), holds(b, second)}, []bool{false, true})
	fsmtest.Rejects(b.Machine, identity.RevokeSession, identity.EndSession{Session: store.ID(first.Session)}, identity.ErrNoSession)
	fsmtest.Must(b.Machine, identity.RevokeSession, identity.EndSession{Session: store.ID(second.Session), Action: "logout"})
	b.Equal(holds(b, second), false)
	for _, command := range []error{
		bank.Submit(b, wallet.OpenWallet, wallet.Open{Currency: "KZT"}),
		bank.Submit(b, identity.RevokeOthers, identity.EndSessions{Surface: identity.AEVION}),
		bank.Submit(b, fsm.RaiseAlarm, fsm.AlarmChange{}), // system commands too
	} {
		refused, ok := fsm.AsRejection(command)
		b.Equal([]any{ok, refused.Code}, []any{true, "auth_required"})
	}
	b.Equal(actions(b, identity.AuthTrail, first.ID), []string{"logout", "profile.update", "session.revoke", "login", "register"})
	third := login(b, identity.AEVION)
	b.Equal(holds(b, third), true)
}

func TestSessionsOfOthersAreNotFound(t *testing.T) {
	b := newBank(t)
	bob := b.Register("bob@example.org")
	ann := b.Register("ann@example.org")
	end := identity.EndSession{Session: store.ID(bob.Session), Action: "session.revoke"}
	fsmtest.Rejects(b.Machine, identity.RevokeSession, end, identity.ErrNoSession)
	b.As(fsm.Actor{ID: bob.ID}) // a name is no proof
	fsmtest.Rejects(b.Machine, identity.RevokeSession, end, identity.ErrNoSession)
	b.As(fsm.Actor{Kind: fsm.Service, ID: bob.ID})
	fsmtest.Rejects(b.Machine, identity.RevokeSession, end, identity.ErrNoSession)
	b.Equal(holds(b, bob), true)
	// A session of one user does not speak for another one, nor without a kind.
	for _, who := range []fsm.Actor{
		{Kind: fsm.User, ID: bob.ID, Session: ann.Session}, {Kind: fsm.User, ID: ann.ID}, {Kind: fsm.User, Session: ann.Session},
		{Kind: fsm.User, ID: ann.ID, Session: "ses_0"}, {Kind: fsm.User},
	} {
		b.Equal(holds(b, who), false)
	}
}

func TestLogoutAllKeepsTheCurrentSession(t *testing.T) {
	b := newBank(t)
	var all []fsm.Actor
	all = append(all, b.Register("ann@example.org"))
	for range 4 {
		all = append(all, login(b, identity.AEVION))
	}
	bob := b.Register("bob@example.org")
	b.As(all[2])
	fsmtest.Must(b.Machine, identity.RevokeSession, identity.EndSession{Session: store.ID(all[4].Session), Action: "session.revoke"})
	got := fsmtest.Must(b.Machine, identity.RevokeOthers, identity.EndSessions{Surface: identity.AEVION})
	b.Equal(got.Count, int64(3))
	for i, who := range all {
		b.Equal(holds(b, who), i == 2)
	}
	b.Equal(holds(b, bob), true)
	b.Equal(fsmtest.Must(b.Machine, identity.RevokeOthers, identity.EndSessions{Surface: identity.AEVION}).Count, int64(0))
	b.Read(func(v *store.View) {
		for _, row := range identity.AuditOf(v, identity.AuthTrail, store.ID(bob.ID), 0) {
			b.Equal(row.Action != "logout-all", true)
		}
		for _, row := range identity.AuditOf(v, identity.AuthTrail, store.ID(all[0].ID), 0) {
			b.Equal(row.Details, []fsm.Detail{fsm.Number("revokedCount", 0)})
			break
		}
	})
}

func TestSessionsAreListedNewestFirst(t *testing.T) {
	b := newBank(t)
	first := b.Register("ann@example.org")
	second := login(b, identity.AEVION)
	b.Register("bob@example.org")
	list := sessions(b, identity.AEVION, first.ID)
	b.Equal(len(list), 2)
	b.Equal([]store.ID{list[0].ID, list[1].ID}, []store.ID{store.ID(second.Session), store.ID(first.Session)})
	b.Equal([]string{list[0].IP, list[0].Agent, list[1].IP, list[1].Agent}, []string{"198.51.100.7", "another", "192.0.2.1", "test"})
	b.Equal(len(sessions(b, "vaultspay", first.ID)), 0)
}

// LastActive is exact to some minutes, so that a busy session is not written
// with every request.
func TestActivityIsNotedInSteps(t *testing.T) {
	b := newBank(t)
	ann := b.Register("ann@example.org")
	active := func() store.Time { return sessions(b, identity.AEVION, ann.ID)[0].LastActive }
	rename := func() { fsmtest.Must(b.Machine, identity.RenameUser, identity.Rename{Name: "x"}) }
	start := active()
	b.Clock = start + store.Time(5*store.Minute) - 2
	rename()
	b.Equal(active(), start)
	rename()
	b.Equal(active(), start+store.Time(5*store.Minute))
	b.Advance(store.Hour)
	before := active()
	fsmtest.Rejects(b.Machine, wallet.OpenWallet, wallet.Open{Currency: "EUR"}, wallet.ErrBadCurrency)
	b.Equal(active(), before) // a refusal leaves no trace
	rename()
	b.Equal(active(), b.Clock)
}

// A cursor of a trail leads on only there.
func TestTrailsAreReadFromACursorOfTheirOwn(t *testing.T) {
	b := newBank(t)
	ann := b.Register("ann@example.org")
	for range 5 {
		fsmtest.Must(b.Machine, identity.RenameUser, identity.Rename{Name: "x"})
	}
	bob := b.Register("bob@example.org")
	b.Open("KZT", "", 0)
	b.Read(func(v *store.View) {
		rows := map[uint64]bool{}
		var numbers []uint64
		for number := range identity.AuditOf(v, identity.AuthTrail, store.ID(ann.ID), 0) {
			rows[number] = true
			numbers = append(numbers, number)
		}
		b.Equal(len(numbers), 6)
		for behind := range uint64(20) {
			var got []uint64
			for number := range identity.AuditOf(v, identity.AuthTrail, store.ID(ann.ID), behind) {
				got = append(got, number)
			}
			want := 0
			for i, number := range numbers {
				if number == behind {
					want = len(numbers) - i - 1
				}
			}
			if behind == 0 {
				want = len(numbers)
			}
			b.Equal(len(got), want)
		}
		for _, trail := range []identity.Trail{identity.AuthTrail, identity.QPayNetTrail} {
			for _, row := range identity.AuditOf(v, trail, store.ID(bob.ID), 0) {
				b.Equal([]any{row.User, row.Trail}, []any{store.ID(bob.ID), trail})
			}
			b.Equal(identity.AuditCount(v, trail, store.ID(bob.ID)), uint64(1))
		}
	})
}

// A program that logs in for each call must not fill the state.
func TestALoginBeyondTheLimitEndsTheOldestSession(t *testing.T) {
	b := newBank(t)
	first := b.Register("ann@example.org")
	second := login(b, identity.AEVION)
	for range identity.MaxSessions - 2 {
		login(b, identity.AEVION)
	}
	b.Equal([]bool{holds(b, first), holds(b, second)}, []bool{true, true})
	newest := login(b, identity.AEVION)
	b.Equal([]bool{holds(b, first), holds(b, second), holds(b, newest)}, []bool{false, true, true})
	b.Equal(len(sessions(b, identity.AEVION, first.ID)), identity.MaxSessions)
}
