package node

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"coffer/store"
)

// remains are what the files of a dead node say.
type remains struct {
	report  VerifyReport
	last    uint64 // newest entry of the log
	written uint64 // newest entry that state.db speaks of, also in pages of a flush that never finished
}

// examine verifies the files of a dead node with the real program, and reads how
// far log and state had come.
func examine(t testing.TB, dir string) (r remains) {
	t.Helper()
	code, out := verifyFiles(t, dir, "--json")
	if code != VerifyOK {
		t.Fatalf("verify exits with %d\n%s", code, out)
	}
	if err := json.Unmarshal([]byte(out), &r.report); err != nil {
		t.Fatalf("verify printed %s: %v", out, err)
	}
	_, r.last = readLog(t, dir, nil)
	r.written = newestWritten(t, filepath.Join(dir, stateFile))
	return r
}

// readLog returns the first and the last index of a raft.db, and visits all its
// entries unless visit is nil.
func readLog(t testing.TB, dir string, visit func(*raft.Log)) (first, last uint64) {
	t.Helper()
	bolt, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(dir, logFile), BoltOptions: &bbolt.Options{ReadOnly: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bolt.Close() }() // nothing was written
	if first, err = bolt.FirstIndex(); err != nil {
		t.Fatal(err)
	}
	if last, err = bolt.LastIndex(); err != nil {
		t.Fatal(err)
	}
	for index := max(1, first); index <= last && visit != nil; index++ {
		var log raft.Log
		if err := bolt.GetLog(index, &log); err != nil {
			t.Fatalf("log entry %d: %v", index, err)
		}
		visit(&log)
	}
	return first, last
}

// newestWritten finds the newest index that any page of a state file speaks of,
// also one that no finished flush leads to.
func newestWritten(t testing.TB, path string) (newest uint64) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name := []byte("applied"); ; {
		at := bytes.Index(content, name)
		if at < 0 {
			return newest
		}
		content = content[at+len(name):]
		var applied store.Applied
		if _, err := cbor.UnmarshalFirst(content, &applied); err == nil {
			newest = max(newest, applied.Index)
		}
	}
}
