package ledgerchain

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// maxLevel bounds the height of the tree: MaxSize leaves.
const maxLevel = 56

// Tree is the compact range of an RFC 6962 tree from its first leaf on: one hash per bit of its size.
// The zero value is the empty tree, and a copy is independent.
type Tree struct {
	size   uint64
	hashes [maxLevel + 1]Hash // hashes[l] is the latest full subtree of 2^l leaves; where bit l of size is set it is part of the range
}

// Size returns the number of leaves.
func (t *Tree) Size() uint64 { return t.size }

// Append adds one leaf. It hashes one inner node on average.
func (t *Tree) Append(leaf Hash) { t.push(0, leaf) }

// push adds a perfect subtree of 2^level leaves; the size must be a multiple of that.
func (t *Tree) push(level int, root Hash) {
	size := t.size + 1<<level
	for ; t.size>>level&1 == 1; level++ {
		left := t.hashes[level]
		t.hashes[level] = root
		root = nodeHash(&left, &root)
	}
	t.hashes[level] = root
	t.size = size
}

// Completed returns the root of the subtree of 2^level leaves that the latest Append filled.
// It is for the level-8 hash of a full tile; ask right after that Append, because a parsed tree does not know it.
func (t *Tree) Completed(level int) Hash { return t.hashes[level] }

// AppendRange adds the leaves of a range, which has to begin where the tree ends.
func (t *Tree) AppendRange(r *Range) error {
	if r.begin != t.size {
		return fmt.Errorf("append range: it begins at %d, the tree has %d leaves", r.begin, t.size)
	}
	for i := range r.nodes {
		t.push(r.nodes[i].level, r.nodes[i].hash)
	}
	return nil
}

// Root returns the root hash; of the empty tree it is the hash of nothing.
func (t *Tree) Root() Hash {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	level := bits.TrailingZeros64(t.size)
	root := t.hashes[level]
	for level++; level <= maxLevel; level++ {
		if t.size>>level&1 == 1 {
			root = nodeHash(&t.hashes[level], &root)
		}
	}
	return root
}

// AppendBytes appends the size and the hashes in use, the largest subtree first.
func (t *Tree) AppendBytes(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, t.size)
	for level := maxLevel; level >= 0; level-- {
		if t.size>>level&1 == 1 {
			dst = append(dst, t.hashes[level][:]...)
		}
	}
	return dst
}

// ParseTree reads the bytes that AppendBytes writes and refuses all others.
func ParseTree(b []byte) (Tree, error) {
	if len(b) < 8 {
		return Tree{}, errors.New("parse tree: cut off")
	}
	t := Tree{size: binary.BigEndian.Uint64(b)}
	b = b[8:]
	if t.size > MaxSize || len(b) != bits.OnesCount64(t.size)*HashSize {
		return Tree{}, fmt.Errorf("parse tree: size %d with %d bytes of hashes", t.size, len(b))
	}
	for level := maxLevel; level >= 0; level-- {
		if t.size>>level&1 == 1 {
			t.hashes[level] = Hash(b[:HashSize])
			b = b[HashSize:]
		}
	}
	return t, nil
}

func nodeHash(left, right *Hash) Hash {
	var message [1 + 2*HashSize]byte
	message[0] = nodePrefix
	copy(message[1:], left[:])
	copy(message[1+HashSize:], right[:])
	return sha256.Sum256(message[:])
}

// Range is the compact range of some leaves in the middle of a tree: the roots of the perfect subtrees they fill.
// Ranges that touch can be joined, so parts of a tree can be hashed apart from each other.
type Range struct {
	begin, end uint64
	nodes      []node // from left to right
}

type node struct {
	level int
	hash  Hash
}

// NewRange returns an empty range before the leaf with index begin.
func NewRange(begin uint64) *Range { return &Range{begin: begin, end: begin} }

// Begin returns the index of the first leaf.
func (r *Range) Begin() uint64 { return r.begin }

// End returns the index after the last leaf.
func (r *Range) End() uint64 { return r.end }

// Append adds the next leaf.
func (r *Range) Append(leaf Hash) { r.push(0, leaf) }

// AppendRange adds the leaves of next, which has to begin where this range ends.
func (r *Range) AppendRange(next *Range) error {
	if next.begin != r.end {
		return fmt.Errorf("append range: it begins at %d, this one ends at %d", next.begin, r.end)
	}
	for i := range next.nodes {
		r.push(next.nodes[i].level, next.nodes[i].hash)
	}
	return nil
}

// push adds a perfect subtree and merges it with left siblings as far as they are in the range.
func (r *Range) push(level int, hash Hash) {
	end := r.end + 1<<level
	for n := len(r.nodes); n > 0 && r.end>>level&1 == 1 && r.nodes[n-1].level == level; n-- {
		hash = nodeHash(&r.nodes[n-1].hash, &hash)
		r.nodes = r.nodes[:n-1]
		level++
	}
	r.nodes = append(r.nodes, node{level, hash})
	r.end = end
}
