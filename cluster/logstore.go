package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// logStore wraps the log of raft.db. It sits under raft's LogCache, which every caller uses.
//
// It adds checksums, refuses holes, deletes in small steps, watches the disk, and ends the node on the first error.
// It does not claim to be monotonic: raft would then clear the log but keep a stale pointer to its end.
type logStore struct {
	inner     raft.LogStore
	failure   *failure
	limit     time.Duration     // longest time one call may take
	observe   Observe           // complete
	end       *endMark          // nil for a file that is only read
	durable   func([]*raft.Log) // told after a batch is on disk, before raft goes on
	deleting  sync.Mutex        // one deletion at a time
	appending sync.Mutex        // one append at a time; guards the two buffers
	sealed    []raft.Log        // reused by StoreLogs
	batch     []*raft.Log       // reused by StoreLogs

	mu     sync.Mutex // guards what follows
	extent extent
	closed bool
}

// newLogStore wraps inner, whose entries are those of held.
func newLogStore(inner raft.LogStore, held extent, f *failure, limit time.Duration, observe Observe) *logStore {
	return &logStore{inner: inner, failure: f, limit: limit, observe: observe, extent: held, durable: func([]*raft.Log) {}}
}

// FirstIndex returns the oldest entry's index, 0 for an empty log.
func (s *logStore) FirstIndex() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.extent.first, nil
}

// LastIndex returns the newest entry's index, 0 for an empty log.
func (s *logStore) LastIndex() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.extent.last(), nil
}

// GetLog reads and verifies one entry. A missing one is raft.ErrLogNotFound itself, because raft compares with ==;
// any other failure ends the node, because raft would retry it silently for ever.
func (s *logStore) GetLog(index uint64, log *raft.Log) error {
	err := storageCall(s.failure, s.limit, "get", s.observe.Storage, func() error { return s.inner.GetLog(index, log) })
	if errors.Is(err, raft.ErrLogNotFound) {
		return raft.ErrLogNotFound
	}
	if err == nil {
		err = checkLog(index, log)
	}
	if err != nil {
		return s.fail(fmt.Errorf("read raft log entry %d: %w", index, err))
	}
	return nil
}

// StoreLog appends one entry.
func (s *logStore) StoreLog(log *raft.Log) error {
	return s.StoreLogs([]*raft.Log{log})
}

// StoreLogs appends entries durably. They must continue the log without a hole.
func (s *logStore) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	s.appending.Lock()
	defer s.appending.Unlock()
	if err := s.continues(logs); err != nil {
		return s.fail(err)
	}
	batch, size := s.seal(logs)
	err := storageCall(s.failure, s.limit, "store", s.observe.Storage, func() error {
		if err := s.inner.StoreLogs(batch); err != nil {
			return err
		}
		newest := logs[len(logs)-1]
		return s.end.rise(logEnd{newest.Index, newest.Term})
	})
	clear(s.sealed) // do not keep the entries' data alive
	if err != nil {
		return s.fail(fmt.Errorf("append entries %d to %d to raft log: %w", logs[0].Index, logs[len(logs)-1].Index, err))
	}
	s.mu.Lock()
	for _, log := range logs {
		s.extent.push(log.Index, entrySize(log))
	}
	s.mu.Unlock()
	s.observe.Append(len(logs), size)
	s.durable(logs)
	return nil
}

// continues reports a batch that would leave a hole in the log or overwrite a part of it.
func (s *logStore) continues(logs []*raft.Log) error {
	s.mu.Lock()
	last := s.extent.last()
	s.mu.Unlock()
	for i, log := range logs {
		if (i > 0 || last > 0) && log.Index != last+1 {
			return fmt.Errorf("append to raft log: entry %d does not follow entry %d", log.Index, last)
		}
		last = log.Index
	}
	return nil
}

// seal returns shallow copies that carry the checksum in Extensions, and their size in bytes.
// Raft's own logs stay as they are: the cache keeps them and replication sends them.
func (s *logStore) seal(logs []*raft.Log) ([]*raft.Log, int) {
	if cap(s.sealed) < len(logs) {
		s.sealed = make([]raft.Log, len(logs))
		s.batch = make([]*raft.Log, len(logs))
	}
	sealed, batch, size := s.sealed[:len(logs)], s.batch[:len(logs)], 0
	sums := make([]byte, 0, len(logs)*checksumSize)
	for i, log := range logs {
		sums = binary.BigEndian.AppendUint32(sums, logSum(log))
		sealed[i] = *log
		sealed[i].Extensions = sums[i*checksumSize : (i+1)*checksumSize : (i+1)*checksumSize]
		batch[i] = &sealed[i]
		size += entrySize(log)
	}
	return batch, size
}

// fail ends the node unless it is still starting or already stopping.
func (s *logStore) fail(err error) error {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	return s.failure.halt(err, closed)
}

// measure returns the present extent of the log and its size in bytes.
func (s *logStore) measure() (first, last uint64, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.extent.first, s.extent.last(), s.extent.bytes
}

// fitting returns how many of the newest entries fit into bytes, and how many entries there are.
func (s *logStore) fitting(bytes int64) (fit, all uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.extent.fitting(bytes), uint64(len(s.extent.sizes))
}

// close makes later calls answer with their error instead of ending the node:
// raft's metrics goroutine may look at the log after raft has stopped.
func (s *logStore) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}
