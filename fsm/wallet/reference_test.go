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

func TestAReferenceOfAPaymentIsAPermanentKey(t *testing.T) {
	for name, command := range map[string]fsm.Command[wallet.Payment, wallet.Paid]{"deposit": wallet.DepositFunds, "withdraw": wallet.WithdrawFunds} {
		t.Run(name, func(t *testing.T) {
			b := newBank(t)
			b.Register("ann@example.org")
			id, other := b.Open("KZT", "", 100_000), b.Open("KZT", "other", 100_000)
			pay := wallet.Payment{Wallet: id, Amount: 500, Memo: "first", Reference: "inv-1"}
			first := fsmtest.Must(b.Machine, command, pay)
			fsmtest.Must(b.Machine, wallet.DepositFunds, wallet.Payment{Wallet: id, Amount: 7})
			before, balance := queued(b), b.Balance(id)

			b.Advance(40 * store.Day)
			pay.Memo = "again"
			again := fsmtest.Must(b.Machine, command, pay)
			b.Equal(again.Repeated, true)
			again.Repeated = false
			b.Equal(again, first) // the balance it had then, too
			b.Equal(b.Balance(id), balance)
			b.Equal(queued(b), before)

			pay.Amount++
			fsmtest.Rejects(b.Machine, command, pay, wallet.ErrRefConflict)
			b.Equal(b.Balance(id), balance)
			pay.Wallet = other // a reference belongs to its wallet
			b.Equal(fsmtest.Must(b.Machine, command, pay).Repeated, false)
			pay.Reference = "inv-2"
			b.Equal(fsmtest.Must(b.Machine, command, pay).Repeated, false)
		})
	}
}

// The same reference means another payment for another operation.
func TestReferencesBelongToTheirOperation(t *testing.T) {
	b := newBank(t)
	from, to := two(b)
	withdrawn := fsmtest.Must(b.Machine, wallet.WithdrawFunds, wallet.Payment{Wallet: from, Amount: 5, Reference: "r"})
	moved := fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: to, Amount: 5, Reference: "r"})
	b.Verify()
	deposited := fsmtest.Must(b.Machine, wallet.DepositFunds, wallet.Payment{Wallet: from, Amount: 5, Reference: "r"})
	b.Equal([]bool{withdrawn.Repeated, moved.Repeated, deposited.Repeated}, []bool{false, false, false})
}

// What was paid stays paid: later states of wallets and settings do not change
// the answer.
func TestAReplayComesBeforeAllOtherChecks(t *testing.T) {
	b := newBank(t)
	from, to := two(b)
	transfer := wallet.Transfer{From: from, To: to, Amount: 1000, Reference: "t"}
	withdraw := wallet.Payment{Wallet: from, Amount: 1000, Reference: "w"}
	deposit := wallet.Payment{Wallet: b.Open("KZT", "second", 0), Amount: 1000, Reference: "d"}
	b.Advance(store.Day)
	fsmtest.Must(b.Machine, wallet.TransferFunds, transfer)
	fsmtest.Must(b.Machine, wallet.WithdrawFunds, withdraw)
	fsmtest.Must(b.Machine, wallet.DepositFunds, deposit)
	freeze(b, from)
	freeze(b, to)
	freeze(b, deposit.Wallet)
	for name, text := range map[string]string{"QPAYNET_STUB_DEPOSIT": "0", "QPAYNET_MAX_TRANSFER": "0", "QPAYNET_KYC_THRESHOLD": "0", "QPAYNET_DAILY_DEPOSIT_CAP": "0"} {
		b.Set(name, text)
	}
	b.Equal(fsmtest.Must(b.Machine, wallet.TransferFunds, transfer).Repeated, true)
	b.Equal(fsmtest.Must(b.Machine, wallet.WithdrawFunds, withdraw).Repeated, true)
	b.Equal(fsmtest.Must(b.Machine, wallet.DepositFunds, deposit).Repeated, true)
	deposit.Reference = "another"
	fsmtest.Rejects(b.Machine, wallet.DepositFunds, deposit, wallet.ErrStubDeposit)
}

func TestReferencesByEmail(t *testing.T) {
	for _, c := range []struct {
		name         string
		first, again wallet.Transfer
		conflict     bool
	}{
		{"the same e-mail", wallet.Transfer{ToEmail: "bob@example.org"}, wallet.Transfer{ToEmail: "bob@example.org"}, false},
		{"e-mail, then wallet", wallet.Transfer{ToEmail: "bob@example.org"}, wallet.Transfer{To: "bob"}, false},
		{"wallet, then e-mail", wallet.Transfer{To: "bob"}, wallet.Transfer{ToEmail: "bob@example.org"}, false},
		{"e-mail of another", wallet.Transfer{ToEmail: "bob@example.org"}, wallet.Transfer{ToEmail: "cid@example.org"}, true},
		{"e-mail of nobody", wallet.Transfer{ToEmail: "bob@example.org"}, wallet.Transfer{ToEmail: "nobody@example.org"}, true},
		{"wallet of another", wallet.Transfer{To: "bob"}, wallet.Transfer{To: "cid"}, true},
		{"wallet, then e-mail of another", wallet.Transfer{To: "bob"}, wallet.Transfer{ToEmail: "cid@example.org"}, true},
		{"e-mail, then wallet of another", wallet.Transfer{ToEmail: "bob@example.org"}, wallet.Transfer{To: "cid"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := bank.New(t, fsmtest.Options{Unchecked: true})
			ids := map[store.ID]store.ID{"": ""}
			for _, name := range []store.ID{"bob", "cid"} {
				b.Register(string(name) + "@example.org")
				ids[name] = b.Open("KZT", "", 0)
			}
			b.Register("ann@example.org")
			from := b.Open("KZT", "", 10_000)
			send := func(transfer wallet.Transfer) wallet.Transfer {
				transfer.From, transfer.To, transfer.Amount, transfer.Reference = from, ids[transfer.To], 100, "r"
				return transfer
			}
			first := fsmtest.Must(b.Machine, wallet.TransferFunds, send(c.first))
			if c.conflict {
				fsmtest.Rejects(b.Machine, wallet.TransferFunds, send(c.again), wallet.ErrRefConflict)
				b.Equal(b.Balance(ids["bob"]), ledger.Amount(100))
				return
			}
			again := fsmtest.Must(b.Machine, wallet.TransferFunds, send(c.again))
			b.Equal(again.Repeated, true)
			b.Equal(again.Out, first.Out)
			b.Equal(b.Balance(ids["bob"]), ledger.Amount(100))
		})
	}
}

// The receiver named by e-mail may be gone, or have another wallet: it is still
// the same payment.
func TestAReplayByEmailNeedsNoReceiver(t *testing.T) {
	b := newBank(t)
	from, to := two(b)
	send := wallet.Transfer{From: from, ToEmail: "bob@example.org", Amount: 100, Reference: "r"}
	first := fsmtest.Must(b.Machine, wallet.TransferFunds, send)
	ann := b.Actor
	b.As(sessionOf(b, "bob@example.org"))
	fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: to, To: from, Amount: 99})
	fsmtest.Must(b.Machine, wallet.CloseWallet, wallet.Close{ID: to})
	b.As(ann)
	again := fsmtest.Must(b.Machine, wallet.TransferFunds, send)
	b.Equal(again.Repeated, true)
	b.Equal(again.Out, first.Out)
	send.Reference = "another"
	fsmtest.Rejects(b.Machine, wallet.TransferFunds, send, wallet.ErrRecipientNoWallet)
}

func TestReferencesWithinABatch(t *testing.T) {
	b := newBank(t)
	from, to := two(b)
	earlier := fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: to, Amount: 10, Reference: "a"})
	got := fsmtest.Must(b.Machine, wallet.TransferMany, wallet.Transfers{Rows: []wallet.Transfer{
		{From: from, To: to, Amount: 10, Reference: "a"},
		{From: from, To: to, Amount: 20, Reference: "b"},
		{From: from, To: to, Amount: 20, Reference: "b"},
		{From: from, To: to, Amount: 21, Reference: "b"},
	}}).Rows
	b.Equal(got[0].Transaction, earlier.Out)
	b.Equal(got[2], got[1])
	b.Equal(got[3].Code, "payment_ref_conflict")
	b.Equal(b.Balance(to), ledger.Amount(30))
	single := fsmtest.Must(b.Machine, wallet.TransferFunds, wallet.Transfer{From: from, To: to, Amount: 20, Reference: "b"})
	b.Equal(single.Repeated, true)
	b.Equal(single.Out, got[1].Transaction)
	b.Equal(single.Entry != "" && single.In != "", true)
}
