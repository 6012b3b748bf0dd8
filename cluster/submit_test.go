package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// connected makes a member open its connection for questions to the leader.
func (g *group) connected(m *groupMember) {
	g.Helper()
	eventually(g, "the leader answers", func() bool {
		_, err := m.ReadIndex(g.within(5 * time.Second))
		return err == nil
	})
}

func TestATransferThatHappenedSucceedsWithoutItsAnswer(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	for _, named := range []bool{true, false} {
		old := g.leader()
		asker, to := g.followers(old)[0], g.followers(old)[1]
		id := ""
		if named {
			id = to.id
		}
		g.connected(asker)
		g.fabric.hold(old.id, asker.id, true) // nothing from the old leader arrives any more
		if err := asker.Transfer(g.within(10*time.Second), id); err != nil {
			t.Errorf("transfer to %q: %v", id, err)
		}
		g.fabric.hold(old.id, asker.id, false)
		if named {
			eventually(t, "the named node leads", func() bool { return to.Ready() })
		}
		g.agree()
	}
}

func TestAChangeWhoseAnswerIsLostIsInDoubt(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	leader := g.leader()
	asker := g.followers(leader)[0]
	g.connected(asker)
	g.fabric.hold(leader.id, asker.id, true)
	ctx := g.within(200 * time.Millisecond)
	if _, err := asker.AddNonvoter(ctx, 0, "node-4", "127.0.0.1:1"); !errors.Is(err, ErrUnknown) {
		t.Errorf("the answer was lost: %v", err)
	}
	g.fabric.hold(leader.id, asker.id, false)
	for _, reason := range []error{unknown(raft.ErrLeadershipLost), fmt.Errorf("add: %w", unknown(ErrNotLeader))} {
		if got := decodeReason(encodeReason(reason)); !errors.Is(got, ErrUnknown) {
			t.Errorf("%v arrives as %v", reason, got)
		}
	}
}

func TestARemovalThatTheMachineRefusesToRememberIsRefused(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, func(cfg *Config) {
		cfg.Bury = func(string, Asker) []byte { return []byte("no such member") } // a rejection is an outcome, too
	})
	leader := g.leader()
	stays := g.followers(leader)[0]
	if _, err := leader.Remove(g.within(10*time.Second), 0, stays.id); !contains(err, "refuses to bury") {
		t.Errorf("removed with %v", err)
	}
	if !slices.Contains(g.voters(), stays.id) {
		t.Error("it is no member any more")
	}
}

func TestAChangeThatWasGivenUpDoesNotBeginLater(t *testing.T) {
	t.Parallel()
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	var begun, doubts atomic.Int64
	done := make(chan struct{})
	var certain int64
	const tries = 500
	for range tries {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		err := n.awaitFor(ctx, func() raft.Future {
			begun.Add(1)
			return waitFuture{done}
		})
		switch {
		case errors.Is(err, ErrUnknown):
			doubts.Add(1)
		case errors.Is(err, context.Canceled):
			certain++
		default:
			t.Fatalf("ended with %v", err)
		}
	}
	close(done)
	if doubts.Load()+certain != tries || begun.Load() > doubts.Load() {
		t.Errorf("%d changes began, %d of %d callers were told that they may have", begun.Load(), doubts.Load(), tries)
	}
	if certain == 0 || doubts.Load() == 0 {
		t.Logf("only one order was seen: %d certain, %d in doubt", certain, doubts.Load())
	}
}

// waitFuture resolves when a channel is closed.
type waitFuture struct{ done chan struct{} }

func (f waitFuture) Error() error {
	<-f.done
	return nil
}
