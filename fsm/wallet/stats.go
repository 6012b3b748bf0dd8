package wallet

import (
	"fmt"
	"math"

	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/limits"
	"coffer/store"
)

// Stats are sums over all wallets. Money is in tiyin and of KZT wallets only.
type Stats struct {
	Active       int64         `cbor:"1,keyasint"`
	Total        int64         `cbor:"2,keyasint"`
	Transactions int64         `cbor:"3,keyasint"` // rows that wallets show
	Deposited    ledger.Amount `cbor:"4,keyasint"`
	Transferred  ledger.Amount `cbor:"5,keyasint"`
}

var stats = store.NewTable("wallet.stats", func(*Stats) store.ID { return "stats" })

// StatsOf returns the sums over all wallets.
func StatsOf(r store.Reader) Stats {
	s, _ := stats.Get(r, "stats")
	return s
}

func count(ctx *fsm.Context, delta Stats) {
	s := StatsOf(ctx)
	s.Active += delta.Active
	s.Total += delta.Total
	s.Transactions += delta.Transactions
	s.Deposited = saturate(s.Deposited, delta.Deposited)
	s.Transferred = saturate(s.Transferred, delta.Transferred)
	stats.Put(ctx, s)
}

// saturate adds and stops at the end of int64: a statistic is no money.
func saturate(a, b ledger.Amount) ledger.Amount {
	sum, err := a.Plus(b)
	if err != nil {
		return math.MaxInt64
	}
	return sum
}

// inKZT is an amount if it is in the currency that statistics are kept in.
func inKZT(currency string, amount ledger.Amount) ledger.Amount {
	if currency != limits.CapCurrency {
		return 0
	}
	return amount
}

// Module is the domain for the list of all domains.
func Module() fsm.Module {
	return fsm.Module{
		Name:   "wallet",
		Tables: []store.Shape{wallets, stats, paymentRefs},
		Commands: []fsm.Handler{
			fsm.Handle(OpenWallet, open), fsm.Handle(UpdateWallet, update), fsm.Handle(CloseWallet, closeWallet),
			fsm.Handle(FreezeWallet, freeze), fsm.Handle(UnfreezeWallet, unfreeze),
			fsm.Handle(DepositFunds, deposit), fsm.Handle(WithdrawFunds, withdraw),
			fsm.Handle(TransferFunds, transfer), fsm.Handle(TransferMany, transferMany),
		},
		Listens: []fsm.Listener{identity.AccountDeleted.Listen(ownerDeleted)},
		Invariants: []fsm.Invariant{
			{Name: "wallets and accounts belong together", Check: walletsHaveAccounts},
			{Name: "wallet statistics count the wallets", Check: statsCount},
			{Name: "one primary wallet per user and currency", Check: onePrimary},
		},
	}
}

func walletsHaveAccounts(v *store.View) error {
	for _, w := range wallets.Scan(v, store.All{}, nil) {
		a, ok := ledger.Get(v, w.ID)
		if !ok || a.Currency != w.Currency || a.Owner != w.Owner || a.Code != ledger.Customer {
			return fmt.Errorf("wallet %s has account %+v", w.ID, a)
		}
		if w.Status == Closed && (a.Balance() != 0 || w.Primary) {
			return fmt.Errorf("closed wallet %s holds %d, primary %v", w.ID, a.Balance(), w.Primary)
		}
	}
	return nil
}

func statsCount(v *store.View) error {
	var want Stats
	for _, w := range wallets.Scan(v, store.All{}, nil) {
		want.Total++
		if w.Status == Active {
			want.Active++
		}
	}
	if have := StatsOf(v); have.Total != want.Total || have.Active != want.Active {
		return fmt.Errorf("%d wallets are counted, %d active; there are %d and %d", have.Total, have.Active, want.Total, want.Active)
	}
	return nil
}

func onePrimary(v *store.View) error {
	active := map[ownerCurrency]bool{}
	for _, w := range wallets.Scan(v, store.All{}, nil) {
		if w.Status == Active {
			active[store.PairOf(w.Owner, store.Text(w.Currency))] = true
		}
	}
	for _, w := range wallets.Scan(v, store.All{}, nil) {
		if key := store.PairOf(w.Owner, store.Text(w.Currency)); active[key] {
			if _, ok := primaries.Get(v, key); !ok {
				return fmt.Errorf("%s has active wallets in %s and no primary one", w.Owner, w.Currency)
			}
		}
	}
	return nil
}
