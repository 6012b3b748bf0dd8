package qpaynet

import (
	"coffer/fsm"
	"coffer/fsm/ledger"
	"coffer/fsm/wallet"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

// errTransaction answers a transaction that is not there or not the caller's.
var errTransaction = fsm.Reject(fsm.NotFound, "tx_not_found")

func (a *Area) transactionRoutes() []api.Route {
	return []api.Route{
		api.Get("/transactions", a.transactions, api.Spec{
			Summary:     "Own transaction history, newest first",
			Description: "A call examines at most 5,000 rows, so a filtered page may be short and still carry nextCursor.",
			Auth:        api.Bearer, Rejections: fsm.Rejections{wallet.ErrNotFound}, Codes: []string{api.CodeInvalidCursor},
		}),
		api.Get("/transactions.csv", a.transactionsCSV, api.Spec{
			Summary: "History as CSV, at most 5,000 rows", Auth: api.Bearer, Rate: api.RateCSV, Media: []string{"text/csv"},
			Rejections: fsm.Rejections{wallet.ErrNotFound},
		}),
		api.Get("/transactions/{id}", a.transaction, api.Spec{
			Summary: "One own transaction", Auth: api.Bearer,
			Rejections: fsm.Rejections{errTransaction}, NotFound: errTransaction,
		}),
		api.Get("/transactions/{id}/receipt", a.receipt, api.Spec{
			Summary: "Receipt with chain reference, JSON or HTML", Auth: api.Bearer, Media: []string{"application/json", "text/html"},
			Rejections: fsm.Rejections{errTransaction}, NotFound: errTransaction,
		}),
	}
}

type transactionView struct {
	ID                   string    `json:"id"`
	WalletID             store.ID  `json:"walletId"`
	Type                 string    `json:"type"`
	Kind                 string    `json:"kind"`
	Direction            string    `json:"direction"`
	AmountKzt            *int64    `json:"amountKzt,omitzero"`
	AmountCents          *int64    `json:"amountCents,omitzero"`
	FeeKzt               *int64    `json:"feeKzt,omitzero"`
	FeeCents             *int64    `json:"feeCents,omitzero"`
	Currency             string    `json:"currency"`
	Memo                 string    `json:"memo"`
	CounterpartyWalletID *store.ID `json:"counterpartyWalletId"`
	RefTxID              *string   `json:"refTxId"`
	PaymentRef           *string   `json:"paymentRef"`
	MerchantKeyID        *string   `json:"merchantKeyId"`
	Status               string    `json:"status"`
	LedgerEntryID        *string   `json:"ledgerEntryId"`
	CreatedAt            api.Time  `json:"createdAt"`
}

// typeOf is the contract's word for what a movement is to its wallet.
func typeOf(m *ledger.Movement) string {
	switch m.Kind {
	case "withdrawal":
		return "withdraw"
	case "transfer":
		if m.Net < 0 {
			return "transfer_out"
		}
		return "transfer_in"
	}
	return m.Kind
}

// feeOf is what the wallet of this movement paid on top.
func feeOf(m *ledger.Movement) int64 {
	if m.Net > 0 {
		return 0
	}
	return m.PublicNumber("fee")
}

func transactionOf(m *ledger.Movement) transactionView {
	fee := feeOf(m)
	t := transactionView{
		ID: m.ID, WalletID: m.Account, Type: typeOf(m), Kind: typeOf(m), Direction: "in", Currency: m.Currency,
		AmountKzt: aevion.Kzt(m.Amount, m.Currency), AmountCents: aevion.Cents(m.Amount, m.Currency),
		FeeKzt: aevion.Kzt(fee, m.Currency), FeeCents: aevion.Cents(fee, m.Currency),
		Memo: m.PrivateText("memo"), Status: "completed", LedgerEntryID: &m.Entry, CreatedAt: api.Time(m.At),
	}
	if m.Net < 0 {
		t.Direction = "out"
	}
	if m.Kind == "transfer" {
		other := 1 - m.Leg // a transfer's first two legs are its wallets
		sibling := m.Sibling(other)
		t.CounterpartyWalletID, t.RefTxID = &m.Legs[other].Account, &sibling
	}
	// A reference is the caller's own: the other side does not see it.
	if reference := m.PrivateText("paymentRef"); reference != "" && (m.Net < 0 || m.Kind == "deposit") {
		t.PaymentRef = &reference
	}
	return t
}

type historyRequest struct {
	aevion.Page
	WalletID store.ID `query:"walletId" validate:"omitempty,id"`
	Type     string   `query:"type" validate:"max=32"`
	Kind     string   `query:"kind" validate:"max=32" doc:"The same as type"`
	Since    api.Time `query:"since"`
	Until    api.Time `query:"until"`
}

func (r *historyRequest) keep(m *ledger.Movement) bool {
	kind := r.Type
	if kind == "" {
		kind = r.Kind
	}
	return (kind == "" || typeOf(m) == kind) && (r.Until.IsZero() || m.At <= r.Until.Store())
}

type historyResponse struct {
	Transactions []transactionView `json:"transactions"`
	Next         api.Cursor        `json:"nextCursor,omitzero"`
}

func (a *Area) transactions(c *api.Call, in historyRequest) (historyResponse, error) {
	out := historyResponse{Transactions: []transactionView{}}
	err := c.Read(func(v *store.View) error {
		history, err := historyOf(v, user(c), in.WalletID)
		if err != nil {
			return err
		}
		page, next, err := history.Since(in.Since.Store()).Page(in.After(), in.Limit, in.keep)
		if err != nil {
			return err
		}
		for i := range page {
			out.Transactions = append(out.Transactions, transactionOf(&page[i]))
		}
		out.Next = api.Cursor(next)
		return nil
	})
	return out, err
}

// historyOf is the history of one own wallet, or of all.
func historyOf(v *store.View, owner, id store.ID) (ledger.History, error) {
	if id == "" {
		return ledger.HistoryOfOwner(v, owner), nil
	}
	if _, ok := wallet.Owned(v, owner, id); !ok {
		return ledger.History{}, wallet.ErrNotFound
	}
	return ledger.HistoryOf(v, id), nil
}

type transactionRequest struct {
	ID string `path:"id" validate:"id"`
}

func (a *Area) transaction(c *api.Call, in transactionRequest) (out transactionView, err error) {
	err = c.Read(func(v *store.View) error {
		m, err := ownMovement(v, user(c), in.ID)
		if err != nil {
			return err
		}
		out = transactionOf(&m)
		return nil
	})
	return out, err
}

func ownMovement(v *store.View, owner store.ID, id string) (ledger.Movement, error) {
	m, ok := ledger.Find(v, id)
	if !ok {
		return ledger.Movement{}, errTransaction
	}
	if _, own := wallet.Owned(v, owner, m.Account); !own {
		return ledger.Movement{}, errTransaction
	}
	return m, nil
}
