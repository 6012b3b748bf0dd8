package wallet

import (
	"coffer/fsm"
	"coffer/fsm/ledger"
	"coffer/fsm/limits"
)

// MaxTransfers is how many transfers one TransferMany may hold.
const MaxTransfers = 8190

// Transfers is the input of TransferMany.
type Transfers struct {
	Rows   []Transfer `cbor:"1,keyasint"`
	Atomic bool       `cbor:"2,keyasint,omitempty"` // the first refused row refuses all
}

// TransferredMany has a verdict for each row, in order.
type TransferredMany struct {
	Rows []Verdict `cbor:"1,keyasint"`
}

// Verdict is what became of one row: a transaction, or the code of a rejection.
type Verdict struct {
	Transaction string        `cbor:"1,keyasint,omitempty"`
	Fee         ledger.Amount `cbor:"2,keyasint,omitempty"`
	Code        string        `cbor:"3,keyasint,omitempty"`
	Currency    string        `cbor:"4,keyasint,omitempty"` // of the fee, unless it is KZT
}

// TransferMany does many transfers of one sender in one command. Every row
// passes the checks of TransferFunds and sees the rows before it.
var TransferMany = fsm.Command[Transfers, TransferredMany]{Name: "wallet.transfer_many/1", Rejects: transferRejections}

func transferMany(ctx *fsm.Context, c Transfers) (TransferredMany, error) {
	sender, err := user(ctx)
	if err != nil {
		return TransferredMany{}, err
	}
	m, err := newMover(ctx, sender)
	if err != nil {
		return TransferredMany{}, err
	}
	result := TransferredMany{Rows: make([]Verdict, len(c.Rows))}
	unfunded := failure{}
	for i := range c.Rows {
		done, err := m.move(c.Rows[i])
		if err == nil {
			result.Rows[i] = Verdict{Transaction: done.Out, Fee: done.Fee}
			if done.Currency != limits.CapCurrency {
				result.Rows[i].Currency = done.Currency
			}
			continue
		}
		rejection, ok := fsm.AsRejection(err)
		if !ok {
			return TransferredMany{}, err
		}
		if c.Atomic {
			return TransferredMany{}, rejection.With(fsm.Number("index", int64(i)))
		}
		result.Rows[i] = Verdict{Code: rejection.Code}
		if ledger.ErrInsufficient.Is(rejection) {
			unfunded.add(c.Rows[i])
		}
	}
	unfunded.tell(ctx, sender)
	if m.moved > 0 {
		m.finish("transfer", fsm.Number("transfers", int64(m.moved)))
	}
	return result, nil
}
