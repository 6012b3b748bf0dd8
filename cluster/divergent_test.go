package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// The story of these tests: entries 2 to 50 of term 2 are committed; the follower alone holds 51 to 200 of term 2, which
// nobody else has; the leader of term 3 has truncated its log and sends its state at entry 100.
const (
	commonEnd, divergentEnd    = 50, 200
	installedIndex             = 100
	oldTerm, newTerm           = 2, 3
	leaderID, bystanderID      = "node-2", "node-3"
	neverCommitted, rightEntry = "never committed", "right"
)

// playedLeader speaks raft with a follower by hand.
type playedLeader struct {
	t         *testing.T
	network   raft.Transport
	snapshots raft.Transport // for installs
	id        raft.ServerID
	address   raft.ServerAddress
	servers   raft.Configuration
}

func (l *playedLeader) header() raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: 3, ID: []byte(leaderID), Addr: []byte(leaderID)}
}

// append sends entries from..to of a term and says whether the follower took them.
func (l *playedLeader) append(term, prev, prevTerm, to, entryTerm, commit uint64, what string) (*raft.AppendEntriesResponse, error) {
	request := &raft.AppendEntriesRequest{
		RPCHeader: l.header(), Term: term, Leader: []byte(leaderID), PrevLogEntry: prev, PrevLogTerm: prevTerm, LeaderCommitIndex: commit,
	}
	for index := prev + 1; index <= to; index++ {
		data, err := sealTest([][]byte{fmt.Appendf(nil, "%s %d", what, index)})
		must(l.t, err)
		request.Entries = append(request.Entries, &raft.Log{Index: index, Term: entryTerm, Type: raft.LogCommand, Data: data})
	}
	var response raft.AppendEntriesResponse
	err := l.network.AppendEntries(l.id, l.address, request, &response)
	return &response, err
}

func (l *playedLeader) mustAppend(term, prev, prevTerm, to, entryTerm, commit uint64, what string) {
	l.t.Helper()
	response, err := l.append(term, prev, prevTerm, to, entryTerm, commit, what)
	must(l.t, err)
	if !response.Success {
		l.t.Fatalf("%s %d to %d was not taken", what, prev+1, to)
	}
}

// install sends the state at an index.
func (l *playedLeader) install(index, term uint64) error {
	var image testImage
	for i := uint64(2); i <= index; i++ {
		image.Indexes, image.Requests = append(image.Indexes, i), append(image.Requests, fmt.Sprintf("%s %d", rightEntry, i))
	}
	content, err := json.Marshal(image)
	must(l.t, err)
	request := &raft.InstallSnapshotRequest{
		RPCHeader: l.header(), SnapshotVersion: 1, Term: newTerm, Leader: []byte(leaderID),
		LastLogIndex: index, LastLogTerm: term, Size: int64(len(content)),
		Configuration: raft.EncodeConfiguration(l.servers), ConfigurationIndex: 1,
	}
	var response raft.InstallSnapshotResponse
	if err := l.snapshots.InstallSnapshot(l.id, l.address, request, &response, bytes.NewReader(content)); err != nil {
		return err
	}
	if !response.Success {
		return fmt.Errorf("install was refused in term %d", response.Term)
	}
	return nil
}

func quietRaft(id raft.ServerID) *raft.Config {
	config := raft.DefaultConfig()
	config.LocalID, config.Logger = id, hclog.NewNullLogger()
	config.HeartbeatTimeout, config.ElectionTimeout = time.Minute, time.Minute
	config.NoSnapshotRestoreOnStart = true
	return config
}

// The stock library installs the state and still refuses what follows, however often it is repeated: raft keeps the
// conflicting entry at the installed index. This test pins the behaviour that ours replaces.
func TestT11StockRaftNeverConvergesBehindADivergentLog(t *testing.T) {
	file := &stateFile{}
	machine := newTestMachine(file)
	store := raft.NewInmemStore()
	_, here := raft.NewInmemTransport(testNode)
	_, there := raft.NewInmemTransport(leaderID)
	there.Connect(testNode, here)
	servers := raft.Configuration{Servers: []raft.Server{{ID: testNode, Address: testNode}, {ID: leaderID, Address: leaderID}, {ID: bystanderID, Address: bystanderID}}}
	must(t, raft.BootstrapCluster(quietRaft(testNode), store, store, testSnapshots{file}, here, servers))
	r, err := raft.NewRaft(quietRaft(testNode), machine, store, store, testSnapshots{file}, here)
	must(t, err)
	defer func() { must(t, r.Shutdown().Error()) }()
	l := &playedLeader{t: t, network: there, snapshots: there, id: testNode, address: testNode, servers: servers}
	l.mustAppend(oldTerm, 1, 1, commonEnd, oldTerm, commonEnd, rightEntry)
	l.mustAppend(oldTerm, commonEnd, oldTerm, divergentEnd, oldTerm, commonEnd, neverCommitted)
	for round := range 5 {
		must(t, l.install(installedIndex, newTerm))
		response, err := l.append(newTerm, installedIndex, newTerm, installedIndex+1, newTerm, installedIndex+1, rightEntry)
		must(t, err)
		if response.Success {
			t.Fatalf("stock raft converged in round %d: the guard against its livelock is no longer needed", round)
		}
	}
}

// startFollower starts a node that follows a played leader over real TLS.
func startFollower(t *testing.T, edit func(*Config)) (*node, *stateFile, *playedLeader) {
	t.Helper()
	authority := newTestAuthority(t, testCluster)
	here, there := testPort(t, authority, testNode, nil), testPort(t, authority, leaderID, nil)
	others := []raft.Server{
		{ID: leaderID, Address: raft.ServerAddress(there.Addr().String())},
		{ID: bystanderID, Address: "127.0.0.1:1"},
	}
	dir := t.TempDir()
	logFile{first: 1, count: 1, current: 1, terms: func(uint64) uint64 { return 1 }, others: others}.write(t, dir)
	cfg := testConfig(dir)
	cfg.Stream = here
	cfg.Timing = LAN()
	cfg.Timing.Heartbeat, cfg.Timing.Election = time.Minute, time.Minute // nobody stands for election
	if edit != nil {
		edit(&cfg)
	}
	file := &stateFile{}
	n, err := openNode(cfg, file, seams{})
	must(t, err)
	t.Cleanup(func() { n.shut(t) })
	return n, file, playLeader(t, here, there, others)
}

// playLeader plays the leader behind the port there for the follower behind the port here. Every call has a connection of
// its own.
func playLeader(t *testing.T, here, there *Port, others []raft.Server) *playedLeader {
	network := raft.NewNetworkTransport(there, 0, 10*time.Second, io.Discard)
	t.Cleanup(func() { network.Close() })
	snapshots := raft.NewNetworkTransport(newOutgoing(there, func(target raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
		return there.dialTarget(protocolSnapshot, target, timeout)
	}), 0, 10*time.Second, io.Discard)
	t.Cleanup(func() { snapshots.Close() })
	follower := raft.ServerAddress(here.Addr().String())
	return &playedLeader{
		t: t, network: network, snapshots: snapshots, id: testNode, address: nameTarget(testNode, follower),
		servers: raft.Configuration{Servers: append([]raft.Server{{ID: testNode, Address: follower}}, others...)},
	}
}

func TestT11ADivergentLogConvergesAfterOneInstall(t *testing.T) {
	t.Parallel()
	var rebuilt atomic.Int64
	n, file, l := startFollower(t, func(cfg *Config) { cfg.Observe.Rebuilt = func() { rebuilt.Add(1) } })
	l.mustAppend(oldTerm, 1, 1, commonEnd, oldTerm, commonEnd, rightEntry)
	l.mustAppend(oldTerm, commonEnd, oldTerm, divergentEnd, oldTerm, commonEnd, neverCommitted)
	if err := l.install(installedIndex, newTerm); err == nil {
		t.Error("an install was acknowledged while the last entry belongs to another history")
	}
	eventually(t, "raft was replaced", func() bool { return rebuilt.Load() == 1 })
	l.mustAppend(newTerm, installedIndex, newTerm, installedIndex+5, newTerm, installedIndex+5, rightEntry)
	eventually(t, "it applied what follows", func() bool { return n.machine.visible.Load() == installedIndex+5 })
	if file.installs != 1 {
		t.Errorf("%d installs, want 1", file.installs)
	}
	first, last, _ := n.storage.logs.measure()
	if first != installedIndex+1 || last != installedIndex+5 {
		t.Errorf("log from %d to %d", first, last)
	}
	for _, request := range n.machine.requests() {
		if strings.HasPrefix(request, neverCommitted) {
			t.Fatalf("applied %q", request)
		}
	}
	if got := len(n.machine.requests()); got != installedIndex+4 {
		t.Errorf("%d requests applied, want %d", got, installedIndex+4)
	}
	if s := n.Status(); s.Term != newTerm || s.Snapshot != installedIndex {
		t.Errorf("status %+v", s)
	}
}

func TestT11AnInstallBeyondTheLogClearsIt(t *testing.T) {
	t.Parallel()
	n, file, l := startFollower(t, nil)
	l.mustAppend(oldTerm, 1, 1, commonEnd, oldTerm, commonEnd, rightEntry)
	l.mustAppend(oldTerm, commonEnd, oldTerm, divergentEnd, oldTerm, commonEnd, neverCommitted)
	must(t, l.install(1000, newTerm))
	if first, last, _ := n.storage.logs.measure(); first != 0 || last != 0 {
		t.Errorf("entries %d to %d were left below the installed state", first, last)
	}
	l.mustAppend(newTerm, 1000, newTerm, 1005, newTerm, 1005, rightEntry)
	eventually(t, "it applied what follows", func() bool { return n.machine.visible.Load() == 1005 })
	var log raft.Log
	if err := n.stack.Load().cache.GetLog(divergentEnd, &log); err != raft.ErrLogNotFound {
		t.Errorf("entry %d of the cleared log: %v", divergentEnd, err)
	}
	n.shut(t)
	must(t, n.machine.flush())

	listener := testPort(t, newTestAuthority(t, testCluster), testNode, nil)
	cfg := n.config
	cfg.Stream = listener
	again, err := openNode(cfg, file, seams{})
	if err != nil {
		t.Fatalf("reopen after an install: %v", err)
	}
	defer again.shut(t)
	if got := len(again.machine.requests()); got != 1004 {
		t.Errorf("%d requests after a restart, want 1004", got)
	}
}

func TestT11AnInstallWithinTheLogKeepsIt(t *testing.T) {
	t.Parallel()
	n, _, l := startFollower(t, nil)
	l.mustAppend(oldTerm, 1, 1, commonEnd, oldTerm, 10, rightEntry)
	must(t, l.install(20, oldTerm))
	if first, last, _ := n.storage.logs.measure(); last != commonEnd {
		t.Errorf("the log that holds the installed entry is now %d to %d", first, last)
	}
	l.mustAppend(newTerm, commonEnd, oldTerm, commonEnd+1, newTerm, commonEnd+1, rightEntry)
	eventually(t, "it applied the rest", func() bool { return n.machine.visible.Load() == commonEnd+1 })
}

// slowMachine holds up local snapshots.
type slowMachine struct {
	*testMachine
	persisting chan struct{}
	finish     chan struct{}
}

type slowSnapshot struct{ machine *slowMachine }

func (m *slowMachine) Snapshot() (raft.FSMSnapshot, error) { return slowSnapshot{m}, nil }
func (s slowSnapshot) Release()                            {}

func (s slowSnapshot) Persist(raft.SnapshotSink) error {
	close(s.machine.persisting)
	<-s.machine.finish
	return nil
}

// Cancel is called when an install overtakes the snapshot.
func (s slowSnapshot) Cancel() { close(s.machine.finish) }

func TestT11AnInstallVoidsALocalSnapshotUnderWay(t *testing.T) {
	t.Parallel()
	authority := newTestAuthority(t, testCluster)
	here, there := testPort(t, authority, testNode, nil), testPort(t, authority, leaderID, nil)
	dir := t.TempDir()
	others := []raft.Server{{ID: leaderID, Address: raft.ServerAddress(there.Addr().String())}}
	logFile{first: 1, count: 1, current: 1, terms: func(uint64) uint64 { return 1 }, others: others}.write(t, dir)
	cfg := testConfig(dir)
	cfg.Stream, cfg.Timing = here, LAN()
	cfg.Timing.Heartbeat, cfg.Timing.Election = time.Minute, time.Minute
	file := &stateFile{}
	machine := &slowMachine{newTestMachine(file), make(chan struct{}), make(chan struct{})}
	cfg.Applied, cfg.Recorded, cfg.Fatal = machine.visible.Load, file.record, func(err error) { t.Error(err) }
	c, err := Open(cfg, machine, testSnapshots{file}, sealTest)
	must(t, err)
	defer c.Close(t.Context())
	l := playLeader(t, here, there, others)
	l.mustAppend(oldTerm, 1, 1, commonEnd, oldTerm, commonEnd, rightEntry)
	eventually(t, "it applied them", func() bool { return machine.visible.Load() == commonEnd })
	local := make(chan error, 1)
	go func() { local <- c.Truncate() }()
	<-machine.persisting
	must(t, l.install(1000, oldTerm))
	if err := <-local; !contains(err, errVoided.Error()) {
		t.Errorf("the overtaken snapshot ended with %v", err)
	}
	if s := c.Status(); s.Snapshot != 1000 || s.Last != 1000 {
		t.Errorf("raft's last snapshot is at %d, its last entry %d, want 1000", s.Snapshot, s.Last)
	}
}

// The same with real nodes: a leader that was cut off holds entries that nobody else has, beyond the point up to which
// the others have truncated. Afterwards it leads a node that lags behind.
func TestT11ACutOffLeaderConvergesAndLeadsAgain(t *testing.T) {
	t.Parallel()
	var rebuilt atomic.Int64
	g := newGroup(t, 3, func(cfg *Config) {
		stubborn(cfg)
		cfg.Observe.Rebuilt = func() { rebuilt.Add(1) }
	})
	old, rest := g.members[0], g.members[1:]
	old.propose(t, "once common")
	g.fabric.refuseDials() // no call made before the truncation waits and repairs the log
	g.fabric.isolate(old.id, true, ids(rest)...)
	before := old.Status().Last
	var lost sync.WaitGroup
	for i := range maxEntries {
		data, err := old.seal([][]byte{fmt.Appendf(nil, "once lost %d", i)})
		must(t, err)
		lost.Go(func() { _ = old.raft().Apply(data, 0).Error() }) // never committed
		eventually(t, "the entry is in the log", func() bool { return old.Status().Last == before+uint64(i)+1 })
	}
	fresh := g.leaderAmong(rest...)
	for i := range 20 {
		fresh.propose(t, fmt.Sprint("once kept ", i))
	}
	for _, m := range rest {
		eventually(t, m.id+" has caught up", func() bool { return m.machine.visible.Load() == fresh.machine.visible.Load() })
		must(t, m.raft().ReloadConfig(smallest(m.node)))
		must(t, m.Truncate())
	}
	if first, _, _ := fresh.storage.logs.measure(); first <= before {
		t.Fatalf("the log still begins at %d, the test shows nothing", first)
	}
	for _, m := range rest {
		m.stream.(*Port).cut(old.id) // what is on its way would repair the log
	}
	g.fabric.isolate(old.id, false, ids(rest)...)
	lost.Wait()
	g.agree()
	if rebuilt.Load() == 0 {
		t.Error("raft was not replaced: the divergent log was not met")
	}
	if old.file.installs == 0 || old.file.installs > 2 {
		t.Errorf("%d installs", old.file.installs)
	}

	late := g.followers(fresh)[0]
	if late == old {
		late = g.followers(fresh)[1]
	}
	g.stop(late)
	for i := range 20 {
		fresh.propose(t, fmt.Sprint("once later ", i))
	}
	eventually(t, "the former leader leads again", func() bool {
		return old.Ready() || g.leader().Transfer(g.within(5*time.Second), old.id) == nil && old.Ready()
	})
	g.start(late, false)
	for _, request := range g.agree() {
		if strings.HasPrefix(request, "once lost") && !slices.Contains(fresh.machine.requests(), request) {
			t.Errorf("%q was applied on one node only", request)
		}
	}
	if first, last, _ := old.storage.logs.measure(); first == 0 || last < first {
		t.Errorf("log from %d to %d", first, last)
	}
}

func TestASlowFollowerAnswersHeartbeats(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	leader := g.leader()
	slow := g.followers(leader)[0]
	term := leader.Status().Term
	slow.machine.gate.hold()
	for range 2 * valveWidth {
		leader.propose(t, "fill")
	}
	eventually(t, "calls are held", func() bool { return slow.valve.waiting.Load() > 0 })
	ahead := slow.raft().AppliedIndex() - slow.machine.visible.Load()
	if ahead > valveWidth+uint64(slow.config.Timing.AppendEntries)*4 {
		t.Errorf("%d entries wait for the machine", ahead)
	}
	contact := slow.raft().LastContact()
	eventually(t, "heartbeats are still answered", func() bool { return slow.raft().LastContact().After(contact.Add(200 * time.Millisecond)) })
	if s := slow.Status(); s.Term != term || s.State != "Follower" {
		t.Errorf("the slow follower is %+v", s)
	}
	slow.machine.gate.release()
	g.agree()
	eventually(t, "nothing is held any more", func() bool { return slow.valve.waiting.Load() == 0 })
}
