package ledgerchain

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"sync"
)

// MinSecret is the shortest secret that NewSalt accepts, in bytes.
const MinSecret = 32

const (
	saltIDLabel  = "vnx/salt-id/v1\n"
	bodyKeyLabel = "coffer/body\n"
)

// Salt is the secret key of the chain, of blinding and of request fingerprints.
// It is safe for concurrent use, and no way of printing it shows more than its id.
type Salt struct {
	id   SaltID
	keys *saltKeys
}

type saltKeys struct {
	chain  macPool
	body   macPool
	blinds blindCache
}

// NewSalt makes a salt of the given secret, without one trailing newline.
// It copies the secret and refuses fewer than MinSecret bytes.
func NewSalt(secret []byte) (*Salt, error) {
	if n := len(secret); n > 0 && secret[n-1] == '\n' {
		secret = secret[:n-1]
	}
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("salt: secret has %d bytes, at least %d are needed", len(secret), MinSecret)
	}
	s := &Salt{keys: &saltKeys{}}
	s.keys.chain.init(secret)
	id := s.keys.chain.sum([]byte(saltIDLabel))
	s.id = SaltID(id[:len(s.id)])
	bodyKey := s.keys.chain.sum([]byte(bodyKeyLabel))
	s.keys.body.init(bodyKey[:])
	return s, nil
}

// ID returns the public name of the salt, which every entry carries.
func (s *Salt) ID() SaltID { return s.id }

// ChainHash returns the keyed hash of an entry's body: what links the next entry to it.
func (s *Salt) ChainHash(body []byte) Hash { return s.keys.chain.sum(body) }

// BodyHash returns the fingerprint of a request for its idempotency key.
// It is keyed, because a body may hold what a plain hash would let one guess.
func (s *Salt) BodyHash(message []byte) Hash { return s.keys.body.sum(message) }

// String names the salt by its id.
func (s Salt) String() string { return "salt " + s.id.String() }

// GoString names the salt by its id.
func (s Salt) GoString() string { return s.String() }

// Format names the salt by its id, whatever the verb.
func (s Salt) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, s.String()) }

// MarshalText names the salt by its id, so that no encoder can look inside.
func (s Salt) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue names the salt by its id in logs.
func (s Salt) LogValue() slog.Value { return slog.StringValue(s.String()) }

// macPool keeps keyed hash states, so that a hash neither derives the key again nor allocates.
type macPool struct{ pool sync.Pool }

type mac struct {
	state   hash.Hash
	message []byte
	sum     Hash
}

// init hides the key in a closure, where neither fmt nor an encoder can reach it.
func (p *macPool) init(key []byte) {
	key = append([]byte(nil), key...)
	p.pool.New = func() any { return &mac{state: hmac.New(sha256.New, key)} }
}

func (p *macPool) sum(message []byte) Hash {
	m := p.pool.Get().(*mac)
	m.state.Reset()
	m.state.Write(message)
	m.state.Sum(m.sum[:0])
	sum := m.sum
	p.pool.Put(m)
	return sum
}

// KeyRing holds the salts a verifier knows: the present one and those rotated out.
type KeyRing struct{ salts []*Salt }

// NewKeyRing collects salts and refuses two with one id.
func NewKeyRing(salts ...*Salt) (*KeyRing, error) {
	ring := &KeyRing{}
	for _, s := range salts {
		if s == nil {
			return nil, errors.New("key ring: nil salt")
		}
		if _, twice := ring.Salt(s.id); twice {
			return nil, fmt.Errorf("key ring: two salts with id %s", s.id)
		}
		ring.salts = append(ring.salts, s)
	}
	return ring, nil
}

// Salt returns the salt with the given id. A nil ring knows none.
func (r *KeyRing) Salt(id SaltID) (*Salt, bool) {
	if r == nil {
		return nil, false
	}
	for _, s := range r.salts {
		if s.id == id {
			return s, true
		}
	}
	return nil, false
}
