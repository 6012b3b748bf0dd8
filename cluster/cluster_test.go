package cluster

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
)

func TestProposeAnswersWithTheMachinesOutcome(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	// 1 membership, 2 raft's no-op, 3 begin_term
	if got, want := n.propose(t, "a"), "4/a"; got != want {
		t.Errorf("outcome %q, want %q", got, want)
	}
	if got, want := n.propose(t, "b"), "5/b"; got != want {
		t.Errorf("outcome %q, want %q", got, want)
	}
	if diff := cmp.Diff([]string{"begin 2", "a", "b"}, n.machine.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestASoleVoterLeadsAtOnce(t *testing.T) {
	began := time.Now()
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	if took := time.Since(began); took >= n.config.Timing.Heartbeat+LAN().Heartbeat {
		t.Errorf("first leadership after %s: the election timer was not fired", took)
	}
}

func TestRestartReplaysExactlyWhatFollowsTheState(t *testing.T) {
	dir, file := t.TempDir(), &stateFile{}
	n := start(t, testConfig(dir), file, seams{})
	var want []string
	for i := range 20 {
		n.propose(t, fmt.Sprint("before ", i))
	}
	if err := n.machine.flush(); err != nil {
		t.Fatal(err)
	}
	flushed := file.record().Index
	for i := range 20 {
		n.propose(t, fmt.Sprint("after ", i))
	}
	last := n.machine.visible.Load()
	want = n.machine.requests()
	n.shut(t)

	again := start(t, testConfig(dir), file, seams{})
	if got := again.machine.requests()[:len(want)]; !slices.Equal(got, want) {
		t.Errorf("requests after restart (-want +got):\n%s", cmp.Diff(want, got))
	}
	again.machine.mu.Lock()
	delivered := slices.Clone(again.machine.delivered)
	again.machine.mu.Unlock()
	var replayed []uint64
	for _, index := range delivered {
		if index <= last {
			replayed = append(replayed, index)
		}
	}
	var expected []uint64
	for index := flushed + 1; index <= last; index++ {
		expected = append(expected, index)
	}
	if diff := cmp.Diff(expected, replayed); diff != "" {
		t.Errorf("replayed entries after state %d (-want +got):\n%s", flushed, diff)
	}
}

func TestRestartWithoutAFlushReplaysTheWholeLog(t *testing.T) {
	dir, file := t.TempDir(), &stateFile{}
	n := start(t, testConfig(dir), file, seams{})
	n.propose(t, "a")
	n.shut(t)
	again := start(t, testConfig(dir), file, seams{})
	if diff := cmp.Diff([]string{"begin 2", "a", "begin 3"}, again.machine.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if again.machine.delivered[0] != 1 {
		t.Errorf("replay began at entry %d, want the membership at 1", again.machine.delivered[0])
	}
}

func TestManyRestartsKeepEverythingOnce(t *testing.T) {
	t.Parallel()
	dir, file := t.TempDir(), &stateFile{}
	var want []string
	for round := range 6 {
		n := start(t, testConfig(dir), file, seams{})
		want = append(want, fmt.Sprint("begin ", round+2))
		for i := range 5 {
			request := fmt.Sprint(round, "/", i)
			n.propose(t, request)
			want = append(want, request)
			if i == round%5 {
				if err := n.machine.flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if diff := cmp.Diff(want, n.machine.requests()); diff != "" {
			t.Fatalf("round %d (-want +got):\n%s", round, diff)
		}
		n.shut(t)
	}
}

func TestWithoutBootstrapAnEmptyNodeWaits(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Bootstrap = false
	n, err := openNode(cfg, &stateFile{}, seams{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.shut(t)
	if s := n.Status(); s.State != "Follower" || s.Ready || s.LogLast != 0 {
		t.Errorf("status %+v, want an idle follower", s)
	}
	n.shut(t)

	cfg = testConfig(cfg.Dir) // and can still become a cluster of its own
	start(t, cfg, &stateFile{}, seams{})
}

func TestConfigurationMistakesAreAllReported(t *testing.T) {
	stream := NoPeers("x")
	_, err := Open(Config{Stream: stream, Limits: Limits{Bytes: 1}}, nil, nil, nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"node id", "cluster id", "directory", "fatal", "begin-term", "applied", "byte limit"} {
		if !contains(err, want) {
			t.Errorf("error does not mention %q: %v", want, err)
		}
	}
	if _, err := stream.Accept(); err == nil {
		t.Error("the stream is still open")
	}
}

func TestBothProfilesAreValid(t *testing.T) {
	for name, timing := range map[string]Timing{"LAN": LAN(), "WAN": WAN()} {
		cfg := testConfig(t.TempDir())
		cfg.Timing = timing
		cfg, err := cfg.completeForTest()
		must(t, err)
		if err := raft.ValidateConfig(cfg.raftConfig(nil)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMeasurementsAreObserved(t *testing.T) {
	var mu sync.Mutex
	counts := map[string]int{}
	count := func(name string, n int) {
		mu.Lock()
		defer mu.Unlock()
		counts[name] += n
	}
	cfg := testConfig(t.TempDir())
	cfg.Observe = Observe{
		Storage:   func(call string, took time.Duration) { count(call, 1); count("took", int(took)) },
		Append:    func(entries, bytes int) { count("entries", entries); count("bytes", bytes) },
		Seal:      func(requests, bytes int) { count("requests", requests); count("sealed", bytes) },
		Truncated: func(entries uint64) { count("truncated", int(entries)) },
	}
	n := start(t, cfg, &stateFile{}, seams{})
	n.propose(t, "a")
	n.propose(t, "b")
	must(t, n.raft().ReloadConfig(smallest(n)))
	must(t, n.Truncate())
	mu.Lock()
	defer mu.Unlock()
	// the membership, raft's no-op, begin_term and two proposals; all but one are truncated
	if counts["entries"] != 5 || counts["requests"] != 3 || counts["store"] != 5 || counts["truncated"] != 4 {
		t.Errorf("measured %v", counts)
	}
	for _, name := range []string{"took", "bytes", "sealed", "delete", "vote", "get"} {
		if counts[name] == 0 {
			t.Errorf("%s was not measured: %v", name, counts)
		}
	}
}

func TestStatusShowsTheLog(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	n.propose(t, "a")
	s := n.Status()
	want := Status{
		State: "Leader", Ready: true, Term: 2, Leader: testNode, LeaderAddress: "node-1:7000",
		Commit: 4, Last: 4, Applied: 4, LogFirst: 1, LogLast: 4, LogBytes: s.LogBytes, Trailing: 65536, Contact: s.Contact,
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if since := time.Since(s.Contact); since > time.Minute {
		t.Errorf("a leader heard itself %s ago", since)
	}
	if s.LogBytes < 4*entryOverhead {
		t.Errorf("log of 4 entries has %d bytes", s.LogBytes)
	}
}
