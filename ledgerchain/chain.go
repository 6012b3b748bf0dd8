// Package ledgerchain owns the bytes that prove the history: entries, their keyed chain and Merkle tree, checkpoints, receipts.
//
// The ledger appends through it inside the state machine; scans, snapshots and the offline verifier check with it.
// Everything here is a pure function of its arguments: no clock, no randomness, no files, no network.
package ledgerchain

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// HashSize is the size of every hash in bytes: SHA-256.
	HashSize = 32
	// BlindSize is the size of the random bytes that blind a payload commitment.
	BlindSize = 16
	// MaxPayload is the largest canonical payload in bytes.
	MaxPayload = 16 << 10
	// MaxSize bounds the number of entries, because a transaction id holds 56 bits of index.
	MaxSize = 1 << 56
)

// Kinds of entry that this package itself gives a meaning.
const (
	KindSaltRotate = "salt-rotate" // the next entry uses the salt that the payload names
	KindSeal       = "seal"        // commits a balances root at the end of a period
	KindEpoch      = "epoch"       // first entry of a new origin after a restore
)

// Hash is one SHA-256 or HMAC-SHA-256 value.
type Hash [HashSize]byte

// String returns the hash as 64 lower-case hexadecimal digits, the spelling of the API.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads the 64 lower-case hexadecimal digits that String writes.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if !decodeHex(h[:], s) {
		return Hash{}, errors.New("parse hash: want 64 lower-case hexadecimal digits")
	}
	return h, nil
}

// SaltID names a salt in public without giving anything of it away.
type SaltID [4]byte

// String returns the id as eight lower-case hexadecimal digits.
func (id SaltID) String() string { return hex.EncodeToString(id[:]) }

// ParseSaltID reads the eight lower-case hexadecimal digits that String writes.
func ParseSaltID(s string) (SaltID, error) {
	var id SaltID
	if !decodeHex(id[:], s) {
		return SaltID{}, errors.New("parse salt id: want 8 lower-case hexadecimal digits")
	}
	return id, nil
}

// Blind is the random part of a payload commitment; it keeps short payloads from being guessed.
type Blind [BlindSize]byte

// CheckLedgerID refuses a name that cannot stand as the origin of a checkpoint.
// A name has no white space, no plus sign and at most 200 bytes of UTF-8.
func CheckLedgerID(ledgerID string) error {
	if ledgerID == "" || len(ledgerID) > 200 || !utf8.ValidString(ledgerID) || strings.ContainsRune(ledgerID, '+') {
		return fmt.Errorf("ledger id %q: want 1 to 200 bytes without white space and without +", ledgerID)
	}
	for _, r := range ledgerID {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return fmt.Errorf("ledger id %q: white space or control character", ledgerID)
		}
	}
	return nil
}

// decodeHex fills dst from exactly twice as many lower-case digits.
func decodeHex(dst []byte, s string) bool {
	if len(s) != 2*len(dst) || strings.ContainsAny(s, "ABCDEF") {
		return false
	}
	_, err := hex.Decode(dst, []byte(s))
	return err == nil
}
