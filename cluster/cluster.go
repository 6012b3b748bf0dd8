package cluster

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// logCache is how many entries raft keeps in memory, one replication call: they may have a megabyte each.
const logCache = 64

// Cluster is this node's part in the replicated log. All methods are safe for concurrent use.
type Cluster struct {
	id           raft.ServerID
	logger       *slog.Logger
	observe      Observe
	cfg          Config
	stream       raft.StreamLayer
	port         *Port // nil without one
	stack        atomic.Pointer[stack]
	machine      *guardedMachine
	snapshots    raft.SnapshotStore
	valve        *valve
	watch        *leaderWatch
	callers      *callers // nil without a port
	rounds       rounds
	health       health
	changing     chan struct{} // holds one while the membership is changed
	storage      *storage
	failure      *failure
	applied      func() uint64
	seal         func(requests [][]byte) ([]byte, error)
	beginRequest func(term uint64) []byte

	queue      *queue
	requests   [][]byte   // reused by the sealer
	launching  sync.Mutex // held while an entry is handed to the present stack
	leadership *leadership
	notify     chan bool // raft's notifications
	budget     *budget
	reloading  sync.Mutex

	stop     chan struct{} // closed when waits end
	retired  chan struct{} // closed when no leadership begins any more
	halted   chan struct{} // closed when raft has stopped
	workers  workers
	closing  sync.Once
	closed   chan struct{}
	closeErr error
}

// workers are the goroutines that Close waits for, one by one because they end in an order.
type workers struct{ sealer, governor, drainer, keeper, mender, receiver, caller <-chan struct{} }

// Open starts this node with the files it finds, or refuses with *Refused if they do not belong together.
//
// The machine's response to a log must be [][]byte, one outcome per request in order. The snapshot store must offer exactly
// cfg.State. Seal makes one entry of requests on the leader, ends it with its CRC32C, and keeps neither slice.
// With cfg.Bootstrap an empty node becomes the sole voter; without it, it waits to be added.
func Open(cfg Config, machine raft.BatchingFSM, snapshots raft.SnapshotStore, seal func(requests [][]byte) ([]byte, error)) (*Cluster, error) {
	return open(cfg, machine, snapshots, seal, seams{})
}

func open(cfg Config, machine raft.BatchingFSM, snapshots raft.SnapshotStore, seal func([][]byte) ([]byte, error), s seams) (*Cluster, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, errors.Join(err, closeStream(cfg.Stream))
	}
	if err := keepSaturation(); err != nil {
		return nil, errors.Join(err, closeStream(cfg.Stream))
	}
	f := newFailure(cfg.Fatal)
	files, err := openStorage(cfg, snapshots, f, s)
	if err != nil {
		return nil, errors.Join(err, closeStream(cfg.Stream))
	}
	c := newCluster(cfg, files, f, seal)
	c.snapshots = guardedSnapshots{snapshots}
	c.machine = newGuardedMachine(machine, files.logs, c.valve, c.membershipApplied)
	if err := c.start(cfg); err != nil {
		return nil, errors.Join(err, closeStream(cfg.Stream), files.close())
	}
	return c, nil
}

func closeStream(stream raft.StreamLayer) error {
	if stream == nil {
		return nil
	}
	return stream.Close()
}

func newCluster(cfg Config, files *storage, f *failure, seal func([][]byte) ([]byte, error)) *Cluster {
	port, _ := cfg.Stream.(*Port)
	c := &Cluster{
		cfg: cfg, stream: cfg.Stream, port: port, watch: newLeaderWatch(), changing: make(chan struct{}, 1), valve: newValve(cfg.Applied),
		id: raft.ServerID(cfg.NodeID), logger: cfg.Logger, observe: cfg.Observe,
		storage: files, failure: f, applied: cfg.Applied, seal: seal, beginRequest: cfg.BeginTerm,
		queue:      newQueue(cfg.Limits, cfg.Backlog),
		leadership: newLeadership(), notify: make(chan bool, 4), budget: newBudget(cfg.LogBudget, cfg.Timing),
		stop: make(chan struct{}), retired: make(chan struct{}), halted: make(chan struct{}), closed: make(chan struct{}),
	}
	if port != nil {
		c.callers = newCallers(port)
		port.attach(newGuests(c))
		c.leadership.add(c.watchPeers)
	}
	files.logs.durable = c.durable
	return c
}

// durable runs on raft's main goroutine after each append.
func (c *Cluster) durable(logs []*raft.Log) {
	c.queue.durable(logs)
	_, _, bytes := c.storage.logs.measure()
	c.budget.notice(bytes)
}

// start runs raft and the goroutines around it.
func (c *Cluster) start(cfg Config) error {
	c.failure.armed.Store(true)
	first, err := c.newStack(cfg)
	if err != nil {
		c.failure.armed.Store(false)
		return err
	}
	c.stack.Store(first)
	c.membershipApplied() // the port has served since before the membership was known
	c.workers = workers{
		sealer:   work(c.sealEntries),
		governor: work(c.govern),
		drainer:  work(func() { c.drain(c.halted) }),
		keeper:   work(c.keepBudget),
		mender:   work(c.mend),
		receiver: work(c.receiveStreams),
	}
	c.workers.caller = work(func() {
		if c.port != nil {
			c.receiveCalls()
		}
	})
	c.kick(cfg.Timing)
	return nil
}

// receiveStreams hands accepted connections to the present raft, until the stream is closed.
func (c *Cluster) receiveStreams() {
	for {
		conn, err := c.stream.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			c.logger.Error("cannot accept a connection", "error", err)
			if !c.rest(context.Background(), lastPause) {
				return
			}
			continue
		}
		peer := ""
		if known, ok := conn.(*portConn); ok {
			peer = known.peer
		}
		c.stack.Load().network.receive(conn, peer)
	}
}

// membershipApplied runs on raft's goroutine for the machine.
func (c *Cluster) membershipApplied() {
	if c.port != nil {
		c.port.recheck()
	}
}

// work runs f and returns a channel that is closed when it has returned.
func work(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return done
}

// watchLeader runs on raft's goroutines and filters every observation out.
func (c *Cluster) watchLeader(o *raft.Observation) bool {
	if leader, ok := o.Data.(raft.LeaderObservation); ok {
		c.observe.Leader(string(leader.LeaderID))
		c.watch.announce()
	}
	return false
}

// kick lowers both timeouts to their proper values. That fires the election timer, and a sole voter
// need not wait for a leader that cannot exist: its first write is possible a millisecond later.
func (c *Cluster) kick(t Timing) {
	if !c.soleVoter() {
		return
	}
	c.reload(func(r *raft.ReloadableConfig) { r.HeartbeatTimeout, r.ElectionTimeout = t.Heartbeat, t.Election })
}
