package cluster

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
)

// others are two voters that will never be seen.
func others() []raft.Server {
	return []raft.Server{{ID: "node-2", Address: "node-2:7000"}, {ID: "node-3", Address: "node-3:7000"}}
}

func TestARestoredNodeStartsOnTheLogThatCreateMade(t *testing.T) {
	dir := t.TempDir()
	file := &stateFile{state: State{Index: 40, Term: 7, Installed: true}, configAt: 40,
		config: raft.Configuration{Servers: []raft.Server{{ID: testNode, Address: "node-1:7000"}}}}
	cfg := testConfig(dir)
	cfg.State, cfg.Bootstrap = file.state, false
	must(t, Create(cfg))
	n := start(t, cfg, file, seams{})
	// 41 raft's no-op, 42 begin_term
	if got, want := n.propose(t, "a"), "43/a"; got != want {
		t.Errorf("outcome %q, want %q", got, want)
	}
	if term := n.Cluster.Status().Term; term <= 7 {
		t.Errorf("the node leads in term %d, its state is of term 7", term)
	}
	n.shut(t)
	var refused *Refused
	if err := Create(cfg); !errors.As(err, &refused) {
		t.Errorf("a second Create: %v, want a refusal", err)
	}
}

func TestCreateNeedsNoState(t *testing.T) {
	cfg := testConfig(t.TempDir())
	must(t, os.WriteFile(filepath.Join(cfg.Dir, tempName), []byte("left by a crash"), 0o600))
	must(t, Create(cfg))
	n := start(t, cfg, &stateFile{}, seams{})
	n.propose(t, "a")
	n.shut(t)
}

// recoverNode does what a recovery does between opening and finishing.
func recoverNode(t *testing.T, dir string, file *stateFile) Remains {
	t.Helper()
	cfg := testConfig(dir)
	cfg.State = file.record()
	machine := newTestMachine(file)
	r, err := OpenRecovery(cfg, testSnapshots{file})
	if err != nil {
		t.Fatal(err)
	}
	var told [][2]uint64
	commands, err := r.Replay(context.Background(), machine, func(done, total uint64) { told = append(told, [2]uint64{done, total}) })
	must(t, err)
	remains := r.Remains()
	if replayed := remains.LastIndex - cfg.State.Index; uint64(len(told)) != replayed || commands > replayed {
		t.Errorf("%d entries of %d were told, %d commands", len(told), replayed, commands)
	}
	must(t, machine.flush())
	file.mu.Lock()
	file.state = State{Index: remains.LastIndex, Term: remains.LastTerm, Installed: true}
	file.config, file.configAt = raft.DecodeConfiguration(SoleVoter(testNode, "node-1:7000")), remains.LastIndex
	file.mu.Unlock()
	must(t, r.Finish(file.record()))
	return remains
}

func TestARecoveredNodeLeadsAloneWithItsWholeLog(t *testing.T) {
	dir, file := t.TempDir(), &stateFile{}
	log := logFile{first: 1, count: 20, others: others(), current: 5}
	log.write(t, dir)
	remains := recoverNode(t, dir, file)
	want := Remains{First: 1, Last: 20, LastIndex: 20, LastTerm: 2, CurrentTerm: 5, Membership: remains.Membership}
	if diff := cmp.Diff(want, remains); diff != "" {
		t.Errorf("remains (-want +got):\n%s", diff)
	}
	if got := len(remains.Membership.Members); got != 3 || remains.Membership.Index != 1 {
		t.Errorf("the log names %d members at entry %d, want 3 at 1", got, remains.Membership.Index)
	}
	cfg := testConfig(dir)
	cfg.Bootstrap = false
	n := start(t, cfg, file, seams{})
	if got, want := n.propose(t, "after"), "23/after"; got != want {
		t.Errorf("outcome %q, want %q", got, want)
	}
	requests := n.machine.requests()
	if got := len(requests); got != 19+2 {
		t.Errorf("%d requests are known, want the log's 19, begin_term and the one after", got)
	}
	if got := n.Cluster.Membership().Members; len(got) != 1 {
		t.Errorf("members %v, want this node alone", got)
	}
	n.shut(t)
}

// A crash between the record in the state and the end of the log leaves a node that starts as well.
func TestARecoveryThatEndsBeforeItsLastStepIsWhole(t *testing.T) {
	dir, file := t.TempDir(), &stateFile{}
	logFile{first: 1, count: 20, others: others()}.write(t, dir)
	machine := newTestMachine(file)
	cfg := testConfig(dir)
	r, err := OpenRecovery(cfg, testSnapshots{file})
	must(t, err)
	_, err = r.Replay(context.Background(), machine, nil)
	must(t, err)
	must(t, machine.flush())
	file.mu.Lock()
	file.state.Installed = true
	file.config, file.configAt = raft.DecodeConfiguration(SoleVoter(testNode, "node-1:7000")), file.state.Index
	file.mu.Unlock()
	must(t, r.Close())
	cfg.Bootstrap = false
	n := start(t, cfg, file, seams{})
	n.propose(t, "after")
	if got := n.Cluster.Membership().Members; len(got) != 1 {
		t.Errorf("members %v, want this node alone", got)
	}
	n.shut(t)
}

func TestRecoveryRefuses(t *testing.T) {
	for name, l := range map[string]struct {
		log   logFile
		state State
	}{
		"a hole":                 {log: logFile{first: 1, count: 20, hole: 7}},
		"another cluster":        {log: logFile{first: 1, count: 20, cluster: "another"}},
		"a forgotten vote":       {log: logFile{first: 1, count: 20, current: 1}},
		"a log behind the state": {log: logFile{first: 1, count: 20}, state: State{Index: 30, Term: 2}},
		"nothing at all":         {log: logFile{}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l.log.write(t, dir)
			before, err := os.ReadFile(filepath.Join(dir, fileName))
			must(t, err)
			cfg := testConfig(dir)
			cfg.State = l.state
			var refused *Refused
			if _, err := OpenRecovery(cfg, testSnapshots{&stateFile{state: l.state}}); !errors.As(err, &refused) {
				t.Fatalf("OpenRecovery: %v, want a refusal", err)
			}
			after, err := os.ReadFile(filepath.Join(dir, fileName))
			must(t, err)
			if !bytes.Equal(before, after) {
				t.Error("raft.db was changed")
			}
		})
	}
}

func TestExamineChangesNothing(t *testing.T) {
	dir := t.TempDir()
	logFile{first: 1, count: 20, vote: "node-2"}.write(t, dir)
	before, err := os.ReadFile(filepath.Join(dir, fileName))
	must(t, err)
	remains, err := Examine(testConfig(dir), testSnapshots{&stateFile{}})
	must(t, err)
	if remains.LastIndex != 20 || remains.LastTerm != 2 {
		t.Errorf("remains %+v, want entry 20 of term 2", remains)
	}
	after, err := os.ReadFile(filepath.Join(dir, fileName))
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("raft.db was changed")
	}
	cfg := testConfig(t.TempDir())
	var refused *Refused
	if _, err := Examine(cfg, testSnapshots{&stateFile{}}); !errors.As(err, &refused) {
		t.Errorf("without a file: %v, want a refusal", err)
	}
}

// The log is only dropped for a state that holds all of it.
func TestARecoveryDoesNotFinishOnLess(t *testing.T) {
	dir := t.TempDir()
	logFile{first: 1, count: 20, others: others()}.write(t, dir)
	for _, state := range []State{{Index: 19, Term: 2, Installed: true}, {Index: 20, Term: 1, Installed: true}, {Index: 20, Term: 2}} {
		r, err := OpenRecovery(testConfig(dir), testSnapshots{&stateFile{}})
		must(t, err)
		if err := r.Finish(state); err == nil {
			t.Errorf("finished on %+v", state)
		}
		remains, err := Examine(testConfig(dir), testSnapshots{&stateFile{}})
		must(t, err)
		if remains.Last != 20 {
			t.Fatalf("the log ends at %d after a recovery that did not finish", remains.Last)
		}
	}
}
