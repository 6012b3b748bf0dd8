package limits

import (
	"fmt"

	"coffer/fsm"
	"coffer/store"
)

// deposit is one deposit that still counts for the daily cap.
type deposit struct {
	User   store.ID   `cbor:"1,keyasint"`
	At     store.Time `cbor:"2,keyasint"`
	Amount int64      `cbor:"3,keyasint"` // in tiyin that caps count
}

// window is a user's deposits of the last 24 hours in one number.
type window struct {
	User store.ID `cbor:"1,keyasint"`
	Sum  int64    `cbor:"2,keyasint"`
}

var (
	deposits = store.NewTable("limits.deposits", func(d *deposit) store.Pair[store.ID, store.Time] {
		return store.PairOf(d.User, d.At)
	})
	windows = store.NewTable("limits.windows", func(w *window) store.ID { return w.User })
)

// Deposited returns what a user has deposited in the last 24 hours before Now.
// Deposits that are older leave the window here.
func Deposited(ctx *fsm.Context, user store.ID) int64 {
	w, ok := windows.Get(ctx, user)
	if !ok {
		return 0
	}
	var old []deposit
	for _, d := range deposits.Scan(ctx, user, nil) {
		if d.At.Add(store.Day) > ctx.Now {
			break
		}
		old = append(old, d)
	}
	if len(old) == 0 {
		return w.Sum
	}
	for _, d := range old {
		w.Sum -= d.Amount
		deposits.Delete(ctx, store.PairOf(user, d.At))
	}
	windows.Put(ctx, w)
	return w.Sum
}

// RecordDeposit adds a deposit to the window. It is called once per request,
// since deposits of a user are told apart by their log time.
func RecordDeposit(ctx *fsm.Context, user store.ID, amount int64) {
	Deposited(ctx, user) // for users without a cap nobody else looks
	w, _ := windows.Get(ctx, user)
	w.User, w.Sum = user, w.Sum+amount
	windows.Put(ctx, w)
	deposits.Put(ctx, deposit{User: user, At: ctx.Now, Amount: amount})
}

func windowsAddUp(v *store.View) error {
	sums := map[store.ID]int64{}
	for _, d := range deposits.Scan(v, store.All{}, nil) {
		sums[d.User] += d.Amount
	}
	for _, w := range windows.Scan(v, store.All{}, nil) {
		if sums[w.User] != w.Sum {
			return fmt.Errorf("deposits of %s add up to %d, the window says %d", w.User, sums[w.User], w.Sum)
		}
		delete(sums, w.User)
	}
	if len(sums) > 0 {
		return fmt.Errorf("%d users have deposits but no window", len(sums))
	}
	return nil
}

// Module is the domain for the list of all domains.
func Module() fsm.Module {
	return fsm.Module{
		Name:   "limits",
		Tables: []store.Shape{volumes, deposits, windows},
		Invariants: []fsm.Invariant{
			{Name: "days of a month ascend", Check: daysAscend},
			{Name: "deposit windows add up", Check: windowsAddUp},
		},
	}
}
