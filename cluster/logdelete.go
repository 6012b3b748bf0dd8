package cluster

import "fmt"

// One deletion's transaction has at most so many entries and bytes; a giant one would hold the write lock and stall appends.
const (
	deleteChunk = 1024
	deleteBytes = 64 << 20
)

// DeleteRange removes the entries from low to high, as far as they exist.
//
// A prefix goes oldest first, a suffix or the whole log newest first, in chunks. So a crash between two chunks always
// leaves a contiguous log, which the restart can judge. A range from the middle would leave a hole and ends the node.
func (s *logStore) DeleteRange(low, high uint64) error {
	s.deleting.Lock()
	defer s.deleting.Unlock()
	first, last, _ := s.measure()
	low, high = max(low, first), min(high, last)
	if first == 0 || low > high {
		return nil
	}
	if low > first && high < last {
		return s.fail(fmt.Errorf("delete entries %d to %d from raft log: it would leave a hole in %d to %d", low, high, first, last))
	}
	if high == last {
		return s.deleteNewest(low, high)
	}
	return s.deleteOldest(low, high)
}

func (s *logStore) deleteOldest(low, high uint64) error {
	for low <= high {
		s.mu.Lock()
		end := s.extent.chunk(low, high, 1)
		s.mu.Unlock()
		if err := s.delete(low, end); err != nil {
			return err
		}
		s.mu.Lock()
		s.extent.dropOldest(end)
		s.mu.Unlock()
		low = end + 1
	}
	return nil
}

func (s *logStore) deleteNewest(low, high uint64) error {
	for high >= low && high > 0 {
		s.mu.Lock()
		start, left := s.extent.chunk(high, low, -1), uint64(0)
		if start > s.extent.first {
			left = start - 1
		}
		s.mu.Unlock()
		err := storageCall(s.failure, s.limit, "delete", s.observe.Storage, func() error { return s.end.lower(left) })
		if err != nil {
			return s.fail(err)
		}
		if err := s.delete(start, high); err != nil {
			return err
		}
		s.mu.Lock()
		s.extent.dropNewest(start)
		s.mu.Unlock()
		high = start - 1
	}
	return nil
}

// delete removes one chunk in one transaction.
func (s *logStore) delete(low, high uint64) error {
	err := storageCall(s.failure, s.limit, "delete", s.observe.Storage, func() error { return s.inner.DeleteRange(low, high) })
	if err != nil {
		return s.fail(fmt.Errorf("delete entries %d to %d from raft log: %w", low, high, err))
	}
	s.observe.Truncated(high - low + 1)
	return nil
}
