package task

import (
	"context"
	"errors"
	"time"

	"coffer/fsm"
	"coffer/fsm/ledger"
	"coffer/store"
)

// expiredPerPass bounds one pass of Expiry.
const expiredPerPass = 256

// Expiry ends holds whose time has come.
func Expiry() Task {
	return Task{Name: "expiry", Next: nextHold, Pass: expireHolds}
}

func nextHold(r store.Reader, _ store.Time) (store.Time, bool) {
	for h := range ledger.HoldsDue(r) {
		return h.ExpiresAt, true
	}
	return 0, false
}

func expireHolds(ctx context.Context, lead Lead) error {
	var due []store.ID
	now := store.TimeOf(time.Now())
	err := lead.Read(ctx, fsm.Stale, func(v *store.View) error {
		for h := range ledger.HoldsDue(v) {
			if h.ExpiresAt > now || len(due) == expiredPerPass {
				break
			}
			due = append(due, h.ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range due {
		_, err := ledger.ExpireHold.Submit(lead.Caller(ctx), lead, ledger.Expire{ID: id})
		if _, refused := fsm.AsRejection(err); err != nil && !refused {
			return err
		}
		if errors.Is(err, ledger.ErrNotDue) {
			return nil // log time is behind this clock: wait for the next look
		}
	}
	return nil
}
