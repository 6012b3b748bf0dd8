package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestTheBudgetPlansByBytes(t *testing.T) {
	b := newBudget(1<<30, LAN())
	for _, c := range []struct {
		fit, all, trailing, threshold uint64
	}{
		{10, 10, 65536, 4096}, // everything fits: the profile's values
		{70000, 90000, 65536, 4096},
		{20000, 90000, 20000, 1250}, // entries of 26 KiB
		{512, 90000, 1024, 64},      // entries of a megabyte: never fewer than 1024
	} {
		trailing, threshold := b.keep(c.fit, c.all)
		if trailing != c.trailing || threshold != c.threshold {
			t.Errorf("%d of %d entries fit: keep %d, threshold %d; want %d and %d", c.fit, c.all, trailing, threshold, c.trailing, c.threshold)
		}
	}
	for _, c := range []struct {
		bytes         int64
		all, trailing uint64
		due           bool
	}{
		{700 << 20, 90000, 20000, false}, // below three quarters
		{800 << 20, 90000, 20000, true},
		{800 << 20, 20100, 20000, false}, // hardly anything to remove
		{2 << 30, 1087, 1024, false},
		{2 << 30, 1088, 1024, true},
	} {
		if got := b.due(c.bytes, c.all, c.trailing); got != c.due {
			t.Errorf("%d bytes in %d entries, %d kept: due %v, want %v", c.bytes, c.all, c.trailing, got, c.due)
		}
	}
}

func TestTheExtentCountsWhatFits(t *testing.T) {
	var e extent
	for i := range uint64(10) {
		e.push(100+i, 10)
	}
	for bytes, want := range map[int64]uint64{0: 0, 9: 0, 10: 1, 55: 5, 100: 10, 1000: 10} {
		if got := e.fitting(bytes); got != want {
			t.Errorf("%d entries fit into %d bytes, want %d", got, bytes, want)
		}
	}
	e.dropOldest(104)
	e.dropNewest(108)
	if e.first != 105 || e.last() != 107 || e.bytes != 30 {
		t.Errorf("extent from %d to %d of %d bytes", e.first, e.last(), e.bytes)
	}
	e.dropOldest(107)
	if e.first != 0 || e.last() != 0 || e.bytes != 0 || e.fitting(10) != 0 {
		t.Errorf("empty extent from %d to %d of %d bytes", e.first, e.last(), e.bytes)
	}
}

// grownNode starts on a log of 2600 entries that is far above its budget.
func grownNode(t *testing.T, file *stateFile, budget int64, size int) *node {
	t.Helper()
	cfg := testConfig(t.TempDir())
	cfg.LogBudget = budget
	logFile{first: 1, count: 2600, size: size}.write(t, cfg.Dir)
	return start(t, cfg, file, seams{})
}

func TestTheLogStaysWithinItsBudget(t *testing.T) {
	t.Parallel()
	file, budget := &stateFile{}, int64(4<<20)
	n := grownNode(t, file, budget, 1500)
	eventually(t, "the log fits", func() bool { s := n.Status(); return s.LogFirst > 1 && s.LogBytes <= budget })
	s := n.Status()
	if kept := s.LogLast - s.LogFirst + 1; kept < minTrailing {
		t.Errorf("%d entries are left, want at least %d", kept, minTrailing)
	}
	if state := file.record().Index; s.LogFirst > state+1 {
		t.Errorf("log begins at entry %d but the state is at %d", s.LogFirst, state)
	}
	for range 20 {
		n.propose(t, strings.Repeat("x", MaxRequest/4)) // 5 MiB
	}
	want := n.machine.requests()
	n.shut(t)
	n = start(t, n.config.again(), file, seams{})
	if got := n.machine.requests(); len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Errorf("%d requests after the restart, want the %d from before", len(got), len(want))
	}
}

// again returns the configuration for another start in the same directory.
func (c Config) again() Config {
	cfg := testConfig(c.Dir)
	cfg.LogBudget = c.LogBudget
	return cfg
}

func TestABudgetBelowTheTrailingEntriesKeepsThem(t *testing.T) {
	t.Parallel()
	n := grownNode(t, &stateFile{}, 1<<20, 2000) // 1024 of them need twice the budget
	eventually(t, "the log was truncated", func() bool { return n.Status().LogFirst > 1 })
	s := n.Status()
	if kept := s.LogLast - s.LogFirst + 1; kept < minTrailing || s.Trailing != minTrailing {
		t.Errorf("%d entries are left, %d are to be kept, want %d", kept, s.Trailing, minTrailing)
	}
}

func TestAFailedFlushTruncatesNothing(t *testing.T) {
	t.Parallel()
	n := grownNode(t, &stateFile{failFlush: errors.New("disk is full")}, 1<<20, 2000)
	if err := n.Truncate(); !contains(err, "disk is full") {
		t.Errorf("error %v, want the flush's", err)
	}
	if s := n.Status(); s.LogFirst != 1 {
		t.Errorf("log begins at entry %d although nothing was flushed", s.LogFirst)
	}
}

func TestTruncateOnAFreshNodeFlushesAndKeepsTheLog(t *testing.T) {
	file := &stateFile{}
	n := start(t, testConfig(t.TempDir()), file, seams{})
	for i := range 10 {
		n.propose(t, fmt.Sprint(i))
	}
	must(t, n.Truncate())
	if s := n.Status(); s.LogFirst != 1 || s.Snapshot != s.LogLast || file.record().Index != s.LogLast {
		t.Errorf("status %+v, state at %d", s, file.record().Index)
	}
}
