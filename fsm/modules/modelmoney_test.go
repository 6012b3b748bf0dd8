package modules_test

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/fxamacker/cbor/v2"

	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/wallet"
	"coffer/store"
)

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func equal(a, b fsm.Outcome) bool { return bytes.Equal(fsm.EncodeOutcome(a), fsm.EncodeOutcome(b)) }

func diagnose(encoded []byte) string {
	text, err := cbor.Diagnose(encoded)
	if err != nil {
		return err.Error()
	}
	return text
}

func (m *model) wallet(r fsm.Request, actor *person, now store.Time, got fsm.Outcome) (code string, entries int) {
	switch r.Command {
	case wallet.FreezeWallet.Name, wallet.UnfreezeWallet.Name:
		return m.freeze(r), 0
	}
	if r.Actor.Kind != fsm.User {
		return "auth_required", 0
	}
	switch r.Command {
	case wallet.OpenWallet.Name:
		return m.open(r, actor, got), 0
	case wallet.UpdateWallet.Name:
		if m.owned(actor, input[wallet.Update](m, r).ID) == nil {
			return "wallet_not_found", 0
		}
		return "", 0
	case wallet.CloseWallet.Name:
		return m.closing(m.owned(actor, input[wallet.Close](m, r).ID)), 0
	case wallet.DepositFunds.Name:
		return m.payment(r, actor, now, got, m.deposit)
	case wallet.WithdrawFunds.Name:
		return m.payment(r, actor, now, got, m.withdraw)
	case wallet.TransferFunds.Name:
		return m.transfer(r, actor, now, got)
	case wallet.TransferMany.Name:
		return m.transferMany(r, actor, now, got)
	}
	m.Fatalf("the model does not know %s", r.Command)
	return "", 0
}

func (m *model) open(r fsm.Request, p *person, got fsm.Outcome) string {
	in := input[wallet.Open](m, r)
	if in.Currency != "KZT" && in.Currency != "USD" {
		return "unsupported_currency"
	}
	first := m.primary(p, in.Currency)
	if first != nil && in.Name == "" {
		return "wallet_exists"
	}
	w := output[wallet.Wallet](m, got)
	m.want("primary", w.Primary, first == nil)
	m.purses = append(m.purses, &purse{id: w.ID, of: p, currency: in.Currency, status: wallet.Active, primary: first == nil})
	return ""
}

func (m *model) closing(w *purse) string {
	switch {
	case w == nil:
		return "wallet_not_found"
	case w.status == wallet.Closed:
		return "already_closed"
	case w.status == wallet.Frozen:
		return "wallet_frozen"
	case w.balance != 0 || w.pending != 0:
		return "balance_must_be_zero"
	}
	m.shut(w)
	return ""
}

// shut closes a wallet; the oldest active one of its currency is primary then.
func (m *model) shut(w *purse) {
	w.status = wallet.Closed
	if !w.primary {
		return
	}
	w.primary = false
	for _, other := range m.purses { // they stand in order of age
		if other.of == w.of && other.currency == w.currency && other.status == wallet.Active {
			other.primary = true
			return
		}
	}
}

func (m *model) freeze(r fsm.Request) string {
	w := m.purse(input[wallet.Freeze](m, r).ID)
	freeze := r.Command == wallet.FreezeWallet.Name
	switch {
	case !m.isAdmin(r):
		return "not_admin"
	case freeze && (w == nil || w.status != wallet.Active):
		return "wallet_not_found_or_not_active"
	case freeze:
		w.status = wallet.Frozen
		return ""
	case w == nil || w.status != wallet.Frozen:
		return "wallet_not_found_or_not_frozen"
	}
	w.status = wallet.Active
	w.primary = w.primary || m.primary(w.of, w.currency) == nil
	return ""
}

// fee is a thousandth or what is set, rounded up.
func (m *model) fee(amount int64) int64 {
	rate := m.texts["QPAYNET_FEE_PPM"]
	return (amount*rate + 999_999) / 1_000_000
}

// counted is what caps count in tiyin.
func counted(amount int64, currency string) int64 {
	if currency == "USD" {
		return amount * 500
	}
	return amount
}

// payment is a deposit or a withdrawal.
func (m *model) payment(r fsm.Request, p *person, now store.Time, got fsm.Outcome, pay func(*person, *purse, wallet.Payment, store.Time) (code string, fee int64)) (string, int) {
	in := input[wallet.Payment](m, r)
	w := m.owned(p, in.Wallet)
	key := fmt.Sprint(r.Command, in.Wallet, in.Reference)
	if ref := m.refs[key]; w != nil && in.Reference != "" && ref != nil {
		if ref.amount != int64(in.Amount) {
			return "payment_ref_conflict", 0
		}
		m.same(ref, got, &wallet.Paid{})
		return "", 0
	}
	code, fee := pay(p, w, in, now)
	if code != "" {
		return code, 0
	}
	out := output[wallet.Paid](m, got)
	m.want("payment", []any{out.Fee, out.Balance, out.At, out.Repeated, out.Currency}, []any{fee, w.balance, now, false, w.currency})
	if in.Reference != "" {
		m.refs[key] = &reference{amount: int64(in.Amount), result: got.Result}
	}
	return "", 1
}

// same wants a result that differs from the first one only in Repeated.
func (m *model) same(ref *reference, got fsm.Outcome, into any) {
	m.Helper()
	if err := store.Decode(ref.result, into); err != nil {
		m.Fatal(err)
	}
	switch first := into.(type) {
	case *wallet.Paid:
		first.Repeated = true
	case *wallet.Transferred:
		first.Repeated = true
	}
	if want := store.Encode(into); !bytes.Equal(want, got.Result) {
		m.Fatalf("a repeated payment answers %s, want %s", diagnose(got.Result), diagnose(want))
	}
}

func (m *model) deposit(p *person, w *purse, in wallet.Payment, now store.Time) (string, int64) {
	if m.texts["QPAYNET_STUB_DEPOSIT"] == 0 {
		return "stub_deposit_disabled", 0
	}
	if code := payable(w, in); code != "" {
		return code, 0
	}
	sum := counted(int64(in.Amount), w.currency)
	for _, d := range p.deposits {
		if d.at+store.Time(store.Day) > now {
			sum += d.counted
		}
	}
	if p.kyc != identity.KYCVerified && sum > m.texts["QPAYNET_DAILY_DEPOSIT_CAP"]*100 {
		return "daily_deposit_cap_exceeded", 0
	}
	p.deposits = append(p.deposits, deposited{now, counted(int64(in.Amount), w.currency)})
	m.system["funding "+w.currency] -= int64(in.Amount)
	w.balance += int64(in.Amount)
	m.moved(p, now)
	return "", 0
}

func (m *model) withdraw(p *person, w *purse, in wallet.Payment, now store.Time) (string, int64) {
	if code := payable(w, in); code != "" {
		return code, 0
	}
	fee := m.fee(int64(in.Amount))
	if w.balance-w.pending < int64(in.Amount)+fee {
		return "insufficient_balance", 0
	}
	if code := m.monthly(p, int64(in.Amount), w.currency, now); code != "" {
		return code, 0
	}
	w.balance -= int64(in.Amount) + fee
	m.system["payout "+w.currency] += int64(in.Amount)
	m.system["fees "+w.currency] += fee
	m.moved(p, now)
	p.outgoing[month(now)] += counted(int64(in.Amount), w.currency)
	p.score += 3
	return "", fee
}

func payable(w *purse, in wallet.Payment) string {
	switch {
	case w == nil:
		return "wallet_not_found"
	case in.Currency != "" && in.Currency != w.currency:
		return "currency_mismatch"
	case w.status != wallet.Active:
		return "wallet_inactive"
	}
	return ""
}

func (m *model) monthly(p *person, amount int64, currency string, now store.Time) string {
	if p.kyc != identity.KYCVerified && p.outgoing[month(now)]+counted(amount, currency) > m.texts["QPAYNET_KYC_THRESHOLD"]*100 {
		return "kyc_required"
	}
	return ""
}

// moved counts a transaction for the month of a wallet's owner.
func (m *model) moved(p *person, now store.Time) { p.moves[month(now)]++ }

// vault is what test commands do with holds, and entries from outside.
func (m *model) vault(r fsm.Request, now store.Time, got fsm.Outcome) (string, int) {
	switch r.Command {
	case ledger.AppendExternal.Name:
		if r.Actor.Kind != fsm.User {
			return "auth_required", 0
		}
		return "", 1
	case reserveSum.Name:
		in := input[reserve](m, r)
		w := m.purse(in.Account)
		if w.balance-w.pending < int64(in.Amount) {
			return "insufficient_balance", 0
		}
		w.pending += int64(in.Amount)
		m.holds[output[ledger.Hold](m, got).ID] = &reserved{w, int64(in.Amount), ledger.Held, in.ExpiresAt}
		return "", 0
	}
	in := input[capture](m, r)
	h := m.holds[in.ID]
	switch {
	case r.Command == ledger.ExpireHold.Name && r.Actor.Kind != fsm.Node:
		return "not_permitted", 0
	case h == nil:
		return "hold_not_found", 0
	case h.status != ledger.Held:
		return "hold_has_ended", 0
	case r.Command == ledger.ExpireHold.Name && (h.expires == 0 || h.expires > now):
		return "hold_is_not_due", 0
	case r.Command == captureSum.Name && int64(in.Amount) > h.amount:
		return "insufficient_balance", 0
	}
	h.in.pending -= h.amount
	h.status = ledger.Released
	if r.Command != captureSum.Name {
		return "", 0
	}
	h.in.balance -= int64(in.Amount)
	m.system["payout "+h.in.currency] += int64(in.Amount)
	return "", 1
}
