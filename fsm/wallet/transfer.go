package wallet

import (
	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/limits"
	"coffer/fsm/outbox"
	"coffer/fsm/settings"
	"coffer/store"
)

// Transfer is the input of TransferFunds, and one row of TransferMany.
type Transfer struct {
	From      store.ID      `cbor:"1,keyasint"`
	To        store.ID      `cbor:"2,keyasint,omitempty"` // or
	ToEmail   string        `cbor:"3,keyasint,omitempty"` // folded; means the primary wallet
	Amount    ledger.Amount `cbor:"4,keyasint"`
	Currency  string        `cbor:"5,keyasint,omitempty"` // as the caller named it; empty for the wallet's
	Memo      string        `cbor:"6,keyasint,omitempty"`
	Reference string        `cbor:"7,keyasint,omitempty"`
}

// Transferred is a transfer that has happened.
type Transferred struct {
	Out         string        `cbor:"1,keyasint"` // transaction id as the sender sees it
	In          string        `cbor:"2,keyasint"` // and as the receiver does
	Currency    string        `cbor:"3,keyasint"`
	Amount      ledger.Amount `cbor:"4,keyasint"`
	Fee         ledger.Amount `cbor:"5,keyasint"`
	FromBalance ledger.Amount `cbor:"6,keyasint"`
	ToBalance   ledger.Amount `cbor:"7,keyasint"`
	HideTo      bool          `cbor:"8,keyasint,omitempty"` // the receiver's balance is not shown
	Entry       string        `cbor:"9,keyasint"`
	At          store.Time    `cbor:"10,keyasint"`
	Repeated    bool          `cbor:"11,keyasint,omitempty"` // answered from the payment reference
	Frontend    string        `cbor:"12,keyasint"`           // where receipts are shown
}

// transferRejections is what any transfer may be refused with.
var transferRejections = fsm.Rejections{
	ErrSameWallet, ErrAboveCap, ErrSenderNotFound, ErrSenderInactive, ErrReceiverNotFound, ErrReceiverInactive,
	ErrRecipientNotFound, ErrRecipientNoWallet, ErrKYCRequired, ErrRefConflict,
	ledger.ErrInsufficient, ledger.ErrCurrency, ledger.ErrTooLarge, ledger.ErrUnfounded, identity.ErrAuthRequired,
}

// TransferFunds moves money between two wallets and charges the sender's fee.
var TransferFunds = fsm.Command[Transfer, Transferred]{Name: "wallet.transfer/1", Rejects: transferRejections}

func transfer(ctx *fsm.Context, c Transfer) (Transferred, error) {
	sender, err := user(ctx)
	if err != nil {
		return Transferred{}, err
	}
	m, err := newMover(ctx, sender)
	if err != nil {
		return Transferred{}, err
	}
	done, err := m.move(c)
	if ledger.ErrInsufficient.Is(err) {
		return Transferred{}, m.refused(c, err)
	}
	if err != nil {
		return Transferred{}, err
	}
	if done.Repeated {
		return done, nil
	}
	m.finish("transfer", fsm.Text("transactionId", done.Out))
	return done, nil
}

// mover moves money for one sender within one command, and gathers what
// follows from all its transfers: one event, one score, one audit row.
type mover struct {
	ctx     *fsm.Context
	sender  store.ID
	poster  *ledger.Poster
	caps    caps
	hide    bool
	rate    int64
	first   uint64 // height of the first chain entry
	moved   uint64
	entry   string // of the first transfer
	facts   []fsm.Detail
	tallies []tally
	places  map[ownerCurrency]int // of each user and currency in tallies, once there are many
	stats   Stats
	current ledger.Transaction // reuses its memory
	fees    store.ID           // account of fees
	feesIn  string             // its currency
}

func newMover(ctx *fsm.Context, sender store.ID) (*mover, error) {
	poster, err := ledger.NewPoster(ctx)
	if err != nil {
		return nil, err
	}
	return &mover{
		ctx: ctx, sender: sender, poster: poster, caps: capsOf(ctx, sender),
		hide: settings.HideBalance.Of(ctx), rate: settings.TransferFee.Of(ctx),
	}, nil
}

// move does one transfer or leaves no trace of it.
func (m *mover) move(c Transfer) (Transferred, error) {
	if c.From == c.To {
		return Transferred{}, ErrSameWallet
	}
	from, owned := Owned(m.ctx, m.sender, c.From)
	if owned {
		if ref, used := earlier(m.ctx, transferRef, from.ID, c.Reference); used {
			return m.repeated(ref, c, from.Currency)
		}
	}
	if err := m.caps.single(c.Amount, currencyOf(from, c)); err != nil {
		return Transferred{}, err
	}
	if !owned {
		return Transferred{}, ErrSenderNotFound
	}
	if from.Status != Active {
		return Transferred{}, ErrSenderInactive
	}
	to, err := m.receiver(c, from.Currency)
	if err != nil {
		return Transferred{}, err
	}
	if err := receivable(from, to, c.Currency); err != nil {
		return Transferred{}, err
	}
	done, err := m.post(c, from, to)
	if err != nil {
		return Transferred{}, err
	}
	paymentRef{Use: transferRef, Wallet: from.ID, Reference: c.Reference, Amount: c.Amount,
		Counterparty: to.ID, Email: c.ToEmail}.remember(m.ctx, done)
	return done, nil
}

// repeated answers a transfer whose reference was used before.
func (m *mover) repeated(ref paymentRef, c Transfer, currency string) (done Transferred, err error) {
	same := c.To == ref.Counterparty
	if c.ToEmail != "" && c.ToEmail != ref.Email {
		to, err := m.receiver(c, currency)
		same = err == nil && to.ID == ref.Counterparty
	} else if c.ToEmail != "" {
		same = true
	}
	if !same || c.Amount != ref.Amount {
		return Transferred{}, ErrRefConflict
	}
	ref.replay(&done)
	done.Repeated = true
	return done, nil
}

// currencyOf is the currency an amount is meant in, even if the wallet is not
// there.
func currencyOf(from Wallet, c Transfer) string {
	if from.Currency != "" {
		return from.Currency
	}
	if c.Currency != "" {
		return c.Currency
	}
	return limits.CapCurrency
}

func (m *mover) receiver(c Transfer, currency string) (Wallet, error) {
	if c.ToEmail == "" {
		to, ok := wallets.Get(m.ctx, c.To)
		if !ok {
			return Wallet{}, ErrReceiverNotFound
		}
		return to, nil
	}
	recipient, ok := identity.ByEmail(m.ctx, c.ToEmail)
	if !ok {
		return Wallet{}, ErrRecipientNotFound
	}
	to, ok := Primary(m.ctx, recipient.ID, currency)
	if !ok {
		return Wallet{}, ErrRecipientNoWallet
	}
	return to, nil
}

func receivable(from, to Wallet, currency string) error {
	if from.ID == to.ID {
		return ErrSameWallet
	}
	if to.Status != Active {
		return ErrReceiverInactive
	}
	if currency != "" && currency != from.Currency {
		return ledger.ErrCurrency.With(fsm.Text("currency", currency), fsm.Text("walletCurrency", from.Currency))
	}
	if from.Currency != to.Currency {
		return ledger.ErrCurrency.With(fsm.Text("fromCurrency", from.Currency), fsm.Text("toCurrency", to.Currency))
	}
	return nil
}

// post books the transfer once funds and KYC allow it.
func (m *mover) post(c Transfer, from, to Wallet) (Transferred, error) {
	fee, err := ledger.Share(c.Amount, m.rate, ledger.Up)
	if err != nil {
		return Transferred{}, ledger.ErrTooLarge
	}
	if err := m.poster.Prepare(m.transaction(c, from, to, fee)); err != nil {
		return Transferred{}, err
	}
	counted := m.caps.counted(c.Amount, from.Currency)
	if err := m.caps.monthly(counted); err != nil {
		return Transferred{}, err
	}
	done := Transferred{
		Currency: from.Currency, Amount: c.Amount, Fee: fee, HideTo: m.hide, At: m.ctx.Now,
		FromBalance: m.poster.Balance(from.ID), ToBalance: m.poster.Balance(to.ID),
	}
	posted, err := m.poster.Commit()
	if err != nil {
		return Transferred{}, err
	}
	done.Out = posted.Transaction(0)
	if m.moved == 0 || c.Reference != "" { // nobody asks for more of a row among many
		done.In, done.Entry, done.Frontend = posted.Transaction(1), posted.Entry(), settings.FrontendURL.Of(m.ctx)
	}
	m.note(from, to, done, counted, posted.Height)
	return done, nil
}

// transaction is a transfer for the ledger. It is good until the next one: a
// command may have thousands.
func (m *mover) transaction(c Transfer, from, to Wallet, fee ledger.Amount) *ledger.Transaction {
	t := &m.current
	*t = ledger.Transaction{
		Module: module, Kind: "transfer", Currency: from.Currency, Amount: int64(c.Amount), Actor: m.sender,
		From: identifier(from.ID), To: identifier(to.ID),
		Postings: append(t.Postings[:0], ledger.Posting{Debit: from.ID, Credit: to.ID, Amount: c.Amount}),
		Public:   append(t.Public[:0], ledger.Number("fee", int64(fee))),
		Private:  appendPrivate(t.Private[:0], c.Memo, c.Reference),
	}
	if fee > 0 {
		if m.feesIn != from.Currency {
			m.feesIn, m.fees = from.Currency, ledger.System(ledger.Fees, from.Currency)
		}
		t.Postings = append(t.Postings, ledger.Posting{Debit: from.ID, Credit: m.fees, Amount: fee})
	}
	return t
}

// note gathers the consequences of one transfer.
func (m *mover) note(from, to Wallet, done Transferred, counted int64, height uint64) {
	if m.moved == 0 {
		m.first, m.entry = height, done.Entry
		m.facts = []fsm.Detail{
			fsm.Text("fromWallet", string(from.ID)), fsm.Number("fromBalance", int64(done.FromBalance)),
			fsm.Text("toWallet", string(to.ID)), fsm.Number("toBalance", int64(done.ToBalance)),
		}
	}
	m.moved++
	m.caps.outgoing = limits.Sum(m.caps.outgoing, counted)
	var points int64
	if from.Owner != to.Owner {
		points = 1
	}
	sent := m.tally(from.Owner, from.Currency)
	sent.out, sent.counted = limits.Sum(sent.out, int64(done.Amount+done.Fee)), limits.Sum(sent.counted, counted)
	sent.moves, sent.scores = sent.moves+1, sent.scores+points
	received := m.tally(to.Owner, to.Currency)
	received.in = limits.Sum(received.in, int64(done.Amount))
	received.moves, received.scores = received.moves+1, received.scores+points
	m.stats.Transactions += 2
	m.stats.Transferred = saturate(m.stats.Transferred, inKZT(from.Currency, done.Amount))
}

// finish stores the end of the chain and all consequences.
func (m *mover) finish(action string, details ...fsm.Detail) {
	m.poster.Close()
	for _, t := range m.tallies {
		limits.Record(m.ctx, limits.Move{User: t.user, Currency: t.currency, In: t.in, Out: t.out, Counted: t.counted, Count: t.moves})
	}
	users := make([]store.ID, 0, len(m.tallies))
	for _, t := range m.byUser() {
		if t.scores > 0 {
			score(m.ctx, t.user, "qpaynet-active", t.scores, m.entry)
		}
		users = append(users, t.user)
	}
	count(m.ctx, m.stats)
	identity.Audit(m.ctx, identity.QPayNetTrail, m.sender, action, details...)
	event := outbox.Event{Kind: "wallet.transferred", First: m.first, Count: m.moved, Users: users}
	if m.moved == 1 {
		event.Facts = m.facts
	}
	outbox.Emit(m.ctx, event)
}

// refused tells the sender's subscribers of a transfer without funds.
func (m *mover) refused(c Transfer, err error) error {
	rejection, _ := fsm.AsRejection(err)
	unfunded := failure{}
	unfunded.add(c)
	unfunded.tell(m.ctx, m.sender)
	return fsm.Declined(rejection)
}

// failure gathers the transfers of a command that had no funds.
type failure struct {
	first Transfer
	count int64
}

func (f *failure) add(c Transfer) {
	if f.count == 0 {
		f.first = c
	}
	f.count++
}

// tell queues one event for all of them.
func (f *failure) tell(ctx *fsm.Context, sender store.ID) {
	if f.count == 0 {
		return
	}
	outbox.Emit(ctx, outbox.Event{Kind: "wallet.transfer_failed", Users: []store.ID{sender}, Facts: []fsm.Detail{
		fsm.Text("fromWallet", string(f.first.From)), fsm.Text("toWallet", string(f.first.To)),
		fsm.Number("amount", int64(f.first.Amount)), fsm.Text("reason", ledger.ErrInsufficient.Code), fsm.Number("transfers", f.count),
	}})
}
