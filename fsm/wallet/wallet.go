package wallet

import (
	"iter"

	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/store"
)

// Status is the state of a wallet. Closed is final.
type Status string

// The states of a wallet.
const (
	Active Status = "active"
	Frozen Status = "frozen"
	Closed Status = "closed"
)

// Wallet is a customer's wallet in one currency.
type Wallet struct {
	ID           store.ID   `cbor:"1,keyasint"`
	Owner        store.ID   `cbor:"2,keyasint"`
	Currency     string     `cbor:"3,keyasint"`
	Name         string     `cbor:"4,keyasint"`
	Status       Status     `cbor:"5,keyasint"`
	Primary      bool       `cbor:"6,keyasint,omitempty"` // the owner's first choice in this currency
	DenyCharges  bool       `cbor:"7,keyasint,omitempty"` // merchants may not debit it
	Merchant     bool       `cbor:"8,keyasint,omitempty"`
	Metadata     string     `cbor:"9,keyasint,omitempty"` // a JSON object, compact
	CreatedAt    store.Time `cbor:"10,keyasint"`
	FrozenReason string     `cbor:"11,keyasint,omitempty"`
}

type ownerCurrency = store.Pair[store.ID, store.Text]

var (
	wallets = store.NewTable("wallet.wallets", func(w *Wallet) store.ID { return w.ID })
	byOwner = store.AddIndex(wallets, "owner", func(w *Wallet) (store.Pair[store.ID, store.Newest], bool) {
		return store.PairOf(w.Owner, store.Newest(w.CreatedAt)), true
	})
	byCreated = store.AddIndex(wallets, "created", func(w *Wallet) (store.Newest, bool) {
		return store.Newest(w.CreatedAt), true
	})
	primaries = store.AddUnique(wallets, "primary", func(w *Wallet) (ownerCurrency, bool) {
		return store.PairOf(w.Owner, store.Text(w.Currency)), w.Primary
	})
)

// Get returns a wallet, whoever owns it.
func Get(r store.Reader, id store.ID) (Wallet, bool) { return wallets.Get(r, id) }

// Owned returns a wallet if it is the user's.
func Owned(r store.Reader, user, id store.ID) (Wallet, bool) {
	w, ok := wallets.Get(r, id)
	if !ok || w.Owner != user {
		return Wallet{}, false // nothing of somebody else's wallet may show
	}
	return w, true
}

// Balance returns what is in a wallet, in minor units.
func Balance(r store.Reader, id store.ID) ledger.Amount {
	a, _ := ledger.Get(r, id)
	return a.Balance()
}

// ByOwner visits a user's wallets, newest first.
func ByOwner(r store.Reader, user store.ID, after store.Cursor) iter.Seq2[store.Cursor, Wallet] {
	return byOwner.Scan(r, user, after)
}

// All visits every wallet, newest first.
func All(r store.Reader, after store.Cursor) iter.Seq2[store.Cursor, Wallet] {
	return byCreated.Scan(r, store.All{}, after)
}

// Primary returns a user's primary wallet in a currency.
func Primary(r store.Reader, user store.ID, currency string) (Wallet, bool) {
	return primaries.Get(r, store.PairOf(user, store.Text(currency)))
}

// Rejections of the wallet commands. Their codes name what a caller can do.
var (
	ErrNotFound          = fsm.Reject(fsm.NotFound, "wallet_not_found")
	ErrInactive          = fsm.Reject(fsm.Conflict, "wallet_inactive")
	ErrSenderNotFound    = fsm.Reject(fsm.NotFound, "from_wallet_not_found")
	ErrSenderInactive    = fsm.Reject(fsm.Conflict, "from_wallet_inactive")
	ErrReceiverNotFound  = fsm.Reject(fsm.NotFound, "to_wallet_not_found")
	ErrReceiverInactive  = fsm.Reject(fsm.Conflict, "to_wallet_inactive")
	ErrRecipientNotFound = fsm.Reject(fsm.NotFound, "recipient_not_found")
	ErrRecipientNoWallet = fsm.Reject(fsm.Invalid, "recipient_has_no_wallet")
	ErrSameWallet        = fsm.Reject(fsm.Invalid, "cannot_transfer_to_same_wallet")
	ErrAboveCap          = fsm.Reject(fsm.Limited, "transfer_amount_exceeds_max")
	ErrKYCRequired       = fsm.Reject(fsm.Forbidden, "kyc_required")
	ErrDepositCap        = fsm.Reject(fsm.Limited, "daily_deposit_cap_exceeded")
	ErrStubDeposit       = fsm.Reject(fsm.Forbidden, "stub_deposit_disabled")
	ErrRefConflict       = fsm.Reject(fsm.Conflict, "payment_ref_conflict")
	ErrExists            = fsm.Reject(fsm.Conflict, "wallet_exists")
	ErrBadCurrency       = fsm.Reject(fsm.Invalid, "unsupported_currency")
	ErrAlreadyClosed     = fsm.Reject(fsm.Conflict, "already_closed")
	ErrIsFrozen          = fsm.Reject(fsm.Conflict, "wallet_frozen")
	ErrNotEmpty          = fsm.Reject(fsm.Conflict, "balance_must_be_zero")
	ErrNotActive         = fsm.Reject(fsm.NotFound, "wallet_not_found_or_not_active")
	ErrNotFrozen         = fsm.Reject(fsm.NotFound, "wallet_not_found_or_not_frozen")
)

// user returns the acting user's id.
func user(ctx *fsm.Context) (store.ID, error) {
	if ctx.Actor.Kind != fsm.User {
		return "", identity.ErrAuthRequired
	}
	return store.ID(ctx.Actor.ID), nil
}

// identifier is how a wallet is named in the chain before it is blinded.
func identifier(id store.ID) string { return "qpaynet-wallet:" + string(id) }

// module is the platform module that the chain entries of wallets belong to.
const module = "qpaynet"
