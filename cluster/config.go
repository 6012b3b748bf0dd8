package cluster

import (
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// MaxRequest is the largest request in bytes that Propose accepts.
	MaxRequest = 1 << 20

	maxEntryRequests = 1000     // requests that make an entry leave at once
	maxEntryBytes    = 1 << 20  // bytes that make an entry leave at once
	entryWorthBytes  = 64 << 10 // bytes that wait for a write only, not for company
	maxEntries       = 64       // sealed and unanswered; raft's queue to the machine holds 128
	minTrailing      = 1024     // entries that truncation always leaves
)

// Config describes this node to the cluster. Zero values of Timing, Limits, LogBudget and Observe mean the defaults.
type Config struct {
	NodeID    string // stable name of this node; raft.db is bound to it
	ClusterID string // name of the cluster; raft.db is bound to it
	Dir       string // existing directory that holds raft.db
	Bootstrap bool   // become the sole voter if state and log are empty

	// Stream carries the connections between nodes: a Port, or NoPeers. Open owns it and closes it, also on failure.
	Stream raft.StreamLayer
	Logger *slog.Logger
	// Fatal is called once, on the first storage failure, and should end the process with code 70.
	// If it returns, the failed call stays parked until Close.
	Fatal func(error)

	// State is what the machine's file holds at start.
	State State
	// Recorded returns what the machine's file holds now. It is asked after an install; required with a Port.
	Recorded func() State
	// BeginTerm builds the first request of a term; it runs through the machine like any other.
	BeginTerm func(term uint64) []byte
	// Vet says why a request that a peer has encoded must not enter the log: what the machine cannot read ends every node
	// that applies it. Optional.
	Vet func(request []byte) error
	// Applied returns the machine's visible index; it must be as cheap as an atomic load.
	Applied func() uint64
	// Backlog returns the bytes that the machine has not flushed; optional, as cheap as an atomic load.
	Backlog func() int64

	// Bury builds the request that makes the machine remember a removed node and who asked for that, if it is known.
	// Removed says whether the machine does.
	// Removed must be cheap, and is asked for every connection. Both are optional; without them an id could come back.
	Bury    func(nodeID string, by Asker) []byte
	Removed func(nodeID string) bool
	// Admitted says whether the machine knows the node as a member that was admitted and not removed; true while it knows
	// no member at all. It must be cheap, and is asked for every connection. Optional: without it raft's membership decides.
	Admitted func(nodeID string) bool
	// Announce returns what peers shall know about this node; optional, asked about once a second.
	Announce func() Announcement
	// DigestAt returns the machine's digest at a recent entry. With it, only nodes of equal state are promoted. Optional.
	DigestAt func(index uint64) (digest []byte, ok bool)

	LogBudget int64 // bytes of log that raft.db may hold, default 1 GiB
	Limits    Limits
	Timing    Timing
	Observe   Observe
}

// State is the record of the state file: it contains exactly the effects up to Index.
type State struct {
	Index uint64 // last entry whose effects the file contains, 0 for none
	Term  uint64 // term of that entry
	// Installed says that Index itself came from an install, a recovery or a restore.
	// Only then may a log that does not fit be dropped.
	Installed bool
}

// Limits bound what Propose admits. Beyond them it answers ErrOverloaded at once.
type Limits struct {
	Requests int   // unanswered requests, default 16384
	Bytes    int64 // unanswered request bytes, default 32 MiB
	Backlog  int64 // bytes reported by Config.Backlog, default 256 MiB
}

// Timing holds raft's clocks and sizes. LAN and WAN are the tested profiles.
type Timing struct {
	Heartbeat         time.Duration // silence after which a follower seeks election
	Election          time.Duration // time a candidate waits for votes
	LeaderLease       time.Duration // time without a quorum after which a leader steps down
	Commit            time.Duration // longest silence towards followers when idle
	SnapshotInterval  time.Duration // shortest pause between raft's own truncations
	SnapshotThreshold uint64        // entries that make a truncation worthwhile
	TrailingLogs      uint64        // entries kept for followers; the budget lowers it
	AppendEntries     int           // entries of one replication call
	RPCTimeout        time.Duration // one call between nodes
	RPCsInFlight      int           // pipelined calls to one follower
	Probe             time.Duration // how often the leader looks at its peers, default 1 s
	Probation         time.Duration // how long a node must be healthy to be promoted, default 10 s
}

// LAN is the profile for nodes within a few milliseconds of each other.
func LAN() Timing {
	return Timing{
		Heartbeat: 1500 * time.Millisecond, Election: 1500 * time.Millisecond, LeaderLease: time.Second,
		Commit: 50 * time.Millisecond, SnapshotInterval: 30 * time.Second, SnapshotThreshold: 4096,
		TrailingLogs: 65536, AppendEntries: 64, RPCTimeout: 10 * time.Second, RPCsInFlight: 2,
	}
}

// WAN is the profile for round trips of up to 60 ms.
func WAN() Timing {
	return Timing{
		Heartbeat: 5 * time.Second, Election: 5 * time.Second, LeaderLease: 3 * time.Second,
		Commit: 100 * time.Millisecond, SnapshotInterval: 30 * time.Second, SnapshotThreshold: 4096,
		TrailingLogs: 262144, AppendEntries: 16, RPCTimeout: 10 * time.Second, RPCsInFlight: 8,
	}
}

// complete returns the configuration with defaults, or every mistake at once.
func (c Config) complete() (Config, error) {
	var mistakes []error
	require := func(ok bool, mistake string) {
		if !ok {
			mistakes = append(mistakes, errors.New("cluster configuration: "+mistake))
		}
	}
	require(c.NodeID != "", "node id is empty")
	require(c.ClusterID != "", "cluster id is empty")
	require(!strings.ContainsRune(c.NodeID+c.ClusterID, 0), "node or cluster id contains a zero byte")
	require(c.Dir != "", "directory is empty")
	require(c.Stream != nil, "stream layer is missing")
	require(c.Fatal != nil, "fatal handler is missing")
	require(c.BeginTerm != nil, "begin-term request is missing")
	require(c.Applied != nil, "applied index is missing")
	require(c.State.Index > 0 || (c.State.Term == 0 && !c.State.Installed), "state names a term but no index")
	port, peers := c.Stream.(*Port)
	require(!peers || port.names(c.ClusterID, c.NodeID), "the certificate names another node")
	require(!peers || c.Recorded != nil, "recorded state is missing")
	if c.Recorded == nil {
		recorded := c.State
		c.Recorded = func() State { return recorded }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Timing == (Timing{}) {
		c.Timing = LAN()
	}
	setDefault(&c.Timing.Probe, time.Second)
	setDefault(&c.Timing.Probation, 10*time.Second)
	if c.Vet == nil {
		c.Vet = func([]byte) error { return nil }
	}
	if c.Removed == nil {
		c.Removed = func(string) bool { return false }
	}
	if c.Admitted == nil {
		c.Admitted = func(string) bool { return false }
	}
	setDefault(&c.LogBudget, 1<<30)
	setDefault(&c.Limits.Requests, 16384)
	setDefault(&c.Limits.Bytes, 32<<20)
	setDefault(&c.Limits.Backlog, 256<<20)
	require(c.LogBudget > 0, "log budget is negative")
	require(c.Limits.Requests > 0, "request limit is negative")
	require(c.Limits.Bytes >= MaxRequest, "byte limit is below the largest request")
	require(c.Timing.TrailingLogs >= minTrailing, "fewer than 1024 trailing logs")
	c.Observe = c.Observe.complete()
	return c, errors.Join(mistakes...)
}

func setDefault[T int | int64 | time.Duration](value *T, standard T) {
	if *value == 0 {
		*value = standard
	}
}

// raftConfig returns raft's configuration, with both timeouts one millisecond higher so that kick can lower them.
func (c Config) raftConfig(notify chan<- bool) *raft.Config {
	conf := raft.DefaultConfig()
	conf.LocalID = raft.ServerID(c.NodeID)
	conf.HeartbeatTimeout = c.Timing.Heartbeat + time.Millisecond
	conf.ElectionTimeout = c.Timing.Election + time.Millisecond
	conf.LeaderLeaseTimeout = c.Timing.LeaderLease
	conf.CommitTimeout = c.Timing.Commit
	conf.MaxAppendEntries = c.Timing.AppendEntries
	conf.SnapshotInterval = c.Timing.SnapshotInterval
	conf.SnapshotThreshold = c.Timing.SnapshotThreshold
	conf.TrailingLogs = c.Timing.TrailingLogs
	conf.BatchApplyCh = true
	conf.NoSnapshotRestoreOnStart = true
	conf.NoLegacyTelemetry = true
	conf.NotifyCh = notify
	conf.Logger = newHCLog(c.Logger)
	return conf
}
