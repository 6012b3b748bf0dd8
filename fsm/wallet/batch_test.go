package wallet_test

import (
	"fmt"
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/limits"
	"coffer/fsm/outbox"
	"coffer/fsm/reputation"
	"coffer/fsm/wallet"
	"coffer/ledgerchain"
	"coffer/store"
)

// events lists the outbox from a number on.
func events(b *bank.Bank, from uint64) (list []outbox.Event) {
	b.Read(func(v *store.View) {
		for i := from; i < outbox.Length(v); i++ {
			list = append(list, outbox.At(v, i))
		}
	})
	return list
}

func kinds(events []outbox.Event) (kinds []string) {
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func queued(b *bank.Bank) (n uint64) {
	b.Read(func(v *store.View) { n = outbox.Length(v) })
	return n
}

func volume(b *bank.Bank, user string) (found limits.Volume) {
	b.Read(func(v *store.View) {
		month, _ := limits.MonthOf(v.Applied().Time)
		found = limits.VolumeOf(v, store.ID(user), month)
	})
	return found
}

func TestABatchIsOneEventOneScoreAndOneAuditRow(t *testing.T) {
	b := newBank(t)
	bob := b.Register("bob@example.org")
	to, toDollars := b.Open("KZT", "", 0), b.Open("USD", "", 0)
	cid := b.Register("cid@example.org")
	third := b.Open("KZT", "", 0)
	ann := b.Register("ann@example.org")
	from, dollars, own := b.Open("KZT", "", 1_000_000), b.Open("USD", "", 1_000), b.Open("KZT", "own", 0)
	before := queued(b)
	var audited uint64
	b.Read(func(v *store.View) { audited = identity.AuditCount(v, identity.QPayNetTrail, store.ID(ann.ID)) })

	got := fsmtest.Must(b.Machine, wallet.TransferMany, wallet.Transfers{Rows: []wallet.Transfer{
		{From: from, To: to, Amount: 1000},
		{From: from, To: third, Amount: 2000},
		{From: from, To: own, Amount: 500}, // no score: the same owner
		{From: dollars, To: toDollars, Amount: 10},
		{From: from, To: "wal_0", Amount: 1},
		{From: own, To: to, Amount: 100},
	}})
	b.Equal(got.Rows[4].Code, "to_wallet_not_found")
	b.Equal(got.Rows[3].Currency, "USD")
	b.Equal([]string{got.Rows[0].Code, got.Rows[1].Code, got.Rows[2].Code, got.Rows[5].Code}, []string{"", "", "", ""})

	list := events(b, before)
	b.Equal(kinds(list), []string{"wallet.transferred"})
	b.Equal(list[0].Users, []store.ID{store.ID(ann.ID), store.ID(bob.ID), store.ID(cid.ID)})
	b.Equal([]uint64{list[0].First, list[0].Count}, []uint64{3, 5})
	b.Equal([]int64{b.Score(ann.ID), b.Score(bob.ID), b.Score(cid.ID)}, []int64{4, 3, 1})
	b.Read(func(v *store.View) {
		b.Equal(len(reputation.Recent(v, store.ID(ann.ID), 10)), 1)
		b.Equal(len(reputation.Recent(v, store.ID(bob.ID), 10)), 1)
		b.Equal(identity.AuditCount(v, identity.QPayNetTrail, store.ID(ann.ID)), audited+1)
		b.Equal(wallet.StatsOf(v).Transactions, int64(2+2*5))
	})
	// Five legs of her own pay and one receives; her two deposits are more.
	b.Equal(volume(b, ann.ID).Moves, int64(8))
	b.Equal(volume(b, bob.ID).Moves, int64(3))
	b.Equal(volume(b, ann.ID).Outgoing, int64(1000+2000+500+10*500+100))
	b.Equal(volume(b, bob.ID).Days[0].In, int64(1100))
}

// The month's count of a dashboard is the same whether transfers come one by
// one or together.
func TestMovesOfABatchCountLikeSingleTransfers(t *testing.T) {
	moves := func(together bool) [2]int64 {
		b := newBank(t)
		bob := b.Register("bob@example.org")
		to := b.Open("KZT", "", 0)
		ann := b.Register("ann@example.org")
		from := b.Open("KZT", "", 1_000_000)
		rows := make([]wallet.Transfer, 7)
		for i := range rows {
			rows[i] = wallet.Transfer{From: from, To: to, Amount: ledger.Amount(i + 1)}
		}
		if together {
			fsmtest.Must(b.Machine, wallet.TransferMany, wallet.Transfers{Rows: rows})
		} else {
			for _, row := range rows {
				fsmtest.Must(b.Machine, wallet.TransferFunds, row)
			}
		}
		return [2]int64{volume(b, ann.ID).Moves, volume(b, bob.ID).Moves}
	}
	if one, many := moves(false), moves(true); one != many || one != [2]int64{8, 7} {
		t.Errorf("one by one %v, together %v", one, many)
	}
}

func TestABatchOfRefusedRowsLeavesNoTrace(t *testing.T) {
	b := newBank(t)
	from, _ := two(b)
	before, score := queued(b), b.Score(b.Actor.ID)
	caller := b.Caller()
	rows := wallet.Transfers{Rows: []wallet.Transfer{{From: from, To: from, Amount: 1}, {From: "wal_0", To: from, Amount: 1}}}
	got, err := wallet.TransferMany.Submit(caller, b.Proposer(), rows)
	b.Equal(err, nil)
	b.Equal([]string{got.Rows[0].Code, got.Rows[1].Code}, []string{"cannot_transfer_to_same_wallet", "from_wallet_not_found"})
	b.Equal(queued(b), before)
	b.Equal(b.Score(b.Actor.ID), score)
	b.Read(func(v *store.View) { b.Equal(ledgerchain.Size(v), uint64(1)) })
	_, err = wallet.TransferMany.Submit(caller, b.Proposer(), rows) // a result, so it is remembered
	b.Equal(err, nil)
	b.Equal(caller.Outcome.Replayed, true)
	none := fsmtest.Must(b.Machine, wallet.TransferMany, wallet.Transfers{})
	b.Equal(len(none.Rows), 0)
}

// Caps see what the rows before have sent.
func TestRowsSeeTheRowsBefore(t *testing.T) {
	b := newBank(t)
	from, to := two(b)
	b.Set("QPAYNET_KYC_THRESHOLD", "1000")
	row := wallet.Transfer{From: from, To: to, Amount: 50_000}
	got := fsmtest.Must(b.Machine, wallet.TransferMany, wallet.Transfers{Rows: []wallet.Transfer{row, row, {From: from, To: to, Amount: 1}}})
	b.Equal(got.Rows[2].Code, "kyc_required")
	b.Equal(b.Balance(to), ledger.Amount(100_000))
}

func TestARefusedAtomicBatchNamesItsRowAndTakesEverythingBack(t *testing.T) {
	b := newBank(t)
	from, to := two(b)
	before, digest := b.Dump(), queued(b)
	for index, bad := range []wallet.Transfer{
		{From: from, To: from, Amount: 1}, {From: from, To: to, Amount: 49_999_999}, {From: from, To: to, Amount: 1, Currency: "USD"},
	} {
		rows := make([]wallet.Transfer, 4)
		for i := range rows {
			rows[i] = wallet.Transfer{From: from, To: to, Amount: 10, Reference: fmt.Sprint("r", i)}
		}
		rows[index] = bad
		err := bank.Submit(b, wallet.TransferMany, wallet.Transfers{Rows: rows, Atomic: true})
		refused, ok := fsm.AsRejection(err)
		b.Equal(ok, true)
		d, _ := refused.Detail("index")
		b.Equal(d.Number, int64(index))
	}
	after := b.Dump()
	b.Equal(len(after), len(before)) // three entries are applied, no row is new
	b.Equal(queued(b), digest)
	b.Equal(b.Balance(from), ledger.Amount(50_000_000))
}

func TestTheLargestBatchFits(t *testing.T) {
	b := bank.New(t, fsmtest.Options{Unchecked: true})
	from, to := two(b)
	rows := make([]wallet.Transfer, wallet.MaxTransfers)
	for i := range rows {
		rows[i] = wallet.Transfer{From: from, To: to, Amount: 1}
	}
	got := fsmtest.Must(b.Machine, wallet.TransferMany, wallet.Transfers{Rows: rows, Atomic: true})
	b.Equal(len(got.Rows), wallet.MaxTransfers)
	b.Equal(b.Balance(to), ledger.Amount(wallet.MaxTransfers))
	b.Equal(b.Balance(from), ledger.Amount(50_000_000-2*wallet.MaxTransfers))
	b.Equal(b.Score(b.Actor.ID), int64(wallet.MaxTransfers))
}
