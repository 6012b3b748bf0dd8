package cluster

import (
	"time"

	"github.com/hashicorp/raft"
)

// silenceHold is how long a question before an election may wait for its answer. A candidate waits longer.
const silenceHold = time.Second

// silence shortens the time without a leader. Raft refuses a candidate while it knows a leader, and it forgets a leader
// only when its own timer fires, up to two election timeouts after the last heartbeat. So the first candidate after a
// leader's death was mostly refused by the other survivor, and waited for another election. Here a node that has heard
// nothing for a heartbeat timeout answers as the rule says: a leader that is silent for that long protects nobody.
//
// A question that comes a little early waits until then; it is a question only, and to wait is what a slow network does,
// too. It waits on its connection's own goroutine, and nothing else is on that connection. If the leader speaks meanwhile,
// the answer is raft's. Every answer is given by raft, on its main goroutine, by its rules for terms, logs and votes.
type silence struct {
	valve   *valve // knows the present raft
	timeout time.Duration
}

// hear readies a call for raft; it returns false at the end of its connection.
func (s silence) hear(rpc raft.RPC, stop <-chan struct{}) bool {
	current := s.valve.queued.Load()
	if current == nil {
		return true
	}
	switch call := rpc.Command.(type) {
	case *raft.RequestPreVoteRequest:
		if !s.await(*current, stop) {
			return false
		}
		if leader, silent := s.silentLeader(*current); silent {
			call.Addr = []byte(leader) // raft compares it with its leader's, and with nothing else; it knows nodes by id
		}
	case *raft.RequestVoteRequest:
		if _, silent := s.silentLeader(*current); silent {
			call.LeadershipTransfer = true // which means: although there was a leader
		}
	}
	return true
}

// await waits until the leader is silent for long enough, if that is near; it returns false at the end of the connection.
func (s silence) await(r *raft.Raft, stop <-chan struct{}) bool {
	missing := s.timeout - time.Since(r.LastContact())
	if missing <= 0 || missing > silenceHold || r.State() != raft.Follower {
		return true
	}
	timer := time.NewTimer(missing)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stop:
		return false
	}
}

// silentLeader returns the leader that a follower knows but has not heard of for a heartbeat timeout.
func (s silence) silentLeader(r *raft.Raft) (leader raft.ServerAddress, silent bool) {
	leader, _ = r.LeaderWithID()
	return leader, leader != "" && r.State() == raft.Follower && time.Since(r.LastContact()) >= s.timeout
}
