package ledgerchain

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	entryIDPrefix       = "vnx_"
	transactionIDPrefix = "tx_"
	transactionLabel    = "coffer/tx\n"
	idSize              = 16 // bytes of an id behind its prefix
)

// EntryID returns the API id of an entry: its index and the first eight bytes of its leaf hash.
// It is found without an index, and it does not fit another history.
func EntryID(index uint64, leaf Hash) string {
	var id [idSize]byte
	binary.BigEndian.PutUint64(id[:], index)
	copy(id[8:], leaf[:8])
	return encodeID(entryIDPrefix, &id)
}

// ParseEntryID returns the parts of an id that EntryID wrote: the index and the first eight bytes of the leaf hash.
// The caller compares leaf with the entry found there.
func ParseEntryID(id string) (index uint64, leaf [8]byte, err error) {
	var raw [idSize]byte
	if !decodeID(&raw, entryIDPrefix, id) {
		return 0, leaf, fmt.Errorf("entry id %q: malformed", id)
	}
	index = binary.BigEndian.Uint64(raw[:])
	if index >= MaxSize {
		return 0, leaf, fmt.Errorf("entry id %q: malformed", id)
	}
	return index, [8]byte(raw[8:]), nil
}

// TransactionID returns the id of one leg of the entry at index: its place and a tag of the entry's blind.
func TransactionID(index uint64, leg uint8, blind Blind) string {
	var id [idSize]byte
	binary.BigEndian.PutUint64(id[:], index<<8|uint64(leg))
	tag := TransactionTag(blind)
	copy(id[8:], tag[:])
	return encodeID(transactionIDPrefix, &id)
}

// ParseTransactionID returns the parts of an id that TransactionID wrote.
// The caller compares tag with TransactionTag of the entry found there.
func ParseTransactionID(id string) (index uint64, leg uint8, tag [8]byte, err error) {
	var raw [idSize]byte
	if !decodeID(&raw, transactionIDPrefix, id) {
		return 0, 0, tag, fmt.Errorf("transaction id %q: malformed", id)
	}
	place := binary.BigEndian.Uint64(raw[:])
	return place >> 8, uint8(place), [8]byte(raw[8:]), nil
}

// TransactionTag is the part of a transaction id that cannot be guessed without the entry's blind.
func TransactionTag(blind Blind) [8]byte {
	var message [len(transactionLabel) + BlindSize]byte
	copy(message[:], transactionLabel)
	copy(message[len(transactionLabel):], blind[:])
	sum := sha256.Sum256(message[:])
	return [8]byte(sum[:8])
}

func encodeID(prefix string, id *[idSize]byte) string {
	var scratch [len(entryIDPrefix) + 2*idSize]byte
	n := copy(scratch[:], prefix)
	n += hex.Encode(scratch[n:], id[:])
	return string(scratch[:n])
}

func decodeID(id *[idSize]byte, prefix, s string) bool {
	digits, ok := strings.CutPrefix(s, prefix)
	return ok && decodeHex(id[:], digits)
}
