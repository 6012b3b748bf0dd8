package ledger

import (
	"coffer/fsm"
	"coffer/store"
)

// Kind says on which side of the balance sheet an account stands.
type Kind uint8

// The kinds of account. Assets grow by debits, the others by credits.
const (
	Asset     Kind = 1
	Liability Kind = 2 // what the operator owes a customer
	Revenue   Kind = 3
)

// Account is one account of the books. Its row is small on purpose: busy
// accounts are rewritten with every flush.
type Account struct {
	ID       store.ID `cbor:"1,keyasint"`
	Code     string   `cbor:"2,keyasint"` // in the chart of accounts, such as "customer"
	Currency string   `cbor:"3,keyasint"`
	Kind     Kind     `cbor:"4,keyasint"`
	Owner    store.ID `cbor:"5,keyasint,omitempty"` // user, empty for the operator's own
	Debits   Amount   `cbor:"6,keyasint,omitempty"` // posted
	Credits  Amount   `cbor:"7,keyasint,omitempty"` // posted
	Pending  Amount   `cbor:"8,keyasint,omitempty"` // reserved by holds, to be debited
	Flags    Flags    `cbor:"9,keyasint,omitempty"`
	Last     uint64   `cbor:"10,keyasint,omitempty"` // height of the latest entry on it
}

// Flags restrict an account.
type Flags uint8

// NoOverdraft refuses debits beyond credits less what holds have reserved.
const NoOverdraft Flags = 1

// Balance is credits less debits. It is negative on accounts of assets.
func (a *Account) Balance() Amount { return a.Credits - a.Debits }

// Available is what may be debited from an account without overdraft.
func (a *Account) Available() Amount { return a.Balance() - a.Pending }

// owner is where the history of all accounts of a user goes on.
type owner struct {
	ID   store.ID `cbor:"1,keyasint"`
	Last uint64   `cbor:"2,keyasint"` // height
}

var (
	accounts = store.NewTable("ledger.accounts", func(a *Account) store.ID { return a.ID })
	owners   = store.NewTable("ledger.owners", func(o *owner) store.ID { return o.ID })
)

// Get returns an account.
func Get(r store.Reader, id store.ID) (Account, bool) { return accounts.Get(r, id) }

// Rejections of the ledger.
var (
	ErrInsufficient = fsm.Reject(fsm.Conflict, "insufficient_balance")
	ErrCurrency     = fsm.Reject(fsm.Invalid, "currency_mismatch")
	ErrTooLarge     = fsm.Reject(fsm.Conflict, "amount_overflow")
)

// Open creates an account. The id must be new.
func Open(ctx *fsm.Context, a Account) {
	if accounts.Has(ctx, a.ID) {
		panic("ledger: account " + string(a.ID) + " exists")
	}
	accounts.Put(ctx, a)
}

// The chart of accounts.
const (
	Customer = "customer" // a wallet
	Fees     = "fees"     // what the operator earned
	Funding  = "funding"  // money that came from outside
	Payout   = "payout"   // money that left
)

// System returns the id of one of the operator's own accounts; it is opened at
// its first posting.
func System(code, currency string) store.ID { return store.ID(code + ":" + currency) }

// systemKinds says on which side the operator's accounts stand.
var systemKinds = []struct {
	code string
	kind Kind
}{{Fees, Revenue}, {Funding, Asset}, {Payout, Asset}}

// systemAccount returns a new account for a system id in a currency.
func systemAccount(id store.ID, currency string) (Account, bool) {
	for _, s := range systemKinds {
		if id == System(s.code, currency) {
			return Account{ID: id, Code: s.code, Currency: currency, Kind: s.kind}, true
		}
	}
	return Account{}, false
}
