package cluster

import (
	"strconv"
	"time"

	"github.com/hashicorp/raft"
)

// Status is a picture of this node's part in the cluster. Its values are not of one instant.
type Status struct {
	State         string // Follower, Candidate, Leader or Shutdown
	Ready         bool   // leads and has begun its term
	Term          uint64
	Leader        string // node id, empty if unknown
	LeaderAddress string
	Contact       time.Time // when the leader was heard last, zero for never; now if this node leads

	Commit   uint64 // highest entry known to be on a quorum
	Last     uint64 // newest entry, in the log or in the state
	Applied  uint64 // the machine's visible index
	Snapshot uint64 // entry up to which raft may truncate
	LogFirst uint64 // oldest entry in raft.db, 0 if empty
	LogLast  uint64 // newest entry in raft.db, 0 if empty
	LogBytes int64  // of those entries
	Trailing uint64 // entries that the next truncation leaves

	Requests int   // proposals not yet answered
	Bytes    int64 // of those
	Entries  int   // entries on their way through raft
	Batches  int   // batches waiting for the machine
}

// Status returns a picture for operators and metrics.
func (c *Cluster) Status() Status {
	stats := c.raft().Stats()
	address, leader := c.raft().LeaderWithID()
	s := Status{
		State: c.raft().State().String(), Ready: c.Ready(), Term: c.raft().CurrentTerm(),
		Leader: string(leader), LeaderAddress: string(address),
		Commit: c.raft().CommitIndex(), Last: c.raft().LastIndex(), Applied: c.applied(),
		Snapshot: number(stats["last_snapshot_index"]),
		Trailing: c.raft().ReloadableConfig().TrailingLogs,
		Batches:  int(number(stats["fsm_pending"])),
	}
	s.Contact = c.raft().LastContact()
	if s.State == raft.Leader.String() {
		s.Contact = time.Now()
	}
	s.LogFirst, s.LogLast, s.LogBytes = c.storage.logs.measure()
	s.Requests, s.Bytes, s.Entries = c.queue.load()
	return s
}

// number reads one of raft's statistics, which are text.
func number(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
