package cluster

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// row is what the test machine keeps of one request.
type row struct {
	index   uint64
	request string
}

// stateFile stands for state.db: it outlives a machine and holds the state of exactly one index.
type stateFile struct {
	mu        sync.Mutex
	state     State
	config    raft.Configuration
	configAt  uint64
	rows      []row
	flushes   int
	failFlush error
	incoming  *testSink // the last received snapshot
	installs  int
}

func (f *stateFile) record() State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

// testMachine remembers every request and answers "index/request".
type testMachine struct {
	file    *stateFile
	visible atomic.Uint64
	gate    gate // held to make apply wait

	mu        sync.Mutex
	rows      []row
	delivered []uint64 // indexes of all logs handed over, in order
	term      uint64
	config    raft.Configuration
	configAt  uint64
	seen      map[string][]byte // outcomes of requests that begin with "once "
}

func newTestMachine(file *stateFile) *testMachine {
	file.mu.Lock()
	defer file.mu.Unlock()
	m := &testMachine{file: file, rows: slices.Clone(file.rows), term: file.state.Term, config: file.config, configAt: file.configAt}
	m.visible.Store(file.state.Index)
	m.remember()
	return m
}

func (m *testMachine) Apply(log *raft.Log) any { return m.ApplyBatch([]*raft.Log{log})[0] }

func (m *testMachine) ApplyBatch(logs []*raft.Log) []any {
	m.gate.pass()
	m.mu.Lock()
	defer m.mu.Unlock()
	responses := make([]any, len(logs))
	for i, log := range logs {
		m.delivered = append(m.delivered, log.Index)
		if log.Index <= m.visible.Load() {
			continue
		}
		switch log.Type {
		case raft.LogConfiguration:
			m.config, m.configAt = raft.DecodeConfiguration(log.Data), log.Index
		case raft.LogCommand:
			var outcomes [][]byte
			for _, request := range unsealTest(log.Data) {
				outcomes = append(outcomes, m.apply(log.Index, string(request)))
			}
			responses[i] = outcomes
		}
		m.term = log.Term
		m.visible.Store(log.Index)
	}
	return responses
}

// apply runs one request. One that begins with "once " takes effect once, however often it is sent.
func (m *testMachine) apply(index uint64, request string) []byte {
	if outcome, ok := m.seen[request]; ok {
		return outcome
	}
	m.rows = append(m.rows, row{index, request})
	outcome := fmt.Appendf(nil, "%d/%s", index, request)
	if strings.HasPrefix(request, "once ") {
		m.seen[request] = outcome
	}
	return outcome
}

// remember rebuilds the outcomes from the rows.
func (m *testMachine) remember() {
	m.seen = map[string][]byte{}
	for _, r := range m.rows {
		if strings.HasPrefix(r.request, "once ") {
			m.seen[r.request] = fmt.Appendf(nil, "%d/%s", r.index, r.request)
		}
	}
}

// value returns what the last "once set key value" request up to index gave the key.
func (m *testMachine) value(key string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range slices.Backward(m.rows) {
		if fields := strings.Fields(r.request); len(fields) == 4 && fields[1] == "set" && fields[2] == key {
			return fields[3]
		}
	}
	return ""
}

// Restore installs the snapshot that was received last.
func (m *testMachine) Restore(source io.ReadCloser) error {
	var image testImage
	if err := json.NewDecoder(source).Decode(&image); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.file.mu.Lock()
	defer m.file.mu.Unlock()
	meta := m.file.incoming.meta
	if meta.Index < m.visible.Load() {
		return errors.New("state would go back")
	}
	m.rows, m.term = nil, meta.Term
	for i, request := range image.Requests {
		m.rows = append(m.rows, row{image.Indexes[i], request})
	}
	m.config, m.configAt = meta.Configuration, meta.ConfigurationIndex
	m.file.state = State{Index: meta.Index, Term: meta.Term, Installed: true}
	m.file.config, m.file.configAt = m.config, m.configAt
	m.remember()
	m.file.rows = slices.Clone(m.rows)
	m.file.installs++
	m.visible.Store(meta.Index)
	return nil
}

func (m *testMachine) Snapshot() (raft.FSMSnapshot, error) { return testSnapshot{m}, nil }

// flush writes the visible state to the file.
func (m *testMachine) flush() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.file.mu.Lock()
	defer m.file.mu.Unlock()
	if m.file.failFlush != nil {
		return m.file.failFlush
	}
	if index := m.visible.Load(); index != m.file.state.Index {
		m.file.state = State{Index: index, Term: m.term}
	}
	m.file.config, m.file.configAt = m.config, m.configAt
	m.file.rows = slices.Clone(m.rows)
	m.file.flushes++
	return nil
}

func (m *testMachine) requests() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var requests []string
	for _, r := range m.rows {
		requests = append(requests, r.request)
	}
	return requests
}

type testSnapshot struct{ machine *testMachine }

func (s testSnapshot) Persist(raft.SnapshotSink) error { return s.machine.flush() }
func (s testSnapshot) Release()                        {}

// gate lets everybody pass unless it is held.
type gate struct {
	mu     sync.Mutex
	held   chan struct{}
	waits  atomic.Int64
	passes atomic.Int64
}

func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = make(chan struct{})
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held != nil {
		close(g.held)
		g.held = nil
	}
}

func (g *gate) pass() {
	g.mu.Lock()
	held := g.held
	g.mu.Unlock()
	if held != nil {
		g.waits.Add(1)
		<-held
		g.waits.Add(-1)
	}
	g.passes.Add(1)
}

// sealTest makes an entry as the leader would: lengths, requests, CRC32C.
func sealTest(requests [][]byte) ([]byte, error) {
	var data []byte
	for _, request := range requests {
		if string(request) == "unsealable" {
			return nil, errors.New("cannot be sealed")
		}
		data = binary.BigEndian.AppendUint32(data, uint32(len(request)))
		data = append(data, request...)
	}
	return binary.BigEndian.AppendUint32(data, crc32.Checksum(data, castagnoli)), nil
}

func unsealTest(data []byte) [][]byte {
	var requests [][]byte
	for data = data[:len(data)-4]; len(data) > 0; {
		size := binary.BigEndian.Uint32(data)
		requests = append(requests, data[4:4+size])
		data = data[4+size:]
	}
	return requests
}

// node is one running node of a test.
type node struct {
	*Cluster
	machine *testMachine
	config  Config
	fatal   chan error
}

const testNode, testCluster = "node-1", "cluster-1"

func testConfig(dir string) Config {
	return Config{
		NodeID: testNode, ClusterID: testCluster, Dir: dir, Bootstrap: true, Stream: NoPeers("node-1:7000"),
		Logger:    testLogger(),
		BeginTerm: func(term uint64) []byte { return fmt.Appendf(nil, "begin %d", term) },
	}
}

// testLogger is silent unless COFFER_TEST_LOG is set.
func testLogger() *slog.Logger {
	if os.Getenv("COFFER_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// open starts a node without waiting for anything.
func openNode(cfg Config, file *stateFile, s seams) (*node, error) {
	n := &node{machine: newTestMachine(file), fatal: make(chan error, 1)}
	cfg.State = file.record()
	cfg.Recorded = file.record
	cfg.Removed = n.machine.buried
	cfg.Applied = n.machine.visible.Load
	cfg.Fatal = func(err error) { n.fatal <- err }
	n.config = cfg
	var err error
	n.Cluster, err = open(cfg, n.machine, testSnapshots{file}, sealTest, s)
	return n, err
}

// start opens a node that leads, and closes it when the test ends.
func start(t testing.TB, cfg Config, file *stateFile, s seams) *node {
	t.Helper()
	n, err := openNode(cfg, file, s)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { n.shut(t) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := n.WaitReady(ctx); err != nil {
		t.Fatalf("wait for leader: %v", err)
	}
	return n
}

func (n *node) shut(t testing.TB) {
	t.Helper()
	n.machine.gate.release()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func (n *node) propose(t testing.TB, request string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	outcome, err := n.Propose(ctx, []byte(request))
	if err != nil {
		t.Fatalf("propose %q: %v", request, err)
	}
	return string(outcome)
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting for: %s", what)
		}
		<-time.After(200 * time.Microsecond)
	}
}

// awaitFatal returns the storage failure that the node reported.
func (n *node) awaitFatal(t testing.TB) error {
	t.Helper()
	select {
	case err := <-n.fatal:
		return err
	case <-time.After(15 * time.Second):
		t.Fatal("no storage failure was reported")
		return nil
	}
}

// faultyLogs is a log store that a test can hold up or break.
type faultyLogs struct {
	raft.LogStore
	storing gate
	mu      sync.Mutex
	fail    func(call string) error
	batches [][]*raft.Log
}

func (f *faultyLogs) breakWith(fail func(call string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

func (f *faultyLogs) check(call string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail == nil {
		return nil
	}
	return f.fail(call)
}

func (f *faultyLogs) StoreLogs(logs []*raft.Log) error {
	f.storing.pass()
	if err := f.check("store"); err != nil {
		return err
	}
	return f.LogStore.StoreLogs(logs)
}

func (f *faultyLogs) GetLog(index uint64, log *raft.Log) error {
	if err := f.check("get"); err != nil {
		return err
	}
	return f.LogStore.GetLog(index, log)
}

func (f *faultyLogs) DeleteRange(low, high uint64) error {
	if err := f.check("delete"); err != nil {
		return err
	}
	return f.LogStore.DeleteRange(low, high)
}

// faulty returns seams with a breakable log store.
func faulty() (*faultyLogs, seams) {
	f := &faultyLogs{}
	return f, seams{logs: func(inner raft.LogStore) raft.LogStore {
		f.LogStore = inner
		return f
	}}
}
