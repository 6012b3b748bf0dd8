package fsm

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"coffer/ledgerchain"
	"coffer/store"
)

// Context is what a handler works with: the command's batch, and all it may
// know besides the state.
type Context struct {
	*store.Batch
	Index   uint64            // of the log entry
	Now     store.Time        // log time: rises with every request
	Actor   Actor             // who asks
	Version uint32            // state-machine version in force
	Salt    *ledgerchain.Salt // equal on all nodes, never stored

	machine  *Machine
	activate uint32 // version to be in force from the next request on
	seed     [16]byte
	ordinal  uint32 // of the request in its entry
	counter  uint32 // of random values drawn
	last     store.Time
}

// Tick returns the log time of the next chain entry of this request: Now for
// the first, then one microsecond more each.
func (ctx *Context) Tick() store.Time {
	ctx.last++
	return ctx.last
}

// random draws 32 bytes that all replicas draw alike.
func (ctx *Context) random() [32]byte {
	var material [24]byte
	copy(material[:], ctx.seed[:])
	binary.BigEndian.PutUint32(material[16:], ctx.ordinal)
	binary.BigEndian.PutUint32(material[20:], ctx.counter)
	ctx.counter++
	return sha256.Sum256(material[:])
}

// NewID returns a new id of 128 random bits: the prefix, "_" and 32 hex digits.
func (ctx *Context) NewID(prefix string) store.ID {
	bits := ctx.random()
	var room [48]byte
	return store.ID(hex.AppendEncode(append(append(room[:0], prefix...), '_'), bits[:16]))
}

// Blind returns the blind of the next chain entry (audit trail, section 3).
func (ctx *Context) Blind() ledgerchain.Blind {
	bits := ctx.random()
	return ledgerchain.Blind(bits[:16])
}
