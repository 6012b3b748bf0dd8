package wallet

import (
	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/limits"
	"coffer/fsm/outbox"
	"coffer/fsm/reputation"
	"coffer/fsm/settings"
	"coffer/store"
)

// Payment is the input of DepositFunds and WithdrawFunds.
type Payment struct {
	Wallet    store.ID      `cbor:"1,keyasint"`
	Amount    ledger.Amount `cbor:"2,keyasint"`
	Currency  string        `cbor:"3,keyasint,omitempty"` // as the caller named it; empty for the wallet's
	Memo      string        `cbor:"4,keyasint,omitempty"`
	Reference string        `cbor:"5,keyasint,omitempty"`
}

// Paid is a deposit or withdrawal that has happened.
type Paid struct {
	Transaction string        `cbor:"1,keyasint"`
	Amount      ledger.Amount `cbor:"2,keyasint"`
	Fee         ledger.Amount `cbor:"3,keyasint,omitempty"`
	Balance     ledger.Amount `cbor:"4,keyasint"`
	Currency    string        `cbor:"5,keyasint"`
	Entry       string        `cbor:"6,keyasint"`
	At          store.Time    `cbor:"7,keyasint"`
	Repeated    bool          `cbor:"8,keyasint,omitempty"` // answered from the payment reference
}

// DepositFunds puts money from outside into a wallet, without a payment
// provider. Settings may forbid it.
var DepositFunds = fsm.Command[Payment, Paid]{
	Name: "wallet.deposit/1",
	Rejects: fsm.Rejections{ErrStubDeposit, ErrNotFound, ErrInactive, ErrDepositCap, ErrRefConflict,
		ledger.ErrCurrency, ledger.ErrTooLarge, ledger.ErrUnfounded, identity.ErrAuthRequired},
}

func deposit(ctx *fsm.Context, c Payment) (Paid, error) {
	owner, err := user(ctx)
	if err != nil {
		return Paid{}, err
	}
	if ref, used := usedBefore(ctx, depositRef, owner, c); used {
		return repeated(ref, c)
	}
	if !settings.StubDeposit.Of(ctx) {
		return Paid{}, ErrStubDeposit
	}
	w, err := payable(ctx, owner, c)
	if err != nil {
		return Paid{}, err
	}
	if w.Status != Active {
		return Paid{}, ErrInactive
	}
	limit := capsOf(ctx, owner)
	counted := limit.counted(c.Amount, w.Currency)
	if err := limit.daily(counted); err != nil {
		return Paid{}, err
	}
	done, err := post(ctx, w, c, 0, &ledger.Transaction{
		Kind: "deposit", From: "external:funding", To: identifier(w.ID),
		Postings: []ledger.Posting{{Debit: ledger.System(ledger.Funding, w.Currency), Credit: w.ID, Amount: c.Amount}},
		Public:   []ledger.Member{ledger.Text("provider", "direct")},
	})
	if err != nil {
		return Paid{}, err
	}
	limits.RecordDeposit(ctx, owner, counted)
	limits.Record(ctx, limits.Move{User: owner, Currency: w.Currency, In: int64(c.Amount), Count: 1})
	count(ctx, Stats{Transactions: 1, Deposited: inKZT(w.Currency, c.Amount)})
	paymentRef{Use: depositRef, Wallet: w.ID, Reference: c.Reference, Amount: c.Amount}.remember(ctx, done)
	return done, nil
}

// payable returns the acting user's wallet if the caller named its currency
// right.
func payable(ctx *fsm.Context, owner store.ID, c Payment) (Wallet, error) {
	w, ok := Owned(ctx, owner, c.Wallet)
	if !ok {
		return Wallet{}, ErrNotFound
	}
	if c.Currency != "" && c.Currency != w.Currency {
		return Wallet{}, ledger.ErrCurrency.With(fsm.Text("currency", c.Currency), fsm.Text("walletCurrency", w.Currency))
	}
	return w, nil
}

// usedBefore looks for the acting user's payment with the same reference. Like
// the idempotency key it comes ahead of every other check.
func usedBefore(ctx *fsm.Context, use string, owner store.ID, c Payment) (paymentRef, bool) {
	w, owned := Owned(ctx, owner, c.Wallet)
	if !owned {
		return paymentRef{}, false
	}
	return earlier(ctx, use, w.ID, c.Reference)
}

// repeated answers a payment whose reference was used before.
func repeated(ref paymentRef, c Payment) (done Paid, err error) {
	if ref.Amount != c.Amount {
		return Paid{}, ErrRefConflict
	}
	ref.replay(&done)
	done.Repeated = true
	return done, nil
}

// post books a payment of one wallet and tells the trail and the outside.
func post(ctx *fsm.Context, w Wallet, c Payment, fee ledger.Amount, t *ledger.Transaction) (Paid, error) {
	p, err := ledger.NewPoster(ctx)
	if err != nil {
		return Paid{}, err
	}
	complete(t, w, c)
	if err := p.Prepare(t); err != nil {
		return Paid{}, err
	}
	balance := p.Balance(w.ID)
	posted, err := p.Commit()
	if err != nil {
		return Paid{}, err
	}
	p.Close()
	leg := legOf(t, w.ID)
	done := Paid{
		Transaction: posted.Transaction(leg), Amount: c.Amount, Fee: fee, Balance: balance,
		Currency: w.Currency, Entry: posted.Entry(), At: ctx.Now,
	}
	identity.Audit(ctx, identity.QPayNetTrail, w.Owner, auditAction(t.Kind), fsm.Text("transactionId", done.Transaction))
	outbox.Emit(ctx, outbox.Event{Kind: "wallet." + t.Kind, First: posted.Height, Count: 1, Users: []store.ID{w.Owner},
		Facts: []fsm.Detail{fsm.Text("walletId", string(w.ID)), fsm.Number("balance", int64(balance))}})
	return done, nil
}

// complete adds what all payments of a wallet have in common.
func complete(t *ledger.Transaction, w Wallet, c Payment) {
	t.Module, t.Currency, t.Amount, t.Actor = module, w.Currency, int64(c.Amount), w.Owner
	t.Private = private(c.Memo, c.Reference)
}

func private(memo, reference string) []ledger.Member {
	return appendPrivate(nil, memo, reference)
}

func appendPrivate(members []ledger.Member, memo, reference string) []ledger.Member {
	if memo != "" {
		members = append(members, ledger.Text("memo", memo))
	}
	if reference != "" {
		members = append(members, ledger.Text("paymentRef", reference))
	}
	return members
}

// legOf is the place of an account among a transaction's legs: accounts stand
// in the order in which postings name them first.
func legOf(t *ledger.Transaction, account store.ID) int {
	if t.Postings[0].Debit == account {
		return 0
	}
	return 1
}

func auditAction(kind string) string {
	if kind == "withdrawal" {
		return "withdraw"
	}
	return kind
}

// WithdrawFunds takes money out of a wallet and off the platform; the fee comes
// on top.
var WithdrawFunds = fsm.Command[Payment, Paid]{
	Name: "wallet.withdraw/1",
	Rejects: fsm.Rejections{ErrNotFound, ErrInactive, ErrKYCRequired, ErrRefConflict, ledger.ErrInsufficient,
		ledger.ErrCurrency, ledger.ErrTooLarge, ledger.ErrUnfounded, identity.ErrAuthRequired},
}

func withdraw(ctx *fsm.Context, c Payment) (Paid, error) {
	owner, err := user(ctx)
	if err != nil {
		return Paid{}, err
	}
	if ref, used := usedBefore(ctx, withdrawRef, owner, c); used {
		return repeated(ref, c)
	}
	w, err := payable(ctx, owner, c)
	if err != nil {
		return Paid{}, err
	}
	if w.Status != Active {
		return Paid{}, ErrInactive
	}
	fee := feeOf(ctx, c.Amount)
	if err := affordable(ctx, w.ID, c.Amount+fee); err != nil {
		return Paid{}, err
	}
	limit := capsOf(ctx, owner)
	counted := limit.counted(c.Amount, w.Currency)
	if err := limit.monthly(counted); err != nil {
		return Paid{}, err
	}
	done, err := post(ctx, w, c, fee, &ledger.Transaction{
		Kind: "withdrawal", From: identifier(w.ID), To: "external:payout",
		Postings: withFee(ledger.Posting{Debit: w.ID, Credit: ledger.System(ledger.Payout, w.Currency), Amount: c.Amount}, fee, w.Currency),
		Public:   []ledger.Member{ledger.Number("fee", int64(fee))},
	})
	if err != nil {
		return Paid{}, err
	}
	limits.Record(ctx, limits.Move{User: owner, Currency: w.Currency, Out: int64(c.Amount + fee), Counted: counted, Count: 1})
	count(ctx, Stats{Transactions: 1})
	score(ctx, owner, "qpaynet-payout", 1, done.Entry)
	paymentRef{Use: withdrawRef, Wallet: w.ID, Reference: c.Reference, Amount: c.Amount}.remember(ctx, done)
	return done, nil
}

// affordable refuses what a wallet does not hold.
func affordable(ctx *fsm.Context, id store.ID, amount ledger.Amount) error {
	if a, _ := ledger.Get(ctx, id); a.Available() < amount {
		return ledger.ErrInsufficient.With(fsm.Number("required", int64(amount)),
			fsm.Number("balance", int64(a.Available())), fsm.Text("currency", a.Currency))
	}
	return nil
}

// feeOf is the fee on an amount, rounded up. Amounts are at most
// ledger.MaxAmount, so it cannot overflow.
func feeOf(ctx *fsm.Context, amount ledger.Amount) ledger.Amount {
	fee, err := ledger.Share(amount, settings.TransferFee.Of(ctx), ledger.Up)
	if err != nil {
		panic(err)
	}
	return fee
}

// withFee adds the posting of the fee, which the payer bears on top.
func withFee(p ledger.Posting, fee ledger.Amount, currency string) []ledger.Posting {
	postings := []ledger.Posting{p}
	if fee > 0 {
		postings = append(postings, ledger.Posting{Debit: p.Debit, Credit: ledger.System(ledger.Fees, currency), Amount: fee})
	}
	return postings
}

// score adds a reputation event of a default kind, times occurrences.
func score(ctx *fsm.Context, user store.ID, kind string, times int64, entry string) {
	weight, _ := reputation.Weight(kind)
	reputation.Add(ctx, reputation.Event{User: user, Kind: kind, Source: module, Weight: weight * times,
		Facts: []fsm.Detail{fsm.Text("ledgerEntryId", entry)}})
}
