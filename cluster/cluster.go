package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/hashicorp/raft"
)

// logCache is how many entries raft keeps in memory, one replication call: they may have a megabyte each.
const logCache = 64

// Cluster is this node's part in the replicated log. All methods are safe for concurrent use.
type Cluster struct {
	id           raft.ServerID
	logger       *slog.Logger
	observe      Observe
	raft         *raft.Raft
	network      transport
	storage      *storage
	failure      *failure
	applied      func() uint64
	seal         func(requests [][]byte) ([]byte, error)
	beginRequest func(term uint64) []byte

	queue      *queue
	requests   [][]byte    // reused by the sealer
	flights    chan *entry // handed to raft, in order
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
type workers struct{ sealer, answerer, governor, drainer, keeper <-chan struct{} }

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
	f := newFailure(cfg.Fatal)
	files, err := openStorage(cfg, snapshots, f, s)
	if err != nil {
		return nil, errors.Join(err, closeStream(cfg.Stream))
	}
	c := newCluster(cfg, files, f, seal)
	if err := c.start(cfg, machine, snapshots); err != nil {
		return nil, errors.Join(err, files.close())
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
	c := &Cluster{
		id: raft.ServerID(cfg.NodeID), logger: cfg.Logger, observe: cfg.Observe,
		storage: files, failure: f, applied: cfg.Applied, seal: seal, beginRequest: cfg.BeginTerm,
		queue: newQueue(cfg.Limits, cfg.Backlog), flights: make(chan *entry, maxEntries),
		leadership: newLeadership(), notify: make(chan bool, 4), budget: newBudget(cfg.LogBudget, cfg.Timing),
		stop: make(chan struct{}), retired: make(chan struct{}), halted: make(chan struct{}), closed: make(chan struct{}),
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

// start runs raft and the goroutines around it. On error everything but the files is closed again.
func (c *Cluster) start(cfg Config, machine raft.BatchingFSM, snapshots raft.SnapshotStore) error {
	cache, err := raft.NewLogCache(logCache, c.storage.logs)
	if err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	c.network = newTransport(cfg)
	c.failure.armed.Store(true)
	c.raft, err = raft.NewRaft(cfg.raftConfig(c.notify), machine, cache, c.storage.votes, snapshots, c.network)
	if err != nil {
		c.failure.armed.Store(false)
		return errors.Join(fmt.Errorf("start raft: %w", err), c.network.Close())
	}
	c.workers = workers{
		sealer:   work(c.sealEntries),
		answerer: work(c.answerEntries),
		governor: work(c.govern),
		drainer:  work(func() { c.drain(c.halted) }),
		keeper:   work(c.keepBudget),
	}
	c.raft.RegisterObserver(raft.NewObserver(nil, false, c.watchLeader))
	c.kick(cfg.Timing)
	return nil
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
