package wallet

import (
	"coffer/fsm"
	"coffer/fsm/ledger"
	"coffer/store"
)

// paymentRef is a caller's own key of a payment. Unlike an idempotency key it
// counts for good.
type paymentRef struct {
	Use          string        `cbor:"1,keyasint"` // which operation the reference belongs to
	Wallet       store.ID      `cbor:"2,keyasint"`
	Reference    string        `cbor:"3,keyasint"`
	Amount       ledger.Amount `cbor:"4,keyasint"`
	Counterparty store.ID      `cbor:"5,keyasint,omitempty"` // wallet
	Email        string        `cbor:"6,keyasint,omitempty"` // by which the wallet was named
	Result       []byte        `cbor:"7,keyasint"`           // encoded result of the first call
}

type refKey = store.Pair[store.Text, store.Pair[store.ID, store.Text]]

var paymentRefs = store.NewTable("wallet.payment_refs", func(p *paymentRef) refKey {
	return keyOf(p.Use, p.Wallet, p.Reference)
})

func keyOf(use string, wallet store.ID, reference string) refKey {
	return store.PairOf(store.Text(use), store.PairOf(wallet, store.Text(reference)))
}

// The operations that know payment references.
const (
	transferRef = "transfer"
	depositRef  = "deposit"
	withdrawRef = "withdraw"
)

// earlier returns the payment that a reference was first used for.
func earlier(ctx *fsm.Context, use string, wallet store.ID, reference string) (paymentRef, bool) {
	if reference == "" {
		return paymentRef{}, false
	}
	return paymentRefs.Get(ctx, keyOf(use, wallet, reference))
}

// replay reads the result of the first use.
func (p *paymentRef) replay(result any) {
	if err := store.Decode(p.Result, result); err != nil {
		store.Corrupt("wallet.payment_refs", nil, err)
	}
}

// remember keeps the result of a payment under its reference.
func (p paymentRef) remember(ctx *fsm.Context, result any) {
	if p.Reference == "" {
		return
	}
	p.Result = store.Encode(result)
	paymentRefs.Put(ctx, p)
}
