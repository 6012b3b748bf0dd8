package wallet_test

import (
	"coffer/fsm"
	"coffer/fsm/ledger"
	"coffer/store"
)

// flood moves the largest amount many times in one transaction: no way that the
// product offers leads to sums like these.
type flood struct {
	Debit    store.ID `cbor:"1,keyasint"`
	Credit   store.ID `cbor:"2,keyasint"`
	Currency string   `cbor:"3,keyasint"`
	Times    int64    `cbor:"4,keyasint"`
}

var floodAccount = fsm.Command[flood, fsm.Nothing]{Name: "treasury.flood/1"}

// reserve holds money on a wallet, as a card payment would.
type reserve struct {
	Account store.ID      `cbor:"1,keyasint"`
	Amount  ledger.Amount `cbor:"2,keyasint"`
}

var reserveMoney = fsm.Command[reserve, ledger.Hold]{Name: "treasury.reserve/1", Rejects: fsm.Rejections{ledger.ErrInsufficient}}

func treasury() fsm.Module {
	return fsm.Module{Name: "treasury", Commands: []fsm.Handler{
		fsm.Handle(floodAccount, func(ctx *fsm.Context, c flood) (fsm.Nothing, error) {
			t := ledger.Transaction{Module: "treasury", Kind: "settlement", Currency: c.Currency}
			for range c.Times {
				t.Postings = append(t.Postings, ledger.Posting{Debit: c.Debit, Credit: c.Credit, Amount: ledger.MaxAmount})
			}
			_, err := ledger.Post(ctx, &t)
			return fsm.Nothing{}, err
		}),
		fsm.Handle(reserveMoney, func(ctx *fsm.Context, c reserve) (ledger.Hold, error) {
			return ledger.Reserve(ctx, c.Account, c.Amount, "test", 0)
		}),
	}}
}

// full is how often an account takes the largest amount before its sums end.
const full = 1024
