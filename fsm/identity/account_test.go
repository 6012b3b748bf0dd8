package identity_test

import (
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/identity"
	"coffer/store"
)

func newBank(t *testing.T) *bank.Bank { return bank.New(t, fsmtest.Options{}) }

// login opens a session of the acting user on a surface and acts with it.
func login(b *bank.Bank, surface identity.Surface) fsm.Actor {
	b.Helper()
	who := b.Actor
	b.As(fsm.Actor{IP: "198.51.100.7", Agent: "another"})
	in := fsmtest.Must(b.Machine, identity.StartSession, identity.Login{Surface: surface, User: store.ID(who.ID), Version: version(b, surface, who.ID)})
	who.Session, who.IP, who.Agent = string(in.Session), "198.51.100.7", "another"
	b.As(who)
	return who
}

func version(b *bank.Bank, surface identity.Surface, user string) (version uint64) {
	b.Read(func(v *store.View) {
		c, _ := identity.CredentialOf(v, surface, store.ID(user))
		version = c.Version
	})
	return version
}

func user(b *bank.Bank, id string) (u identity.User) {
	b.Read(func(v *store.View) { u, _ = identity.Get(v, store.ID(id)) })
	return u
}

// holds tells whether an actor may still do something.
func holds(b *bank.Bank, who fsm.Actor) bool {
	b.Helper()
	before := b.Actor
	b.As(who)
	_, refused := fsm.AsRejection(bank.Submit(b, identity.RenameUser, identity.Rename{Name: "still here"}))
	b.As(before)
	var seen error
	b.Read(func(v *store.View) { seen = identity.Authorize(v, who) })
	if refused == (seen == nil) {
		b.Fatalf("a write is refused %v, a read %v", refused, seen)
	}
	return !refused
}

func actions(b *bank.Bank, trail identity.Trail, id string) (list []string) {
	b.Read(func(v *store.View) {
		for _, row := range identity.AuditOf(v, trail, store.ID(id), 0) {
			list = append(list, row.Action)
		}
	})
	return list
}

func TestEveryRejectionOfIdentityIsReached(t *testing.T) {
	nobody := func(ask func(*bank.Bank) error) func(*bank.Bank) error {
		return func(b *bank.Bank) error { b.As(fsm.Actor{ID: "usr_1"}); return ask(b) }
	}
	ann := func(ask func(*bank.Bank) error) func(*bank.Bank) error {
		return func(b *bank.Bank) error { b.Register("ann@example.org"); return ask(b) }
	}
	bank.CheckRefusals(t, "identity.", []bank.Refusal{
		bank.On("identity.register/1", "email_already_exists", ann(func(b *bank.Bank) error {
			return bank.Submit(b, identity.RegisterUser, identity.Register{Email: "ann@example.org"})
		})),
		bank.On("identity.start_session/1", "invalid_credentials", nobody(func(b *bank.Bank) error {
			return bank.Submit(b, identity.StartSession, identity.Login{Surface: identity.AEVION, User: "usr_1", Version: 1})
		})),
		bank.On("identity.rename/1", "auth_required", nobody(func(b *bank.Bank) error {
			return bank.Submit(b, identity.RenameUser, identity.Rename{})
		})),
		bank.On("identity.set_password/1", "auth_required", nobody(func(b *bank.Bank) error {
			return bank.Submit(b, identity.SetPassword, identity.ChangePassword{})
		})),
		bank.On("identity.set_password/1", "invalid_credentials", ann(func(b *bank.Bank) error {
			return bank.Submit(b, identity.SetPassword, identity.ChangePassword{Surface: identity.AEVION, Version: 2})
		})),
		bank.On("identity.revoke_session/1", "session_not_found", ann(func(b *bank.Bank) error {
			return bank.Submit(b, identity.RevokeSession, identity.EndSession{Session: "ses_0"})
		})),
		bank.On("identity.revoke_others/1", "auth_required", nobody(func(b *bank.Bank) error {
			return bank.Submit(b, identity.RevokeOthers, identity.EndSessions{})
		})),
		bank.On("identity.delete_account/1", "auth_required", nobody(func(b *bank.Bank) error {
			return bank.Submit(b, identity.DeleteAccount, identity.Delete{})
		})),
		bank.On("identity.delete_account/1", "invalid_credentials", ann(func(b *bank.Bank) error {
			return bank.Submit(b, identity.DeleteAccount, identity.Delete{Surface: identity.AEVION, Verified: true, Version: 9})
		})),
		bank.On("identity.submit_kyc/1", "auth_required", nobody(func(b *bank.Bank) error {
			return bank.Submit(b, identity.SubmitKYC, identity.Submit{})
		})),
		bank.On("identity.decide_kyc/1", "not_admin", ann(func(b *bank.Bank) error {
			return bank.Submit(b, identity.DecideKYC, identity.Decide{})
		})),
		bank.On("identity.decide_kyc/1", "not_found_or_not_pending", func(b *bank.Bank) error {
			b.As(b.Admin())
			return bank.Submit(b, identity.DecideKYC, identity.Decide{User: "usr_0"})
		}),
	})
}

func TestOneIdentityPerEmail(t *testing.T) {
	b := newBank(t)
	ann := b.Register("ann@example.org")
	for _, email := range []string{"ann@example.org", "ANN@example.org", " Ann@Example.ORG "} {
		fsmtest.Rejects(b.Machine, identity.RegisterUser, identity.Register{Surface: identity.AEVION, Email: email}, identity.ErrEmailTaken)
		b.Read(func(v *store.View) {
			u, ok := identity.ByEmail(v, email)
			b.Equal([]any{ok, u.ID}, []any{true, store.ID(ann.ID)})
		})
	}
	u := user(b, ann.ID)
	b.Equal([]any{u.Email, u.Role, u.VerifiedAt, u.DeletedAt}, []any{"ann@example.org", identity.RoleUser, store.Time(0), store.Time(0)})
	b.Read(func(v *store.View) {
		for _, email := range []string{"", "nobody@example.org", "ann@example.org\x00", "\x00"} {
			_, ok := identity.ByEmail(v, email)
			b.Equal(ok, false)
		}
		b.Equal(identity.Count(v), int64(1))
	})
	b.Equal(actions(b, identity.AuthTrail, ann.ID), []string{"register"})
}

func TestASessionOpensOnlyForTheCredentialTheDoorSaw(t *testing.T) {
	b := newBank(t)
	ann := b.Register("ann@example.org")
	start := identity.Login{Surface: identity.AEVION, User: store.ID(ann.ID), Version: 1}
	for name, c := range map[string]identity.Login{
		"another version": {Surface: identity.AEVION, User: start.User, Version: 2},
		"no version":      {Surface: identity.AEVION, User: start.User},
		"another surface": {Surface: "vaultspay", User: start.User, Version: 1},
		"another user":    {Surface: identity.AEVION, User: "usr_0", Version: 1},
	} {
		t.Run(name, func(t *testing.T) { fsmtest.Rejects(b.Machine, identity.StartSession, c, identity.ErrBadCredentials) })
	}
	fsmtest.Must(b.Machine, identity.StartSession, start)
	fsmtest.Must(b.Machine, identity.SetPassword, identity.ChangePassword{Surface: identity.AEVION, Version: 1, Hash: "new"})
	fsmtest.Rejects(b.Machine, identity.StartSession, start, identity.ErrBadCredentials) // changed since the door looked
	fsmtest.Rejects(b.Machine, identity.SetPassword, identity.ChangePassword{Surface: identity.AEVION, Version: 1, Hash: "newer"}, identity.ErrBadCredentials)
	start.Version = 2
	fsmtest.Must(b.Machine, identity.StartSession, start)
	fsmtest.Must(b.Machine, identity.DeleteAccount, identity.Delete{Surface: identity.AEVION, Verified: true, Version: 2})
	b.As(fsm.Actor{})
	fsmtest.Rejects(b.Machine, identity.StartSession, start, identity.ErrBadCredentials)
	b.Equal(actions(b, identity.AuthTrail, ann.ID), []string{"account.delete", "login", "password.change", "login", "register"})
}

func TestAPasswordChangeEndsAllOtherSessions(t *testing.T) {
	b := newBank(t)
	first := b.Register("ann@example.org")
	second := login(b, identity.AEVION)
	bob := b.Register("bob@example.org")
	b.As(second)
	fsmtest.Must(b.Machine, identity.SetPassword, identity.ChangePassword{Surface: identity.AEVION, Version: 1, Hash: "new"})
	b.Equal([]bool{holds(b, first), holds(b, second), holds(b, bob)}, []bool{false, true, true})
	b.Read(func(v *store.View) {
		c, _ := identity.CredentialOf(v, identity.AEVION, store.ID(first.ID))
		b.Equal([]any{c.Hash, c.Version}, []any{"new", uint64(2)})
	})
}

func TestFailuresStandOnTheTrailOfTheUserTheyAimedAt(t *testing.T) {
	b := newBank(t)
	ann := b.Register("ann@example.org")
	b.As(fsm.Actor{IP: "203.0.113.9", Agent: "guesser"})
	fsmtest.Must(b.Machine, identity.RecordFailure, identity.Failure{User: store.ID(ann.ID), Action: "login.failed"})
	fsmtest.Must(b.Machine, identity.RecordFailure, identity.Failure{User: "usr_0", Action: "login.failed"}) // nobody's
	b.Read(func(v *store.View) {
		b.Equal(identity.AuditCount(v, identity.AuthTrail, "usr_0"), uint64(0))
		for _, row := range identity.AuditOf(v, identity.AuthTrail, store.ID(ann.ID), 0) {
			b.Equal([]any{row.Action, row.IP, row.Agent, row.Actor}, []any{"login.failed", "203.0.113.9", "guesser", store.ID("")})
			break
		}
	})
	b.As(ann)
	fsmtest.Must(b.Machine, identity.DeleteAccount, identity.Delete{Surface: identity.AEVION})
	b.As(fsm.Actor{})
	fsmtest.Must(b.Machine, identity.RecordFailure, identity.Failure{User: store.ID(ann.ID), Action: "login.failed"})
	b.Equal(actions(b, identity.AuthTrail, ann.ID)[0], "account.delete")
}

func TestADeletedAccountIsGoneButItsTraceStays(t *testing.T) {
	b := newBank(t)
	ann := b.Register("ann@example.org")
	second := login(b, identity.AEVION)
	fsmtest.Must(b.Machine, identity.RenameUser, identity.Rename{Name: "Ann"})
	fsmtest.Must(b.Machine, identity.DeleteAccount, identity.Delete{Surface: identity.AEVION})
	u := user(b, ann.ID)
	b.Equal([]any{u.Email, u.Name, u.DeletedAt > 0, u.CreatedAt > 0}, []any{"", "", true, true})
	b.Equal([]bool{holds(b, ann), holds(b, second)}, []bool{false, false})
	b.Read(func(v *store.View) {
		_, active := identity.Active(v, store.ID(ann.ID))
		_, credential := identity.CredentialOf(v, identity.AEVION, store.ID(ann.ID))
		_, found := identity.ByEmail(v, "ann@example.org")
		b.Equal([]bool{active, credential, found}, []bool{false, false, false})
		b.Equal(identity.Count(v), int64(0))
	})
	b.Equal(actions(b, identity.AuthTrail, ann.ID), []string{"account.delete", "profile.update", "login", "register"})
	b.As(second)
	fsmtest.Rejects(b.Machine, identity.DeleteAccount, identity.Delete{Surface: identity.AEVION}, identity.ErrAuthRequired)
	again := b.Register("ann@example.org")
	b.Equal(again.ID != ann.ID, true)
	b.Equal(actions(b, identity.AuthTrail, again.ID), []string{"register"})
}

// One identity has credentials on several surfaces: deleting it on one ends the
// sessions of all.
func TestDeletionEndsTheSessionsOfAllSurfaces(t *testing.T) {
	b := newBank(t)
	b.As(fsm.Actor{})
	in := fsmtest.Must(b.Machine, identity.RegisterUser, identity.Register{Surface: "vaultspay", Email: "ann@example.org"})
	ann := fsm.Actor{Kind: fsm.User, ID: string(in.User.ID), Session: string(in.Session)}
	b.Equal(holds(b, ann), true)
	b.As(ann)
	other := login(b, "vaultspay")
	fsmtest.Must(b.Machine, identity.DeleteAccount, identity.Delete{Surface: identity.AEVION})
	b.Equal([]bool{holds(b, ann), holds(b, other)}, []bool{false, false})
}
