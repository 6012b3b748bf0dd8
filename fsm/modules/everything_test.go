package modules_test

import (
	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/reputation"
	"coffer/fsm/settings"
	"coffer/fsm/wallet"
	"coffer/store"
)

// everything is a short history with each command of the product, so that its
// rows show every table.
func everything(b *bank.Bank) {
	admin := b.Admin()
	bob := b.Register("bob@example.org")
	bobs := b.Open("KZT", "", 0)
	ann := b.Register("ann@example.org")
	accounts(b, ann, bob, admin)
	payments(b, ann, bobs, admin)
	b.As(ann)
	fsmtest.Must(b.Machine, reputation.ClaimStreak, fsm.Nothing{})
	fsmtest.Must(b.Machine, ledger.AppendExternal, ledger.External{Kind: "mint", From: "a", To: "b", Amount: -5, Currency: "EUR", Meta: []byte(`{"n":[1,"x",true]}`)})
	b.As(fsm.Actor{Kind: fsm.Service, ID: "ztide"})
	fsmtest.Must(b.Machine, reputation.IngestEvent, reputation.Ingest{User: "usr_elsewhere", Kind: "bureau-cert", Source: "bureau", Weight: 60, Meta: `{}`})
	b.AsNode(func() {
		fsmtest.Must(b.Machine, ledger.RecordScan, ledger.Scan{To: 3, OK: true, Head: []byte{1, 2}})
		fsmtest.Must(b.Machine, fsm.Assert, fsm.Assertion{Index: 5})
		fsmtest.Must(b.Machine, settings.UpdateSettings, settings.Update{By: "environment", Changes: []settings.Change{
			{Name: "QPAYNET_FEE_PPM", Text: "2000"}, {Name: "ZTIDE_ADMIN_EMAILS", Reset: true}}})
		fsmtest.Rejects(b.Machine, ledger.ExpireHold, ledger.Expire{ID: "hld_0"}, ledger.ErrNoHold)
		alarm := fsm.AlarmChange{Kind: fsm.NoSpace, Node: "node-1", Reason: "disk"}
		fsmtest.Must(b.Machine, fsm.RaiseAlarm, fsm.AlarmChange{Kind: fsm.Diverged, Node: "node-2"})
		fsmtest.Must(b.Machine, fsm.RaiseAlarm, alarm)
		fsmtest.Must(b.Machine, fsm.DisarmAlarm, alarm)
		fsmtest.Must(b.Machine, fsm.Admit, fsm.Admission{Node: "node-1", Address: "127.0.0.1:7001"})
		fsmtest.Must(b.Machine, fsm.Announce, fsm.Announcement{Node: "node-1", Address: "127.0.0.1:7001",
			Seen: fsm.Announced{Boots: 1, Index: 9, Epoch: 1, Oldest: 1, Newest: 1, Program: "v1"}})
		fsmtest.Must(b.Machine, fsm.BeginEpoch, fsm.EpochReason{Epoch: 2, Reason: "restored", Node: "node-1"})
	})
	before := b.Actor
	b.As(fsm.Actor{Kind: fsm.Operator, ID: "root"})
	for _, hash := range []store.ID{"aa", "bb"} {
		fsmtest.Must(b.Machine, fsm.CreateToken, fsm.TokenCreated{Hash: hash, Lifetime: store.Hour})
	}
	b.AsNode(func() { fsmtest.Must(b.Machine, fsm.Admit, fsm.Admission{Node: "node-2", Token: "aa"}) })
	fsmtest.Must(b.Machine, fsm.RemoveMember, fsm.Removal{Node: "node-2"})
	b.As(before)
}

func accounts(b *bank.Bank, ann, bob, admin fsm.Actor) {
	fsmtest.Must(b.Machine, identity.RenameUser, identity.Rename{Name: "Ann \u00e9"})
	fsmtest.Must(b.Machine, identity.SetPassword, identity.ChangePassword{Surface: identity.AEVION, Version: 1, Hash: "$argon2id$2"})
	b.As(fsm.Actor{IP: "203.0.113.9"})
	fsmtest.Must(b.Machine, identity.RecordFailure, identity.Failure{User: store.ID(ann.ID), Action: "login.failed"})
	in := fsmtest.Must(b.Machine, identity.StartSession, identity.Login{Surface: identity.AEVION, User: store.ID(ann.ID), Version: 2})
	b.As(ann)
	fsmtest.Must(b.Machine, identity.RevokeSession, identity.EndSession{Session: in.Session, Action: "session.revoke"})
	fsmtest.Must(b.Machine, identity.RevokeOthers, identity.EndSessions{Surface: identity.AEVION})
	fsmtest.Must(b.Machine, identity.SubmitKYC, identity.Submit{FullName: "Ann", IIN: "123456789012", Address: "1 Street",
		Documents: []identity.Document{{Type: "id", Reference: "r"}}})
	b.As(admin)
	fsmtest.Must(b.Machine, identity.DecideKYC, identity.Decide{User: store.ID(ann.ID), Verify: true})
	b.As(fsm.Actor{})
	gone := fsmtest.Must(b.Machine, identity.RegisterUser, identity.Register{Surface: identity.AEVION, Email: "gone@example.org", Hash: "h"})
	b.As(fsm.Actor{Kind: fsm.User, ID: string(gone.User.ID), Session: string(gone.Session)})
	fsmtest.Must(b.Machine, identity.DeleteAccount, identity.Delete{Surface: identity.AEVION})
	b.As(bob)
	fsmtest.Must(b.Machine, identity.SubmitKYC, identity.Submit{FullName: "Bob", IIN: "210987654321"})
	b.As(admin)
	fsmtest.Must(b.Machine, identity.DecideKYC, identity.Decide{User: store.ID(bob.ID), Reason: "blurred"})
}

func payments(b *bank.Bank, ann fsm.Actor, bobs store.ID, admin fsm.Actor) {
	b.As(ann)
	from, dollars := b.Open("KZT", "", 1_000_000), b.Open("USD", "savings", 500)
	fsmtest.Must(b.Machine, wallet.UpdateWallet, wallet.Update{ID: from, Name: "main", SetMetadata: true, Metadata: `{"a":1}`, SetCharges: true, DenyCharges: true})
	fsmtest.Must(b.Machine, wallet.DepositFunds, wallet.Payment{Wallet: from, Amount: 10, Memo: "memo", Reference: "d"})
	fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, ToEmail: "bob@example.org", Amount: 1001, Currency: "KZT", Memo: "rent", Reference: "t"})
	fsmtest.Must(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: from, Amount: 77, Reference: "w"})
	fsmtest.Must(b.Machine, wallet.TransferMany, wallet.Transfers{Rows: []wallet.Transfer{
		{From: from, To: bobs, Amount: 5}, {From: from, To: from, Amount: 5}, {From: dollars, To: bobs, Amount: 5}}})
	fsmtest.Rejects(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: bobs, Amount: 99_000_000}, ledger.ErrInsufficient)
	kept := fsmtest.Request(b.Machine, wallet.CloseWallet, wallet.Close{ID: from})
	kept.KeepRejection = true
	b.Apply(kept, kept)
	empty := b.Open("USD", "empty", 0)
	fsmtest.Must(b.Machine, wallet.CloseWallet, wallet.Close{ID: empty})
	b.As(admin)
	fsmtest.Must(b.Machine, wallet.FreezeWallet, wallet.Freeze{ID: bobs, Reason: "check it"})
	fsmtest.Must(b.Machine, wallet.FreezeWallet, wallet.Freeze{ID: dollars, Reason: "check it"})
	fsmtest.Must(b.Machine, wallet.UnfreezeWallet, wallet.Freeze{ID: dollars, Reason: "all good"})
}
