package ledgerchain

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// State is what the one writer of a ledger keeps: the head and the Merkle tree.
// A copy is independent, so a dropped batch simply forgets its copy.
type State struct {
	Head Head
	Tree Tree
}

// Draft is a fact to be sealed into the next entry.
type Draft struct {
	Kind    string // 1 to 64 of a-z, 0-9 and -
	Time    int64  // log time in microseconds, later than the head's
	Blind   Blind  // random, from the raft entry's seed
	Payload []byte // canonical, at most MaxPayload bytes
	Links   []Link // one per leg, at most MaxLinks
}

// Sealed is the entry that a draft became.
type Sealed struct {
	Entry Entry
	Leaf  Hash // its leaf in the Merkle tree
}

// ID returns the API id of the entry.
func (s *Sealed) ID() string { return EntryID(s.Entry.Index, s.Leaf) }

// NewState returns the state of an empty ledger.
func NewState(ledgerID string) State {
	return State{Head: GenesisHead(ledgerID)}
}

// ErrSalt is wrapped by the refusal to seal under a salt that the head does not name.
var ErrSalt = errors.New("salt is not the one this ledger goes on with")

// Seal appends the journal row of the next entry to dst and moves the state behind it.
// It changes nothing when it refuses; it does not check that the payload is canonical.
func (s *State) Seal(dst []byte, salt *Salt, draft *Draft) (row []byte, sealed Sealed, err error) {
	if err := s.check(salt, draft); err != nil {
		return nil, Sealed{}, fmt.Errorf("seal entry %d: %w", s.Head.Size, err)
	}
	e := &sealed.Entry
	*e = Entry{
		Index: s.Head.Size, Time: draft.Time, SaltID: salt.id, Kind: draft.Kind,
		Prev: s.Head.Chain, Commit: Commitment(draft.Blind, draft.Payload),
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(entryFixed+len(e.Kind)))
	start := len(dst)
	dst = e.AppendBody(dst)
	e.Chain = salt.ChainHash(dst[start:])
	dst = append(dst, e.Chain[:]...)
	sealed.Leaf = Leaf(dst[start:])

	head, err := headAfter(storedEntry(dst[start:]), draft.Payload)
	if err != nil {
		return nil, Sealed{}, fmt.Errorf("seal entry %d: %w", s.Head.Size, err)
	}
	s.Head = head
	s.Tree.Append(sealed.Leaf)
	dst = appendOpening(dst, draft.Blind, draft.Payload)
	return appendLinks(dst, draft.Links), sealed, nil
}

func (s *State) check(salt *Salt, draft *Draft) error {
	switch {
	case s.Head.Size >= MaxSize:
		return errors.New("the ledger is full")
	case !s.Head.AnySalt && salt.id != s.Head.SaltID:
		return fmt.Errorf("%w: have %s, want %s", ErrSalt, salt.id, s.Head.SaltID)
	case draft.Time <= s.Head.Time:
		return fmt.Errorf("time %d is not after %d", draft.Time, s.Head.Time)
	case len(draft.Payload) == 0 || len(draft.Payload) > MaxPayload:
		return fmt.Errorf("payload of %d bytes, want 1 to %d", len(draft.Payload), MaxPayload)
	case len(draft.Links) > MaxLinks:
		return fmt.Errorf("%d links, limit %d", len(draft.Links), MaxLinks)
	}
	return CheckKind(draft.Kind)
}

// AppendBytes appends the canonical bytes of the state: the head, then the tree.
func (s *State) AppendBytes(dst []byte) []byte {
	return s.Tree.AppendBytes(s.Head.AppendBytes(dst))
}

// ParseState reads the bytes that AppendBytes writes and refuses all others.
func ParseState(b []byte) (State, error) {
	if len(b) < headSize {
		return State{}, errors.New("parse state: cut off")
	}
	head, err := ParseHead(b[:headSize])
	if err != nil {
		return State{}, fmt.Errorf("parse state: %w", err)
	}
	tree, err := ParseTree(b[headSize:])
	if err != nil {
		return State{}, fmt.Errorf("parse state: %w", err)
	}
	if tree.Size() != head.Size {
		return State{}, fmt.Errorf("parse state: head of size %d, tree of size %d", head.Size, tree.Size())
	}
	return State{Head: head, Tree: tree}, nil
}

// MarshalBinary returns the canonical bytes, so that the state encodes itself
// when its row does.
func (s *State) MarshalBinary() ([]byte, error) { return s.AppendBytes(nil), nil }

// UnmarshalBinary reads the bytes that MarshalBinary returns.
func (s *State) UnmarshalBinary(b []byte) error {
	parsed, err := ParseState(b)
	*s = parsed
	return err
}
