package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestTheOldestEntryMovesWithTruncation(t *testing.T) {
	t.Parallel()
	began := time.Now()
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	first, ok := n.OldestEntry()
	if !ok || first.Before(began) || first.After(time.Now()) {
		t.Fatalf("the oldest entry is of %v, %v; the test began at %v", first, ok, began)
	}
	for i := range 10 {
		n.propose(t, fmt.Sprint("once many ", i))
	}
	if again, _ := n.OldestEntry(); !again.Equal(first) {
		t.Errorf("it moved from %v to %v without a truncation", first, again)
	}
	_, last, _ := n.storage.logs.measure()
	must(t, n.storage.logs.DeleteRange(1, last-1))
	if moved, ok := n.OldestEntry(); !ok || !moved.After(first) {
		t.Errorf("after a truncation the oldest entry is of %v, %v, before it was %v", moved, ok, first)
	}
	must(t, n.storage.logs.DeleteRange(last, last))
	if at, ok := n.OldestEntry(); ok {
		t.Errorf("an empty log has an entry of %v", at)
	}
}

func TestAnEntryWithoutATimeIsPassedOver(t *testing.T) {
	t.Parallel()
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	var founding raft.Log
	must(t, n.storage.logs.GetLog(1, &founding))
	if !founding.AppendedAt.IsZero() {
		t.Errorf("the founding entry has a time, %v: the test shows nothing", founding.AppendedAt)
	}
	if _, ok := n.OldestEntry(); !ok {
		t.Error("no entry has a time")
	}
}

func TestFileStatsOfTheLog(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t.TempDir())
	n := start(t, cfg, &stateFile{}, seams{})
	for i := range 200 {
		n.propose(t, fmt.Sprintf("once %4000d", i))
	}
	full, err := n.FileStats()
	must(t, err)
	_, last, _ := n.storage.logs.measure()
	must(t, n.storage.logs.DeleteRange(1, last-1))
	n.propose(t, "once more")
	emptied, err := n.FileStats()
	must(t, err)
	info, err := os.Stat(filepath.Join(cfg.Dir, fileName))
	must(t, err)
	if emptied.Bytes != info.Size() {
		t.Errorf("%d bytes, the file has %d", emptied.Bytes, info.Size())
	}
	if freed := emptied.Free - full.Free; freed < 400<<10 || emptied.Free >= emptied.Bytes {
		t.Errorf("%d bytes became free, of %d", freed, emptied.Bytes)
	}
	if emptied.Freelist <= 0 || emptied.Reads != 0 {
		t.Errorf("a list of %d bytes, %d readers", emptied.Freelist, emptied.Reads)
	}
}
