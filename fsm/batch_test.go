package fsm_test

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/hashicorp/raft"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/store"
)

// membership is the next log entry, a configuration of so many voters.
func (p *probe) membership(voters int) *raft.Log {
	var c raft.Configuration
	for i := range voters {
		c.Servers = append(c.Servers, raft.Server{Suffrage: raft.Voter, ID: raft.ServerID('a' + rune(i)), Address: "test"})
	}
	return p.Log(raft.LogConfiguration, raft.EncodeConfiguration(c))
}

func TestEveryLogHasOneResponse(t *testing.T) {
	applied := [][2]int{}
	p := newProbe(t, fsmtest.Options{Observe: fsm.Observer{
		Applied: func(entries, requests int) { applied = append(applied, [2]int{entries, requests}) }}})
	applied = applied[:0]
	one, members, two := p.Sealed(p.ask(1, "a", 1)), p.membership(1), p.Sealed(p.ask(2, "a", 1), p.ask(3, "a", -9))
	responses := p.Deliver(one, members, two)
	p.Equal(len(responses), 3)
	p.Equal(responses[1] == nil, true)
	p.Equal(len(p.Outcomes(responses[0])), 1)
	got := p.Outcomes(responses[2])
	p.Equal([]string{code(got[0]), code(got[1])}, []string{"", "too_low"})
	p.Equal([]uint64{got[0].Index, got[1].Index}, []uint64{two.Index, two.Index})
	p.Equal(applied, [][2]int{{2, 3}})
	p.Equal(len(p.Deliver()), 0)
	p.Equal(p.Deliver(p.membership(2))[0] == nil, true)
	p.Equal(len(applied), 1) // nothing applied, nothing observed
	p.Equal(p.Machine.Machine().Apply(two) == nil, true)
}

func TestAppliedEntriesAreSkipped(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	first, second := p.Sealed(p.ask(1, "a", 1)), p.Sealed(p.ask(2, "a", 2))
	p.Deliver(first, second)
	digest := p.Digest()
	third := p.Sealed(p.ask(3, "a", 4))
	responses := p.Machine.Machine().ApplyBatch([]*raft.Log{first, second, third, second, third})
	for i, want := range []bool{false, false, true, false, false} {
		p.Equal(responses[i] != nil, want)
	}
	p.Equal(p.value("a"), int64(7))
	if p.Digest() == digest {
		t.Error("the third entry left the digest as it was")
	}
	p.Deliver(third) // into the history, so that replicas see it
	p.Equal(p.value("a"), int64(7))
}

func TestMembershipMovesTheIndexAlone(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	p.Apply(p.ask(1, "a", 1))
	var before, after store.Applied
	p.Read(func(v *store.View) { before = v.Applied() })
	members := p.membership(3)
	members.Term = 4
	p.Deliver(members)
	p.Read(func(v *store.View) { after = v.Applied() })
	want := before
	want.Index, want.Term = members.Index, 4
	want.Membership, want.MembershipIndex = members.Data, members.Index
	p.Equal(after, want)
	p.Reopen(true)
	p.Read(func(v *store.View) { p.Equal(v.Applied(), want) })

	p.Apply(p.ask(2, "a", 1)) // a later entry keeps it
	p.Read(func(v *store.View) {
		p.Equal(v.Applied().Membership, members.Data)
		p.Equal(v.Applied().MembershipIndex, members.Index)
	})
}

// TestDigestIsWhatTheDesignSays adds the digest of an entry up by hand.
func TestDigestIsWhatTheDesignSays(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	before := p.Digest()
	r := p.ask(1, "a", 5)
	log := p.Sealed(r)
	o := p.Outcomes(p.Deliver(log)[0])[0]
	made := result[added](p, o)

	hour := binary.BigEndian.AppendUint64(nil, uint64(made.Now)/uint64(store.Hour))
	writes := write(nil, "probe.counters", []byte("a\x00"), store.Encode(&counter{"a", 5}))
	writes = write(writes, "probe.seen", make([]byte, 8), store.Encode(&sighting{Now: made.Now, Index: log.Index, ID: made.ID}))
	writes = write(writes, "system.requests", append(hour, r.RequestID[:]...), store.Encode(&struct {
		ID       fsm.RequestID `cbor:"1,keyasint"`
		BodyHash [32]byte      `cbor:"2,keyasint"`
		Time     store.Time    `cbor:"3,keyasint"`
		Outcome  fsm.Outcome   `cbor:"4,keyasint"`
	}{r.RequestID, r.BodyHash, made.Now, o}))

	entry, set := sha256.Sum256(log.Data), sha256.Sum256(writes)
	sum := sha256.New()
	sum.Write(before[:])
	sum.Write(binary.BigEndian.AppendUint64(nil, log.Index))
	sum.Write(entry[:])
	sum.Write(set[:])
	p.Equal(p.Digest(), [32]byte(sum.Sum(nil)))
	index, digest, ok := p.Machine.Machine().Digest()
	p.Equal(index, log.Index)
	p.Equal(digest, p.Digest())
	p.Equal(ok, true)
}

// write appends one put to a write set: every part with its length.
func write(set []byte, bucket string, key, value []byte) []byte {
	set = append(set, 'p', byte(len(bucket)))
	set = append(set, bucket...)
	set = append(binary.BigEndian.AppendUint32(set, uint32(len(key))), key...)
	return append(binary.BigEndian.AppendUint32(set, uint32(len(value))), value...)
}

func TestTheDigestSaysWhatWasAppliedAndInWhichEntries(t *testing.T) {
	digest := func(work func(p *probe)) [32]byte {
		p := newProbe(t, fsmtest.Options{})
		work(p)
		return p.Digest()
	}
	one := digest(func(p *probe) { p.Apply(p.ask(1, "a", 1)) })
	for name, other := range map[string]func(p *probe){
		"another amount":    func(p *probe) { p.Apply(p.ask(1, "a", 2)) },
		"another time":      func(p *probe) { p.Advance(1); p.Apply(p.ask(1, "a", 1)) },
		"another actor":     func(p *probe) { p.As(fsm.Actor{ID: "x"}); p.Apply(p.ask(1, "a", 1)) },
		"a refused request": func(p *probe) { p.Apply(p.ask(1, "a", 1), p.ask(2, "a", -9)) },
		"a replay":          func(p *probe) { p.Apply(p.ask(1, "a", 1)); p.Apply(p.ask(1, "a", 1)) },
		"an empty entry":    func(p *probe) { p.Apply(p.ask(1, "a", 1)); p.Apply() },
	} {
		if digest(other) == one {
			t.Errorf("%s gives the same digest", name)
		}
	}
	if digest(func(p *probe) { p.Apply(p.ask(1, "a", 1)) }) != one {
		t.Error("the same history gives another digest")
	}
	if digest(func(p *probe) { p.Apply(p.ask(1, "a", 1)); p.Deliver(p.membership(3)) }) != one {
		t.Error("a membership entry changed the digest")
	}
}

func TestAFreshMachineKnowsNoDigest(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	p.Apply(p.ask(1, "a", 1))
	index, _, ok := p.Machine.Machine().Digest()
	p.Equal(ok, true)
	p.Equal(index, uint64(2))
	p.Reopen(true)
	_, _, ok = p.Machine.Machine().Digest()
	p.Equal(ok, false)
}

func TestSnapshotWaitsForTheFlush(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	p.Apply(p.ask(1, "a", 1))
	snapshot, err := p.Machine.Machine().Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	p.Apply(p.ask(2, "a", 1)) // goes on meanwhile
	sink := &sink{}
	if err := snapshot.Persist(sink); err != nil {
		t.Fatal(err)
	}
	snapshot.Release()
	p.Equal(sink.closed, 1)
	if len(p.Dump()) == 0 {
		t.Error("nothing is in the file")
	}
	if err := p.Machine.Machine().Restore(sink); err == nil {
		t.Error("what no peer has sent is installed")
	}
}

// sink counts how often it is closed.
type sink struct{ closed int }

func (s *sink) Write([]byte) (int, error) { return 0, raft.ErrUnsupportedProtocol }
func (s *sink) Read([]byte) (int, error)  { return 0, raft.ErrUnsupportedProtocol }
func (s *sink) Close() error              { s.closed++; return nil }
func (s *sink) ID() string                { return "test" }
func (s *sink) Cancel() error             { return nil }
