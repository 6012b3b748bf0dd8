package node

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"coffer/cluster"
)

const (
	// attemptPause is how long a source waits behind an attempt that failed.
	attemptPause = time.Second
	// mostSources bounds the sources that are remembered at once.
	mostSources = 1024
)

// Refusals of attempts that nobody has looked at.
var (
	errTooManyAttempts = errors.New("too many attempts from this address at once: wait a second")
	errManySources     = errors.New("too many nodes want to join at once: wait a second")
)

// attempts lets each source try one token after another, and no more than one
// wrong one a second: an attempt may cost a question to the leader.
type attempts struct {
	mu      sync.Mutex
	sources map[netip.Prefix]*joinSource
}

// joinSource is where attempts come from: an address, or a network of version 6.
type joinSource struct {
	turn   chan struct{} // holds one while an attempt is looked at
	users  int           // attempts under way and waiting
	paused time.Time     // until then nothing is looked at
}

func newAttempts() *attempts { return &attempts{sources: map[netip.Prefix]*joinSource{}} }

// begin waits for the turn of an attempt. One may wait for each source; others
// are refused. The caller says at the end whether the attempt has failed.
func (a *attempts) begin(ctx context.Context, from net.Addr) (done func(failed bool), err error) {
	s, err := a.enter(cluster.SourceOf(from))
	if err != nil {
		return nil, err
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		a.leave(s, false)
		return nil, ctx.Err()
	}
	done = func(failed bool) {
		a.leave(s, failed)
		<-s.turn
	}
	a.mu.Lock()
	rest := time.Until(s.paused)
	a.mu.Unlock()
	if rest <= 0 {
		return done, nil
	}
	select {
	case <-time.After(rest):
		return done, nil
	case <-ctx.Done():
		done(false)
		return nil, ctx.Err()
	}
}

func (a *attempts) enter(from netip.Prefix) (*joinSource, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, known := a.sources[from]
	if !known {
		if len(a.sources) >= mostSources {
			a.forget()
		}
		if len(a.sources) >= mostSources {
			return nil, errManySources
		}
		s = &joinSource{turn: make(chan struct{}, 1)}
		a.sources[from] = s
	}
	if s.users > 1 {
		return nil, errTooManyAttempts
	}
	s.users++
	return s, nil
}

func (a *attempts) leave(s *joinSource, failed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.users--
	if failed {
		s.paused = time.Now().Add(attemptPause)
	}
}

// forget drops sources that may try again and do not.
func (a *attempts) forget() {
	now := time.Now()
	for from, s := range a.sources {
		if s.users == 0 && !s.paused.After(now) {
			delete(a.sources, from)
		}
	}
}
