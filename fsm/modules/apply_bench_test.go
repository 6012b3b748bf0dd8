package modules_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hashicorp/raft"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/ledger"
	"coffer/fsm/wallet"
	"coffer/store"
)

// payers are a few users with many wallets, as `coffer bench` has them.
type payers struct {
	*bank.Bank
	random  *rand.Rand
	users   []fsm.Actor
	wallets []store.ID
}

func newPayers(b *testing.B) *payers {
	p := &payers{Bank: bank.New(b, fsmtest.Options{Unchecked: true}), random: rand.New(rand.NewPCG(1, 2))}
	for _, name := range []string{"QPAYNET_DAILY_DEPOSIT_CAP", "QPAYNET_MAX_TRANSFER", "QPAYNET_KYC_THRESHOLD"} {
		p.Set(name, fmt.Sprint(9_000_000_000_000))
	}
	for i := range 4 {
		p.users = append(p.users, p.Register(fmt.Sprintf("user-%d@example.org", i)))
	}
	for i := range 10_000 {
		p.As(p.users[i%len(p.users)])
		p.wallets = append(p.wallets, p.Open("KZT", fmt.Sprintf("bench %d", i), 1e8))
	}
	return p
}

// transfer is a random one, from a wallet of the user.
func (p *payers) transfer(user int) wallet.Transfer {
	n := len(p.users)
	from := p.random.IntN(len(p.wallets)/n)*n + user
	to := p.random.IntN(len(p.wallets)/n)*n + (user+1+p.random.IntN(n-1))%n
	return wallet.Transfer{From: p.wallets[from], To: p.wallets[to], Amount: ledger.Amount(1 + p.random.IntN(1000)), Currency: "KZT"}
}

// apply measures applying entries that are made in advance; each holds n
// transfers.
func (p *payers) apply(b *testing.B, n int, requests func() []fsm.Request) {
	var logs []*raft.Log
	for range (b.N + n - 1) / n {
		logs = append(logs, p.Sealed(requests()...))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, log := range logs {
		for _, response := range p.Machine.Machine().ApplyBatch([]*raft.Log{log}) {
			if response == nil {
				b.Fatal(p.Machine.Machine().Err())
			}
		}
	}
	b.StopTimer()
}

// BenchmarkApplyTransfers applies single transfers, 30 in an entry.
func BenchmarkApplyTransfers(b *testing.B) {
	const perEntry = 30
	p := newPayers(b)
	p.apply(b, perEntry, func() (rs []fsm.Request) {
		for range perEntry {
			user := p.random.IntN(len(p.users))
			p.As(p.users[user])
			rs = append(rs, fsmtest.Request(p.Machine, wallet.TransferFunds, p.transfer(user)))
		}
		return rs
	})
}

// BenchmarkApplyTransferMany applies requests of 8,190 transfers.
func BenchmarkApplyTransferMany(b *testing.B) {
	const perRequest = 8190
	p := newPayers(b)
	p.apply(b, perRequest, func() []fsm.Request {
		user := p.random.IntN(len(p.users))
		p.As(p.users[user])
		var in wallet.Transfers
		for range perRequest {
			in.Rows = append(in.Rows, p.transfer(user))
		}
		return []fsm.Request{fsmtest.Request(p.Machine, wallet.TransferMany, in)}
	})
}
