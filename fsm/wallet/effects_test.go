package wallet_test

import (
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/reputation"
	"coffer/fsm/wallet"
	"coffer/ledgerchain"
	"coffer/store"
)

// trace is what a command left besides balances.
type trace struct {
	Chain  []string // kinds of entries
	Events []string
	Scores []string // of the acting user
	Audit  []string // of the acting user, both trails
}

// watch runs work and returns its trace.
func watch(b *bank.Bank, work func()) (found trace) {
	who := store.ID(b.Actor.ID)
	var size, scored uint64
	var audited [2]uint64
	before := queued(b)
	trails := [2]identity.Trail{identity.QPayNetTrail, identity.AuthTrail}
	b.Read(func(v *store.View) {
		size, scored = ledgerchain.Size(v), uint64(reputation.Of(v, who).Events)
		for i, trail := range trails {
			audited[i] = identity.AuditCount(v, trail, who)
		}
	})
	work()
	found.Events = kinds(events(b, before))
	b.Read(func(v *store.View) {
		for i := size; i < ledgerchain.Size(v); i++ {
			f := ledger.FactAt(v, i)
			found.Chain = append(found.Chain, f.Kind)
		}
		for _, e := range reputation.Recent(v, who, int(uint64(reputation.Of(v, who).Events)-scored)) {
			found.Scores = append(found.Scores, e.Kind)
		}
		for i, trail := range trails {
			for _, row := range identity.AuditOf(v, trail, who, 0) {
				if identity.AuditCount(v, trail, who) == audited[i] {
					break
				}
				audited[i]++
				found.Audit = append(found.Audit, row.Action)
			}
		}
	})
	return found
}

func TestEveryTriggerHasItsEffectsAndNoOthers(t *testing.T) {
	b := newBank(t)
	bob := b.Register("bob@example.org")
	to := b.Open("KZT", "", 0)
	b.Register("ann@example.org")
	var from, own store.ID
	expect := func(want trace, work func()) {
		t.Helper()
		b.Equal(watch(b, work), want)
	}
	expect(trace{Events: []string{"wallet.opened"}, Audit: []string{"wallet_created"}}, func() { from = b.Open("KZT", "", 0) })
	expect(trace{Chain: []string{"deposit"}, Events: []string{"wallet.deposit"}, Audit: []string{"deposit"}}, func() {
		fsmtest.Must(b.Machine, wallet.DepositFunds, wallet.Payment{Wallet: from, Amount: 10_000})
	})
	expect(trace{Chain: []string{"transfer"}, Events: []string{"wallet.transferred"}, Scores: []string{"qpaynet-active"}, Audit: []string{"transfer"}}, func() {
		fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: to, Amount: 100, Reference: "r"})
	})
	expect(trace{}, func() { // a replay has none
		fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: to, Amount: 100, Reference: "r"})
	})
	own = b.Open("KZT", "own", 0)
	expect(trace{Chain: []string{"transfer"}, Events: []string{"wallet.transferred"}, Audit: []string{"transfer"}}, func() {
		fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: own, Amount: 100})
	})
	expect(trace{Events: []string{"wallet.transfer_failed"}}, func() {
		fsmtest.Rejects(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: to, Amount: 100_000}, ledger.ErrInsufficient)
	})
	expect(trace{Events: []string{"wallet.transfer_failed"}}, func() { // one event for a command
		done := fsmtest.Must(b.Machine, wallet.TransferMany, wallet.Transfers{Rows: []wallet.Transfer{
			{From: from, To: to, Amount: 90_000}, {From: from, To: from, Amount: 1}, {From: from, To: to, Amount: 80_000}}})
		b.Equal([]string{done.Rows[0].Code, done.Rows[2].Code}, []string{ledger.ErrInsufficient.Code, ledger.ErrInsufficient.Code})
	})
	expect(trace{}, func() {
		fsmtest.Rejects(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: "wal_0", Amount: 1}, wallet.ErrReceiverNotFound)
		fsmtest.Rejects(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: from, Amount: 100_000}, ledger.ErrInsufficient)
	})
	expect(trace{Chain: []string{"withdrawal"}, Events: []string{"wallet.withdrawal"}, Scores: []string{"qpaynet-payout"}, Audit: []string{"withdraw"}}, func() {
		fsmtest.Must(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: from, Amount: 1000})
	})
	expect(trace{Audit: []string{"wallet_updated"}}, func() { fsmtest.Must(b.Machine, wallet.UpdateWallet, wallet.Update{ID: own, Name: "new"}) })
	expect(trace{Events: []string{"wallet.frozen"}, Audit: []string{"wallet_frozen"}}, func() {
		ann := b.Actor
		admin := b.Admin()
		b.As(admin)
		fsmtest.Must(b.Machine, wallet.FreezeWallet, wallet.Freeze{ID: own, Reason: "check it"})
		b.As(ann)
	})
	b.As(bob)
	b.Equal(b.Score(bob.ID), int64(1))
}

func TestChainEntriesSayWhatTheContractSays(t *testing.T) {
	b := newBank(t)
	from, to := two(b)
	ann := store.ID(b.Actor.ID)
	salt, err := ledgerchain.NewSalt([]byte(fsmtest.Secret))
	if err != nil {
		t.Fatal(err)
	}
	sent := fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: to, Amount: 1001, Memo: "secret", Reference: "ref"})
	out := fsmtest.Must(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: from, Amount: 5})
	b.Set("QPAYNET_DAILY_DEPOSIT_CAP", "1000000")
	in := fsmtest.Must(b.Machine, wallet.DepositFunds, wallet.Payment{Wallet: from, Amount: 7})
	account := func(id store.ID) string { return "qpaynet-wallet:" + string(id) }
	b.Read(func(v *store.View) {
		for i, want := range []struct {
			kind, from, to string
			amount, fee    int64
			legs           int
			transaction    string
		}{
			{"deposit", "external:funding", account(from), 50_000_000, 0, 2, ""},
			{"transfer", account(from), account(to), 1001, 2, 3, sent.Out},
			{"withdrawal", account(from), "external:payout", 5, 1, 3, out.Transaction},
			{"deposit", "external:funding", account(from), 7, 0, 2, in.Transaction}, // what its user knows
		} {
			f := ledger.FactAt(v, uint64(i))
			b.Equal([]any{f.Module, f.Kind, f.From, f.To, f.Amount, f.Currency, len(f.Legs)},
				[]any{"qpaynet", want.kind, salt.Blind(want.from), salt.Blind(want.to), want.amount, "KZT", want.legs})
			b.Equal(f.Public("actor"), salt.Blind("user:"+string(ann)))
			if want.transaction != "" {
				b.Equal(f.Public("transactionId"), want.transaction)
			}
			fee, ok := ledgerchain.Member(f.Meta, "fee")
			b.Equal(ok, want.fee > 0)
			if ok {
				n, _ := ledgerchain.ParseInt(fee)
				b.Equal(n, want.fee)
			}
		}
		deposit := ledger.FactAt(v, 0)
		b.Equal(deposit.Public("provider"), "direct")
		f := ledger.FactAt(v, 1)
		b.Equal(string(f.Private), `{"memo":"secret","paymentRef":"ref"}`)
		b.Equal(f.Public("memo"), "")
		m, ok := ledger.Find(v, sent.In)
		b.Equal(ok, true)
		b.Equal([]any{m.Account, m.Net, m.Sibling(0), m.Entry}, []any{to, ledger.Amount(1001), sent.Out, sent.Entry})
	})
}

// The receiver's balance is shown or not by a setting, at the time of the
// transfer.
func TestTheReceiversBalanceMayBeHidden(t *testing.T) {
	b := newBank(t)
	from, to := two(b)
	b.Equal(fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: to, Amount: 5}).HideTo, false)
	b.Set("QPAYNET_HIDE_COUNTERPARTY_BALANCE", "1")
	b.Equal(fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: to, Amount: 5}).HideTo, true)
}

// A dry run of money says what the real thing says and moves nothing.
func TestADryRunOfATransfer(t *testing.T) {
	b := newBank(t)
	from, to := two(b)
	for _, amount := range []ledger.Amount{1000, 49_999_999} {
		transfer := wallet.Transfer{From: from, To: to, Amount: min(amount, 10_000_000), Reference: "r"}
		if amount > 10_000_000 {
			transfer.From, transfer.To = to, from
		}
		digest, dump := b.Digest(), b.Dump()
		caller := b.Caller()
		caller.From.DryRun = true
		tried, triedErr := wallet.TransferFunds.Submit(caller, b.Proposer(), transfer)
		b.Equal(b.Digest(), digest)
		b.Equal(fsmtest.FirstDifference(b.Dump(), dump), "")
		caller = b.Caller()
		real, err := wallet.TransferFunds.Submit(caller, b.Proposer(), transfer)
		refused, _ := fsm.AsRejection(err)
		triedRefused, _ := fsm.AsRejection(triedErr)
		b.Equal(triedRefused, refused)
		b.Equal([]any{tried.Amount, tried.Fee, tried.FromBalance, tried.ToBalance}, []any{real.Amount, real.Fee, real.FromBalance, real.ToBalance})
		b.Equal(caller.Outcome.Replayed, false)
	}
}
