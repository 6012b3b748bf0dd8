package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestTooLargeARequestIsRefused(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	if _, err := n.Propose(t.Context(), make([]byte, MaxRequest+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v, want too large", err)
	}
	if got := n.propose(t, string(make([]byte, MaxRequest))); len(got) < MaxRequest {
		t.Errorf("outcome of %d bytes", len(got))
	}
}

func TestADeadlineInsideAnEntryIsUnknown(t *testing.T) {
	var doubts atomic.Int64
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	n.observe.Unknown = func() { doubts.Add(1) }
	n.machine.gate.hold()
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := n.Propose(ctx, []byte("a"))
		failed <- err
	}()
	eventually(t, "the entry is written", func() bool { return n.Status().LogLast == 4 })
	cancel()
	if err := <-failed; !errors.Is(err, ErrUnknown) || errors.Is(err, ErrNotApplied) || !errors.Is(err, context.Canceled) || doubts.Load() != 1 {
		t.Errorf("error %v with %d doubts, want unknown, canceled", err, doubts.Load())
	}
	n.machine.gate.release()
	eventually(t, "the request takes effect all the same", func() bool { return slices.Contains(n.machine.requests(), "a") })
}

func TestADeadlineBeforeAnEntryIsNotApplied(t *testing.T) {
	n, _, storing, group := stalledNode(t, Limits{})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := n.Propose(ctx, []byte("withdrawn"))
		failed <- err
	}()
	eventually(t, "it waits", func() bool { r, _, _ := n.queue.load(); return r == 2 })
	cancel()
	if err := <-failed; !errors.Is(err, ErrNotApplied) || errors.Is(err, ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want not applied, canceled", err)
	}
	storing.release()
	group.Wait()
	n.propose(t, "last")
	if slices.Contains(n.machine.requests(), "withdrawn") {
		t.Error("a request that was certainly not applied was applied")
	}
}

func TestAnEndedContextIsNotApplied(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Propose(ctx, []byte("a")); !errors.Is(err, ErrNotApplied) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want not applied, canceled", err)
	}
}

func TestWithoutALeaderItTriesUntilTheDeadline(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Bootstrap = false
	n, err := openNode(cfg, &stateFile{}, seams{})
	must(t, err)
	defer n.shut(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err = n.Propose(ctx, []byte("a"))
	if !errors.Is(err, ErrNotApplied) || !errors.Is(err, ErrNotLeader) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want not applied: deadline, not the leader", err)
	}
}

func TestAProposalBeforeTheElectionIsAnswered(t *testing.T) {
	n, err := openNode(testConfig(t.TempDir()), &stateFile{}, seams{})
	must(t, err)
	defer n.shut(t)
	if outcome := n.propose(t, "early"); outcome != "4/early" && outcome != "3/early" {
		t.Errorf("outcome %q", outcome)
	}
}

func TestALostLeadershipIsTriedAgain(t *testing.T) {
	t.Parallel()
	n, other := startPair(t)
	recorder := &sealRecorder{}
	n.observe.Seal = recorder.seal
	other.cut.Store(true)
	outcome := make(chan string, 1)
	go func() { outcome <- n.propose(t, "a") }()
	eventually(t, "the leadership is lost", func() bool { return n.Status().State != "Leader" })
	other.cut.Store(false)
	if got := <-outcome; !hasRequest([]byte(got), "a") {
		t.Errorf("outcome %q", got)
	}
	if got := recorder.sizes(); len(got) < 2 {
		t.Errorf("entries %v, want the request sealed again", got)
	}
}

func TestADoubtIsNeverForgotten(t *testing.T) {
	t.Parallel()
	n, other := startPair(t)
	other.cut.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := n.Propose(ctx, []byte("a"))
		failed <- err
	}()
	eventually(t, "the leadership is lost", func() bool { return n.Status().State != "Leader" })
	eventually(t, "the first attempt has failed", func() bool { r, _, _ := n.queue.load(); return r == 0 })
	cancel()
	err := <-failed
	if !errors.Is(err, ErrUnknown) || errors.Is(err, ErrNotApplied) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want unknown although the last attempts were certainly not applied", err)
	}
}

func TestProposalsAtShutdownNeverHang(t *testing.T) {
	faulty, seams := faulty()
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams)
	n.machine.gate.hold()
	failed := make(chan error, 2)
	go func() {
		_, err := n.Propose(context.Background(), []byte("in an entry"))
		failed <- err
	}()
	eventually(t, "the entry is written", func() bool { return n.Status().LogLast == 4 })
	faulty.storing.hold()
	go func() { n.Propose(context.Background(), []byte("being written")) }()
	eventually(t, "a write is stuck", func() bool { return faulty.storing.waits.Load() == 1 })
	go func() {
		_, err := n.Propose(context.Background(), []byte("waiting"))
		failed <- err
	}()
	eventually(t, "one waits", func() bool { r, _, _ := n.queue.load(); return r == 3 })

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := n.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close of a stuck node: %v, want its deadline", err)
	}
	kinds := map[bool]int{}
	for range 2 {
		err := <-failed
		if !errors.Is(err, ErrStopping) || errors.Is(err, ErrUnknown) == errors.Is(err, ErrNotApplied) {
			t.Errorf("error %v, want one kind and stopping", err)
		}
		kinds[errors.Is(err, ErrUnknown)]++
	}
	if kinds[true] != 1 || kinds[false] != 1 {
		t.Errorf("%d unknown and %d not applied, want one each", kinds[true], kinds[false])
	}
	if _, err := n.Propose(t.Context(), []byte("late")); !errors.Is(err, ErrNotApplied) {
		t.Errorf("error %v after the close, want not applied", err)
	}
	faulty.storing.release()
	n.machine.gate.release()
}

func TestCloseAnswersWhatIsInFlight(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	n.machine.gate.hold()
	outcome := make(chan string, 1)
	go func() { outcome <- n.propose(t, "a") }()
	eventually(t, "the entry is written", func() bool { return n.Status().LogLast == 4 })
	closed := work(func() { n.Close(t.Context()) })
	eventually(t, "new requests are refused", func() bool {
		n.queue.mu.Lock()
		defer n.queue.mu.Unlock()
		return n.queue.closing
	})
	if _, err := n.Propose(t.Context(), []byte("b")); !errors.Is(err, ErrStopping) || !errors.Is(err, ErrNotApplied) {
		t.Errorf("error %v while closing, want not applied, stopping", err)
	}
	n.machine.gate.release()
	if got := <-outcome; got != "4/a" {
		t.Errorf("outcome %q", got)
	}
	<-closed
}

// storm remembers what its proposers were told.
type storm struct {
	mu                    sync.Mutex
	acknowledged, refused map[string]bool
	begun                 atomic.Int64
}

// rage proposes until the node stops.
func (s *storm) rage(t *testing.T, n *node, name string, patience time.Duration) {
	for i := 0; ; i++ {
		request := fmt.Sprint(name, "/", i)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		s.begun.Add(1)
		outcome, err := n.Propose(ctx, []byte(request))
		cancel()
		s.mu.Lock()
		switch {
		case err == nil && !hasRequest(outcome, request):
			t.Errorf("%q was answered %q", request, outcome)
		case err == nil:
			s.acknowledged[request] = true
		case errors.Is(err, ErrNotApplied):
			s.refused[request] = true
		case !errors.Is(err, ErrUnknown):
			t.Errorf("%q: %v", request, err)
		}
		s.mu.Unlock()
		if errors.Is(err, ErrStopping) {
			return
		}
	}
}

// check compares with what was applied: acknowledged once, refused never.
func (s *storm) check(t *testing.T, applied map[string]int) {
	for request := range s.acknowledged {
		if applied[request] != 1 {
			t.Errorf("acknowledged %q was applied %d times", request, applied[request])
		}
	}
	for request := range s.refused {
		if applied[request] != 0 {
			t.Errorf("refused %q was applied", request)
		}
	}
	if len(s.acknowledged) == 0 {
		t.Error("nothing was acknowledged, the test proves nothing")
	}
}

// TestAStormWithRandomClosesLosesNothing runs proposers against a node that is closed and opened again.
func TestAStormWithRandomClosesLosesNothing(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	random := rand.New(rand.NewPCG(seed, 0))
	dir, file := t.TempDir(), &stateFile{}
	s := &storm{acknowledged: map[string]bool{}, refused: map[string]bool{}}
	for round := range 6 {
		n := start(t, testConfig(dir), file, seams{})
		var group sync.WaitGroup
		for proposer := range 50 {
			patience := time.Duration(1+random.IntN(40)) * time.Millisecond
			group.Go(func() { s.rage(t, n, fmt.Sprint(round, "/", proposer), patience) })
		}
		target := s.begun.Load() + int64(50+random.IntN(2000))
		eventually(t, "the storm rages", func() bool { return s.begun.Load() >= target })
		if random.IntN(2) == 0 {
			must(t, n.machine.flush())
		}
		n.shut(t)
		group.Wait()
	}
	applied := map[string]int{}
	for _, request := range start(t, testConfig(dir), file, seams{}).machine.requests() {
		applied[request]++
	}
	s.check(t, applied)
}

func hasRequest(outcome []byte, request string) bool {
	var index uint64
	var rest string
	if _, err := fmt.Sscanf(string(outcome), "%d/%s", &index, &rest); err != nil {
		return false
	}
	return rest == request
}
