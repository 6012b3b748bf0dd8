package task

import (
	"context"
	"sync/atomic"
	"time"

	"coffer/fsm"
	"coffer/store"
)

// assertEvery is how often the leader lets all replicas compare digests.
const assertEvery = 10 * store.Second

// Assertion proposes the leader's digest of a recent entry. A replica that
// computed another one stops serving.
func Assertion() Task {
	var asserted, last atomic.Int64 // index of the entry, time of the assertion
	return Task{
		Name: "assertion",
		Next: func(r store.Reader, now store.Time) (store.Time, bool) {
			return store.Time(last.Load()).Add(assertEvery), true
		},
		Pass: func(ctx context.Context, lead Lead) error {
			last.Store(time.Now().UnixMicro())
			index, digest, ok := lead.Digest()
			if !ok || int64(index) <= asserted.Load()+1 {
				return nil // nothing but the assertion before has happened
			}
			_, err := fsm.Assert.Submit(lead.Caller(ctx), lead, fsm.Assertion{Index: index, Digest: digest})
			asserted.Store(int64(index))
			return err
		},
	}
}
