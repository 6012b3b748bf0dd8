package wallet_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/ledger"
	"coffer/fsm/wallet"
	"coffer/store"
)

// BenchmarkTransferMany applies commands of 8,190 transfers between 10,000
// wallets of four users, flushes included.
func BenchmarkTransferMany(b *testing.B) {
	users, ids, m := benchBank(b)
	random := rand.New(rand.NewPCG(1, 1))
	entries := make([]fsm.Request, 16)
	for i := range entries {
		user := i % len(users)
		rows := make([]wallet.Transfer, wallet.MaxTransfers)
		for j := range rows {
			from := ids[user][random.IntN(len(ids[user]))]
			to := ids[random.IntN(len(ids))][random.IntN(len(ids[0]))]
			for to == from {
				to = ids[0][random.IntN(len(ids[0]))]
			}
			rows[j] = wallet.Transfer{From: from, To: to, Amount: ledger.Amount(1 + random.IntN(50)), Memo: "batch transfer for the benchmark"}
		}
		entries[i] = fsm.Request{Command: wallet.TransferMany.Name, Actor: users[user], Payload: store.Encode(&wallet.Transfers{Rows: rows})}
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		r := entries[n%len(entries)]
		r.RequestID = fsm.NewRequestID()
		n++
		if o := m.Apply(r)[0]; o.Rejection != nil {
			b.Fatal(o.Rejection)
		}
	}
	b.ReportMetric(float64(n*wallet.MaxTransfers)/b.Elapsed().Seconds(), "transfers/s")
}

// BenchmarkTransfer applies single transfers, 64 to an entry.
func BenchmarkTransfer(b *testing.B) {
	users, ids, m := benchBank(b)
	random := rand.New(rand.NewPCG(1, 1))
	groups := make([][]fsm.Request, 256)
	for i := range groups {
		for range 64 {
			user := random.IntN(len(users))
			from := ids[user][random.IntN(len(ids[user]))]
			to := ids[random.IntN(len(ids))][random.IntN(len(ids[0]))]
			for to == from {
				to = ids[0][random.IntN(len(ids[0]))]
			}
			groups[i] = append(groups[i], fsm.Request{Command: wallet.TransferFunds.Name, Actor: users[user],
				Payload: store.Encode(&wallet.Transfer{From: from, To: to, Amount: 10, Memo: "one"})})
		}
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		rs := groups[n/64%len(groups)]
		for i := range rs {
			rs[i].RequestID = fsm.NewRequestID()
		}
		n += len(rs)
		for _, o := range m.Apply(rs...) {
			if o.Rejection != nil {
				b.Fatal(o.Rejection)
			}
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "transfers/s")
}

func benchBank(b *testing.B) (users []fsm.Actor, ids [][]store.ID, m *fsmtest.Machine) {
	bank := bank.New(b, fsmtest.Options{Unchecked: true})
	bank.Set("QPAYNET_DAILY_DEPOSIT_CAP", "1000000000000")
	bank.Set("QPAYNET_KYC_THRESHOLD", "1000000000000")
	for i := range 4 {
		users = append(users, bank.Register(fmt.Sprintf("user%d@example.org", i)))
		ids = append(ids, nil)
		for j := range 2500 {
			ids[i] = append(ids[i], bank.Open("KZT", fmt.Sprint("w", j), 100_000_000))
		}
	}
	return users, ids, bank.Machine
}
