package ledgerchain

import (
	"crypto/sha256"
	"hash"
	"sync"
)

// hasher is a reused SHA-256 state for messages in several parts.
type hasher struct {
	state  hash.Hash
	prefix [len(openingPrefix) + BlindSize]byte
	sum    Hash
}

var hashers = sync.Pool{New: func() any { return newHasher() }}

func newHasher() *hasher {
	h := &hasher{state: sha256.New()}
	copy(h.prefix[:], openingPrefix)
	return h
}

func (h *hasher) commitment(blind Blind, payload []byte) Hash {
	copy(h.prefix[len(openingPrefix):], blind[:])
	h.state.Reset()
	h.state.Write(h.prefix[:])
	h.state.Write(payload)
	h.state.Sum(h.sum[:0])
	return h.sum
}

// opening hashes blind and payload as they stand together in a journal row.
func (h *hasher) opening(opening []byte) Hash {
	return h.commitment(Blind(opening[:BlindSize]), opening[BlindSize:])
}
