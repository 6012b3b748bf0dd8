package fsm_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/ledgerchain"
	"coffer/store"
)

func TestAPanickingHandlerChangesNothing(t *testing.T) {
	for _, how := range []string{"panic", "nil", "error", "zero byte"} {
		t.Run(how, func(t *testing.T) {
			var panicked []string
			p := newProbe(t, fsmtest.Options{Lenient: true, Observe: fsm.Observer{
				Panicked: func(command string) { panicked = append(panicked, command) }}})
			before := p.Digest()
			r := fsmtest.Request(p.Machine, act, behave{How: how})
			got := p.Apply(p.ask(1, "a", 1), r, p.ask(2, "a", 2))
			p.Equal([]string{code(got[0]), code(got[1]), code(got[2])}, []string{"", "internal_error", ""})
			p.Equal(got[1].Rejection.Kind, fsm.Internal)
			p.Equal(p.value("acts"), int64(0))
			p.Equal(p.value("a"), int64(3))
			p.Equal(panicked, []string{"probe.act/1"})
			if p.Digest() == before {
				t.Error("the entry left the digest as it was")
			}
			p.Equal(p.Apply(r)[0].Replayed, false) // forgotten: it panics again
			p.Equal(len(panicked), 2)
			r.KeepRejection = true // of what the command declares
			p.Apply(r)
			p.Equal(p.Apply(r)[0].Replayed, false)
			p.Equal(len(panicked), 4)
		})
	}
}

func TestUndeclaredRejectionsAreAnsweredOutsideTests(t *testing.T) {
	p := newProbe(t, fsmtest.Options{Lenient: true})
	p.Equal(code(p.do("undeclared", 0)), "never_declared")
}

// A test must not pass when a handler answers what it does not declare, or
// fails in a way nobody expected.
func TestStrictMachinesStopAtWhatIsNotDeclared(t *testing.T) {
	for how, want := range map[string]string{
		"undeclared":        "probe.act/1 answered never_declared, which it does not declare",
		"declineUndeclared": "probe.act/1 answered never_declared, which it does not declare",
		"error":             "no rejection at all",
		"panic":             "on purpose",
	} {
		t.Run(how, func(t *testing.T) {
			p := newProbe(t, fsmtest.Options{})
			responses := p.Deliver(p.Sealed(fsmtest.Request(p.Machine, act, behave{How: how})))
			p.Equal(responses[0] == nil, true)
			p.halted(want)
		})
	}
}

// fault makes a log entry the machine must not go on from.
type fault struct {
	name string
	want string
	log  func(p *probe) *raft.Log
}

// sealed is the next entry after a change.
func (p *probe) sealed(change func(*fsm.Entry)) *raft.Log {
	e := p.Entry(p.ask(9, "a", 1))
	change(&e)
	return p.Log(raft.LogCommand, fsm.Seal(e))
}

func (p *probe) request(change func(*fsm.Request)) *raft.Log {
	r := p.ask(9, "a", 1)
	change(&r)
	return p.Sealed(r)
}

var faults = []fault{
	{"an empty entry", "shorter than its checksum", func(p *probe) *raft.Log { return p.Log(raft.LogCommand, nil) }},
	{"a flipped bit", "checksum", func(p *probe) *raft.Log {
		log := p.Sealed(p.ask(9, "a", 1))
		log.Data[20] ^= 4
		return log
	}},
	{"another salt", "salt", func(p *probe) *raft.Log {
		return p.sealed(func(e *fsm.Entry) { e.SaltID = ledgerchain.SaltID{1} })
	}},
	{"an unknown command", `unknown command "probe.later/1"`, func(p *probe) *raft.Log {
		return p.request(func(r *fsm.Request) { r.Command = "probe.later/1" })
	}},
	{"another version of a command", `unknown command "probe.add/2"`, func(p *probe) *raft.Log {
		return p.request(func(r *fsm.Request) { r.Command = "probe.add/2" })
	}},
	{"a request with an unknown field", "request 0", func(p *probe) *raft.Log {
		type wider struct {
			fsm.Request
			More int `cbor:"8,keyasint"`
		}
		r := wider{Request: p.ask(9, "a", 1), More: 1}
		return p.sealed(func(e *fsm.Entry) { e.Requests = []store.Raw{store.Encode(&r)} })
	}},
	{"a payload with an unknown field", "unknown field", func(p *probe) *raft.Log {
		type wider struct {
			add
			More int `cbor:"3,keyasint"`
		}
		return p.request(func(r *fsm.Request) { r.Payload = store.Encode(&wider{add{"a", 1}, 1}) })
	}},
	{"an entry type raft does not hand over", "unknown type", func(p *probe) *raft.Log {
		return p.Log(raft.LogNoop, nil)
	}},
	{"damage found by a handler", "damaged data in probe.counters", func(p *probe) *raft.Log {
		return p.Sealed(fsmtest.Request(p.Machine, act, behave{How: "damage"}))
	}},
}

// What no program can read must not stop the cluster for good: it is refused
// alone, and never remembered.
func TestARequestThatCannotBeReadIsRefusedAlone(t *testing.T) {
	for name, unreadable := range map[string]func(p *probe) store.Raw{
		"a request that is none":    func(*probe) store.Raw { return store.Raw{0x81, 0x01} },
		"a payload of another type": func(p *probe) store.Raw { return p.encoded(store.Encode("text")) },
		"a text that is no UTF-8":   func(p *probe) store.Raw { return p.encoded(store.Encode(&add{"a\xff", 1})) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newProbe(t, fsmtest.Options{})
			e := p.Entry(p.ask(1, "a", 1), p.ask(3, "a", 2))
			e.Requests = []store.Raw{e.Requests[0], unreadable(p), e.Requests[1]}
			outcomes := p.Deliver(p.Log(raft.LogCommand, fsm.Seal(e)))[0].([][]byte)
			var codes []string
			for _, encoded := range outcomes {
				outcome, err := fsm.DecodeOutcome(encoded)
				if err != nil {
					t.Fatal(err)
				}
				codes = append(codes, code(outcome))
			}
			p.Equal(codes, []string{"", "internal_error", ""})
			p.Equal(p.value("a"), int64(3))
			p.Equal(code(p.Apply(p.ask(2, "a", 1))[0]), "") // the id of the refused one
		})
	}
}

// encoded is the next request with another payload.
func (p *probe) encoded(payload []byte) store.Raw {
	r := p.ask(2, "a", 1)
	r.Payload, r.KeepRejection = payload, true
	return store.Encode(&r)
}

func TestAnEntryTheMachineCannotApplyStopsIt(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			p := newProbe(t, fsmtest.Options{})
			p.Apply(p.ask(1, "a", 5))
			digest, dump := p.Digest(), p.Dump()
			bad := f.log(p)
			after := p.Sealed(p.ask(2, "a", 5))
			responses := p.Deliver(bad, after)
			p.Equal(len(responses), 2)
			p.Equal(responses[0] == nil && responses[1] == nil, true)
			p.halted(f.want)
			p.halted(fmt.Sprintf("apply entry %d", bad.Index))
			p.Equal(p.Machine.Machine().Applied(), bad.Index-1)
			p.Equal(p.Digest(), digest)
			p.Equal(fsmtest.FirstDifference(p.Dump(), dump), "")
			p.Equal(p.Deliver(p.Sealed(p.ask(3, "a", 5)))[0] == nil, true) // and it stays stopped
			p.Equal(p.Machine.Machine().Applied(), bad.Index-1)
			p.Equal(len(p.halts), 1)
		})
	}
}

// The machine stops in the middle of an entry: nothing of it is ever shown.
func TestNothingOfAHalfAppliedEntryIsShown(t *testing.T) {
	p := newProbe(t, fsmtest.Options{})
	p.Apply(p.ask(1, "a", 5))
	v := p.View() // opened before: the store is held from the first write on
	defer v.Close()
	p.Deliver(p.Sealed(p.ask(2, "a", 5), p.ask(3, "b", 1), fsmtest.Request(p.Machine, act, behave{How: "damage"})))
	p.halted("damaged data")
	p.Equal(p.Machine.Machine().Applied(), uint64(2))
	row, _ := counters.Get(v, "a")
	p.Equal(row.Value, int64(5))
	p.Equal(counters.Has(v, "b"), false)
}

func TestADamagedRowStopsTheMachineThatReadsIt(t *testing.T) {
	p := newProbe(t, fsmtest.Options{Unchecked: true})
	p.Apply(p.ask(1, "a", 5), p.ask(2, "b", 5))
	for i := range 100 { // a bucket of a page or two is read when the file is opened
		p.Apply(p.ask(byte(10+i), fmt.Sprintf("c%030d", i), 1))
	}
	p.Rot(fsmtest.SealRow("probe.counters", []byte("a\x00"), store.Encode(&counter{"a", 5})))
	p.Equal(code(p.Apply(p.ask(3, "b", 5))[0]), "") // the damage is elsewhere
	p.Deliver(p.Sealed(p.ask(4, "a", 5)))
	p.halted("damaged data in probe.counters")
}

// A row with a right checksum that does not decode is a row of another program.
func TestARowOfAnotherProgramStopsTheMachine(t *testing.T) {
	p := newProbe(t, fsmtest.Options{Unchecked: true})
	p.Apply(p.ask(1, "a", 5))
	p.Edit(func(tx *bbolt.Tx) error {
		type wider struct {
			counter
			More int `cbor:"3,keyasint"`
		}
		return tx.Bucket([]byte("probe.counters")).Put([]byte("a\x00"),
			fsmtest.SealRow("probe.counters", []byte("a\x00"), store.Encode(&wider{counter{"a", 5}, 1})))
	})
	p.Deliver(p.Sealed(p.ask(2, "a", 5)))
	p.halted("unknown field")
}

// A damaged row of the request table must not look like an unknown request.
func TestADamagedRequestRowStopsTheMachine(t *testing.T) {
	p := newProbe(t, fsmtest.Options{Unchecked: true})
	p.Apply(p.ask(1, "a", 5))
	id := p.ask(1, "a", 5).RequestID
	p.Rot(append([]byte{0xa4, 0x01, 0x50}, id[:]...)) // a row with four fields, the first of 16 bytes
	p.Deliver(p.Sealed(p.ask(1, "a", 5)))
	p.halted("damaged data in system.requests")
	p.Equal(p.value("a"), int64(5))
}

// A panic below the handlers is a programming error: the machine must stop, not
// lose the entry and go on.
func TestAPanicOutsideAHandlerStopsTheMachine(t *testing.T) {
	p := newProbe(t, fsmtest.Options{Observe: fsm.Observer{Rejected: func(string, string) { panic("an observer fails") }}})
	p.Deliver(p.Sealed(p.ask(1, "a", -1)))
	p.halted("an observer fails")
	p.Equal(p.Machine.Machine().Applied(), uint64(1))
	p.Equal(p.Deliver(p.Sealed(p.ask(2, "a", 1)))[0] == nil, true)
}
