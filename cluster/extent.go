package cluster

import "github.com/hashicorp/raft"

// entryOverhead is what an entry costs in raft.db beyond its data: envelope, key and page element.
const entryOverhead = 128

func entrySize(log *raft.Log) int { return len(log.Data) + entryOverhead }

// extent is the contiguous range of entries that a log holds, with their sizes.
// It saves a transaction per question and is what the byte budget is kept with.
type extent struct {
	first uint64 // 0 for an empty log
	sizes []uint32
	bytes int64
}

func (e *extent) last() uint64 {
	if e.first == 0 {
		return 0
	}
	return e.first + uint64(len(e.sizes)) - 1
}

// push appends the entry at index, which must follow the last one.
func (e *extent) push(index uint64, size int) {
	if e.first == 0 {
		e.first = index
	}
	e.sizes = append(e.sizes, uint32(size))
	e.bytes += int64(size)
}

// dropOldest forgets the entries up to and including index.
func (e *extent) dropOldest(index uint64) {
	n := index - e.first + 1
	e.forget(e.sizes[:n])
	e.sizes = e.sizes[n:]
	e.first = index + 1
	e.settle()
}

// dropNewest forgets the entries from index on.
func (e *extent) dropNewest(index uint64) {
	n := index - e.first
	e.forget(e.sizes[n:])
	e.sizes = e.sizes[:n]
	e.settle()
}

// chunk returns the last entry of a deletion that begins at from and goes by step towards to.
func (e *extent) chunk(from, to uint64, step int) uint64 {
	index, bytes := from, int64(e.sizes[from-e.first])
	for count := 1; count < deleteChunk && index != to; count++ {
		next := index + uint64(step)
		bytes += int64(e.sizes[next-e.first])
		if bytes > deleteBytes {
			break
		}
		index = next
	}
	return index
}

func (e *extent) forget(sizes []uint32) {
	for _, size := range sizes {
		e.bytes -= int64(size)
	}
}

func (e *extent) settle() {
	if len(e.sizes) == 0 {
		e.first, e.sizes = 0, nil
	}
}

// fitting returns how many of the newest entries together need at most bytes.
func (e *extent) fitting(bytes int64) uint64 {
	for i := len(e.sizes) - 1; i >= 0; i-- {
		bytes -= int64(e.sizes[i])
		if bytes < 0 {
			return uint64(len(e.sizes) - 1 - i)
		}
	}
	return uint64(len(e.sizes))
}
