package secret

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
)

// MaxPassword is the longest password that is hashed, in bytes.
const MaxPassword = 1024

var (
	// ErrBusy means that too many passwords are waiting to be hashed.
	ErrBusy = errors.New("too many passwords are being hashed")
	// ErrPasswordTooLong refuses a password above MaxPassword.
	ErrPasswordTooLong = errors.New("password exceeds 1024 bytes")
)

// Cost is what one argon2id hash takes.
type Cost struct {
	MemoryKiB uint32
	Passes    uint32
	Threads   uint8
}

// DefaultCost is the second choice of the OWASP cheat sheet: 19 MiB, two passes.
var DefaultCost = Cost{MemoryKiB: 19 << 10, Passes: 2, Threads: 1}

// PasswordOptions are what Passwords are made of; zero values take defaults.
type PasswordOptions struct {
	Cost       Cost      // of new hashes
	Concurrent int       // hashes at once, 2; each takes the memory of its cost
	Waiting    int       // callers that may wait for their turn, 64
	Random     io.Reader // of salts, crypto/rand
}

// Passwords hashes and verifies passwords with argon2id. It is safe for
// concurrent use and bounds the memory that all hashes take together.
type Passwords struct {
	cost    Cost
	random  io.Reader
	turns   chan struct{}
	waiting atomic.Int64
	most    int64
	nobody  string // hash of no password, for unknown users
}

// NewPasswords checks the cost and prepares the hash that unknown users get.
func NewPasswords(o PasswordOptions) (*Passwords, error) {
	if o.Cost == (Cost{}) {
		o.Cost = DefaultCost
	}
	if o.Concurrent == 0 {
		o.Concurrent = 2
	}
	if o.Waiting == 0 {
		o.Waiting = 64
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if err := o.Cost.check(); err != nil {
		return nil, err
	}
	if o.Concurrent < 0 || o.Waiting < 0 {
		return nil, errors.New("password options are negative")
	}
	p := &Passwords{cost: o.Cost, random: o.Random, turns: make(chan struct{}, o.Concurrent), most: int64(o.Concurrent + o.Waiting)}
	salt, err := p.salt()
	if err != nil {
		return nil, err
	}
	sum := make([]byte, sumLength)
	if _, err := io.ReadFull(p.random, sum); err != nil {
		return nil, fmt.Errorf("draw the hash of nobody: %w", err)
	}
	p.nobody = encode(p.cost, salt, sum)
	return p, nil
}

func (p *Passwords) salt() ([]byte, error) {
	salt := make([]byte, saltLength)
	if _, err := io.ReadFull(p.random, salt); err != nil {
		return nil, fmt.Errorf("draw a salt: %w", err)
	}
	return salt, nil
}

// Hash returns the PHC string of a password, which names its own cost.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if len(password) > MaxPassword {
		return "", ErrPasswordTooLong
	}
	salt, err := p.salt()
	if err != nil {
		return "", err
	}
	sum, err := p.run(ctx, p.cost, salt, password, sumLength)
	if err != nil {
		return "", err
	}
	return encode(p.cost, salt, sum), nil
}

// Verify tells whether a password belongs to an encoded hash, in a time that
// depends on the cost of the hash alone. Stale tells that new hashes cost
// something else, so that a right password should be hashed again.
func (p *Passwords) Verify(ctx context.Context, encoded, password string) (ok, stale bool, err error) {
	cost, salt, want, err := decode(encoded)
	if err != nil {
		return false, false, err
	}
	if len(password) > MaxPassword {
		password = "" // cannot be right, but takes its time
		want = make([]byte, len(want))
	}
	got, err := p.run(ctx, cost, salt, password, uint32(len(want)))
	if err != nil {
		return false, false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1, cost != p.cost, nil
}

// VerifyNobody takes as long as Verify does for a user who exists and never
// succeeds. Call it for unknown users, so that nobody can tell them apart.
func (p *Passwords) VerifyNobody(ctx context.Context, password string) error {
	_, _, err := p.Verify(ctx, p.nobody, password)
	return err
}

// run waits for a turn and hashes.
func (p *Passwords) run(ctx context.Context, cost Cost, salt []byte, password string, length uint32) ([]byte, error) {
	if p.waiting.Add(1) > p.most {
		p.waiting.Add(-1)
		return nil, ErrBusy
	}
	defer p.waiting.Add(-1)
	select {
	case p.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to hash a password: %w", ctx.Err())
	}
	defer func() { <-p.turns }()
	return argon2.IDKey([]byte(password), salt, cost.Passes, cost.MemoryKiB, cost.Threads, length), nil
}
