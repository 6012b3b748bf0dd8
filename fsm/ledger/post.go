package ledger

import (
	"errors"
	"fmt"
	"sync"

	"coffer/fsm"
	"coffer/ledgerchain"
	"coffer/store"
)

// Poster appends transactions within one command: prepare, look, commit, as
// often as needed, then close.
type Poster struct {
	ctx      *fsm.Context
	chain    ledgerchain.Appender
	legs     []leg
	links    []ledgerchain.Link
	meta     []Member
	private  []Member
	encoder  ledgerchain.Encoder
	buffer   []byte
	prepared *Transaction
	tallies  []tally
	actor    store.ID // of the transaction before
	blinded  string   // that actor
}

// leg is what one transaction does to one account, all its postings together.
type leg struct {
	account Account
	net     Amount // credits less debits
}

// Posted is a transaction that stands in the chain.
type Posted struct {
	Height uint64 // index + 1
	At     store.Time
	blind  ledgerchain.Blind
	leaf   ledgerchain.Hash
}

// Entry returns the API id of the chain entry.
func (p *Posted) Entry() string { return ledgerchain.EntryID(p.Height-1, p.leaf) }

// Transaction returns the id of the transaction as one of its legs sees it.
func (p *Posted) Transaction(leg int) string {
	return ledgerchain.TransactionID(p.Height-1, uint8(leg), p.blind)
}

// ErrUnfounded is a ledger without a name: the node is not ready.
var ErrUnfounded = fsm.Reject(fsm.Unavailable, "ledger_not_founded")

// posters are reused with their memory.
var posters = sync.Pool{New: func() any { return new(Poster) }}

// NewPoster opens the chain for appending.
func NewPoster(ctx *fsm.Context) (*Poster, error) {
	p := posters.Get().(*Poster)
	err := p.chain.Open(ctx, ctx.Salt)
	if errors.Is(err, ledgerchain.ErrNotFounded) {
		return nil, ErrUnfounded
	}
	if err != nil {
		return nil, err
	}
	p.ctx, p.tallies = ctx, p.tallies[:0]
	p.actor = "" // it may have been blinded under another salt
	return p, nil
}

// maxLegs bounds the accounts of one transaction.
const maxLegs = 16

// Prepare checks a transaction against all its accounts and changes nothing.
func (p *Poster) Prepare(t *Transaction) error {
	p.legs, p.prepared = p.legs[:0], nil
	for _, posting := range t.Postings {
		if posting.Amount <= 0 || posting.Amount > MaxAmount || posting.Debit == posting.Credit {
			return fmt.Errorf("posting of %d from %s to %s makes no sense", posting.Amount, posting.Debit, posting.Credit)
		}
		if err := p.add(posting.Debit, t.Currency, -posting.Amount); err != nil {
			return err
		}
		if err := p.add(posting.Credit, t.Currency, posting.Amount); err != nil {
			return err
		}
	}
	for i := range p.legs {
		if err := p.legs[i].apply(); err != nil {
			return err
		}
	}
	p.prepared = t
	return nil
}

// add books an amount on a leg; an account stands once, where it came first.
func (p *Poster) add(id store.ID, currency string, amount Amount) error {
	for i := range p.legs {
		if p.legs[i].account.ID == id {
			net, err := p.legs[i].net.Plus(amount)
			if err != nil {
				return ErrTooLarge
			}
			p.legs[i].net = net
			return nil
		}
	}
	account, ok := accounts.Get(p.ctx, id)
	if !ok {
		account, ok = systemAccount(id, currency)
	}
	if !ok || len(p.legs) == maxLegs {
		return fmt.Errorf("account %s is unknown, or one of too many", id)
	}
	if account.Currency != currency {
		return ErrCurrency.With(fsm.Text("currency", currency), fsm.Text("accountCurrency", account.Currency))
	}
	p.legs = append(p.legs, leg{account: account, net: amount})
	return nil
}

// apply books the leg on its copy of the account and checks what results.
func (l *leg) apply() (err error) {
	if l.net < 0 {
		l.account.Debits, err = l.account.Debits.Plus(-l.net)
	} else {
		l.account.Credits, err = l.account.Credits.Plus(l.net)
	}
	if err != nil {
		return ErrTooLarge
	}
	if l.net < 0 && l.account.Flags&NoOverdraft != 0 && l.account.Available() < 0 {
		return ErrInsufficient.With(fsm.Number("required", int64(-l.net)),
			fsm.Number("balance", int64(l.account.Available()-l.net)), fsm.Text("currency", l.account.Currency))
	}
	return nil
}

// Balance returns the balance an account of the prepared transaction will have.
func (p *Poster) Balance(id store.ID) Amount {
	for i := range p.legs {
		if p.legs[i].account.ID == id {
			return p.legs[i].account.Balance()
		}
	}
	return 0
}

// Commit appends the prepared transaction to the chain and moves its amounts.
func (p *Poster) Commit() (Posted, error) {
	t := p.prepared
	if t == nil {
		return Posted{}, errors.New("no transaction is prepared")
	}
	p.prepared = nil
	index, blind := p.chain.Next(), p.ctx.Blind()
	payload, err := p.payload(t, index, blind)
	if err != nil {
		return Posted{}, fmt.Errorf("payload of a %s: %w", t.Kind, err)
	}
	sealed, err := p.chain.Append(&ledgerchain.Draft{
		Kind: t.Kind, Time: int64(p.ctx.Tick()), Blind: blind, Payload: payload, Links: p.link(index + 1),
	})
	if err != nil {
		return Posted{}, err
	}
	for i := range p.legs {
		accounts.Put(p.ctx, p.legs[i].account)
	}
	p.count(t)
	return Posted{Height: index + 1, At: store.Time(sealed.Entry.Time), blind: blind, leaf: sealed.Leaf}, nil
}

// link ties each leg to the latest rows before of its account and of the
// account's owner, and makes the new row the latest of both.
func (p *Poster) link(height uint64) []ledgerchain.Link {
	p.links = p.links[:0]
	for i := range p.legs {
		account := &p.legs[i].account
		link := ledgerchain.Link{Account: account.Last}
		if account.Owner != "" {
			o, _ := owners.Get(p.ctx, account.Owner)
			link.Owner = o.Last
		}
		p.links = append(p.links, link)
		account.Last = height
	}
	for i := range p.legs {
		if id := p.legs[i].account.Owner; id != "" {
			owners.Put(p.ctx, owner{ID: id, Last: height})
		}
	}
	return p.links
}

// Close stores the end of the chain and the counts. Without it nothing of this
// poster counts; after it the poster must not be used.
func (p *Poster) Close() {
	p.chain.Close()
	storeCounts(p.ctx, p.tallies)
	p.ctx, p.prepared = nil, nil
	posters.Put(p)
}

// Post appends one transaction. It checks every account before it changes any,
// so a rejection leaves no trace.
func Post(ctx *fsm.Context, t *Transaction) (Posted, error) {
	p, err := NewPoster(ctx)
	if err != nil {
		return Posted{}, err
	}
	if err := p.Prepare(t); err != nil {
		return Posted{}, err
	}
	posted, err := p.Commit()
	if err != nil {
		return Posted{}, err
	}
	p.Close()
	return posted, nil
}
