package ledger_test

import (
	"strings"
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/ledger"
	"coffer/ledgerchain"
	"coffer/store"
)

func TestPostingsOnOneAccountAreOneLeg(t *testing.T) {
	b := newVault(t, fsmtest.Options{})
	pay(b, leg{"a", "b", 100}, leg{"b", "a", 30}, leg{"a", "c", 5}, leg{"c", "d", 5})
	b.Read(func(v *store.View) {
		f := ledger.FactAt(v, 1)
		b.Equal(f.Legs, []ledger.Leg{{Account: "a", Net: -75}, {Account: "b", Net: 70}, {Account: "c", Net: 0}, {Account: "d", Net: 5}})
	})
	a := account(b, "a")
	b.Equal([]ledger.Amount{a.Debits, a.Credits, a.Balance()}, []ledger.Amount{75, 1000, 925})
	c := account(b, "c") // passed through: it has the row in its history
	b.Equal([]any{c.Debits, c.Credits, c.Last}, []any{ledger.Amount(0), ledger.Amount(0), uint64(2)})
}

// What counts is what an account has after the whole transaction.
func TestMoneyMayPassThroughAnEmptyAccount(t *testing.T) {
	b := newVault(t, fsmtest.Options{})
	pay(b, leg{"c", "d", 40}, leg{"a", "c", 40})
	b.Equal(account(b, "d").Balance(), ledger.Amount(40))
	short := fsmtest.Rejects(b.Machine, postMoney, post{Currency: "KZT", Postings: []leg{{"c", "d", 41}, {"a", "c", 40}}}, ledger.ErrInsufficient)
	for name, want := range map[string]int64{"required": 1, "balance": 0} {
		d, _ := short.Detail(name)
		b.Equal(d.Number, want)
	}
}

func TestARefusedTransactionLeavesNoTrace(t *testing.T) {
	b := newVault(t, fsmtest.Options{})
	before := b.Dump()
	for _, c := range []struct {
		name string
		post post
		want *fsm.Rejection
	}{
		{"the last account is short", post{"KZT", []leg{{"a", "b", 10}, {"c", "d", 1}}, ""}, ledger.ErrInsufficient},
		{"an account of another currency", post{"KZT", []leg{{"a", "b", 10}, {"a", "z", 1}}, ""}, ledger.ErrCurrency},
		{"a transaction in another currency", post{"USD", []leg{{"a", "b", 10}}, ""}, ledger.ErrCurrency},
		{"sums that do not fit", post{"KZT", full("other", 1025), ""}, ledger.ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) { fsmtest.Rejects(b.Machine, postMoney, c.post, c.want) })
	}
	after := b.Dump()
	b.Equal(len(after), len(before))
	b.Read(func(v *store.View) { b.Equal(ledgerchain.Size(v), uint64(1)) })
	b.Equal(account(b, "a").Balance(), ledger.Amount(1000))
}

// full credits an account with the largest amount, so often; each time from
// another operator's account, whose own sums stay small.
func full(id store.ID, times int) (legs []leg) {
	sources := []store.ID{ledger.System(ledger.Funding, "KZT"), ledger.System(ledger.Fees, "KZT"), ledger.System(ledger.Payout, "KZT")}
	for i := range times {
		legs = append(legs, leg{sources[i%len(sources)], id, ledger.MaxAmount})
	}
	return legs
}

func TestSumsMayReachButNotPassTheirEnd(t *testing.T) {
	b := newVault(t, fsmtest.Options{})
	pay(b, full("other", 1024)...)
	rest := ledger.Amount(1<<63-1) - 1024*ledger.MaxAmount
	pay(b, leg{ledger.System(ledger.Fees, "KZT"), "other", rest})
	b.Equal(account(b, "other").Balance(), ledger.Amount(1<<63-1))
	fsmtest.Rejects(b.Machine, postMoney, post{Currency: "KZT", Postings: []leg{{"a", "other", 1}}}, ledger.ErrTooLarge)
}

func TestWhatMakesNoSenseIsAFailedCommand(t *testing.T) {
	b := newVault(t, fsmtest.Options{Lenient: true})
	many := make([]leg, 16)
	for i := range many {
		id := store.ID("m" + strings.Repeat("x", i))
		openIn(b, ledger.Account{ID: id, Currency: "KZT"})
		many[i] = leg{"a", id, 1}
	}
	before := len(b.Dump())
	for name, legs := range map[string][]leg{
		"nothing":             {{"a", "b", 0}},
		"less than nothing":   {{"a", "b", -1}},
		"too much":            {{"a", "b", ledger.MaxAmount + 1}},
		"to itself":           {{"a", "a", 1}},
		"to nobody":           {{"a", "nobody", 1}},
		"to a made-up system": {{"a", "slush:KZT", 1}},
		"to 17 accounts":      many,
	} {
		t.Run(name, func(t *testing.T) {
			fsmtest.Rejects(b.Machine, postMoney, post{Currency: "KZT", Postings: legs}, fsm.ErrInternal)
		})
	}
	fsmtest.Rejects(b.Machine, postMoney, post{Currency: "KZT", Postings: []leg{{"a", "b", 1}}, Memo: strings.Repeat("m", 20<<10)}, fsm.ErrInternal)
	fsmtest.Rejects(b.Machine, openAccount, ledger.Account{ID: "a"}, fsm.ErrInternal)
	fsmtest.Rejects(b.Machine, reserveSum, reserve{Account: "a", Amount: 0}, fsm.ErrInternal)
	fsmtest.Rejects(b.Machine, reserveSum, reserve{Account: "a", Amount: -5}, fsm.ErrInternal)
	fsmtest.Rejects(b.Machine, reserveSum, reserve{Account: "nobody", Amount: 5}, fsm.ErrInternal)
	b.Equal(len(b.Dump()), before)
	pay(b, many[:15]...) // 16 accounts are allowed
}

// The operator's own accounts open at their first posting, one per currency.
func TestSystemAccountsOpenThemselves(t *testing.T) {
	b := newVault(t, fsmtest.Options{})
	pay(b, leg{"a", ledger.System(ledger.Fees, "KZT"), 3}, leg{"a", ledger.System(ledger.Payout, "KZT"), 7})
	fees, payout := account(b, "fees:KZT"), account(b, "payout:KZT")
	b.Equal([]any{fees.Code, fees.Kind, fees.Currency, fees.Balance()}, []any{"fees", ledger.Revenue, "KZT", ledger.Amount(3)})
	b.Equal([]any{payout.Code, payout.Kind, payout.Balance()}, []any{"payout", ledger.Asset, ledger.Amount(7)})
	b.Equal(account(b, "funding:KZT").Balance(), ledger.Amount(-1000))
	b.Read(func(v *store.View) {
		b.Equal(ledger.TrialBalances(v), []ledger.TrialBalance{
			{Currency: "KZT", Debits: 1010, Credits: 1010, Positive: 1000, Negative: -1000, Accounts: 8}, {Currency: "USD", Accounts: 1}})
	})
	fsmtest.Rejects(b.Machine, postMoney, post{Currency: "USD", Postings: []leg{{"z", "fees:KZT", 1}}}, ledger.ErrCurrency)
}

func TestTransactionIDsCarryTheirPlace(t *testing.T) {
	b := newVault(t, fsmtest.Options{})
	made := pay(b, leg{"a", "b", 10}, leg{"a", "d", 20})
	b.Read(func(v *store.View) {
		for leg, want := range []store.ID{"a", "b", "d"} {
			m, ok := ledger.Find(v, made.IDs[leg])
			b.Equal(ok, true)
			b.Equal([]any{m.Account, m.Leg, m.Height, m.ID, m.Entry}, []any{want, leg, made.Height, made.IDs[leg], made.Entry})
			b.Equal(m.Sibling(0), made.IDs[0])
		}
		f, ok := ledger.FindEntry(v, made.Entry)
		b.Equal(ok, true)
		b.Equal(f.Entry.Index, made.Height-1)
		first := ledger.FactAt(v, 0)
		for _, id := range []string{
			"", "tx_", "tx_00", made.IDs[3], // there is no fourth leg
			made.IDs[0] + "0", strings.ToUpper(made.IDs[0]), "vnx_" + made.IDs[0][3:],
			made.IDs[0][:len(made.IDs[0])-1] + flip(made.IDs[0]),
			"tx_" + "00000000000063" + made.IDs[0][17:], // beyond the chain
			"tx_" + "00000000000000" + made.IDs[0][17:], // another entry's place
			"tx_ffffffffffffffffffffffffffffffff",
		} {
			if _, ok := ledger.Find(v, id); ok {
				t.Errorf("%q names a transaction", id)
			}
		}
		for _, id := range []string{"", made.Entry[:len(made.Entry)-1] + flip(made.Entry), "vnx_" + first.ID[4:20] + made.Entry[20:], made.IDs[0]} {
			if _, ok := ledger.FindEntry(v, id); ok {
				t.Errorf("%q names an entry", id)
			}
		}
	})
}

// flip is another last digit.
func flip(id string) string {
	if id[len(id)-1] == '0' {
		return "1"
	}
	return "0"
}

func TestEveryRejectionOfTheLedgerIsReached(t *testing.T) {
	user := func(b *bank.Bank) { b.Register("ann@example.org") }
	expire := func(id store.ID) func(*bank.Bank) error {
		return func(b *bank.Bank) (err error) {
			b.AsNode(func() { err = bank.Submit(b, ledger.ExpireHold, ledger.Expire{ID: id}) })
			return err
		}
	}
	held := func(b *bank.Bank, expiresAt store.Time) store.ID {
		openIn(b, ledger.Account{ID: "a", Currency: "KZT"})
		pay(b, leg{"funding:KZT", "a", 1000})
		return fsmtest.Must(b.Machine, reserveSum, reserve{Account: "a", Amount: 1, ExpiresAt: expiresAt}).ID
	}
	bank.CheckRefusals(t, "ledger.", []bank.Refusal{
		bank.On("ledger.expire_hold/1", "not_permitted", func(b *bank.Bank) error {
			user(b)
			return bank.Submit(b, ledger.ExpireHold, ledger.Expire{})
		}),
		bank.On("ledger.expire_hold/1", "hold_not_found", expire("hld_0")),
		bank.On("ledger.expire_hold/1", "hold_is_not_due", func(b *bank.Bank) error { return expire(held(b, b.Clock+1_000_000))(b) }),
		bank.On("ledger.expire_hold/1", "hold_has_ended", func(b *bank.Bank) error {
			id := held(b, b.Clock+5)
			fsmtest.Must(b.Machine, releaseSum, ledger.Expire{ID: id})
			return expire(id)(b)
		}),
		bank.On("ledger.record_scan/1", "not_permitted", func(b *bank.Bank) error {
			user(b)
			return bank.Submit(b, ledger.RecordScan, ledger.Scan{})
		}),
		bank.On("ledger.record_scan/1", "scan_beyond_the_chain", func(b *bank.Bank) (err error) {
			b.AsNode(func() { err = bank.Submit(b, ledger.RecordScan, ledger.Scan{To: 1}) })
			return err
		}),
		bank.On("ledger.append_external/1", "auth_required", func(b *bank.Bank) error {
			return bank.Submit(b, ledger.AppendExternal, ledger.External{Kind: "transfer", Amount: 1, Currency: "USD"})
		}),
		bank.On("ledger.append_external/1", "ledger_not_founded", func(b *bank.Bank) error {
			user(b)
			return bank.Submit(b, ledger.AppendExternal, ledger.External{Kind: "transfer", Amount: 1, Currency: "USD"})
		}),
	}, vaultModule())
}

func TestTheImbalanceAddsUpAllCurrencies(t *testing.T) {
	b := newVault(t, fsmtest.Options{Unchecked: true})
	imbalance := func(goOn func() bool) (sum ledger.Amount, complete bool) {
		b.Read(func(v *store.View) { sum, complete = ledger.Imbalance(v, goOn) })
		return sum, complete
	}
	always := func() bool { return true }
	sum, complete := imbalance(always)
	b.Equal([]any{sum, complete}, []any{ledger.Amount(0), true})
	openIn(b, ledger.Account{ID: "forged", Currency: "KZT", Credits: 7})
	openIn(b, ledger.Account{ID: "lost", Currency: "USD", Debits: 5})
	sum, complete = imbalance(always)
	b.Equal([]any{sum, complete}, []any{ledger.Amount(12), true})
	seen := 0
	sum, complete = imbalance(func() bool { seen++; return seen < 3 })
	b.Equal([]any{sum, complete, seen}, []any{ledger.Amount(0), false, 3})
}
