package ledger_test

import (
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/ledger"
	"coffer/fsm/outbox"
	"coffer/store"
)

func hold(b *bank.Bank, amount ledger.Amount, expiresAt store.Time) ledger.Hold {
	b.Helper()
	return fsmtest.Must(b.Machine, reserveSum, reserve{Account: "a", Amount: amount, ExpiresAt: expiresAt})
}

// sums are balance, reserved and available of account a, which holds 1,000.
func sums(b *bank.Bank) [3]ledger.Amount {
	a := account(b, "a")
	return [3]ledger.Amount{a.Balance(), a.Pending, a.Available()}
}

func TestReservedMoneyIsNotAvailable(t *testing.T) {
	b := newVault(t, fsmtest.Options{})
	h := hold(b, 700, 0)
	b.Equal([]any{h.Status, h.Amount, h.Account, h.Reference, h.ExpiresAt}, []any{ledger.Held, ledger.Amount(700), store.ID("a"), "order 7", store.Time(0)})
	b.Equal(sums(b), [3]ledger.Amount{1000, 700, 300})
	short := fsmtest.Rejects(b.Machine, reserveSum, reserve{Account: "a", Amount: 301}, ledger.ErrInsufficient)
	for name, want := range map[string]int64{"required": 301, "balance": 300} {
		d, _ := short.Detail(name)
		b.Equal(d.Number, want)
	}
	short = fsmtest.Rejects(b.Machine, postMoney, post{Currency: "KZT", Postings: []leg{{"a", "b", 301}}}, ledger.ErrInsufficient)
	available, _ := short.Detail("balance")
	b.Equal(available.Number, int64(300))
	hold(b, 300, 0)
	b.Equal(sums(b), [3]ledger.Amount{1000, 1000, 0})
	fsmtest.Rejects(b.Machine, postMoney, post{Currency: "KZT", Postings: []leg{{"a", "b", 1}}}, ledger.ErrInsufficient)
	pay(b, leg{"a", "b", 5}, leg{ledger.System(ledger.Funding, "KZT"), "a", 5}) // it does not touch what is reserved
	fsmtest.Must(b.Machine, releaseSum, ledger.Expire{ID: h.ID})
	b.Equal(sums(b), [3]ledger.Amount{1000, 300, 700})
	fsmtest.Rejects(b.Machine, releaseSum, ledger.Expire{ID: h.ID}, ledger.ErrNotHeld)
	fsmtest.Rejects(b.Machine, releaseSum, ledger.Expire{ID: "hld_0"}, ledger.ErrNoHold)
}

func TestCaptureTakesAllOrAPart(t *testing.T) {
	b := newVault(t, fsmtest.Options{})
	all, part := hold(b, 400, 0), hold(b, 500, 0)
	got := fsmtest.Must(b.Machine, captureSum, capture{ID: all.ID, To: "c", Amount: 400})
	b.Equal(got.Status, ledger.Captured)
	b.Equal(got.EndedAt > got.CreatedAt, true)
	b.Equal(sums(b), [3]ledger.Amount{600, 500, 100})
	fsmtest.Must(b.Machine, captureSum, capture{ID: part.ID, To: "c", Amount: 120, More: 30})
	b.Equal(sums(b), [3]ledger.Amount{450, 0, 450}) // what was not taken is available again
	b.Equal([]ledger.Amount{account(b, "c").Balance(), account(b, "other").Balance()}, []ledger.Amount{520, 30})
	for _, id := range []store.ID{all.ID, part.ID} {
		ended := fsmtest.Rejects(b.Machine, captureSum, capture{ID: id, To: "c", Amount: 1}, ledger.ErrNotHeld)
		status, _ := ended.Detail("status")
		b.Equal(status.Text, "captured")
		fsmtest.Rejects(b.Machine, releaseSum, ledger.Expire{ID: id}, ledger.ErrNotHeld)
	}
}

// More than was reserved is refused, all postings together, even where the
// account could pay it.
func TestCaptureTakesNoMoreThanWasReserved(t *testing.T) {
	b := newVault(t, fsmtest.Options{})
	h := hold(b, 400, 0)
	for _, c := range []capture{{ID: h.ID, To: "c", Amount: 401}, {ID: h.ID, To: "c", Amount: 400, More: 1}} {
		short := fsmtest.Rejects(b.Machine, captureSum, c, ledger.ErrInsufficient)
		for name, want := range map[string]int64{"required": 401, "balance": 400} {
			d, _ := short.Detail(name)
			b.Equal(d.Number, want)
		}
		b.Equal(sums(b), [3]ledger.Amount{1000, 400, 600})
	}
	fsmtest.Must(b.Machine, captureSum, capture{ID: h.ID, To: "c", Amount: 400})
}

// A domain may answer an over-capture with fsm.Declined, which keeps what was
// written: the hold must still stand.
func TestAnOverCaptureWritesNothing(t *testing.T) {
	b := newVault(t, fsmtest.Options{})
	h := hold(b, 400, 0)
	fsmtest.Rejects(b.Machine, captureSum, capture{ID: h.ID, To: "c", Amount: 401, Declined: true}, ledger.ErrInsufficient)
	b.Equal(sums(b), [3]ledger.Amount{1000, 400, 600})
	b.Read(func(v *store.View) {
		still, _ := ledger.HoldOf(v, h.ID)
		b.Equal(still, h)
	})
}

func TestHoldsExpireByLogTime(t *testing.T) {
	b := newVault(t, fsmtest.Options{})
	due := b.Clock + store.Time(store.Hour)
	late, first, never := hold(b, 100, due+10), hold(b, 200, due), hold(b, 300, 0)
	expire := func(id store.ID, want *fsm.Rejection) {
		t.Helper()
		b.AsNode(func() {
			if want == nil {
				fsmtest.Must(b.Machine, ledger.ExpireHold, ledger.Expire{ID: id})
				return
			}
			fsmtest.Rejects(b.Machine, ledger.ExpireHold, ledger.Expire{ID: id}, want)
		})
	}
	order := func() (ids []store.ID) {
		b.Read(func(v *store.View) {
			for h := range ledger.HoldsDue(v) {
				ids = append(ids, h.ID)
			}
		})
		return ids
	}
	b.Equal(order(), []store.ID{first.ID, late.ID})
	expire(never.ID, ledger.ErrNotDue)
	b.Clock = due - 2
	expire(first.ID, ledger.ErrNotDue) // at due - 1
	expire(first.ID, nil)              // at due
	expire(first.ID, ledger.ErrNotHeld)
	expire(late.ID, ledger.ErrNotDue)
	b.Equal(order(), []store.ID{late.ID})
	b.Equal(sums(b), [3]ledger.Amount{1000, 400, 600})
	fsmtest.Rejects(b.Machine, captureSum, capture{ID: first.ID, To: "c", Amount: 1}, ledger.ErrNotHeld)
	b.Read(func(v *store.View) {
		h, _ := ledger.HoldOf(v, first.ID)
		b.Equal([]any{h.Status, h.EndedAt}, []any{ledger.Expired, due})
		e := outbox.At(v, outbox.Length(v)-1)
		b.Equal([]any{e.Kind, e.Users}, []any{"ledger.hold_expired", []store.ID{"ann"}})
		b.Equal(e.Facts, []fsm.Detail{fsm.Text("holdId", string(first.ID)), fsm.Number("amount", 200)})
	})
	expire("hld_0", ledger.ErrNoHold)
	b.Advance(store.Day)
	hold(b, 1, 0)
	fsmtest.Must(b.Machine, captureSum, capture{ID: late.ID, To: "c", Amount: 100}) // due, but nobody has ended it
	b.Equal(len(order()), 0)
}

func TestAnAccountWithOverdraftMayReserveMore(t *testing.T) {
	b := newVault(t, fsmtest.Options{})
	fees := ledger.System(ledger.Fees, "KZT")
	pay(b, leg{"a", fees, 10})
	h := fsmtest.Must(b.Machine, reserveSum, reserve{Account: fees, Amount: 50})
	b.Equal(account(b, fees).Available(), ledger.Amount(-40))
	fsmtest.Must(b.Machine, captureSum, capture{ID: h.ID, To: "c", Amount: 50})
	b.Equal(account(b, fees).Balance(), ledger.Amount(-40))
	var many []fsm.Request
	for range 1024 {
		many = append(many, fsmtest.Request(b.Machine, reserveSum, reserve{Account: fees, Amount: ledger.MaxAmount}))
	}
	for _, o := range b.Apply(many...) {
		b.Equal(o.Rejection == nil, true)
	}
	fsmtest.Rejects(b.Machine, reserveSum, reserve{Account: fees, Amount: ledger.MaxAmount}, ledger.ErrTooLarge)
}
