package snapshot

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"
)

// cancelledSink notes that raft's sink was cancelled.
type cancelledSink struct {
	raft.SnapshotSink
	cancelled bool
}

func (s *cancelledSink) Cancel() error { s.cancelled = true; return nil }
func (s *cancelledSink) Close() error  { return nil }

func TestALocalSnapshotWaitsForTheFlushOrItsEnd(t *testing.T) {
	one, _ := pair(t, 30, 0)
	one.entry(t)
	into := &cancelledSink{}
	must(t, At(one.db, 31).Persist(into))
	if one.db.Durable() != 31 || into.cancelled {
		t.Errorf("at %d, cancelled %v", one.db.Durable(), into.cancelled)
	}
	late := At(one.db, 99) // is never reached
	ended := make(chan error, 1)
	go func() { ended <- late.Persist(into) }()
	late.Cancel()
	late.Cancel()
	if err := <-ended; !errors.Is(err, ErrCancelled) || !into.cancelled {
		t.Errorf("%v, cancelled %v", err, into.cancelled)
	}
	early := At(one.db, 31)
	early.Cancel()
	if err := early.Persist(into); !errors.Is(err, ErrCancelled) {
		t.Errorf("a cancelled one: %v", err)
	}
}
