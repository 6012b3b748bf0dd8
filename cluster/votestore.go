package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// The keys that raft uses, and those under which their values are stored.
const (
	keyCurrentTerm = "CurrentTerm"
	keyVoteTerm    = "LastVoteTerm"
	keyVoteFor     = "LastVoteCand"
	keyVote        = "Vote"
)

// errNotFound has the text that raft compares with.
var errNotFound = errors.New("not found")

// voteStore is raft's stable store. It keeps term and candidate of a vote in one value, written in one transaction:
// raft writes them one after the other, and a crash in between would pair the new term with the old candidate.
type voteStore struct {
	inner   raft.StableStore
	failure *failure
	limit   time.Duration
	observe func(string, time.Duration)

	mu      sync.Mutex
	closed  bool
	term    uint64 // current term, 0 before the first
	vote    vote
	pending uint64 // term of a vote whose candidate raft has not named yet
}

type vote struct {
	term      uint64
	candidate []byte // nil before the first vote
}

// openVoteStore reads what the node has promised so far. A damaged promise is refused.
func openVoteStore(inner raft.StableStore, f *failure, limit time.Duration, observe func(string, time.Duration)) (*voteStore, error) {
	s := &voteStore{inner: inner, failure: f, limit: limit, observe: observe}
	term, err := s.load(keyCurrentTerm)
	if err != nil {
		return nil, err
	}
	if term != nil {
		if len(term) != 8 {
			return nil, refuse(nil, "raft.db holds a term of %d bytes", len(term))
		}
		s.term = binary.BigEndian.Uint64(term)
	}
	stored, err := s.load(keyVote)
	if err != nil {
		return nil, err
	}
	if s.vote, err = decodeVote(stored); err != nil {
		return nil, refuse(err, "raft.db holds a damaged vote")
	}
	if s.vote.term > s.term {
		return nil, refuse(nil, "raft.db holds a vote of term %d above its term %d", s.vote.term, s.term)
	}
	return s, nil
}

// load returns the checked value of key, nil if there is none.
func (s *voteStore) load(key string) ([]byte, error) {
	var sealed []byte
	err := storageCall(s.failure, s.limit, "get", s.observe, func() (err error) {
		sealed, err = s.inner.Get([]byte(key))
		return err
	})
	if err != nil && err.Error() == errNotFound.Error() {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s from raft.db: %w", key, err)
	}
	value, err := openStable([]byte(key), sealed)
	if err != nil {
		return nil, refuse(err, "raft.db is damaged")
	}
	return value, nil
}

// store makes value durable under key, or ends the node.
func (s *voteStore) store(key string, value []byte) error {
	err := storageCall(s.failure, s.limit, "vote", s.observe, func() error {
		return s.inner.Set([]byte(key), sealStable([]byte(key), value))
	})
	if err != nil {
		return s.fail(fmt.Errorf("write %s to raft.db: %w", key, err))
	}
	return nil
}

// fail runs with mu held; it lets go of it while the goroutine is parked.
func (s *voteStore) fail(err error) error {
	closed := s.closed
	s.mu.Unlock()
	defer s.mu.Lock()
	return s.failure.halt(err, closed)
}

// SetUint64 stores the current term, or keeps the term of a vote until its candidate follows.
// A term never falls and a vote is promised only after Set, so nothing is said too early.
func (s *voteStore) SetUint64(key []byte, value uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch string(key) {
	case keyVoteTerm:
		s.pending = value
		return nil
	case keyCurrentTerm:
		if value == s.term {
			return nil
		}
		if value < s.term {
			return s.fail(fmt.Errorf("term would fall from %d to %d", s.term, value))
		}
		if err := s.store(keyCurrentTerm, binary.BigEndian.AppendUint64(nil, value)); err != nil {
			return err
		}
		s.term = value
		return nil
	}
	return fmt.Errorf("store stable value: unknown key %q", key)
}

// Set stores the candidate together with the term announced before.
func (s *voteStore) Set(key, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if string(key) != keyVoteFor {
		return fmt.Errorf("store stable value: unknown key %q", key)
	}
	promise := vote{term: s.pending, candidate: append([]byte{}, value...)}
	if err := s.store(keyVote, promise.encode()); err != nil {
		return err
	}
	s.vote = promise
	return nil
}

// Get returns the candidate of the last complete vote.
func (s *voteStore) Get(key []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if string(key) != keyVoteFor || s.vote.candidate == nil {
		return nil, errNotFound
	}
	return s.vote.candidate, nil
}

// GetUint64 returns the current term, or the term of the last complete vote.
func (s *voteStore) GetUint64(key []byte) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case string(key) == keyCurrentTerm && s.term > 0:
		return s.term, nil
	case string(key) == keyVoteTerm && s.vote.candidate != nil:
		return s.vote.term, nil
	}
	return 0, errNotFound
}

// close makes later calls answer with their error instead of ending the node.
func (s *voteStore) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

func (v vote) encode() []byte {
	return append(binary.BigEndian.AppendUint64(nil, v.term), v.candidate...)
}

// decodeVote reverses encode; no bytes are no vote.
func decodeVote(stored []byte) (vote, error) {
	if stored == nil {
		return vote{}, nil
	}
	if len(stored) <= 8 {
		return vote{}, errors.New("vote names no candidate")
	}
	return vote{term: binary.BigEndian.Uint64(stored), candidate: stored[8:]}, nil
}
