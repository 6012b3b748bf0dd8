package store

import (
	"time"
	"unsafe"

	"github.com/tidwall/btree"
)

// item is one row of a generation: the key starts with the bucket's rank, a
// nil value is a tombstone.
type item struct {
	key   string
	value []byte
}

// treeDegree weighs search depth against what a write after a copy must copy.
const treeDegree = 16

func newTree() *btree.BTreeG[item] {
	return btree.NewBTreeGOptions(func(a, b item) bool { return a.key < b.key },
		btree.Options{NoLocks: true, Degree: treeDegree})
}

// tail is the newest part of a journal: rows first, first+1, ...
type tail struct {
	first uint64
	rows  [][]byte
}

func (t tail) end() uint64 { return t.first + uint64(len(t.rows)) }

// generation holds what was applied since the one before it was frozen. The
// writer changes it under the database's mutex; once frozen it never changes.
type generation struct {
	tree    *btree.BTreeG[item]
	tails   []tail  // by rank; only journals use theirs
	floors  []int64 // by rank; partitions below are dropped
	applied Applied // of its last entry
	memory  arena
	born    time.Time // of its first row; zero while empty
}

func newGeneration(before *generation) *generation {
	g := &generation{
		tree:    newTree(),
		tails:   make([]tail, len(before.tails)),
		floors:  append([]int64(nil), before.floors...),
		applied: before.applied,
	}
	for i, t := range before.tails {
		g.tails[i].first = t.end()
	}
	return g
}

// snapshot is a copy that later writes to g do not change. Callers hold the
// database's mutex: two copies of one tree at once would race.
func (g *generation) snapshot() *generation {
	copied := *g
	copied.tree = g.tree.Copy()
	copied.tails = append([]tail(nil), g.tails...)
	copied.floors = append([]int64(nil), g.floors...)
	copied.memory = arena{}
	return &copied
}

func (g *generation) empty() bool { return g.born.IsZero() }

// get returns the row under a ranked key; a tombstone is found with nil.
func (g *generation) get(ranked []byte) (value []byte, found bool) {
	it, found := g.tree.Get(item{key: textOf(ranked)})
	return it.value, found
}

// arena hands out memory in blocks, because what is in a generation dies as a
// whole. Blocks grow to arenaBlock.
type arena struct {
	block []byte
	bytes int64
}

const (
	firstBlock = 4 << 10
	arenaBlock = 256 << 10
)

// grow returns an empty slice with room for n bytes.
func (a *arena) grow(n int) []byte {
	a.bytes += int64(n)
	if n > arenaBlock/4 {
		return make([]byte, 0, n)
	}
	if cap(a.block)-len(a.block) < n {
		a.block = make([]byte, 0, max(n, min(2*cap(a.block), arenaBlock), firstBlock))
	}
	start := len(a.block)
	a.block = a.block[:start+n]
	return a.block[start : start : start+n]
}

// appendRank starts a ranked key.
func appendRank(dst []byte, r rank) []byte { return append(dst, byte(r>>8), byte(r)) }

const rankLength = 2

// rowOverhead is what one row costs in a tree besides its bytes.
const rowOverhead = 64

// textOf is the text over bytes that will never change again.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// bytesOf is the reverse of textOf; the bytes must not be changed.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
