package wallet_test

import (
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/wallet"
	"coffer/ledgerchain"
	"coffer/store"
)

func newBank(t testing.TB) *bank.Bank { return bank.New(t, fsmtest.Options{}) }

func TestTransferMovesMoneyAndChargesTheSender(t *testing.T) {
	b := newBank(t)
	bob := b.Register("bob@example.org")
	to := b.Open("KZT", "", 0)
	ann := b.Register("ann@example.org")
	from := b.Open("KZT", "", 1_000_000)

	got := fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, ToEmail: "bob@example.org", Amount: 250_000, Memo: "rent \"may\""})
	b.Equal(got.Fee, ledger.Amount(250))
	b.Equal(got.FromBalance, ledger.Amount(749_750))
	b.Equal(got.ToBalance, ledger.Amount(250_000))
	b.Equal(b.Balance(to), ledger.Amount(250_000))
	b.Equal(b.Score(ann.ID), int64(1))
	b.Equal(b.Score(bob.ID), int64(1))
	b.Read(func(v *store.View) {
		b.Equal(ledgerchain.Size(v), uint64(2))
		page, next, err := ledger.HistoryOf(v, from).Page(nil, 10, func(*ledger.Movement) bool { return true })
		if err != nil || next != nil || len(page) != 2 {
			t.Fatalf("history: %d rows, next %v, %v", len(page), next, err)
		}
		b.Equal(page[0].ID, got.Out)
		b.Equal(page[0].Net, ledger.Amount(-250_250))
		b.Equal(page[0].PrivateText("memo"), "rent \"may\"")
		b.Equal(page[0].PublicNumber("fee"), int64(250))
		in, ok := ledger.Find(v, got.In)
		b.Equal(ok, true)
		b.Equal(in.Account, to)
		b.Equal(in.Sibling(0), got.Out)
		_, ok = ledger.Find(v, got.In[:len(got.In)-1]+"0")
		_, ok2 := ledger.Find(v, got.In[:len(got.In)-1]+"1")
		b.Equal(ok && ok2, false)
	})
}

func TestTransferRefuses(t *testing.T) {
	b := newBank(t)
	b.Register("bob@example.org")
	bobs := b.Open("KZT", "", 0)
	bobsDollars := b.Open("USD", "", 0)
	b.Register("ann@example.org")
	from := b.Open("KZT", "", 20_000_000)
	for name, c := range map[string]struct {
		transfer wallet.Transfer
		want     *fsm.Rejection
	}{
		"to itself":             {wallet.Transfer{From: from, To: from, Amount: 1}, wallet.ErrSameWallet},
		"to itself by e-mail":   {wallet.Transfer{From: from, ToEmail: "ann@example.org", Amount: 1}, wallet.ErrSameWallet},
		"from a foreign wallet": {wallet.Transfer{From: bobs, To: from, Amount: 1}, wallet.ErrSenderNotFound},
		"to an unknown wallet":  {wallet.Transfer{From: from, To: "wal_0", Amount: 1}, wallet.ErrReceiverNotFound},
		"to an unknown e-mail":  {wallet.Transfer{From: from, ToEmail: "nobody@example.org", Amount: 1}, wallet.ErrRecipientNotFound},
		"another currency":      {wallet.Transfer{From: from, To: bobsDollars, Amount: 1}, ledger.ErrCurrency},
		"the wrong suffix":      {wallet.Transfer{From: from, To: bobs, Amount: 1, Currency: "USD"}, ledger.ErrCurrency},
		"above the cap":         {wallet.Transfer{From: from, To: bobs, Amount: 10_000_001}, wallet.ErrAboveCap},
	} {
		t.Run(name, func(t *testing.T) { fsmtest.Rejects(b.Machine, wallet.TransferFunds, c.transfer, c.want) })
	}
	fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: bobs, Amount: 10_000_000})
	short := fsmtest.Rejects(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: bobs, Amount: 9_990_000}, ledger.ErrInsufficient)
	required, _ := short.Detail("required")
	b.Equal(required.Number, int64(9_999_990))
	b.Equal(b.Balance(from), ledger.Amount(9_990_000))
}

func TestTransferManyGivesEachRowItsVerdict(t *testing.T) {
	b := newBank(t)
	bob := b.Register("bob@example.org")
	to := b.Open("KZT", "", 0)
	ann := b.Register("ann@example.org")
	from := b.Open("KZT", "", 100_100)
	rows := []wallet.Transfer{
		{From: from, To: to, Amount: 50_000},
		{From: from, To: from, Amount: 1},
		{From: from, To: to, Amount: 50_000},
		{From: from, To: to, Amount: 49_950},
	}
	got := fsmtest.Must(b.Machine, wallet.TransferMany, wallet.Transfers{Rows: rows})
	b.Equal(got.Rows[1].Code, "cannot_transfer_to_same_wallet")
	b.Equal(got.Rows[3].Code, "insufficient_balance")
	b.Equal(b.Balance(from), ledger.Amount(0))
	b.Equal(b.Balance(to), ledger.Amount(100_000))
	b.Equal(b.Score(ann.ID), int64(2))
	b.Equal(b.Score(bob.ID), int64(2))

	refused := fsmtest.Rejects(b.Machine, wallet.TransferMany, wallet.Transfers{Atomic: true, Rows: rows}, ledger.ErrInsufficient)
	index, _ := refused.Detail("index")
	b.Equal(index.Number, int64(0))
}

func TestTransferManyIsAllOrNothingWhenAtomic(t *testing.T) {
	b := newBank(t)
	b.Register("bob@example.org")
	to := b.Open("KZT", "", 0)
	b.Register("ann@example.org")
	from := b.Open("KZT", "", 100_100)
	fsmtest.Rejects(b.Machine, wallet.TransferMany, wallet.Transfers{Atomic: true, Rows: []wallet.Transfer{
		{From: from, To: to, Amount: 10}, {From: from, To: "wal_0", Amount: 10},
	}}, wallet.ErrReceiverNotFound)
	b.Equal(b.Balance(from), ledger.Amount(100_100))
	b.Read(func(v *store.View) { b.Equal(ledgerchain.Size(v), uint64(1)) })
}

func TestPaymentReferenceIsAPermanentKey(t *testing.T) {
	b := newBank(t)
	b.Register("bob@example.org")
	to := b.Open("KZT", "", 0)
	b.Register("ann@example.org")
	from := b.Open("KZT", "", 10_000)
	first := fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: to, Amount: 100, Reference: "inv-1"})
	b.Advance(3 * store.Day)
	again := fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, ToEmail: "bob@example.org", Amount: 100, Reference: "inv-1"})
	b.Equal(again.Repeated, true)
	b.Equal(again.Out, first.Out)
	fsmtest.Rejects(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: to, Amount: 101, Reference: "inv-1"}, wallet.ErrRefConflict)
	b.Equal(b.Balance(to), ledger.Amount(100))
}

func TestSameRequestAppliesOnce(t *testing.T) {
	b := newBank(t)
	b.Register("bob@example.org")
	to := b.Open("KZT", "", 0)
	b.Register("ann@example.org")
	from := b.Open("KZT", "", 10_000)
	caller := b.Caller()
	first, err := wallet.TransferFunds.Submit(caller, b.Proposer(), wallet.Transfer{From: from, To: to, Amount: 100})
	if err != nil {
		t.Fatal(err)
	}
	again, err := wallet.TransferFunds.Submit(caller, b.Proposer(), wallet.Transfer{From: from, To: to, Amount: 100})
	if err != nil || !caller.Outcome.Replayed {
		t.Fatalf("replay: %v, %+v", err, caller.Outcome)
	}
	b.Equal(again, first)
	caller.From.BodyHash[0]++
	_, err = wallet.TransferFunds.Submit(caller, b.Proposer(), wallet.Transfer{From: from, To: to, Amount: 101})
	b.Equal(fsm.ErrKeyReused.Is(err), true)
	b.Advance(25 * store.Hour)
	if _, err = wallet.TransferFunds.Submit(caller, b.Proposer(), wallet.Transfer{From: from, To: to, Amount: 101}); err != nil {
		t.Fatal(err)
	}
	b.Equal(b.Balance(to), ledger.Amount(201))
}

func TestCapsEndWithKYC(t *testing.T) {
	b := newBank(t)
	admin := b.Register("admin@example.org")
	ann := b.Register("ann@example.org")
	first, second := b.Open("KZT", "", 30_000_000), b.Open("KZT", "more", 20_000_000)
	fsmtest.Rejects(b.Machine, wallet.DepositFunds, wallet.Payment{Wallet: second, Amount: 1}, wallet.ErrDepositCap)
	b.Set("QPAYNET_ADMIN_EMAILS", " Admin@example.org , x@y.z")
	b.Set("QPAYNET_KYC_THRESHOLD", "1000")
	fsmtest.Must(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: first, Amount: 100_000})
	refused := fsmtest.Rejects(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: first, Amount: 1}, wallet.ErrKYCRequired)
	threshold, _ := refused.Detail("threshold")
	b.Equal(threshold.Number, int64(100_000))

	fsmtest.Must(b.Machine, identity.SubmitKYC, identity.Submit{FullName: "Ann Example", IIN: "123456789012"})
	fsmtest.Rejects(b.Machine, identity.DecideKYC, identity.Decide{User: store.ID(ann.ID), Verify: true}, identity.ErrNotAdmin)
	b.As(admin)
	fsmtest.Must(b.Machine, identity.DecideKYC, identity.Decide{User: store.ID(ann.ID), Verify: true})
	b.As(ann)
	fsmtest.Must(b.Machine, wallet.DepositFunds, wallet.Payment{Wallet: second, Amount: 1})
	fsmtest.Must(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: first, Amount: 1})
}

func TestFrozenAndClosedWalletsRefuseMoney(t *testing.T) {
	b := newBank(t)
	b.Set("QPAYNET_ADMIN_EMAILS", "admin@example.org")
	admin := b.Register("admin@example.org")
	ann := b.Register("ann@example.org")
	from, other := b.Open("KZT", "", 10_000), b.Open("KZT", "second", 0)
	b.As(admin)
	fsmtest.Must(b.Machine, wallet.FreezeWallet, wallet.Freeze{ID: from, Reason: "check it"})
	fsmtest.Rejects(b.Machine, wallet.FreezeWallet, wallet.Freeze{ID: from, Reason: "check it"}, wallet.ErrNotActive)
	b.As(ann)
	fsmtest.Rejects(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: other, Amount: 1}, wallet.ErrSenderInactive)
	fsmtest.Rejects(b.Machine, wallet.DepositFunds, wallet.Payment{Wallet: from, Amount: 1}, wallet.ErrInactive)
	fsmtest.Rejects(b.Machine, wallet.CloseWallet, wallet.Close{ID: from}, wallet.ErrIsFrozen)
	b.As(admin)
	fsmtest.Must(b.Machine, wallet.UnfreezeWallet, wallet.Freeze{ID: from, Reason: "all good"})
	b.As(ann)
	fsmtest.Rejects(b.Machine, wallet.CloseWallet, wallet.Close{ID: from}, wallet.ErrNotEmpty)
	fsmtest.Must(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: from, Amount: 9_990})
	fsmtest.Must(b.Machine, wallet.CloseWallet, wallet.Close{ID: from})
	fsmtest.Rejects(b.Machine, wallet.CloseWallet, wallet.Close{ID: from}, wallet.ErrAlreadyClosed)
	fsmtest.Rejects(b.Machine, wallet.DepositFunds, wallet.Payment{Wallet: from, Amount: 1}, wallet.ErrInactive)
	b.Read(func(v *store.View) {
		primary, ok := wallet.Primary(v, store.ID(ann.ID), "KZT")
		b.Equal(ok, true)
		b.Equal(primary.ID, other)
	})
}

func TestDeletedAccountsKeepTheirMoneyFrozen(t *testing.T) {
	b := newBank(t)
	ann := b.Register("ann@example.org")
	full, empty := b.Open("KZT", "", 5), b.Open("USD", "", 0)
	fsmtest.Must(b.Machine, identity.DeleteAccount, identity.Delete{Surface: identity.AEVION})
	b.Read(func(v *store.View) {
		w, _ := wallet.Get(v, full)
		b.Equal(w.Status, wallet.Frozen)
		w, _ = wallet.Get(v, empty)
		b.Equal(w.Status, wallet.Closed)
	})
	fsmtest.Rejects(b.Machine, wallet.OpenWallet, wallet.Open{Currency: "KZT"}, identity.ErrAuthRequired)
	b.Register("ann@example.org")
	_ = ann
}
