package ledger

import (
	"fmt"
	"iter"

	"coffer/fsm"
	"coffer/fsm/outbox"
	"coffer/store"
)

// HoldStatus is the state of a hold.
type HoldStatus string

// The states of a hold. All but Held are final.
const (
	Held     HoldStatus = "held"
	Captured HoldStatus = "captured"
	Released HoldStatus = "released"
	Expired  HoldStatus = "expired"
)

// Hold reserves money on an account until it is captured, released or expires.
type Hold struct {
	ID        store.ID   `cbor:"1,keyasint"`
	Account   store.ID   `cbor:"2,keyasint"`
	Amount    Amount     `cbor:"3,keyasint"`
	Status    HoldStatus `cbor:"4,keyasint"`
	Reference string     `cbor:"5,keyasint,omitempty"` // what it is for
	CreatedAt store.Time `cbor:"6,keyasint"`
	ExpiresAt store.Time `cbor:"7,keyasint,omitempty"` // 0 for never
	EndedAt   store.Time `cbor:"8,keyasint,omitempty"`
}

var (
	holds    = store.NewTable("ledger.holds", func(h *Hold) store.ID { return h.ID })
	holdsDue = store.AddIndex(holds, "due", func(h *Hold) (store.Time, bool) {
		return h.ExpiresAt, h.Status == Held && h.ExpiresAt != 0
	})
)

// Rejections of holds.
var (
	ErrNoHold  = fsm.Reject(fsm.NotFound, "hold_not_found")
	ErrNotHeld = fsm.Reject(fsm.Conflict, "hold_has_ended")
	ErrNotDue  = fsm.Reject(fsm.Conflict, "hold_is_not_due")
)

// HoldOf returns a hold.
func HoldOf(r store.Reader, id store.ID) (Hold, bool) { return holds.Get(r, id) }

// Reserve sets money aside: it stays in the balance but is no longer available.
func Reserve(ctx *fsm.Context, account store.ID, amount Amount, reference string, expiresAt store.Time) (Hold, error) {
	if amount <= 0 || amount > MaxAmount {
		panic(fmt.Sprintf("ledger: a hold of %d makes no sense", amount))
	}
	a, ok := accounts.Get(ctx, account)
	if !ok {
		panic("ledger: account " + string(account) + " is unknown")
	}
	if a.Flags&NoOverdraft != 0 && a.Available() < amount {
		return Hold{}, ErrInsufficient.With(fsm.Number("required", int64(amount)), fsm.Number("balance", int64(a.Available())))
	}
	var err error
	if a.Pending, err = a.Pending.Plus(amount); err != nil {
		return Hold{}, ErrTooLarge
	}
	accounts.Put(ctx, a)
	h := Hold{ID: ctx.NewID("hld"), Account: account, Amount: amount, Status: Held, Reference: reference,
		CreatedAt: ctx.Now, ExpiresAt: expiresAt}
	holds.Put(ctx, h)
	return h, nil
}

// Release gives what is reserved back.
func Release(ctx *fsm.Context, id store.ID) (Hold, error) { return end(ctx, id, Released) }

// Capture ends a hold and posts a transaction that debits its account by no
// more than what was reserved; the rest is available again. The posting may
// still be refused when the hold has ended: never decline with that.
func Capture(ctx *fsm.Context, id store.ID, t *Transaction) (Hold, Posted, error) {
	h, err := current(ctx, id)
	if err != nil {
		return Hold{}, Posted{}, err
	}
	var debited Amount
	for _, posting := range t.Postings {
		if posting.Debit == h.Account {
			debited += posting.Amount
		}
	}
	if debited > h.Amount {
		return Hold{}, Posted{}, ErrInsufficient.With(fsm.Number("required", int64(debited)), fsm.Number("balance", int64(h.Amount)))
	}
	if h, err = end(ctx, id, Captured); err != nil {
		return Hold{}, Posted{}, err
	}
	posted, err := Post(ctx, t)
	return h, posted, err
}

// current returns a hold that has not ended.
func current(ctx *fsm.Context, id store.ID) (Hold, error) {
	h, ok := holds.Get(ctx, id)
	if !ok {
		return Hold{}, ErrNoHold
	}
	if h.Status != Held {
		return Hold{}, ErrNotHeld.With(fsm.Text("status", string(h.Status)))
	}
	return h, nil
}

func end(ctx *fsm.Context, id store.ID, status HoldStatus) (Hold, error) {
	h, err := current(ctx, id)
	if err != nil {
		return Hold{}, err
	}
	a, _ := accounts.Get(ctx, h.Account)
	a.Pending -= h.Amount
	accounts.Put(ctx, a)
	h.Status, h.EndedAt = status, ctx.Now
	holds.Put(ctx, h)
	return h, nil
}

// Expire is the input of ExpireHold.
type Expire struct {
	ID store.ID `cbor:"1,keyasint"`
}

// ExpireHold ends a hold whose time has come. The leader submits it; the
// handler looks at the log time again, so an early or late report is harmless.
var ExpireHold = fsm.Command[Expire, fsm.Nothing]{
	Name: "ledger.expire_hold/1", Rejects: fsm.Rejections{ErrNoHold, ErrNotHeld, ErrNotDue, fsm.ErrNotPermitted},
}

func expireHold(ctx *fsm.Context, c Expire) (fsm.Nothing, error) {
	if ctx.Actor.Kind != fsm.Node {
		return fsm.Nothing{}, fsm.ErrNotPermitted
	}
	h, ok := holds.Get(ctx, c.ID)
	if ok && h.Status == Held && (h.ExpiresAt == 0 || h.ExpiresAt > ctx.Now) {
		return fsm.Nothing{}, ErrNotDue
	}
	h, err := end(ctx, c.ID, Expired)
	if err != nil {
		return fsm.Nothing{}, err
	}
	a, _ := accounts.Get(ctx, h.Account)
	outbox.Emit(ctx, outbox.Event{Kind: "ledger.hold_expired", Users: []store.ID{a.Owner}, Facts: []fsm.Detail{
		fsm.Text("holdId", string(h.ID)), fsm.Number("amount", int64(h.Amount)),
	}})
	return fsm.Nothing{}, nil
}

// HoldsDue visits the holds that expire, the earliest first.
func HoldsDue(r store.Reader) iter.Seq[Hold] {
	return func(yield func(Hold) bool) {
		for _, h := range holdsDue.Scan(r, store.All{}, nil) {
			if !yield(h) {
				return
			}
		}
	}
}
