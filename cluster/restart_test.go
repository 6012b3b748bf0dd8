package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// logFile describes a raft.db to construct.
type logFile struct {
	first, count uint64              // entries, none if count is 0
	terms        func(uint64) uint64 // of an entry, default 2
	hole         uint64              // entry removed behind the wrapper's back
	current      uint64              // term, default 2, none if noTerm
	noTerm       bool
	vote         string
	cluster      string        // owner, default testCluster
	others       []raft.Server // voters beside this node
	size         int           // bytes of each request
}

// write constructs the file with raft-boltdb itself, so that it may be inconsistent.
func (l logFile) write(t *testing.T, dir string) {
	t.Helper()
	cfg := testConfig(dir)
	if l.cluster != "" {
		cfg.ClusterID = l.cluster
	}
	cfg, err := cfg.completeForTest()
	if err != nil {
		t.Fatal(err)
	}
	if err := createFile(cfg); err != nil {
		t.Fatal(err)
	}
	bolt, err := openBolt(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	defer closeBolt(t, bolt)
	f := newFailure(func(err error) { t.Error(err) })
	votes, err := openVoteStore(bolt, f, watchdogLimit, cfg.Observe.Storage)
	if err != nil {
		t.Fatal(err)
	}
	term := l.current
	if term == 0 {
		term = 2
	}
	if !l.noTerm {
		must(t, votes.SetUint64([]byte(keyCurrentTerm), term))
	}
	if l.vote != "" {
		must(t, votes.SetUint64([]byte(keyVoteTerm), term))
		must(t, votes.Set([]byte(keyVoteFor), []byte(l.vote)))
	}
	logs := newLogStore(bolt, extent{}, f, watchdogLimit, cfg.Observe)
	if l.count > 0 {
		must(t, logs.StoreLogs(l.entries()))
	}
	if l.hole > 0 {
		must(t, bolt.DeleteRange(l.hole, l.hole))
	}
}

func (l logFile) entries() []*raft.Log {
	logs := testLogs(l.first, int(l.count), 2, l.size)
	for _, log := range logs {
		if l.terms != nil {
			log.Term = l.terms(log.Index)
		}
		if log.Index == 1 {
			self := raft.Server{ID: testNode, Address: "node-1:7000"}
			config := raft.Configuration{Servers: append([]raft.Server{self}, l.others...)}
			log.Type, log.Data = raft.LogConfiguration, raft.EncodeConfiguration(config)
		}
	}
	return logs
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func closeBolt(t testing.TB, bolt *raftboltdb.BoltStore) {
	t.Helper()
	must(t, bolt.Close())
}

// completeForTest fills in what complete requires and tests do not care about.
func (c Config) completeForTest() (Config, error) {
	c.Fatal, c.Applied = func(error) {}, func() uint64 { return 0 }
	return c.complete()
}

const leads = "" // no refusal

var startCases = []struct {
	name    string
	file    *logFile // nil for none
	state   State
	refused string // part of the reason
	dropped bool   // the log must be gone afterwards
}{
	{"nothing yet", nil, State{}, leads, false},
	{"an empty file and no state", &logFile{current: 1}, State{}, leads, false},
	{"a bootstrap cut short before the term", &logFile{noTerm: true}, State{}, leads, false},
	{"no state, the whole log", &logFile{first: 1, count: 5}, State{}, leads, false},
	{"no state, a log that begins later", &logFile{first: 2, count: 5}, State{}, "begins at entry 2 but the state is empty", false},
	{"state inside the log", &logFile{first: 1, count: 9}, State{Index: 5, Term: 2}, leads, false},
	{"state at the log's end", &logFile{first: 1, count: 9}, State{Index: 9, Term: 2}, leads, false},
	{"state at the log's begin", &logFile{first: 5, count: 5}, State{Index: 5, Term: 2}, leads, false},
	{"log begins right after the state", &logFile{first: 6, count: 5}, State{Index: 5, Term: 2}, leads, false},
	{"log begins too late", &logFile{first: 7, count: 5}, State{Index: 5, Term: 2}, "begins at entry 7 but the state is at entry 5", false},
	{"log begins too late for an installed state", &logFile{first: 7, count: 5}, State{Index: 5, Term: 2, Installed: true}, "begins at entry 7", false},
	{"log ends before the state", &logFile{first: 1, count: 9}, State{Index: 12, Term: 2}, "ends at entry 9 but the state is at entry 12", false},
	{"log ends before an installed state", &logFile{first: 1, count: 9}, State{Index: 12, Term: 2, Installed: true}, leads, true},
	{"empty log below the state", &logFile{}, State{Index: 12, Term: 2}, "ends at entry 0 but the state is at entry 12", false},
	{"empty log below an installed state", &logFile{}, State{Index: 12, Term: 2, Installed: true}, leads, true},
	{"another term", &logFile{first: 1, count: 9}, State{Index: 5, Term: 1}, "has term 2 in the log but term 1 in the state", false},
	{"another term, installed state", &logFile{first: 1, count: 9}, State{Index: 5, Term: 1, Installed: true}, leads, true},
	{"a hole at the state", &logFile{first: 1, count: 9, hole: 5}, State{Index: 5, Term: 2}, "damaged", false},
	{"a hole at an installed state", &logFile{first: 1, count: 9, hole: 5}, State{Index: 5, Term: 2, Installed: true}, "damaged", false},
	{"a hole after the state", &logFile{first: 1, count: 9, hole: 8}, State{Index: 5, Term: 2}, "entry 9 does not follow entry 7", false},
	{"terms that fall", &logFile{first: 1, count: 9, terms: func(i uint64) uint64 { return 1 + i%2 }}, State{}, "falls from term 2 to term 1", false},
	{"a term older than the log", &logFile{first: 1, count: 9, terms: func(uint64) uint64 { return 3 }}, State{}, "in term 2 but holds term 3", false},
	{"a term older than the state", &logFile{current: 2}, State{Index: 5, Term: 3, Installed: true}, "in term 2 but holds term 3", false},
	{"a lost term", &logFile{first: 1, count: 9, noTerm: true}, State{}, "forgotten its votes", false},
	{"a missing file", nil, State{Index: 5, Term: 2}, "raft.db is missing", false},
	{"a missing file, installed state", nil, State{Index: 5, Term: 2, Installed: true}, "raft.db is missing", false},
	{"a log of another cluster", &logFile{first: 1, count: 9, cluster: "cluster-2"}, State{Index: 5, Term: 2}, `belongs to node "node-1" of cluster "cluster-2"`, false},
	{"a vote in another cluster", &logFile{current: 7}, State{}, "took part in elections", false},
	{"a vote for somebody", &logFile{current: 1, vote: "node-2:7000"}, State{}, "took part in elections", false},
}

func TestStartJudgesTheLogByTheState(t *testing.T) {
	for _, c := range startCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if c.file != nil {
				c.file.write(t, dir)
			}
			file := &stateFile{state: c.state, configAt: 1, config: raft.Configuration{
				Servers: []raft.Server{{ID: testNode, Address: "node-1:7000"}},
			}}
			before := readFile(t, dir)
			n, err := openNode(testConfig(dir), file, seams{})
			if c.refused == leads {
				must(t, err)
				defer n.shut(t)
				checkStarted(t, n, c.state, c.dropped)
				return
			}
			var refused *Refused
			if !errors.As(err, &refused) || !contains(err, c.refused) {
				t.Fatalf("error %v, want a refusal that says %q", err, c.refused)
			}
			if after := readFile(t, dir); after != before {
				t.Error("a refused file was changed")
			}
		})
	}
}

func readFile(t *testing.T, dir string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(content)
}

// checkStarted makes sure that the node replays what follows the state, and can write.
func checkStarted(t *testing.T, n *node, s State, dropped bool) {
	t.Helper()
	must(t, n.WaitReady(t.Context()))
	if first, _, _ := n.storage.logs.measure(); dropped && first != s.Index+1 {
		t.Errorf("log begins at entry %d, want the old one dropped and a new one from %d", first, s.Index+1)
	}
	index := n.machine.visible.Load() + 1
	if got, want := n.propose(t, "after"), fmt.Sprintf("%d/after", index); got != want {
		t.Errorf("outcome %q, want %q", got, want)
	}
	for i, delivered := range n.machine.delivered {
		if delivered <= s.Index {
			t.Errorf("delivery %d is entry %d, which the state contains", i, delivered)
		}
	}
}

func TestDroppingTheLogKeepsTermAndVote(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	logFile{first: 1, count: 3000, current: 6, vote: "node-2:7000"}.write(t, dir)
	cfg, err := testConfig(dir).completeForTest()
	must(t, err)
	cfg.State = State{Index: 5000, Term: 5, Installed: true}
	file := &stateFile{state: cfg.State, configAt: 1}
	files, err := openStorage(cfg, testSnapshots{file}, newFailure(cfg.Fatal), seams{})
	must(t, err)
	defer func() { must(t, files.close()) }()
	if first, last, bytes := files.logs.measure(); first != 0 || last != 0 || bytes != 0 {
		t.Errorf("log from %d to %d of %d bytes is left", first, last, bytes)
	}
	candidate, err := files.votes.Get([]byte(keyVoteFor))
	if term, _ := files.votes.GetUint64([]byte(keyCurrentTerm)); err != nil || term != 6 || string(candidate) != "node-2:7000" {
		t.Errorf("term %d, vote %q, %v; want 6 and node-2:7000", term, candidate, err)
	}
}

func TestASnapshotStoreThatOffersAnotherStateIsAnError(t *testing.T) {
	dir := t.TempDir()
	logFile{first: 1, count: 9}.write(t, dir)
	cfg, err := testConfig(dir).completeForTest()
	must(t, err)
	cfg.State = State{Index: 5, Term: 2}
	_, err = Open(cfg, newTestMachine(&stateFile{}), testSnapshots{&stateFile{state: State{Index: 4, Term: 2}}}, sealTest)
	if !contains(err, "does not offer the state at entry 5") {
		t.Errorf("error %v", err)
	}
}

func TestASecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, testConfig(dir), &stateFile{}, seams{})
	_, err := openNode(testConfig(dir), &stateFile{}, seams{})
	var refused *Refused
	if !errors.As(err, &refused) || !contains(err, "in use by another process") {
		t.Errorf("error %v, want a refusal", err)
	}
}

func TestAnUnfinishedFileIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, tempName), []byte("half"), 0o600))
	n := start(t, testConfig(dir), &stateFile{}, seams{})
	n.propose(t, "a")
	if _, err := os.Stat(filepath.Join(dir, tempName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("temporary file is left: %v", err)
	}
}

func TestBootstrapSurvivesACrashBetweenItsWrites(t *testing.T) {
	dir := t.TempDir()
	logFile{current: 1}.write(t, dir) // the term is stored, the membership is not
	n := start(t, testConfig(dir), &stateFile{}, seams{})
	if got, want := n.propose(t, "a"), "4/a"; got != want {
		t.Errorf("outcome %q, want %q", got, want)
	}
}
