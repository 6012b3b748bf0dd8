package cluster

import (
	"errors"
	"maps"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// memoryStable is a stable store whose content can be taken at any moment, like a disk at a crash.
type memoryStable struct {
	values map[string][]byte
	writes []map[string][]byte // content after each write
	fail   error
}

func newMemoryStable() *memoryStable { return &memoryStable{values: map[string][]byte{}} }

func (m *memoryStable) Set(key, value []byte) error {
	if m.fail != nil {
		return m.fail
	}
	m.values[string(key)] = append([]byte{}, value...)
	m.writes = append(m.writes, maps.Clone(m.values))
	return nil
}

func (m *memoryStable) Get(key []byte) ([]byte, error) {
	value, ok := m.values[string(key)]
	if !ok {
		return nil, errNotFound
	}
	return value, nil
}

func (m *memoryStable) SetUint64([]byte, uint64) error { return errors.New("not used by the wrapper") }
func (m *memoryStable) GetUint64([]byte) (uint64, error) {
	return 0, errors.New("not used by the wrapper")
}

func openVotes(t *testing.T, inner raft.StableStore) *voteStore {
	t.Helper()
	f := newFailure(func(err error) { t.Error(err) })
	votes, err := openVoteStore(inner, f, watchdogLimit, func(string, time.Duration) {})
	must(t, err)
	return votes
}

// castVote does what raft does.
func castVote(t *testing.T, s raft.StableStore, term uint64, candidate string) {
	t.Helper()
	must(t, s.SetUint64([]byte(keyVoteTerm), term))
	must(t, s.Set([]byte(keyVoteFor), []byte(candidate)))
}

func TestAVoteNeverPairsANewTermWithAnOldCandidate(t *testing.T) {
	type promise struct {
		term      uint64
		candidate string
	}
	disk := newMemoryStable()
	votes := openVotes(t, disk)
	promised := map[promise]bool{{}: true}
	for term, candidate := range []string{1: "a", 2: "b", 3: "a", 4: "c"} {
		if candidate == "" {
			continue
		}
		must(t, votes.SetUint64([]byte(keyCurrentTerm), uint64(term)))
		castVote(t, votes, uint64(term), candidate)
		promised[promise{uint64(term), candidate}] = true
	}
	if len(disk.writes) != 8 {
		t.Fatalf("%d writes, want one per term and one per vote", len(disk.writes))
	}
	for crash, content := range disk.writes {
		after := openVotes(t, &memoryStable{values: content})
		term, _ := after.GetUint64([]byte(keyVoteTerm))
		candidate, _ := after.Get([]byte(keyVoteFor))
		if !promised[promise{term, string(candidate)}] {
			t.Errorf("a crash after write %d leaves a vote for %q in term %d, which was never cast", crash, candidate, term)
		}
	}
}

func TestAnAnnouncedTermAloneIsNoVote(t *testing.T) {
	votes := openVotes(t, newMemoryStable())
	must(t, votes.SetUint64([]byte(keyCurrentTerm), 3))
	castVote(t, votes, 3, "a")
	must(t, votes.SetUint64([]byte(keyVoteTerm), 4))
	term, err := votes.GetUint64([]byte(keyVoteTerm))
	candidate, _ := votes.Get([]byte(keyVoteFor))
	if err != nil || term != 3 || string(candidate) != "a" {
		t.Errorf("vote for %q in term %d, %v; want the complete one, a in 3", candidate, term, err)
	}
}

func TestMissingValuesHaveTheErrorThatRaftExpects(t *testing.T) {
	dir := t.TempDir()
	bolt, err := openBolt(filepath.Join(dir, fileName))
	must(t, err)
	defer closeBolt(t, bolt)
	votes := openVotes(t, bolt)
	for _, key := range []string{keyCurrentTerm, keyVoteTerm} {
		if _, err := votes.GetUint64([]byte(key)); err == nil || err.Error() != "not found" {
			t.Errorf("%s: error %v, want not found", key, err)
		}
	}
	if _, err := votes.Get([]byte(keyVoteFor)); err == nil || err.Error() != "not found" {
		t.Errorf("candidate: error %v, want not found", err)
	}
	must(t, votes.SetUint64([]byte(keyCurrentTerm), 2))
	castVote(t, votes, 2, "node-1:7000")
	votes = openVotes(t, bolt)
	if votes.term != 2 || votes.vote.term != 2 || string(votes.vote.candidate) != "node-1:7000" {
		t.Errorf("after a restart: term %d, vote %+v", votes.term, votes.vote)
	}
}

func TestUnknownStableKeysAreRefused(t *testing.T) {
	votes := openVotes(t, newMemoryStable())
	if votes.Set([]byte("Other"), nil) == nil || votes.SetUint64([]byte("Other"), 1) == nil {
		t.Error("an unknown key was stored")
	}
}

func TestDamagedPromisesAreRefused(t *testing.T) {
	for _, key := range []string{keyCurrentTerm, keyVote} {
		disk := newMemoryStable()
		votes := openVotes(t, disk)
		must(t, votes.SetUint64([]byte(keyCurrentTerm), 2))
		castVote(t, votes, 2, "a")
		for i := range disk.values[key] {
			disk.values[key][i] ^= 0x10
			_, err := openVoteStore(disk, newFailure(func(error) {}), watchdogLimit, func(string, time.Duration) {})
			var refused *Refused
			if !errors.As(err, &refused) {
				t.Errorf("%s with byte %d flipped: error %v, want a refusal", key, i, err)
			}
			disk.values[key][i] ^= 0x10
		}
	}
}

func TestAFallingTermOrAFailedVoteEndsTheNode(t *testing.T) {
	for name, breakIt := range map[string]func(*memoryStable, *voteStore) error{
		"falling term": func(_ *memoryStable, s *voteStore) error { return s.SetUint64([]byte(keyCurrentTerm), 1) },
		"failed term": func(m *memoryStable, s *voteStore) error {
			m.fail = errors.New("disk is gone")
			return s.SetUint64([]byte(keyCurrentTerm), 9)
		},
		"failed vote": func(m *memoryStable, s *voteStore) error {
			m.fail = errors.New("disk is gone")
			return s.Set([]byte(keyVoteFor), []byte("a"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk, reported := newMemoryStable(), make(chan error, 1)
			f := newFailure(func(err error) { reported <- err })
			votes, err := openVoteStore(disk, f, watchdogLimit, func(string, time.Duration) {})
			must(t, err)
			must(t, votes.SetUint64([]byte(keyCurrentTerm), 5))
			f.armed.Store(true)
			returned := make(chan error, 1)
			ended := work(func() { returned <- breakIt(disk, votes) })
			<-reported
			close(f.released)
			<-ended
			select {
			case err := <-returned:
				t.Errorf("the call came back to raft with %v", err)
			default:
			}
			if votes.term != 5 {
				t.Errorf("term %d, want 5", votes.term)
			}
		})
	}
}

func FuzzDecodeVote(f *testing.F) {
	f.Add(vote{7, []byte("node-1:7000")}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, stored []byte) {
		v, err := decodeVote(stored)
		if err == nil && stored != nil && string(v.encode()) != string(stored) {
			t.Errorf("%x decodes to %+v, which encodes to %x", stored, v, v.encode())
		}
	})
}
