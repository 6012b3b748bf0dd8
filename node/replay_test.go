package node

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/ledger"
	"coffer/fsm/modules"
	"coffer/ledgerchain"
	"coffer/store"
)

// outcome is the state that a log leads to.
type outcome struct {
	applied    store.Applied
	head, root string
	entries    uint64
}

func outcomeOf(t testing.TB, v *store.View) outcome {
	t.Helper()
	state, err := ledgerchain.StateOf(v)
	if err != nil {
		t.Fatal(err)
	}
	return outcome{v.Applied(), state.Head.Chain.String(), state.Tree.Root().String(), ledgerchain.Size(v)}
}

// equal compares what must be the same on every machine that has applied the log.
func (o outcome) equal(other outcome) bool {
	return o.applied.Index == other.applied.Index && o.applied.Digest == other.applied.Digest &&
		o.applied.Time == other.applied.Time && o.head == other.head && o.root == other.root
}

// applyLog applies log entries to a new machine, in batches of a size, and
// returns where that leads. The state must hold all invariants.
func applyLog(t testing.TB, salt Secret, logs []*raft.Log, batch int) (reached outcome, err error) {
	t.Helper()
	chainSalt, err := ledgerchain.NewSalt([]byte(salt))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := fsm.Schema(modules.All())
	if err != nil {
		t.Fatal(err)
	}
	var problems []error
	fatal := func(err error) { problems = append(problems, err) }
	db, err := store.Open(store.Options{
		Path: filepath.Join(t.TempDir(), stateFile), Schema: schema, Stamp: []byte("replay"), FlushInterval: time.Hour, Fatal: fatal,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Abandon(); err != nil {
			t.Error(err)
		}
	}()
	machine, err := fsm.NewMachine(fsm.Options{
		DB: db, Modules: modules.All(), Salt: chainSalt, Node: "replay", Retention: modules.Retention,
		Logger: slog.New(slog.DiscardHandler), Halt: fatal, Strict: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for len(logs) > 0 && machine.Err() == nil {
		n := min(batch, len(logs))
		machine.ApplyBatch(logs[:n])
		logs = logs[n:]
	}
	v := db.Latest()
	defer v.Close()
	for _, broken := range fsmtest.Broken(v, modules.All()) {
		problems = append(problems, errors.New(broken))
	}
	return outcomeOf(t, v), errors.Join(problems...)
}

// delivered is a log as raft hands it to the machine: without its own no-ops.
func delivered(t testing.TB, dir string) (logs []*raft.Log) {
	t.Helper()
	first, _ := readLog(t, dir, func(log *raft.Log) {
		log.Extensions = nil // the log store's checksum
		if log.Type == raft.LogCommand || log.Type == raft.LogConfiguration {
			logs = append(logs, log)
		}
	})
	if first != 1 {
		t.Fatalf("the log begins at entry %d: it is no whole history", first)
	}
	return logs
}

// inspected opens the state of a stopped node.
func inspected(t testing.TB, dir string, read func(v *store.View)) {
	t.Helper()
	identity, err := readIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := fsm.Schema(modules.All())
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Inspect(store.Options{Path: filepath.Join(dir, stateFile), Schema: schema, Stamp: identity.stamp()})
	if err != nil {
		t.Fatal(err)
	}
	v := db.Latest()
	read(v)
	v.Close()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// checkReplay applies the whole log of a stopped node to a machine that was
// never interrupted: both must have come to the same state.
func checkReplay(t testing.TB, dir string) {
	t.Helper()
	salt, err := storedSecret(filepath.Join(dir, secretsDir, saltFile))
	if err != nil {
		t.Fatal(err)
	}
	again, err := applyLog(t, salt, delivered(t, dir), 64)
	if err != nil {
		t.Errorf("the replay of the log: %v", err)
	}
	inspected(t, dir, func(v *store.View) {
		if stored := outcomeOf(t, v); !stored.equal(again) {
			t.Errorf("the log leads to %+v, state.db holds %+v", again, stored)
		}
	})
}

// checkHeads checks that the chain still has every head that was ever read.
func (l *load) checkHeads(t testing.TB, dir string) {
	t.Helper()
	if len(l.heads) < 2 {
		t.Errorf("%d heads were read", len(l.heads))
	}
	inspected(t, dir, func(v *store.View) {
		for height, hash := range l.heads {
			if height == 0 {
				continue
			}
			fact := ledger.FactAt(v, height-1)
			if stored := fact.Entry.Chain.String(); stored != hash {
				t.Errorf("height %d was read as %s, it is %s", height, hash, stored)
			}
		}
	})
}
