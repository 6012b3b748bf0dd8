package qpaynet

import (
	"coffer/fsm/ledger"
	"coffer/fsm/wallet"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

func (a *Area) paymentRoutes() []api.Route {
	return []api.Route{
		api.Post("/deposit", a.deposit, api.Spec{
			Summary: "Direct top-up (sandbox rail)", Auth: api.Bearer, Rate: api.RateMoney, Idempotent: true,
			Rejections: wallet.DepositFunds.Rejects,
		}),
		api.Post("/withdraw", a.withdraw, api.Spec{
			Summary: "Withdraw off the platform, 0.1% fee", Auth: api.Bearer, Rate: api.RateMoney, Idempotent: true,
			Rejections: wallet.WithdrawFunds.Rejects,
		}),
	}
}

type paymentRequest struct {
	WalletID store.ID `json:"walletId" validate:"required,id"`
	aevion.Amount
	aevion.Memo
	PaymentRef string `json:"paymentRef,omitempty" validate:"max=100" doc:"Your own permanent key of this payment"`
}

func (r *paymentRequest) command() wallet.Payment {
	return wallet.Payment{
		Wallet: r.WalletID, Amount: ledger.Amount(r.Minor()), Currency: r.Amount.Currency(),
		Memo: r.Memo.Text(), Reference: r.PaymentRef,
	}
}

type paymentResponse struct {
	TransactionID   string   `json:"transactionId"`
	AmountKzt       *int64   `json:"amountKzt,omitzero"`
	AmountCents     *int64   `json:"amountCents,omitzero"`
	FeeKzt          *int64   `json:"feeKzt,omitzero"`
	FeeCents        *int64   `json:"feeCents,omitzero"`
	NewBalanceKzt   *int64   `json:"newBalanceKzt,omitzero"`
	NewBalanceCents *int64   `json:"newBalanceCents,omitzero"`
	Currency        string   `json:"currency"`
	LedgerEntryID   string   `json:"ledgerEntryId"`
	CreatedAt       api.Time `json:"createdAt"`
	Idempotent      bool     `json:"idempotent,omitzero" doc:"Answered from the paymentRef"`
}

func paid(done wallet.Paid) paymentResponse {
	return paymentResponse{
		TransactionID: done.Transaction, Currency: done.Currency, LedgerEntryID: done.Entry,
		AmountKzt: aevion.Kzt(int64(done.Amount), done.Currency), AmountCents: aevion.Cents(int64(done.Amount), done.Currency),
		NewBalanceKzt:   aevion.Kzt(int64(done.Balance), done.Currency),
		NewBalanceCents: aevion.Cents(int64(done.Balance), done.Currency),
		CreatedAt:       api.Time(done.At), Idempotent: done.Repeated,
	}
}

func (a *Area) deposit(c *api.Call, in paymentRequest) (paymentResponse, error) {
	done, err := wallet.DepositFunds.Submit(c, a.Proposer, in.command())
	return paid(done), aevion.Money(err)
}

func (a *Area) withdraw(c *api.Call, in paymentRequest) (paymentResponse, error) {
	done, err := wallet.WithdrawFunds.Submit(c, a.Proposer, in.command())
	out := paid(done)
	out.FeeKzt, out.FeeCents = aevion.Kzt(int64(done.Fee), done.Currency), aevion.Cents(int64(done.Fee), done.Currency)
	return out, aevion.Money(err)
}
