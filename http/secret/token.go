package secret

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// Tokens draws random tokens and hashes them under a key, so that whoever reads
// state can neither use a token nor test a guess. It is safe for concurrent use.
type Tokens struct {
	random io.Reader
	key    func() []byte // hidden from fmt and encoders
}

// minKey is the shortest key of token hashes, in bytes.
const minKey = 32

// NewTokens makes Tokens of a key of at least 32 bytes. Random is crypto/rand
// when nil.
func NewTokens(key []byte, random io.Reader) (*Tokens, error) {
	if len(key) < minKey {
		return nil, fmt.Errorf("token key has %d bytes, at least %d are needed", len(key), minKey)
	}
	if random == nil {
		random = rand.Reader
	}
	own := append([]byte(nil), key...)
	return &Tokens{random: random, key: func() []byte { return own }}, nil
}

// New returns a token: the prefix and as many random bytes, at least 16, in
// base64url.
func (t *Tokens) New(prefix string, bytes int) (string, error) {
	if bytes < 16 {
		return "", errors.New("a token needs at least 16 random bytes")
	}
	bits := make([]byte, bytes)
	if _, err := io.ReadFull(t.random, bits); err != nil {
		return "", fmt.Errorf("draw a token: %w", err)
	}
	return prefix + base64.RawURLEncoding.EncodeToString(bits), nil
}

// Hash returns the hash under which state keeps and finds a token: HMAC-SHA-256
// in lower-case hex.
func (t *Tokens) Hash(token string) string {
	mac := hmac.New(sha256.New, t.key())
	_, _ = io.WriteString(mac, token) // a hash takes everything
	return hex.EncodeToString(mac.Sum(nil))
}

// Matches tells in constant time whether a hash is that of a token.
func (t *Tokens) Matches(hash, token string) bool {
	return Equal(hash, t.Hash(token))
}

// Equal compares two secrets in a time that depends on neither content nor
// length of the other.
func Equal(one, two string) bool {
	a, b := sha256.Sum256([]byte(one)), sha256.Sum256([]byte(two))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
