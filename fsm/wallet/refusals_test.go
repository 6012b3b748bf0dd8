package wallet_test

import (
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/ledger"
	"coffer/fsm/wallet"
	"coffer/store"
)

// two registers a customer with an empty wallet and another one, who acts, with
// a full one.
func two(b *bank.Bank) (from, to store.ID) {
	b.Register("bob@example.org")
	to = b.Open("KZT", "", 0)
	b.Register("ann@example.org")
	return b.Open("KZT", "", 50_000_000), to
}

func TestEveryRejectionOfAWalletIsReached(t *testing.T) {
	cases := append(lifeRefusals(), paymentRefusals()...)
	for _, many := range []bool{false, true} {
		cases = append(cases, transferRefusals(many)...)
	}
	bank.CheckRefusals(t, "wallet.", cases, treasury())
}

func lifeRefusals() []bank.Refusal {
	open := func(in wallet.Open) func(*bank.Bank) error {
		return func(b *bank.Bank) error { return bank.Submit(b, wallet.OpenWallet, in) }
	}
	return []bank.Refusal{
		bank.On("wallet.open/1", "auth_required", open(wallet.Open{Currency: "KZT"})),
		bank.On("wallet.open/1", "unsupported_currency", func(b *bank.Bank) error { two(b); return open(wallet.Open{Currency: "EUR"})(b) }),
		bank.On("wallet.open/1", "wallet_exists", func(b *bank.Bank) error { two(b); return open(wallet.Open{Currency: "KZT"})(b) }),
		bank.On("wallet.update/1", "auth_required", func(b *bank.Bank) error { return bank.Submit(b, wallet.UpdateWallet, wallet.Update{}) }),
		bank.On("wallet.update/1", "wallet_not_found", func(b *bank.Bank) error {
			_, foreign := two(b)
			return bank.Submit(b, wallet.UpdateWallet, wallet.Update{ID: foreign, Name: "mine"})
		}),
		bank.On("wallet.close/1", "auth_required", func(b *bank.Bank) error { return bank.Submit(b, wallet.CloseWallet, wallet.Close{}) }),
		bank.On("wallet.close/1", "wallet_not_found", func(b *bank.Bank) error {
			_, foreign := two(b)
			return bank.Submit(b, wallet.CloseWallet, wallet.Close{ID: foreign})
		}),
		bank.On("wallet.close/1", "already_closed", func(b *bank.Bank) error {
			two(b)
			id := b.Open("USD", "", 0)
			fsmtest.Must(b.Machine, wallet.CloseWallet, wallet.Close{ID: id})
			return bank.Submit(b, wallet.CloseWallet, wallet.Close{ID: id})
		}),
		bank.On("wallet.close/1", "wallet_frozen", func(b *bank.Bank) error {
			from, _ := two(b)
			freeze(b, from)
			return bank.Submit(b, wallet.CloseWallet, wallet.Close{ID: from})
		}),
		bank.On("wallet.close/1", "balance_must_be_zero", func(b *bank.Bank) error {
			from, _ := two(b)
			return bank.Submit(b, wallet.CloseWallet, wallet.Close{ID: from})
		}),
		bank.On("wallet.freeze/1", "not_admin", func(b *bank.Bank) error {
			from, _ := two(b)
			return bank.Submit(b, wallet.FreezeWallet, wallet.Freeze{ID: from})
		}),
		bank.On("wallet.freeze/1", "wallet_not_found_or_not_active", func(b *bank.Bank) error {
			b.As(b.Admin())
			return bank.Submit(b, wallet.FreezeWallet, wallet.Freeze{ID: "wal_0"})
		}),
		bank.On("wallet.unfreeze/1", "not_admin", func(b *bank.Bank) error {
			from, _ := two(b)
			return bank.Submit(b, wallet.UnfreezeWallet, wallet.Freeze{ID: from})
		}),
		bank.On("wallet.unfreeze/1", "wallet_not_found_or_not_frozen", func(b *bank.Bank) error {
			from, _ := two(b)
			b.As(b.Admin())
			return bank.Submit(b, wallet.UnfreezeWallet, wallet.Freeze{ID: from})
		}),
	}
}

// freeze freezes a wallet as an administrator; the actor stays who it was.
func freeze(b *bank.Bank, id store.ID) fsm.Actor {
	owner, admin := b.Actor, b.Admin()
	b.As(admin)
	fsmtest.Must(b.Machine, wallet.FreezeWallet, wallet.Freeze{ID: id, Reason: "check it"})
	b.As(owner)
	return admin
}

func paymentRefusals() []bank.Refusal {
	var cases []bank.Refusal
	for _, c := range []struct {
		name    string
		command fsm.Command[wallet.Payment, wallet.Paid]
		flood   func(other store.ID) flood // so that the last amount does not fit
		last    ledger.Amount
	}{
		{"wallet.deposit/1", wallet.DepositFunds, func(other store.ID) flood {
			return flood{ledger.System(ledger.Funding, "KZT"), other, "KZT", full - 1}
		}, ledger.MaxAmount},
		{"wallet.withdraw/1", wallet.WithdrawFunds, func(store.ID) flood {
			return flood{ledger.System(ledger.Fees, "KZT"), ledger.System(ledger.Payout, "KZT"), "KZT", full}
		}, 2000},
	} {
		pay := func(b *bank.Bank, p wallet.Payment) error { return bank.Submit(b, c.command, p) }
		cases = append(cases,
			bank.On(c.name, "auth_required", func(b *bank.Bank) error { return pay(b, wallet.Payment{}) }),
			bank.On(c.name, "wallet_not_found", func(b *bank.Bank) error {
				_, foreign := two(b)
				return pay(b, wallet.Payment{Wallet: foreign, Amount: 1})
			}),
			bank.On(c.name, "currency_mismatch", func(b *bank.Bank) error {
				from, _ := two(b)
				return pay(b, wallet.Payment{Wallet: from, Amount: 1, Currency: "USD"})
			}),
			bank.On(c.name, "wallet_inactive", func(b *bank.Bank) error {
				from, _ := two(b)
				freeze(b, from)
				return pay(b, wallet.Payment{Wallet: from, Amount: 1})
			}),
			bank.On(c.name, "payment_ref_conflict", func(b *bank.Bank) error {
				two(b)
				b.Verify()
				w := b.Open("KZT", "other", 10_000)
				fsmtest.Must(b.Machine, c.command, wallet.Payment{Wallet: w, Amount: 1, Reference: "r"})
				return pay(b, wallet.Payment{Wallet: w, Amount: 2, Reference: "r"})
			}),
			bank.On(c.name, "amount_overflow", func(b *bank.Bank) error {
				from, other := two(b)
				b.Verify()
				fsmtest.Must(b.Machine, floodAccount, c.flood(other))
				return pay(b, wallet.Payment{Wallet: from, Amount: c.last})
			}),
			bank.On(c.name, "ledger_not_founded", func(b *bank.Bank) error {
				b.Register("ann@example.org")
				return pay(b, wallet.Payment{Wallet: b.Open("KZT", "", 0), Amount: 0})
			}),
		)
	}
	return append(cases, limitRefusals()...)
}

// limitRefusals are those of settings and funds.
func limitRefusals() []bank.Refusal {
	return []bank.Refusal{
		bank.On("wallet.deposit/1", "stub_deposit_disabled", func(b *bank.Bank) error {
			from, _ := two(b)
			b.Set("QPAYNET_STUB_DEPOSIT", "0")
			return bank.Submit(b, wallet.DepositFunds, wallet.Payment{Wallet: from, Amount: 1})
		}),
		bank.On("wallet.deposit/1", "daily_deposit_cap_exceeded", func(b *bank.Bank) error {
			from, _ := two(b)
			return bank.Submit(b, wallet.DepositFunds, wallet.Payment{Wallet: from, Amount: 1})
		}),
		bank.On("wallet.withdraw/1", "insufficient_balance", func(b *bank.Bank) error {
			from, _ := two(b)
			return bank.Submit(b, wallet.WithdrawFunds, wallet.Payment{Wallet: from, Amount: 50_000_000})
		}),
		bank.On("wallet.withdraw/1", "kyc_required", func(b *bank.Bank) error {
			from, _ := two(b)
			b.Set("QPAYNET_KYC_THRESHOLD", "1")
			return bank.Submit(b, wallet.WithdrawFunds, wallet.Payment{Wallet: from, Amount: 101})
		}),
	}
}

// transferRefusals asks for one transfer, or for a batch that must go as a whole.
func transferRefusals(many bool) []bank.Refusal {
	name := "wallet.transfer/1"
	move := func(b *bank.Bank, t wallet.Transfer) error { return bank.Submit(b, wallet.TransferFunds, t) }
	if many {
		name = "wallet.transfer_many/1"
		move = func(b *bank.Bank, t wallet.Transfer) error {
			return bank.Submit(b, wallet.TransferMany, wallet.Transfers{Atomic: true, Rows: []wallet.Transfer{t}})
		}
	}
	// between asks for a transfer of 1 from the first to the second wallet, after
	// a change.
	between := func(change func(b *bank.Bank, t *wallet.Transfer)) func(*bank.Bank) error {
		return func(b *bank.Bank) error {
			from, to := two(b)
			t := wallet.Transfer{From: from, To: to, Amount: 1}
			change(b, &t)
			return move(b, t)
		}
	}
	return []bank.Refusal{
		bank.On(name, "auth_required", func(b *bank.Bank) error { return move(b, wallet.Transfer{}) }),
		bank.On(name, "cannot_transfer_to_same_wallet", between(func(_ *bank.Bank, t *wallet.Transfer) { t.To = t.From })),
		bank.On(name, "transfer_amount_exceeds_max", between(func(_ *bank.Bank, t *wallet.Transfer) { t.Amount = 10_000_001 })),
		bank.On(name, "from_wallet_not_found", between(func(_ *bank.Bank, t *wallet.Transfer) { t.From, t.To = t.To, t.From })),
		bank.On(name, "from_wallet_inactive", between(func(b *bank.Bank, t *wallet.Transfer) { freeze(b, t.From) })),
		bank.On(name, "to_wallet_not_found", between(func(_ *bank.Bank, t *wallet.Transfer) { t.To = "wal_0" })),
		bank.On(name, "to_wallet_inactive", between(func(b *bank.Bank, t *wallet.Transfer) { freeze(b, t.To) })),
		bank.On(name, "recipient_not_found", between(func(_ *bank.Bank, t *wallet.Transfer) { t.To, t.ToEmail = "", "nobody@example.org" })),
		bank.On(name, "recipient_has_no_wallet", between(func(b *bank.Bank, t *wallet.Transfer) {
			ann := b.Actor
			b.Register("cid@example.org")
			b.As(ann)
			t.To, t.ToEmail = "", "cid@example.org"
		})),
		bank.On(name, "kyc_required", between(func(b *bank.Bank, t *wallet.Transfer) {
			b.Set("QPAYNET_KYC_THRESHOLD", "1")
			t.Amount = 101
		})),
		bank.On(name, "payment_ref_conflict", between(func(b *bank.Bank, t *wallet.Transfer) {
			t.Reference = "r"
			fsmtest.Must(b.Machine, wallet.TransferFunds, *t)
			t.Amount = 2
		})),
		bank.On(name, "insufficient_balance", between(func(b *bank.Bank, t *wallet.Transfer) {
			t.From, t.Amount = b.Open("KZT", "empty", 0), 1
		})),
		bank.On(name, "currency_mismatch", between(func(b *bank.Bank, t *wallet.Transfer) { t.Currency = "USD" })),
		bank.On(name, "amount_overflow", between(func(b *bank.Bank, t *wallet.Transfer) {
			fsmtest.Must(b.Machine, floodAccount, flood{ledger.System(ledger.Payout, "KZT"), t.To, "KZT", full})
			t.Amount = 2000
		})),
		bank.On(name, "ledger_not_founded", func(b *bank.Bank) error {
			b.Register("ann@example.org")
			return move(b, wallet.Transfer{From: "a", To: "b", Amount: 1})
		}),
	}
}
