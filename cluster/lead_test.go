package cluster

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

func TestLeaderWorkFollowsTheLeadership(t *testing.T) {
	t.Parallel()
	n, other := startPair(t)
	type stay struct {
		ctx   context.Context
		begun bool // the term's first command had been applied
		leave chan struct{}
	}
	stays := make(chan stay, 8)
	n.Lead(func(ctx context.Context) {
		requests := n.machine.requests()
		s := stay{ctx, len(requests) > 0 && requests[len(requests)-1][:6] == "begin ", make(chan struct{})}
		stays <- s
		<-ctx.Done()
		<-s.leave
	})
	first := <-stays
	if !first.begun || !n.Ready() {
		t.Error("work began before the term did")
	}
	other.cut.Store(true)
	<-first.ctx.Done()
	if _, err := n.ReadIndex(t.Context()); err == nil {
		t.Error("a read index without leadership")
	}
	other.cut.Store(false)
	eventually(t, "it leads again", func() bool { return n.Status().State == "Leader" })
	if n.Ready() {
		t.Error("ready while the work of the last leadership still runs")
	}
	close(first.leave)
	second := <-stays
	if !second.begun || second.ctx.Err() != nil {
		t.Errorf("second leadership: begun %v, context %v", second.begun, second.ctx.Err())
	}
	close(second.leave)
	n.shut(t)
	if second.ctx.Err() == nil {
		t.Error("the context outlives the node")
	}
}

func TestLeaderWorkGivenLateBeginsAtOnce(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	ran := make(chan struct{})
	n.Lead(func(ctx context.Context) {
		close(ran)
		<-ctx.Done()
	})
	<-ran
}

func TestLeaderWorkThatReturnsEarlyWaitsForTheNextTerm(t *testing.T) {
	t.Parallel()
	n, other := startPair(t)
	var runs atomic.Int64
	n.Lead(func(context.Context) { runs.Add(1) })
	eventually(t, "it ran", func() bool { return runs.Load() == 1 })
	other.cut.Store(true)
	eventually(t, "the leadership is lost", func() bool { return n.Status().State != "Leader" })
	other.cut.Store(false)
	eventually(t, "it ran again", func() bool { return runs.Load() == 2 })
}

func TestCloseWaitsForLeaderWork(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	var returned atomic.Bool
	started, release := make(chan struct{}), make(chan struct{})
	n.Lead(func(ctx context.Context) {
		close(started)
		<-ctx.Done()
		if _, err := n.Propose(context.Background(), []byte("last words")); err != nil {
			t.Errorf("work cannot finish what it began: %v", err)
		}
		<-release
		returned.Store(true)
	})
	<-started
	closed := work(func() { n.shut(t) })
	eventually(t, "the last words are applied", func() bool { return slices.Contains(n.machine.requests(), "last words") })
	select {
	case <-closed:
		t.Error("close did not wait")
	default:
	}
	close(release)
	<-closed
	if !returned.Load() {
		t.Error("close came back before the work did")
	}
	n.Lead(func(context.Context) { t.Error("work began after the close") })
}

func TestCloseIsBoundedByItsContext(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	stubborn, started := make(chan struct{}), make(chan struct{})
	n.Lead(func(context.Context) {
		close(started)
		<-stubborn
	})
	<-started
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := n.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close: %v, want its deadline", err)
	}
	close(stubborn)
	n.shut(t) // waits for the rest
}

func TestReadIndexCoversWhatWasAcknowledged(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	for range 20 {
		n.propose(t, "a")
		applied := n.machine.visible.Load()
		index, err := n.ReadIndex(t.Context())
		if err != nil || index < applied {
			t.Fatalf("read index %d, %v; entry %d was acknowledged", index, err, applied)
		}
		if n.machine.visible.Load() < index {
			t.Fatalf("the machine cannot reach read index %d", index)
		}
	}
}

func TestReadIndexNeedsABegunTerm(t *testing.T) {
	faulty, seams := faulty()
	cfg := testConfig(t.TempDir())
	file := &stateFile{}
	start(t, cfg, file, seams).shut(t)

	machineHeld := testConfig(cfg.Dir)
	faulty.storing.hold()
	n, err := openNode(machineHeld, file, seams)
	must(t, err)
	defer n.shut(t)
	if _, err := n.ReadIndex(t.Context()); !errors.Is(err, ErrNotLeader) && !errors.Is(err, ErrNotReady) {
		t.Errorf("error %v before the term has begun", err)
	}
	eventually(t, "the no-op is stuck", func() bool { return faulty.storing.waits.Load() == 1 })
	if _, err := n.ReadIndex(t.Context()); !errors.Is(err, ErrNotReady) {
		t.Errorf("error %v while the term's first command is not applied, want not ready", err)
	}
	waited := make(chan error, 1)
	go func() { waited <- n.WaitReady(t.Context()) }()
	faulty.storing.release()
	must(t, <-waited)
	if _, err := n.ReadIndex(t.Context()); err != nil {
		t.Errorf("error %v after the term has begun", err)
	}
}

func TestReadIndexAmongSeveralVotersIsRefused(t *testing.T) {
	t.Parallel()
	n, _ := startPair(t)
	if _, err := n.ReadIndex(t.Context()); !errors.Is(err, errRound) {
		t.Errorf("error %v, want a refusal: the other voter was not asked", err)
	}
}

func TestWaitReadyEndsWithContextAndNode(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Bootstrap = false
	n, err := openNode(cfg, &stateFile{}, seams{})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.WaitReady(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want canceled", err)
	}
	waited := make(chan error, 1)
	go func() { waited <- n.WaitReady(t.Context()) }()
	n.shut(t)
	if err := <-waited; !errors.Is(err, ErrStopping) {
		t.Errorf("error %v, want stopping", err)
	}
}

func TestLeaderChangesAreObserved(t *testing.T) {
	leaders := make(chan string, 16)
	cfg := testConfig(t.TempDir())
	cfg.Observe.Leader = func(id string) { leaders <- id }
	start(t, cfg, &stateFile{}, seams{})
	if got := <-leaders; got != testNode {
		t.Errorf("leader %q, want %q", got, testNode)
	}
}

func TestCloseLeavesNoGoroutineBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	n.Lead(func(ctx context.Context) { <-ctx.Done() })
	for range 10 {
		n.propose(t, "a")
	}
	n.shut(t)
	eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
}
