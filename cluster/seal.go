package cluster

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// sealEntries turns waiting requests into entries and hands them to raft, until the queue ends.
func (c *Cluster) sealEntries() {
	var batch []*waiter
	for {
		var ok bool
		if batch, ok = c.queue.take(batch); !ok {
			return
		}
		c.sealBatch(batch)
	}
}

// sealBatch seals waiters as one entry. A request that cannot be sealed must not fail its neighbours,
// so a batch that cannot be sealed is split until the culprit is alone.
func (c *Cluster) sealBatch(waiters []*waiter) {
	e := &entry{waiters: append([]*waiter(nil), waiters...)}
	requests := c.requests[:0]
	for _, w := range waiters {
		requests = append(requests, w.request)
		e.bytes += int64(len(w.request))
	}
	var err error
	e.data, err = c.seal(requests)
	clear(requests)
	c.requests = requests
	if err == nil {
		err = checkSealed(e.data)
	}
	switch {
	case err == nil:
		c.observe.Seal(len(waiters), len(e.data))
		c.launch(e)
	case len(waiters) > 1:
		half := len(waiters) / 2
		c.sealBatch(waiters[:half])
		c.sealBatch(waiters[half:])
	default:
		c.queue.reject(1, e.bytes)
		waiters[0].done <- answer{err: notApplied(fmt.Errorf("seal request: %w", err))}
	}
}

// launch hands e to raft. Raft's queue holds as many entries as one replication call, 64 on a LAN, so it hardly ever
// blocks; while it does, requests gather, and raft's shutdown ends it.
func (c *Cluster) launch(e *entry) {
	c.queue.launch(e)
	c.launching.Lock()
	defer c.launching.Unlock()
	s := c.stack.Load()
	e.future = s.raft.ApplyLog(raft.Log{Data: e.data}, 0)
	s.flights <- e
}

// answerEntries waits for the entries in order and answers their waiters.
func (c *Cluster) answerEntries(s *stack) {
	for e := range s.flights {
		s.current.Store(e)
		err := e.future.Error()
		if !c.queue.land(e) {
			continue
		}
		if err != nil {
			c.failEntry(e, err)
			continue
		}
		outcomes, ok := e.future.Response().([][]byte)
		if !ok || len(outcomes) != len(e.waiters) {
			c.failure.raise(fmt.Errorf("machine gave %d outcomes for entry %d of %d requests", len(outcomes), e.future.Index(), len(e.waiters)))
			c.failEntry(e, errors.New("machine gave no outcome"))
			continue
		}
		for i, w := range e.waiters {
			w.done <- answer{outcome: outcomes[i]}
		}
	}
}

// failEntry answers all waiters of e with what raft's error means for them.
func (c *Cluster) failEntry(e *entry, err error) {
	verdict := classify(err)
	for _, w := range e.waiters {
		w.done <- answer{err: verdict}
	}
}

// classify says what an error of raft means for a request. Raft gives the first three before it touches the log.
func classify(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrEnqueueTimeout):
		return errNotLeader
	}
	return unknown(err)
}
