package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"coffer/cluster"
	"coffer/fsm"
	"coffer/fsm/ledger"
	"coffer/fsm/modules"
	"coffer/ledgerchain"
	"coffer/node/task"
	"coffer/snapshot"
	"coffer/store"
)

// Node is one running appliance. It is made by Start and ended by Stop.
type Node struct {
	config   Config
	logger   *slog.Logger
	flushLog func()
	dir      *dataDir
	boot     uint64 // number of this start; the directory gets it once the files have been found good
	salt     *ledgerchain.Salt
	salts    *ledgerchain.KeyRing
	db       *store.DB
	machine  *fsm.Machine
	cluster  *cluster.Cluster // from opened on
	opened   chan struct{}    // closed when cluster is set: strangers and the machine may be earlier
	metrics  *metrics
	server   *server
	port     *cluster.Port // nil without peers
	disk     *disk
	snaps    *snapshot.Virtual
	attempts *attempts // of others to join here

	public      atomic.Pointer[tls.Certificate] // of the public API, nil without TLS
	reloadables []*reloadable
	hangups     chan os.Signal

	prepared atomic.Bool // this leader has founded the ledger and made its wishes
	draining atomic.Bool
	broken   atomic.Pointer[error]
	outlook  atomic.Pointer[outlook] // nil until the leader has answered

	seen      sightings
	imbalance atomic.Pointer[ledger.Amount] // of the books at the last look, nil before

	stopping chan struct{} // closed when Stop begins
	once     sync.Once
	tending  sync.WaitGroup // what runs beside the servers until stopping
	ended    chan error     // why the node wants to be stopped
}

// The exit codes of the program (reliability, section 1.1).
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitRefused     = 3
	ExitUnreachable = 4
	ExitStorage     = 70
	ExitDiskFull    = 75
)

// Start opens the files, joins the cluster and serves. When it returns without
// an error, the node is ready.
func Start(ctx context.Context, c Config) (*Node, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	n := &Node{
		config: c, logger: c.Logger, flushLog: func() {}, metrics: newMetrics(c.Version),
		attempts: newAttempts(), hangups: make(chan os.Signal, 1), opened: make(chan struct{}), stopping: make(chan struct{}), ended: make(chan error, 1),
	}
	n.hearHangups()
	if n.logger == nil {
		n.logger, n.flushLog = NewLogger(os.Stderr, c.LogLevel)
	}
	n.disk = newDisk(c.DataDir, c.DiskReserve, n.logger)
	limitMemory(c.MaxMemory)
	if err := n.start(ctx); err != nil {
		n.logger.Error("start failed", "err", err)
		return nil, errors.Join(err, n.stop(context.WithoutCancel(ctx)))
	}
	return n, nil
}

// collectorShare is how far the heap grows between two collections, in percent:
// far, because a limit on memory ends the growth earlier.
const collectorShare = 400

// limitMemory keeps the garbage collector from spending memory that the page
// cache needs, and lets it rest below. GOMEMLIMIT and GOGC in the environment
// win.
func limitMemory(bytes int64) {
	if bytes <= 0 {
		return
	}
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(bytes)
	}
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(collectorShare)
	}
}

// start goes config, store, machine, cluster, HTTP; each step leaves what it
// opened to stop.
func (n *Node) start(ctx context.Context) error {
	for _, step := range []func() error{n.openDir, n.openState, n.openCluster, n.openServer} {
		if err := step(); err != nil {
			return err
		}
	}
	n.cluster.Lead(n.reign)
	n.tending.Go(n.reload)
	n.tending.Go(n.guardDisk)
	n.tending.Go(n.watchBooks)
	if n.port != nil {
		// The others may not be there yet: this node serves what it can meanwhile.
		n.tending.Go(n.lookAround)
		n.tending.Go(n.awaitPeers)
		return nil
	}
	if err := n.awaitReady(ctx, startLimit); err != nil {
		return err
	}
	n.sayReady()
	return nil
}

func (n *Node) sayReady() {
	for _, alarm := range n.alarms() {
		n.logger.Error("an alarm is raised", "kind", alarm.Kind, "about", alarm.Node, "reason", alarm.Reason)
	}
	n.logger.Info("ready", "url", n.URL(), "node", n.dir.Identity.NodeID, "mode", n.config.Mode, "dataDir", n.config.DataDir)
}

// awaitPeers says when this node is ready, however long that takes.
func (n *Node) awaitPeers() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-n.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	n.logger.Info("waiting for peers", "url", n.URL(), "cluster", n.port.Addr().String())
	n.tending.Go(func() { n.moveIn(ctx) }) // without it the others may never be heard
	if err := n.awaitReady(ctx, 0); err != nil {
		return
	}
	n.sayReady()
	<-ctx.Done()
}

func (n *Node) openDir() (err error) {
	if n.dir, err = openDataDir(n.config.DataDir, n.config.LedgerID); err != nil {
		return err
	}
	if err := n.disk.board(); err != nil {
		return err
	}
	if err := n.clean(); err != nil {
		return err
	}
	made, err := n.config.Secrets.generate(n.config.DataDir)
	if err != nil {
		return err
	}
	if len(made) > 0 {
		n.logger.Info("secrets generated for development", "files", made)
	}
	if n.salt, err = ledgerchain.NewSalt([]byte(n.config.Secrets.Salt)); err != nil {
		return err
	}
	n.salts, err = ledgerchain.NewKeyRing(n.salt)
	n.logger.Info("starting", "version", n.config.Version, "node", n.dir.Identity.NodeID, "cluster", n.dir.Identity.ClusterID,
		"ledger", n.dir.Identity.LedgerID, "config", n.config.summary())
	return err
}

// clean removes what a process that ended in the middle of a transfer has left.
func (n *Node) clean() error {
	left, err := snapshot.Clean(n.dir.file(snapshotDir))
	if err != nil {
		return fmt.Errorf("clean %s: %w", snapshotDir, err)
	}
	if len(left.Files) > 0 {
		n.logger.Warn("unfinished transfers of states were removed", "files", left.Files, "install", left.Install)
	}
	return nil
}

func (n *Node) openState() error {
	schema, err := fsm.Schema(modules.All())
	if err != nil {
		return err
	}
	interval := n.config.FlushEvery
	if interval == 0 {
		interval = -1
	}
	n.db, err = store.Open(store.Options{
		Path: n.dir.file(stateFile), Schema: schema, Stamp: n.dir.Identity.stamp(),
		FlushBytes: n.config.FlushBytes, FlushInterval: interval,
		Logger: n.logger, Fatal: n.fatal, Observe: n.metrics.flushed,
	})
	if err != nil {
		return refused("%v", err)
	}
	if err := n.checkState(); err != nil {
		return err
	}
	n.machine, err = fsm.NewMachine(fsm.Options{
		DB: n.db, Modules: modules.All(), Salt: n.salt, Node: n.dir.Identity.NodeID,
		Retention: modules.Retention, Logger: n.logger, Halt: n.fatal, Observe: n.metrics.machine(n.diverged),
	})
	return err
}

// checkState refuses a state that was written under another salt, and names
// both: it must not look like a broken chain.
func (n *Node) checkState() error { return checkSalt(n.db, n.salt) }

func checkSalt(db *store.DB, salt *ledgerchain.Salt) error {
	v := db.Latest()
	defer v.Close()
	state, err := ledgerchain.StateOf(v)
	if errors.Is(err, ledgerchain.ErrNotFounded) {
		return nil
	}
	if err != nil {
		return err
	}
	if own := salt.ID(); !state.Head.AnySalt && state.Head.SaltID != own {
		return refused("the chain was written under salt %s, VEILNETX_SALT is %s", state.Head.SaltID, own)
	}
	if named, ok := fsm.ClusterOf(v); ok && state.Head.AnySalt && named.SaltID != salt.ID() {
		return refused("the ledger was founded under salt %s, VEILNETX_SALT is %s", named.SaltID, salt.ID())
	}
	return nil
}

func (n *Node) openCluster() error {
	stream, err := n.stream()
	if err != nil {
		return err
	}
	if n.snaps, err = n.exchange(); err != nil {
		return errors.Join(err, stream.Close())
	}
	n.boot = n.dir.Identity.Boots + 1
	n.cluster, err = cluster.Open(cluster.Config{
		NodeID:    n.dir.Identity.NodeID,
		ClusterID: n.dir.Identity.ClusterID,
		Dir:       n.config.DataDir,
		Bootstrap: !n.dir.Identity.Started && !n.dir.Identity.Joined,
		Stream:    stream,
		Logger:    n.logger,
		Fatal:     n.fatal,
		State:     n.recorded(),
		Recorded:  n.recorded,
		BeginTerm: n.beginTerm,
		Vet:       n.machine.Vet,
		Applied:   n.machine.Applied,
		Backlog:   n.db.Unflushed,
		Bury:      n.bury,
		Removed:   n.removed,
		Admitted:  n.admitted,
		Announce:  n.announcement,
		DigestAt:  n.digestAt,
		LogBudget: n.config.LogBudget,
		Timing:    n.timing(),
		Observe:   n.metrics.cluster(),
	}, n.machine, n.snaps, n.seal)
	if err != nil {
		return err
	}
	close(n.opened)
	return n.dir.markStarted(n.boot)
}

// hasOpened waits for a cluster to ask. It returns false if there will be none, or
// not in time.
func (n *Node) hasOpened(ctx context.Context) bool {
	select {
	case <-n.opened:
		return true
	case <-n.stopping:
	case <-ctx.Done():
	}
	return false
}

func (n *Node) timing() cluster.Timing {
	timing := cluster.LAN()
	if n.config.WAN {
		timing = cluster.WAN()
	}
	timing.Probation = n.config.Probation
	return timing
}

func (n *Node) beginTerm(term uint64) []byte {
	return n.request(fsm.BeginTerm.Name, store.Encode(&fsm.TermBegun{Term: term, Node: n.dir.Identity.NodeID}))
}

// request is a request of this node itself, for the log.
func (n *Node) request(command string, payload []byte) []byte {
	return n.requestOf(n.actor(), command, payload)
}

func (n *Node) requestOf(actor fsm.Actor, command string, payload []byte) []byte {
	return store.Encode(&fsm.Request{
		Command:   command,
		Actor:     actor,
		RequestID: fsm.NewRequestID(),
		Payload:   payload,
	})
}

func (n *Node) tasks() []task.Task {
	all := []task.Task{task.Expiry(), task.Assertion(), task.ChainScan(n.salts)}
	if n.port != nil {
		all = append(all, n.census())
	}
	return all
}
