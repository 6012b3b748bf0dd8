package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// recordedLogs notes every deletion and what the log looks like after it.
type recordedLogs struct {
	*raftboltdb.BoltStore
	deletions [][2]uint64
	after     [][2]uint64
}

func (r *recordedLogs) DeleteRange(low, high uint64) error {
	r.deletions = append(r.deletions, [2]uint64{low, high})
	if err := r.BoltStore.DeleteRange(low, high); err != nil {
		return err
	}
	first, _ := r.FirstIndex()
	last, _ := r.LastIndex()
	for i := first; i <= last && first > 0; i++ {
		if err := r.GetLog(i, new(raft.Log)); err != nil {
			return fmt.Errorf("entry %d of %d to %d: %w", i, first, last, err)
		}
	}
	r.after = append(r.after, [2]uint64{first, last})
	return nil
}

// openLogs returns an unarmed wrapper around a real file: errors come back instead of ending the node.
func openLogs(t *testing.T) (*logStore, *recordedLogs) {
	t.Helper()
	bolt, err := openBolt(filepath.Join(t.TempDir(), fileName))
	must(t, err)
	t.Cleanup(func() { closeBolt(t, bolt) })
	inner := &recordedLogs{BoltStore: bolt}
	f := newFailure(func(err error) { t.Error(err) })
	return newLogStore(inner, extent{}, f, watchdogLimit, Observe{}.complete()), inner
}

func TestEntriesComeBackAsTheyWere(t *testing.T) {
	logs, inner := openLogs(t)
	want := testLogs(1, 3, 2, 0)
	want[0].Type, want[0].Data = raft.LogConfiguration, raft.EncodeConfiguration(raft.Configuration{})
	want[1].Type, want[1].Data = raft.LogNoop, nil
	must(t, logs.StoreLogs(want))
	for _, log := range want {
		var got raft.Log
		must(t, logs.GetLog(log.Index, &got))
		if got.Extensions != nil || got.Type != log.Type || string(got.Data) != string(log.Data) || got.Term != log.Term {
			t.Errorf("entry %+v came back as %+v", log, got)
		}
		if log.Extensions != nil {
			t.Error("raft's own log was changed")
		}
		var stored raft.Log
		must(t, inner.BoltStore.GetLog(log.Index, &stored))
		if len(stored.Extensions) != checksumSize {
			t.Errorf("entry %d is stored without a checksum", log.Index)
		}
	}
	if err := logs.GetLog(9, new(raft.Log)); err != raft.ErrLogNotFound { // not errors.Is: raft compares so
		t.Errorf("missing entry: %v, want raft.ErrLogNotFound itself", err)
	}
}

func TestTheLogStoreIsNotMonotonic(t *testing.T) {
	logs, _ := openLogs(t)
	if _, ok := raft.LogStore(logs).(raft.MonotonicLogStore); ok {
		t.Error("the wrapper claims to be monotonic")
	}
}

func TestAppendsWithAHoleAreRefused(t *testing.T) {
	for name, batch := range map[string][]*raft.Log{
		"behind the end":    testLogs(7, 1, 2, 0),
		"over the end":      testLogs(5, 1, 2, 0),
		"inside the batch":  append(testLogs(6, 1, 2, 0), testLogs(8, 1, 2, 0)...),
		"repeated in batch": append(testLogs(6, 1, 2, 0), testLogs(6, 1, 2, 0)...),
	} {
		logs, _ := openLogs(t)
		must(t, logs.StoreLogs(testLogs(1, 5, 2, 0)))
		if err := logs.StoreLogs(batch); !contains(err, "does not follow") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	logs, _ := openLogs(t)
	must(t, logs.StoreLogs(testLogs(41, 2, 2, 0))) // an empty log begins anywhere
	must(t, logs.StoreLogs(testLogs(43, 2, 2, 0)))
}

func TestDeletionsGoInChunksFromTheRightEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		low, high uint64
		deletions [][2]uint64
		left      [2]uint64
	}{
		{"prefix", 1, 2500, [][2]uint64{{1, 1024}, {1025, 2048}, {2049, 2500}}, [2]uint64{2501, 3000}},
		{"prefix from below the log", 0, 10, [][2]uint64{{1, 10}}, [2]uint64{11, 3000}},
		{"suffix", 500, 3000, [][2]uint64{{1977, 3000}, {953, 1976}, {500, 952}}, [2]uint64{1, 499}},
		{"suffix beyond the log", 2999, 9000, [][2]uint64{{2999, 3000}}, [2]uint64{1, 2998}},
		{"everything", 0, 9000, [][2]uint64{{1977, 3000}, {953, 1976}, {1, 952}}, [2]uint64{}},
		{"nothing", 3001, 9000, nil, [2]uint64{1, 3000}},
		{"turned around", 20, 10, nil, [2]uint64{1, 3000}},
	} {
		t.Run(c.name, func(t *testing.T) {
			logs, inner := openLogs(t)
			must(t, logs.StoreLogs(testLogs(1, 3000, 2, 0)))
			must(t, logs.DeleteRange(c.low, c.high))
			if diff := cmp.Diff(c.deletions, inner.deletions); diff != "" {
				t.Errorf("deletions (-want +got):\n%s", diff)
			}
			first, last, bytes := logs.measure()
			innerFirst, _ := inner.FirstIndex()
			innerLast, _ := inner.LastIndex()
			if got := [2]uint64{first, last}; got != c.left || got != [2]uint64{innerFirst, innerLast} {
				t.Errorf("left %v, want %v, stored %d to %d", got, c.left, innerFirst, innerLast)
			}
			if (bytes == 0) != (c.left == [2]uint64{}) || bytes < 0 {
				t.Errorf("%d bytes are left of %v", bytes, c.left)
			}
		})
	}
}

func TestDeletionsAreBoundedByBytes(t *testing.T) {
	e := extent{}
	for i := range uint64(10) {
		e.push(10+i, 20<<20)
	}
	if got := e.chunk(10, 19, 1); got != 12 {
		t.Errorf("a chunk from 10 on ends at %d, want 12", got)
	}
	if got := e.chunk(19, 10, -1); got != 17 {
		t.Errorf("a chunk back from 19 ends at %d, want 17", got)
	}
	if got := e.chunk(18, 19, 1); got != 19 {
		t.Errorf("a chunk from 18 on ends at %d, want 19", got)
	}
	huge := extent{}
	huge.push(1, 100<<20)
	if got := huge.chunk(1, 1, 1); got != 1 {
		t.Errorf("a chunk of one huge entry ends at %d", got)
	}
}

func TestDeletingOnAnEmptyLogDoesNothing(t *testing.T) {
	logs, inner := openLogs(t)
	must(t, logs.DeleteRange(0, 10))
	if len(inner.deletions) != 0 {
		t.Errorf("deletions %v", inner.deletions)
	}
}

func TestDeletingFromTheMiddleIsRefused(t *testing.T) {
	logs, inner := openLogs(t)
	must(t, logs.StoreLogs(testLogs(1, 10, 2, 0)))
	if err := logs.DeleteRange(4, 6); !contains(err, "would leave a hole") || len(inner.deletions) != 0 {
		t.Errorf("error %v, deletions %v", err, inner.deletions)
	}
}

// TestTheLogStaysContiguous runs random appends and deletions against the file and a plain model.
func TestTheLogStaysContiguous(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	logs, inner := openLogs(t)
	first, last := uint64(0), uint64(0)
	for range 200 {
		switch random.IntN(4) {
		case 0, 1:
			count := 1 + random.IntN(700)
			start := last + 1
			if first == 0 {
				start = last + 1 + random.Uint64N(50)
				first = start
			}
			last = start + uint64(count) - 1
			must(t, logs.StoreLogs(testLogs(start, count, 2, 0)))
		case 2: // prefix
			if high := first + random.Uint64N(2000); first > 0 && high < last {
				must(t, logs.DeleteRange(random.Uint64N(first+1), high))
				first = high + 1
			}
		case 3: // suffix, sometimes everything
			if low := first + random.Uint64N(2000); first > 0 && low <= last {
				must(t, logs.DeleteRange(low, last+random.Uint64N(3)))
				if last = low - 1; last < first {
					first = 0
				}
			}
		}
		gotFirst, gotLast, bytes := logs.measure()
		wantLast := last
		if first == 0 {
			wantLast = 0
		}
		if gotFirst != first || gotLast != wantLast || (bytes == 0) != (first == 0) {
			t.Fatalf("seed %d: log from %d to %d of %d bytes, want %d to %d", seed, gotFirst, gotLast, bytes, first, wantLast)
		}
	}
	for i, ends := range inner.after {
		if ends[0] > ends[1] {
			t.Errorf("seed %d: deletion %d leaves %v", seed, i, ends)
		}
	}
}

func TestDamagedEntriesAreNoticed(t *testing.T) {
	logs, inner := openLogs(t)
	must(t, logs.StoreLogs(testLogs(1, 1, 2, 100)))
	var stored raft.Log
	must(t, inner.BoltStore.GetLog(1, &stored))
	for name, damage := range map[string]func(*raft.Log){
		"data":              func(l *raft.Log) { l.Data[20] ^= 1 },
		"term":              func(l *raft.Log) { l.Term ^= 1 },
		"type":              func(l *raft.Log) { l.Type = raft.LogNoop },
		"index":             func(l *raft.Log) { l.Index = 5 },
		"checksum":          func(l *raft.Log) { l.Extensions[3] ^= 1 },
		"no checksum":       func(l *raft.Log) { l.Extensions = nil },
		"shortened":         func(l *raft.Log) { l.Data = l.Data[:50] },
		"sealed checksum":   func(l *raft.Log) { l.Data[len(l.Data)-1] ^= 1; resum(l) },
		"shorter than seal": func(l *raft.Log) { l.Data = l.Data[:3]; resum(l) },
	} {
		t.Run(name, func(t *testing.T) {
			log := stored
			log.Data, log.Extensions = slices.Clone(stored.Data), slices.Clone(stored.Extensions)
			damage(&log)
			if checkLog(1, &log) == nil {
				t.Error("the damage was not noticed")
			}
		})
	}
}

func resum(log *raft.Log) {
	sum := logSum(log)
	log.Extensions = []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}
}

func TestStorageErrorsEndTheNode(t *testing.T) {
	disk := errors.New("input/output error")
	for name, c := range map[string]struct {
		call string
		run  func(*node) // provokes the call
		want string
	}{
		"append": {"store", func(n *node) { go n.Propose(t.Context(), []byte("a")) }, "append entries"},
		"delete": {"delete", func(n *node) { n.raft().ReloadConfig(smallest(n)); go n.Truncate() }, "delete entries"},
	} {
		t.Run(name, func(t *testing.T) {
			faulty, seams := faulty()
			n := start(t, testConfig(t.TempDir()), &stateFile{}, seams)
			n.propose(t, "before")
			n.propose(t, "before")
			faulty.breakWith(func(call string) error {
				if call == c.call {
					return disk
				}
				return nil
			})
			c.run(n)
			if err := n.awaitFatal(t); !errors.Is(err, disk) || !contains(err, c.want) {
				t.Errorf("fatal error %v, want %v while it %s", err, disk, c.want)
			}
		})
	}
}

// smallest makes raft truncate everything that the state contains.
func smallest(n *node) raft.ReloadableConfig {
	config := n.raft().ReloadableConfig()
	config.TrailingLogs = 1
	return config
}

func TestReadErrorsAndDamageEndTheNode(t *testing.T) {
	for name, c := range map[string]struct {
		fail func(string) error
		want string
	}{
		"read error": {func(call string) error {
			if call == "get" {
				return errors.New("input/output error")
			}
			return nil
		}, "input/output error"},
		"fault in a mapped page": {func(call string) error {
			if call == "get" {
				panic("unexpected fault address")
			}
			return nil
		}, "damaged page: unexpected fault address"},
	} {
		t.Run(name, func(t *testing.T) {
			faulty, seams := faulty()
			n := start(t, testConfig(t.TempDir()), &stateFile{}, seams)
			faulty.breakWith(c.fail)
			ended := work(func() { n.storage.logs.GetLog(1, new(raft.Log)) })
			if err := n.awaitFatal(t); !contains(err, c.want) {
				t.Errorf("fatal error %v, want %s", err, c.want)
			}
			n.shut(t)
			<-ended // the call never came back, its goroutine was ended
		})
	}
}

func TestADamagedEntryEndsTheNode(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	n.propose(t, "a")
	var stored raft.Log
	must(t, n.storage.bolt.GetLog(4, &stored))
	stored.Data[4] ^= 1 // what a rotten sector would do
	must(t, n.storage.bolt.StoreLog(&stored))
	go n.storage.logs.GetLog(4, new(raft.Log))
	if err := n.awaitFatal(t); !contains(err, "entry 4: entry does not match its checksum") {
		t.Errorf("fatal error %v", err)
	}
}

func TestAStuckCallEndsTheNode(t *testing.T) {
	t.Parallel()
	faulty, seams := faulty()
	seams.watchdog = 300 * time.Millisecond
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams)
	faulty.storing.hold()
	go n.Propose(t.Context(), []byte("a"))
	if err := n.awaitFatal(t); !contains(err, "store has been stuck for 300ms") {
		t.Errorf("fatal error %v", err)
	}
	faulty.storing.release()
}

func TestFatalIsReportedOnce(t *testing.T) {
	var mu sync.Mutex
	var reports []error
	f := newFailure(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		reports = append(reports, err)
	})
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() { f.raise(fmt.Errorf("error %d", i)) })
	}
	group.Wait()
	if len(reports) != 1 {
		t.Errorf("reports %v, want one", reports)
	}
}

func FuzzCheckLog(f *testing.F) {
	good := testLogs(5, 1, 2, 50)[0]
	resum(good)
	f.Add(good.Index, good.Term, byte(good.Type), good.Data, good.Extensions)
	f.Add(uint64(5), uint64(0), byte(0), []byte{}, []byte{1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, index, term uint64, kind byte, data, sum []byte) {
		log := &raft.Log{Index: index, Term: term, Type: raft.LogType(kind), Data: data, Extensions: sum}
		if checkLog(index, log) != nil {
			return
		}
		if log.Extensions != nil || log.Type == raft.LogCommand && checkSealed(data) != nil {
			t.Errorf("accepted %+v", log)
		}
	})
}
