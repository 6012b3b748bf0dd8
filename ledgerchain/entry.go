package ledgerchain

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

const (
	entryMagic    = "vnx1"
	kindLengthAt  = 24                     // after magic, index, time and salt id
	kindAt        = kindLengthAt + 1       // where the kind starts
	entryFixed    = kindAt + 3*HashSize    // bytes of an entry beside its kind
	maxKind       = 64                     // bytes of the longest kind
	maxEntry      = entryFixed + maxKind   // bytes of the longest entry
	genesisLabel  = "vnx/genesis/v1\n"     // prefix of the hash before the first entry
	leafPrefix    = 0x00                   // RFC 6962: a leaf
	nodePrefix    = 0x01                   // RFC 6962: an inner node
	minEntry      = entryFixed + 1         // bytes of the shortest entry
	maxOpening    = BlindSize + MaxPayload // bytes of the longest opening
	openingPrefix = "vnx/payload/v1\n"     // prefix of a payload commitment
)

// Entry is one link of the chain: what is hashed, logged and published about one fact.
type Entry struct {
	Index  uint64 // 0 for the first; the API's height is Index + 1
	Time   int64  // log time in microseconds since 1970, strictly rising
	SaltID SaltID // of the salt that Chain is keyed with
	Kind   string // 1 to 64 of a-z, 0-9 and -
	Prev   Hash   // Chain of the entry before, or Genesis
	Commit Hash   // commitment to blind and payload
	Chain  Hash   // keyed hash of the body; the API's entryHash
}

// AppendBody appends the bytes that ChainHash covers. The kind must be valid.
func (e *Entry) AppendBody(dst []byte) []byte {
	dst = append(dst, entryMagic...)
	dst = binary.BigEndian.AppendUint64(dst, e.Index)
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Time))
	dst = append(dst, e.SaltID[:]...)
	dst = append(dst, byte(len(e.Kind)))
	dst = append(dst, e.Kind...)
	dst = append(dst, e.Prev[:]...)
	return append(dst, e.Commit[:]...)
}

// Append appends the whole entry: the body and its keyed hash.
func (e *Entry) Append(dst []byte) []byte {
	return append(e.AppendBody(dst), e.Chain[:]...)
}

// ParseEntry reads the bytes that Append writes and refuses all others.
func ParseEntry(b []byte) (Entry, error) {
	if err := checkEntry(b); err != nil {
		return Entry{}, fmt.Errorf("parse entry: %w", err)
	}
	s := storedEntry(b)
	return Entry{
		Index: s.index(), Time: s.time(), SaltID: s.saltID(), Kind: string(s.kind()),
		Prev: Hash(s.prev()), Commit: Hash(s.commit()), Chain: Hash(s.chain()),
	}, nil
}

// Body returns the part of a parsed entry's bytes that ChainHash covers.
func Body(entry []byte) []byte { return storedEntry(entry).body() }

// Genesis returns what the first entry of a ledger names as the entry before it.
func Genesis(ledgerID string) Hash {
	return sha256.Sum256([]byte(genesisLabel + ledgerID + "\n"))
}

// Commitment binds an entry to its payload without giving the payload away.
func Commitment(blind Blind, payload []byte) Hash {
	h := hashers.Get().(*hasher)
	defer hashers.Put(h)
	return h.commitment(blind, payload)
}

// Leaf returns the RFC 6962 hash of an entry's bytes as a leaf of the Merkle tree.
func Leaf(entry []byte) Hash {
	if len(entry) > maxEntry {
		return sha256.Sum256(append([]byte{leafPrefix}, entry...))
	}
	var scratch [1 + maxEntry]byte
	scratch[0] = leafPrefix
	n := copy(scratch[1:], entry)
	return sha256.Sum256(scratch[:1+n])
}

// CheckKind refuses a kind that is not 1 to 64 of a-z, 0-9 and -.
func CheckKind(kind string) error {
	if !validKind(kind) {
		return fmt.Errorf("kind %q: want 1 to %d of a-z, 0-9 and -", kind, maxKind)
	}
	return nil
}

func validKind[Bytes string | []byte](kind Bytes) bool {
	if len(kind) < 1 || len(kind) > maxKind {
		return false
	}
	for i := range len(kind) {
		if c := kind[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

var (
	errEntryLength = errors.New("length does not fit the kind")
	errEntryMagic  = errors.New("not an entry of version 1")
	errEntryKind   = errors.New("kind is not 1 to 64 of a-z, 0-9 and -")
	errEntryRange  = errors.New("index or time out of range")
)

// checkEntry validates the layout, so that the methods of storedEntry cannot fail.
func checkEntry(b []byte) error {
	if len(b) < minEntry || len(b) != entryFixed+int(b[kindLengthAt]) {
		return errEntryLength
	}
	s := storedEntry(b)
	switch {
	case string(b[:len(entryMagic)]) != entryMagic:
		return errEntryMagic
	case !validKind(s.kind()):
		return errEntryKind
	case s.index() >= MaxSize || binary.BigEndian.Uint64(b[12:]) > math.MaxInt64:
		return errEntryRange
	}
	return nil
}

// storedEntry reads the fields of checked entry bytes in place.
type storedEntry []byte

func (s storedEntry) index() uint64  { return binary.BigEndian.Uint64(s[4:]) }
func (s storedEntry) time() int64    { return int64(binary.BigEndian.Uint64(s[12:])) }
func (s storedEntry) saltID() SaltID { return SaltID(s[20:kindLengthAt]) }
func (s storedEntry) kind() []byte   { return s[kindAt : len(s)-3*HashSize] }
func (s storedEntry) prev() []byte   { return s[len(s)-3*HashSize : len(s)-2*HashSize] }
func (s storedEntry) commit() []byte { return s[len(s)-2*HashSize : len(s)-HashSize] }
func (s storedEntry) chain() []byte  { return s[len(s)-HashSize:] }
func (s storedEntry) body() []byte   { return s[:len(s)-HashSize] }
