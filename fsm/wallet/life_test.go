package wallet_test

import (
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/wallet"
	"coffer/store"
)

// sessionOf opens one more session of a user.
func sessionOf(b *bank.Bank, email string) fsm.Actor {
	b.Helper()
	var login identity.Login
	b.Read(func(v *store.View) {
		u, _ := identity.ByEmail(v, email)
		c, _ := identity.CredentialOf(v, identity.AEVION, u.ID)
		login = identity.Login{Surface: identity.AEVION, User: u.ID, Version: c.Version}
	})
	in := fsmtest.Must(b.Machine, identity.StartSession, login)
	return fsm.Actor{Kind: fsm.User, ID: string(in.User.ID), Session: string(in.Session), Email: email}
}

func primary(b *bank.Bank, user, currency string) (id store.ID) {
	b.Read(func(v *store.View) {
		w, _ := wallet.Primary(v, store.ID(user), currency)
		id = w.ID
	})
	return id
}

func status(b *bank.Bank, id store.ID) (s wallet.Status) {
	b.Read(func(v *store.View) {
		w, _ := wallet.Get(v, id)
		s = w.Status
	})
	return s
}

func TestOneWalletPerCurrencyIsPrimary(t *testing.T) {
	b := newBank(t)
	ann := b.Register("ann@example.org")
	first := fsmtest.Must(b.Machine, wallet.OpenWallet, wallet.Open{Currency: "KZT"})
	b.Equal([]any{first.Name, first.Primary, first.Status}, []any{"KZT wallet", true, wallet.Active})
	refused := fsmtest.Rejects(b.Machine, wallet.OpenWallet, wallet.Open{Currency: "KZT"}, wallet.ErrExists)
	named, _ := refused.Detail("walletId")
	b.Equal(named.Text, string(first.ID))
	more := fsmtest.Must(b.Machine, wallet.OpenWallet, wallet.Open{Currency: "KZT", Name: "rent", Metadata: `{"a":1}`})
	twin := fsmtest.Must(b.Machine, wallet.OpenWallet, wallet.Open{Currency: "KZT", Name: "rent"}) // names need not differ
	dollars := fsmtest.Must(b.Machine, wallet.OpenWallet, wallet.Open{Currency: "USD", Name: "named first"})
	b.Equal([]bool{more.Primary, twin.Primary, dollars.Primary}, []bool{false, false, true})
	fsmtest.Rejects(b.Machine, wallet.OpenWallet, wallet.Open{Currency: "kzt"}, wallet.ErrBadCurrency)
	b.Set("QPAYNET_CURRENCIES", "EUR, KZT")
	fsmtest.Rejects(b.Machine, wallet.OpenWallet, wallet.Open{Currency: "USD", Name: "x"}, wallet.ErrBadCurrency)
	fsmtest.Must(b.Machine, wallet.OpenWallet, wallet.Open{Currency: "EUR"})
	b.Equal(primary(b, ann.ID, "KZT"), first.ID)
	b.Read(func(v *store.View) {
		var order []store.ID
		for _, w := range wallet.ByOwner(v, store.ID(ann.ID), nil) {
			order = append(order, w.ID)
		}
		b.Equal(order[1:], []store.ID{dollars.ID, twin.ID, more.ID, first.ID})
		_, owned := wallet.Owned(v, "usr_other", first.ID)
		b.Equal(owned, false)
	})
}

func TestUpdatesChangeWhatIsNamed(t *testing.T) {
	b := newBank(t)
	b.Register("ann@example.org")
	id := b.Open("KZT", "", 100)
	step := func(in wallet.Update) wallet.Wallet {
		in.ID = id
		got := fsmtest.Must(b.Machine, wallet.UpdateWallet, in)
		b.Equal(got.Balance, ledger.Amount(100))
		return got.Wallet
	}
	w := step(wallet.Update{Name: "rent"})
	b.Equal([]any{w.Name, w.Metadata, w.DenyCharges}, []any{"rent", "", false})
	w = step(wallet.Update{SetMetadata: true, Metadata: `{"a":1}`, SetCharges: true, DenyCharges: true})
	b.Equal([]any{w.Name, w.Metadata, w.DenyCharges}, []any{"rent", `{"a":1}`, true})
	w = step(wallet.Update{Metadata: "ignored", DenyCharges: false})
	b.Equal([]any{w.Name, w.Metadata, w.DenyCharges}, []any{"rent", `{"a":1}`, true})
	w = step(wallet.Update{SetMetadata: true, SetCharges: true})
	b.Equal([]any{w.Name, w.Metadata, w.DenyCharges}, []any{"rent", "", false})
}

func TestThePlaceOfThePrimaryGoesToTheOldestActiveWallet(t *testing.T) {
	b := newBank(t)
	ann := b.Register("ann@example.org")
	first, second, third := b.Open("KZT", "", 0), b.Open("KZT", "2", 0), b.Open("KZT", "3", 0)
	b.Open("USD", "", 0)
	admin := freeze(b, second)
	fsmtest.Must(b.Machine, wallet.CloseWallet, wallet.Close{ID: first})
	b.Equal(primary(b, ann.ID, "KZT"), third)
	fsmtest.Must(b.Machine, wallet.CloseWallet, wallet.Close{ID: third})
	b.Equal(primary(b, ann.ID, "KZT"), store.ID(""))
	b.As(admin)
	fsmtest.Must(b.Machine, wallet.UnfreezeWallet, wallet.Freeze{ID: second, Reason: "well"})
	b.Equal(primary(b, ann.ID, "KZT"), second)
	b.As(ann)
	fsmtest.Rejects(b.Machine, wallet.OpenWallet, wallet.Open{Currency: "KZT"}, wallet.ErrExists)
	fsmtest.Must(b.Machine, wallet.CloseWallet, wallet.Close{ID: second})
	again := fsmtest.Must(b.Machine, wallet.OpenWallet, wallet.Open{Currency: "KZT"})
	b.Equal(again.Primary, true)
}

func TestTheOldestOfSeveralTakesThePlace(t *testing.T) {
	b := newBank(t)
	ann := b.Register("ann@example.org")
	var ids []store.ID
	for _, name := range []string{"", "2", "3", "4"} {
		ids = append(ids, b.Open("KZT", name, 0))
	}
	for i, id := range ids {
		b.Equal(primary(b, ann.ID, "KZT"), id)
		fsmtest.Must(b.Machine, wallet.CloseWallet, wallet.Close{ID: id})
		if i == 0 { // one that is not primary leaves the place as it is
			fsmtest.Must(b.Machine, wallet.CloseWallet, wallet.Close{ID: b.Open("KZT", "5", 0)})
		}
	}
}

func TestAFrozenPrimaryKeepsItsPlace(t *testing.T) {
	b := newBank(t)
	ann := b.Register("ann@example.org")
	first := b.Open("KZT", "", 0)
	b.Open("KZT", "2", 0)
	admin := freeze(b, first)
	b.Equal(primary(b, ann.ID, "KZT"), first)
	b.Register("bob@example.org")
	from := b.Open("KZT", "", 1000)
	fsmtest.Rejects(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, ToEmail: "ann@example.org", Amount: 1}, wallet.ErrReceiverInactive)
	b.As(admin)
	fsmtest.Must(b.Machine, wallet.UnfreezeWallet, wallet.Freeze{ID: first, Reason: "well"})
	fsmtest.Rejects(b.Machine, wallet.UnfreezeWallet, wallet.Freeze{ID: first}, wallet.ErrNotFrozen)
}

func TestMoneySetAsideKeepsAWalletOpen(t *testing.T) {
	b := bank.New(t, fsmtest.Options{}, treasury())
	b.Register("ann@example.org")
	id := b.Open("KZT", "", 1000)
	fsmtest.Must(b.Machine, reserveMoney, reserve{Account: id, Amount: 1000})
	fsmtest.Rejects(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: id, Amount: 1}, ledger.ErrInsufficient)
	other := b.Open("KZT", "2", 0)
	short := fsmtest.Rejects(b.Machine, wallet.TransferFunds, wallet.Transfer{From: id, To: other, Amount: 1}, ledger.ErrInsufficient)
	balance, _ := short.Detail("balance")
	b.Equal(balance.Number, int64(0))
	fsmtest.Rejects(b.Machine, wallet.CloseWallet, wallet.Close{ID: id}, wallet.ErrNotEmpty)
	b.Equal(b.Balance(id), ledger.Amount(1000))
	fsmtest.Must(b.Machine, identity.DeleteAccount, identity.Delete{Surface: identity.AEVION})
	b.Equal([]wallet.Status{status(b, id), status(b, other)}, []wallet.Status{wallet.Frozen, wallet.Closed})
}

func TestDeletionClosesWhatIsEmptyAndFreezesTheRest(t *testing.T) {
	b := newBank(t)
	b.Register("ann@example.org")
	full, empty := b.Open("KZT", "", 100), b.Open("KZT", "empty", 0)
	frozenEmpty, frozenFull := b.Open("USD", "", 0), b.Open("USD", "2", 100)
	closed := b.Open("KZT", "closed", 0)
	fsmtest.Must(b.Machine, wallet.CloseWallet, wallet.Close{ID: closed})
	freeze(b, frozenEmpty)
	admin := freeze(b, frozenFull)
	var before wallet.Stats
	b.Read(func(v *store.View) { before = wallet.StatsOf(v) })
	b.Equal(before.Active, int64(2))

	fsmtest.Must(b.Machine, identity.DeleteAccount, identity.Delete{Surface: identity.AEVION})
	for id, want := range map[store.ID]wallet.Status{full: wallet.Frozen, empty: wallet.Closed, frozenEmpty: wallet.Closed, frozenFull: wallet.Frozen, closed: wallet.Closed} {
		b.Equal(status(b, id), want)
	}
	b.Read(func(v *store.View) {
		b.Equal(wallet.StatsOf(v).Active, int64(0))
		w, _ := wallet.Get(v, full)
		b.Equal(w.FrozenReason, "account_deleted")
	})
	bob := b.Register("bob@example.org")
	from := b.Open("KZT", "", 1000)
	fsmtest.Rejects(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, ToEmail: "ann@example.org", Amount: 1}, wallet.ErrRecipientNotFound)
	fsmtest.Rejects(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: full, Amount: 1}, wallet.ErrReceiverInactive)
	fsmtest.Rejects(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: empty, Amount: 1}, wallet.ErrReceiverInactive)
	again := b.Register("ann@example.org")
	mine := b.Open("KZT", "", 0)
	b.As(bob)
	fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, ToEmail: "ann@example.org", Amount: 1})
	b.Equal(b.Balance(mine), ledger.Amount(1))
	b.Equal(primary(b, again.ID, "KZT"), mine)
	_ = admin
}

// Only the list of QPayNet counts, in any letter case, and in production only
// with a verified e-mail.
func TestAdministratorsAreNamedBySettings(t *testing.T) {
	b := newBank(t)
	b.Register("ann@example.org")
	id := b.Open("KZT", "", 0)
	admin := b.Register("admin@example.org")
	ask := wallet.Freeze{ID: id, Reason: "check it"}
	refused := func() { t.Helper(); fsmtest.Rejects(b.Machine, wallet.FreezeWallet, ask, identity.ErrNotAdmin) }
	refused()
	b.Set("ZTIDE_ADMIN_EMAILS", "admin@example.org")
	refused()
	b.Set("QPAYNET_ADMIN_EMAILS", "xadmin@example.org, admin@example.orgx,,")
	refused()
	b.Set("QPAYNET_ADMIN_EMAILS", ", ADMIN@example.ORG ")
	b.Set("AEVION_ENV", "production")
	refused()
	b.Set("AEVION_ADMIN_REQUIRE_VERIFIED_EMAIL", "0")
	fsmtest.Must(b.Machine, wallet.FreezeWallet, ask)
	b.As(fsm.Actor{Kind: fsm.Service, ID: admin.ID, Email: admin.Email})
	fsmtest.Rejects(b.Machine, wallet.UnfreezeWallet, ask, identity.ErrNotAdmin)
	// The token's word for the e-mail does not count, the account's does.
	b.Register("eve@example.org")
	b.Actor.Email = "admin@example.org"
	fsmtest.Rejects(b.Machine, wallet.UnfreezeWallet, ask, identity.ErrNotAdmin)
}
