package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// sealRecorder notes the size of every entry.
type sealRecorder struct {
	mu      sync.Mutex
	entries []int
}

func (s *sealRecorder) seal(requests, _ int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = append(s.entries, requests)
}

func (s *sealRecorder) sizes() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int(nil), s.entries...)
}

// stalledNode leads, records its entries, and has one proposal stuck in the log store.
func stalledNode(t *testing.T, limits Limits) (n *node, recorder *sealRecorder, storing *gate, group *sync.WaitGroup) {
	t.Helper()
	faulty, seams := faulty()
	recorder, group = &sealRecorder{}, &sync.WaitGroup{}
	cfg := testConfig(t.TempDir())
	cfg.Limits = limits
	cfg.Observe.Seal = recorder.seal
	n = start(t, cfg, &stateFile{}, seams)
	n.propose(t, "warm") // begin_term's own entry is written by then
	recorder.mu.Lock()
	recorder.entries = nil
	recorder.mu.Unlock()
	faulty.storing.hold()
	t.Cleanup(faulty.storing.release)
	group.Go(func() { n.propose(t, "stuck") })
	eventually(t, "a write is stuck", func() bool { return faulty.storing.waits.Load() == 1 })
	return n, recorder, &faulty.storing, group
}

func TestWhatArrivesDuringAWriteBecomesOneEntry(t *testing.T) {
	n, recorder, storing, group := stalledNode(t, Limits{})
	const crowd = 300
	outcomes := make([]string, crowd)
	for i := range crowd {
		group.Go(func() { outcomes[i] = n.propose(t, fmt.Sprint("request ", i)) })
	}
	eventually(t, "the crowd waits", func() bool { r, _, _ := n.queue.load(); return r == crowd+1 })
	if got := recorder.sizes(); fmt.Sprint(got) != "[1]" {
		t.Errorf("entries %v left while one was being written, want only the stuck one", got)
	}
	storing.release()
	group.Wait()
	if got := recorder.sizes(); fmt.Sprint(got) != fmt.Sprint([]int{1, crowd}) {
		t.Errorf("entries of %v requests, want [1 %d]", got, crowd)
	}
	for i, outcome := range outcomes {
		if want := fmt.Sprintf("6/request %d", i); outcome != want {
			t.Errorf("outcome %q, want %q", outcome, want)
		}
	}
}

func TestAThousandRequestsLeaveAtOnce(t *testing.T) {
	n, recorder, storing, group := stalledNode(t, Limits{})
	for i := range 2 * maxEntryRequests {
		group.Go(func() { n.propose(t, fmt.Sprint(i)) })
	}
	eventually(t, "two full entries have left", func() bool {
		return fmt.Sprint(recorder.sizes()) == fmt.Sprint([]int{1, maxEntryRequests, maxEntryRequests})
	})
	group.Go(func() { n.propose(t, "later") })
	eventually(t, "a single one waits", func() bool { r, _, _ := n.queue.load(); return r == 2*maxEntryRequests+2 })
	if got := len(recorder.sizes()); got != 3 {
		t.Errorf("%d entries, want the single request to wait", got)
	}
	storing.release()
	group.Wait()
}

func TestAMegabyteLeavesAtOnce(t *testing.T) {
	n, recorder, storing, group := stalledNode(t, Limits{})
	half := string(bytes.Repeat([]byte("x"), maxEntryBytes/2))
	group.Go(func() { n.propose(t, half) })
	eventually(t, "one half waits", func() bool { r, _, _ := n.queue.load(); return r == 2 })
	if got := recorder.sizes(); fmt.Sprint(got) != "[1]" {
		t.Errorf("entries %v, want half a megabyte to wait", got)
	}
	group.Go(func() { n.propose(t, half) })
	eventually(t, "both halves have left", func() bool { return fmt.Sprint(recorder.sizes()) == "[1 2]" })
	storing.release()
	group.Wait()
}

func TestAnEntryStaysBelowAMegabyte(t *testing.T) {
	n, recorder, storing, group := stalledNode(t, Limits{})
	big := string(bytes.Repeat([]byte("x"), maxEntryBytes*2/5))
	for range 4 {
		group.Go(func() { n.propose(t, big) })
	}
	storing.release()
	group.Wait()
	for _, requests := range recorder.sizes() {
		if requests > 2 {
			t.Errorf("an entry took %d requests of 0.4 MiB", requests)
		}
	}
}

func TestEntriesInFlightAreBounded(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	n.machine.gate.hold()
	var group sync.WaitGroup
	for i := range 300 { // none is applied
		group.Go(func() { n.propose(t, fmt.Sprint(i)) })
		eventually(t, "the request is admitted", func() bool { r, _, _ := n.queue.load(); return r == i+1 })
	}
	if _, _, entries := n.queue.load(); entries > maxEntries {
		t.Errorf("%d entries in flight, want at most %d: raft's queue to the machine would fill", entries, maxEntries)
	}
	if pending := n.Status().Batches; pending >= 128 {
		t.Errorf("%d batches wait for the machine", pending)
	}
	n.machine.gate.release()
	group.Wait()
}

func TestWritingOverlapsApplying(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	n.machine.gate.hold()
	var group sync.WaitGroup
	for entry, crowd := range []int{1, 1, 2, 4} { // as many as are on their way
		before := n.Status().LogLast
		for i := range crowd {
			group.Go(func() { n.propose(t, fmt.Sprint(entry, i)) })
		}
		eventually(t, "the entry is written although none is applied", func() bool { return n.Status().LogLast == before+1 })
	}
	n.machine.gate.release()
	group.Wait()
}

// TestACrowdMeetsInTwoHalves: entries have their price, so a crowd whose requests
// come back at once shares few of them.
func TestACrowdMeetsInTwoHalves(t *testing.T) {
	const crowd, rounds = 64, 40
	recorder := &sealRecorder{}
	cfg := testConfig(t.TempDir())
	cfg.Observe.Seal = recorder.seal
	n := start(t, cfg, &stateFile{}, seams{})
	var group sync.WaitGroup
	for client := range crowd {
		group.Go(func() {
			for round := range rounds {
				n.propose(t, fmt.Sprint(client, " ", round))
			}
		})
	}
	group.Wait()
	if entries := len(recorder.sizes()); entries > crowd*rounds/8 {
		t.Errorf("%d requests of %d clients took %d entries", crowd*rounds, crowd, entries)
	}
}

func TestTheQueueRefusesWhatItCannotHold(t *testing.T) {
	var refusals atomic.Int64
	n, _, storing, group := stalledNode(t, Limits{Requests: 4, Bytes: 2 * MaxRequest})
	n.observe.Refuse = func(error) { refusals.Add(1) }
	for range 3 {
		group.Go(func() { n.propose(t, "fits") })
	}
	eventually(t, "the queue is full", func() bool { r, _, _ := n.queue.load(); return r == 4 })
	_, err := n.Propose(t.Context(), []byte("too many"))
	if !errors.Is(err, ErrNotApplied) || !errors.Is(err, ErrOverloaded) || refusals.Load() != 1 {
		t.Errorf("error %v after %d refusals, want not applied, overloaded", err, refusals.Load())
	}
	storing.release()
	group.Wait()
	n.propose(t, "again")
}

func TestTheQueueIsBoundedByBytes(t *testing.T) {
	n, _, storing, group := stalledNode(t, Limits{Bytes: MaxRequest})
	_, err := n.Propose(t.Context(), make([]byte, MaxRequest))
	if !errors.Is(err, ErrOverloaded) {
		t.Errorf("error %v, want overloaded", err)
	}
	storing.release()
	group.Wait()
	n.propose(t, string(make([]byte, MaxRequest)))
}

func TestTheMachinesBacklogRefuses(t *testing.T) {
	var backlog atomic.Int64
	cfg := testConfig(t.TempDir())
	cfg.Backlog = backlog.Load
	cfg.Limits.Backlog = 1000
	backlog.Store(1001) // the first command of the term is admitted nevertheless
	n := start(t, cfg, &stateFile{}, seams{})
	if _, err := n.Propose(t.Context(), []byte("a")); !errors.Is(err, ErrOverloaded) {
		t.Errorf("error %v, want overloaded", err)
	}
	backlog.Store(1000)
	n.propose(t, "a")
}

func TestARequestThatCannotBeSealedFailsAlone(t *testing.T) {
	n, _, storing, group := stalledNode(t, Limits{})
	for i := range 9 {
		group.Go(func() { n.propose(t, fmt.Sprint(i)) })
	}
	var err error
	group.Go(func() { _, err = n.Propose(t.Context(), []byte("unsealable")) })
	eventually(t, "all wait", func() bool { r, _, _ := n.queue.load(); return r == 11 })
	storing.release()
	group.Wait()
	if !errors.Is(err, ErrNotApplied) || !contains(err, "seal request: cannot be sealed") {
		t.Errorf("error %v, want not applied", err)
	}
	if requests, bytes, entries := n.queue.load(); requests != 0 || bytes != 0 || entries != 0 {
		t.Errorf("%d requests, %d bytes, %d entries are still counted", requests, bytes, entries)
	}
}

func TestASealWithoutItsChecksumIsNeverProposed(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	n.Cluster.seal = func([][]byte) ([]byte, error) { return []byte("no checksum"), nil }
	if _, err := n.Propose(t.Context(), []byte("a")); !errors.Is(err, ErrNotApplied) || !contains(err, "checksum") {
		t.Errorf("error %v, want not applied because of the checksum", err)
	}
}

func TestAMachineThatMiscountsEndsTheNode(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	n.Cluster.seal = func([][]byte) ([]byte, error) { return sealTest([][]byte{[]byte("a"), []byte("b")}) }
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := n.Propose(ctx, []byte("one")); !errors.Is(err, ErrUnknown) {
		t.Errorf("error %v, want unknown", err)
	}
	if err := n.awaitFatal(t); !contains(err, "2 outcomes for entry 4 of 1 requests") {
		t.Errorf("fatal error %v", err)
	}
}
