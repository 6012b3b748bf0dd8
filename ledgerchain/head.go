package ledgerchain

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// saltIDMember is the member of a salt-rotate payload that names the next salt.
const saltIDMember = "saltId"

// Head is the end of a chain: everything that the next entry has to continue.
type Head struct {
	Size    uint64 // entries so far, the next index
	Chain   Hash   // of the last entry, or Genesis
	Time    int64  // of the last entry in microseconds; the next is later
	SaltID  SaltID // the salt the next entry must carry
	AnySalt bool   // nothing fixes the salt: no entry yet, or the naming payload was erased
}

// GenesisHead returns the head of an empty ledger.
func GenesisHead(ledgerID string) Head {
	return Head{Chain: Genesis(ledgerID), AnySalt: true}
}

// HeadAfter returns the head that a stored row leaves, taking the row at its word.
// A run that starts behind that row starts there; the run before has to end there.
func HeadAfter(row []byte) (Head, error) {
	r, err := ParseRow(row)
	if err != nil {
		return Head{}, err
	}
	if err := checkEntry(r.Entry); err != nil {
		return Head{}, fmt.Errorf("parse entry: %w", err)
	}
	return headAfter(storedEntry(r.Entry), r.Payload())
}

func headAfter(entry storedEntry, payload []byte) (Head, error) {
	h := Head{Size: entry.index() + 1, Chain: Hash(entry.chain()), Time: entry.time(), SaltID: entry.saltID()}
	if string(entry.kind()) != KindSaltRotate {
		return h, nil
	}
	if len(payload) == 0 { // erased
		h.SaltID, h.AnySalt = SaltID{}, true
		return h, nil
	}
	next, err := RotatedSaltID(payload)
	h.SaltID = next
	return h, err
}

// AppendSaltRotation appends the payload of a salt-rotate entry, after which the next entry uses the named salt.
func AppendSaltRotation(dst []byte, next SaltID) []byte {
	dst = append(dst, `{"`+saltIDMember+`":`...)
	dst = AppendString(dst, next.String())
	return append(dst, '}')
}

// RotatedSaltID returns the salt that the payload of a salt-rotate entry names.
// It looks only at the member saltId; others may stand beside it.
func RotatedSaltID(payload []byte) (SaltID, error) {
	value, ok := Member(payload, saltIDMember)
	if !ok {
		return SaltID{}, errors.New("salt rotation: payload names no salt")
	}
	name, ok := ParseString(value)
	if !ok {
		return SaltID{}, errors.New("salt rotation: payload names no salt")
	}
	id, err := ParseSaltID(name)
	if err != nil {
		return SaltID{}, fmt.Errorf("salt rotation: %w", err)
	}
	return id, nil
}

const headSize = 8 + HashSize + 8 + len(SaltID{}) + 1

// AppendBytes appends the canonical bytes of the head, as the state keeps them.
func (h Head) AppendBytes(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, h.Size)
	dst = append(dst, h.Chain[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Time))
	dst = append(dst, h.SaltID[:]...)
	if h.AnySalt {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// ParseHead reads the bytes that AppendBytes writes and refuses all others.
func ParseHead(b []byte) (Head, error) {
	if len(b) != headSize {
		return Head{}, fmt.Errorf("parse head: %d bytes, want %d", len(b), headSize)
	}
	h := Head{
		Size:    binary.BigEndian.Uint64(b),
		Chain:   Hash(b[8 : 8+HashSize]),
		SaltID:  SaltID(b[headSize-5 : headSize-1]),
		AnySalt: b[headSize-1] == 1,
	}
	time := binary.BigEndian.Uint64(b[8+HashSize:])
	if h.Size > MaxSize || time > math.MaxInt64 || b[headSize-1] > 1 || h.AnySalt && h.SaltID != (SaltID{}) {
		return Head{}, errors.New("parse head: value out of range")
	}
	h.Time = int64(time)
	return h, nil
}

// String returns the head in one line for reports.
func (h Head) String() string {
	salt := h.SaltID.String()
	if h.AnySalt {
		salt = "any"
	}
	return fmt.Sprintf("size %d, chain %s, time %d, salt %s", h.Size, h.Chain, h.Time, salt)
}
