package cluster

import (
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// valveWidth is how many entries may wait for the machine before calls that bring more are held. Raft's queue holds 128
// batches, and a batch may be a single entry.
const valveWidth = 96

// valve holds back calls that bring entries while the machine is behind. Otherwise raft's queue to the machine fills,
// its main goroutine blocks, and a follower that is merely slow answers neither votes nor heartbeats.
type valve struct {
	applied func() uint64
	queued  atomic.Pointer[*raft.Raft] // whose applied index counts entries handed to the machine
	waiting atomic.Int32

	mu       sync.Mutex
	advanced chan struct{} // closed and replaced when the machine has advanced
}

func newValve(applied func() uint64) *valve {
	return &valve{applied: applied, advanced: make(chan struct{})}
}

func (v *valve) wide() bool {
	r := v.queued.Load()
	return r == nil || (*r).AppliedIndex() <= v.applied()+valveWidth
}

// pass waits until rpc may be handed to raft; it returns false at the end.
func (v *valve) pass(rpc raft.RPC, stop <-chan struct{}) bool {
	call, ok := rpc.Command.(*raft.AppendEntriesRequest)
	if !ok || len(call.Entries) == 0 || v.wide() {
		return true
	}
	v.waiting.Add(1)
	defer v.waiting.Add(-1)
	for {
		v.mu.Lock()
		advanced := v.advanced
		v.mu.Unlock()
		if v.wide() {
			return true
		}
		select {
		case <-advanced:
		case <-stop:
			return false
		}
	}
}

// advance runs after the machine has applied entries.
func (v *valve) advance() {
	if v.waiting.Load() == 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	close(v.advanced)
	v.advanced = make(chan struct{})
}
