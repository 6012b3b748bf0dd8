package fsm

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"

	"coffer/ledgerchain"
	"coffer/store"
)

// RequestID names a request for good: the same id never applies twice.
type RequestID [16]byte

// NewRequestID returns a random id, for a request without an idempotency key.
func NewRequestID() RequestID {
	var id RequestID
	// crypto/rand never fails: the runtime stops the program instead.
	_, _ = rand.Read(id[:])
	return id
}

func (id RequestID) String() string { return hex.EncodeToString(id[:]) }

// Request is what a caller asks. It is not sealed yet: a follower forwards it
// as it is, the leader adds time and randomness.
type Request struct {
	Command       string    `cbor:"1,keyasint"` // "wallet.transfer/1"
	Actor         Actor     `cbor:"2,keyasint"`
	RequestID     RequestID `cbor:"3,keyasint"`
	BodyHash      [32]byte  `cbor:"4,keyasint"` // keyed; catches a reused idempotency key
	KeepRejection bool      `cbor:"5,keyasint,omitempty"`
	Payload       store.Raw `cbor:"6,keyasint"`
	Reason        string    `cbor:"7,keyasint,omitempty"` // of an operator, for the record
}

// Entry is what one raft log entry holds: requests, sealed by the leader.
type Entry struct {
	Format   uint8              `cbor:"1,keyasint"`
	SaltID   ledgerchain.SaltID `cbor:"2,keyasint"` // of the leader's chain salt
	Time     store.Time         `cbor:"3,keyasint"` // the leader's clock
	Seed     [16]byte           `cbor:"4,keyasint"` // the leader's randomness
	Requests []store.Raw        `cbor:"5,keyasint"`
}

// entryFormat is the only format so far.
const entryFormat = 1

const sealLength = 4

var sealTable = crc32.MakeTable(crc32.Castagnoli)

var (
	errEntryShort    = errors.New("entry is shorter than its checksum")
	errEntryChecksum = errors.New("entry checksum does not match")
)

// Seal encodes an entry for the log: canonical CBOR, then its CRC32C.
func Seal(e Entry) []byte {
	e.Format = entryFormat
	encoded := store.Encode(&e)
	return binary.BigEndian.AppendUint32(encoded, crc32.Checksum(encoded, sealTable))
}

// CheckSeal verifies the checksum of a sealed entry without decoding it.
func CheckSeal(sealed []byte) error {
	_, err := openSeal(sealed)
	return err
}

func openSeal(sealed []byte) ([]byte, error) {
	split := len(sealed) - sealLength
	if split < 0 {
		return nil, errEntryShort
	}
	if binary.BigEndian.Uint32(sealed[split:]) != crc32.Checksum(sealed[:split], sealTable) {
		return nil, errEntryChecksum
	}
	return sealed[:split], nil
}

// OpenEntry reads a sealed entry. Unknown fields and formats are errors.
func OpenEntry(sealed []byte) (Entry, error) {
	encoded, err := openSeal(sealed)
	if err != nil {
		return Entry{}, err
	}
	var e Entry
	if err := store.Decode(encoded, &e); err != nil {
		return Entry{}, err
	}
	if e.Format != entryFormat {
		return Entry{}, fmt.Errorf("entry format %d is not %d, the one this program knows", e.Format, entryFormat)
	}
	return e, nil
}
