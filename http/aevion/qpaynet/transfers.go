package qpaynet

import (
	"coffer/fsm/ledger"
	"coffer/fsm/wallet"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

func (a *Area) transferRoutes() []api.Route {
	return []api.Route{
		api.Post("/transfer", a.transfer, api.Spec{
			Summary: "Move money between two wallets, 0.1% fee", Auth: api.Bearer, Rate: api.RateMoney, Idempotent: true,
			Rejections: wallet.TransferFunds.Rejects,
		}),
		api.Post("/transfers/batch", a.transferBatch, api.Spec{
			Summary:     "Up to 8,190 transfers in one request",
			Description: "Each row has its own verdict and sees the rows before it; with atomic the first refused row refuses all.",
			Auth:        api.Bearer, Rate: api.RateMoney, Idempotent: true, BodyLimit: 2 << 20,
			Rejections: wallet.TransferMany.Rejects,
		}),
	}
}

type transferRequest struct {
	FromWalletID store.ID `json:"fromWalletId" validate:"required,id" doc:"Wallet to debit; must belong to the caller"`
	receiver
	aevion.Amount
	aevion.Memo
	PaymentRef string `json:"paymentRef,omitempty" validate:"max=100" doc:"Your own permanent key of this payment"`
}

// receiver is who gets a transfer, named in one of two ways.
type receiver struct {
	ToWalletID store.ID `json:"toWalletId,omitempty" validate:"omitempty,id" doc:"Wallet to credit"`
	ToEmail    string   `json:"toEmail,omitempty" mod:"trim,lower" validate:"omitempty,mail" doc:"Instead: its primary wallet"`
}

// Check wants exactly one of the two.
func (r *receiver) Check() *api.Violation {
	if (r.ToWalletID == "") == (r.ToEmail == "") {
		return &api.Violation{Field: "toWalletId", Reason: "give either toWalletId or toEmail"}
	}
	return nil
}

func (r *transferRequest) command() wallet.Transfer {
	return wallet.Transfer{
		From: r.FromWalletID, To: r.ToWalletID, ToEmail: r.ToEmail, Amount: ledger.Amount(r.Minor()),
		Currency: r.Amount.Currency(), Memo: r.Memo.Text(), Reference: r.PaymentRef,
	}
}

type transferResponse struct {
	TransactionID    string   `json:"transactionId"`
	Currency         string   `json:"currency"`
	AmountKzt        *int64   `json:"amountKzt,omitzero"`
	AmountCents      *int64   `json:"amountCents,omitzero"`
	FeeKzt           *int64   `json:"feeKzt,omitzero"`
	FeeCents         *int64   `json:"feeCents,omitzero"`
	FromBalanceKzt   *int64   `json:"fromBalanceKzt,omitzero"`
	FromBalanceCents *int64   `json:"fromBalanceCents,omitzero"`
	ToBalanceKzt     shown    `json:"toBalanceKzt,omitzero"`
	ToBalanceCents   shown    `json:"toBalanceCents,omitzero"`
	LedgerEntryID    string   `json:"ledgerEntryId"`
	ReceiptURL       string   `json:"receiptUrl"`
	CreatedAt        api.Time `json:"createdAt"`
	Idempotent       bool     `json:"idempotent,omitzero" doc:"Answered from the paymentRef"`

	received string // transaction id as the receiver sees it
}

// Older is the receiver's row, which only older clients are told.
func (r transferResponse) Older() []aevion.OlderMember {
	return []aevion.OlderMember{{Name: "txInId", Value: r.received}}
}

// shown is an amount that may be hidden, which is null.
type shown = api.Optional[int64]

func (a *Area) transfer(c *api.Call, in transferRequest) (transferResponse, error) {
	done, err := wallet.TransferFunds.Submit(c, a.Proposer, in.command())
	if err != nil {
		return transferResponse{}, aevion.Money(err)
	}
	return transferred(done), nil
}

func transferred(done wallet.Transferred) transferResponse {
	out := transferResponse{
		TransactionID: done.Out, Currency: done.Currency, LedgerEntryID: done.Entry,
		ReceiptURL: receiptURL(done.Frontend, done.Out), CreatedAt: api.Time(done.At), Idempotent: done.Repeated,
		received: done.In,
	}
	amount, fee, from := int64(done.Amount), int64(done.Fee), int64(done.FromBalance)
	to := shown{Value: int64(done.ToBalance), Set: true, Null: done.HideTo}
	if done.Currency == aevion.KZT {
		out.AmountKzt, out.FeeKzt, out.FromBalanceKzt, out.ToBalanceKzt = &amount, &fee, &from, to
		return out
	}
	out.AmountCents, out.FeeCents, out.FromBalanceCents, out.ToBalanceCents = &amount, &fee, &from, to
	return out
}

// receiptURL is where a person finds the receipt of a transaction.
func receiptURL(frontend, transaction string) string {
	return frontend + "/qpaynet/receipts/" + transaction
}

type batchRequest struct {
	Transfers []transferRequest `json:"transfers" validate:"required,min=1,max=8190"`
	Atomic    bool              `json:"atomic,omitempty" doc:"The first refused row refuses all"`
}

type batchResponse struct {
	Requested int           `json:"requested"`
	Succeeded int           `json:"succeededCount"`
	Failed    int           `json:"failedCount"`
	Results   []verdictView `json:"results"`
}

type verdictView struct {
	TransactionID string `json:"transactionId,omitzero"`
	FeeKzt        *int64 `json:"feeKzt,omitzero"`
	FeeCents      *int64 `json:"feeCents,omitzero"`
	Error         string `json:"error,omitzero"`
}

func (a *Area) transferBatch(c *api.Call, in batchRequest) (batchResponse, error) {
	command := wallet.Transfers{Rows: make([]wallet.Transfer, len(in.Transfers)), Atomic: in.Atomic}
	for i := range in.Transfers {
		command.Rows[i] = in.Transfers[i].command()
	}
	done, err := wallet.TransferMany.Submit(c, a.Proposer, command)
	if err != nil {
		return batchResponse{}, aevion.Money(err)
	}
	out := batchResponse{Requested: len(done.Rows), Results: make([]verdictView, len(done.Rows))}
	for i := range done.Rows {
		row := &done.Rows[i]
		if row.Code != "" {
			out.Failed++
			out.Results[i].Error = codes.Answer(&api.Problem{Code: row.Code}).Code
			continue
		}
		out.Succeeded++
		out.Results[i].TransactionID = row.Transaction
		fee := (*int64)(&row.Fee)
		if row.Currency == "" {
			out.Results[i].FeeKzt = fee
		} else {
			out.Results[i].FeeCents = fee
		}
	}
	return out, nil
}
