// Package fsmtest runs a machine on a real store for tests of domains. Every
// machine checks all invariants when its test ends and replays its history into
// a second machine with other batch and flush sizes: both must end with the
// same digest.
package fsmtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"

	"coffer/fsm"
	"coffer/ledgerchain"
	"coffer/store"
)

// Secret is the chain salt of all test machines.
const Secret = "example-salt-not-for-production!"

// Machine is a machine under test with a clock of its own.
type Machine struct {
	testing.TB
	Clock store.Time // sealed into the next entry; tests move it
	Actor fsm.Actor  // who submits

	options Options
	dir     string
	db      *store.DB
	fsm     *fsm.Machine
	history []*raft.Log
	index   uint64
	keyed   uint64
}

// Options vary what must not make a difference.
type Options struct {
	Modules    []fsm.Module
	Retention  func(store.Reader) int64
	FlushBytes int64
	FlushEach  bool // every entry is in the file before it is answered
	Observe    fsm.Observer
	Halt       func(error) // told why the machine stopped; the test fails when nil
	Unchecked  bool        // a benchmark, or a file with damage: no replay at the end
	Lenient    bool        // do not fail on undeclared rejections and panics
	Unfounded  bool        // the ledger has no name yet
}

// Start is the first log time of all test machines.
const Start = store.Time(1_790_000_000_000_000)

// New starts a machine on an empty store with a founded ledger.
func New(t testing.TB, o Options) *Machine {
	t.Helper()
	if o.Retention == nil {
		o.Retention = func(store.Reader) int64 { return store.Day }
	}
	m := &Machine{TB: t, Clock: Start, options: o, dir: t.TempDir()}
	m.open()
	t.Cleanup(m.finish)
	m.asNode(func() {
		Must(m, fsm.BeginTerm, fsm.TermBegun{Term: 1, Node: "node-1"})
		if o.Unfounded {
			return
		}
		Must(m, fsm.Found, fsm.FoundCluster{ID: "test", LedgerID: "ledger.example.com/main", SaltID: m.salt().ID()})
	})
	return m
}

func (m *Machine) salt() *ledgerchain.Salt {
	salt, err := ledgerchain.NewSalt([]byte(Secret))
	if err != nil {
		m.Fatal(err)
	}
	return salt
}

func (m *Machine) halted(err error) {
	if m.options.Halt != nil {
		m.options.Halt(err)
		return
	}
	m.Errorf("the machine halted: %v", err)
}

// open starts a machine on a store of its own; it is not founded.
func (m *Machine) open() {
	m.Helper()
	schema, err := fsm.Schema(m.options.Modules)
	if err != nil {
		m.Fatal(err)
	}
	interval := time.Hour
	if m.options.FlushEach {
		interval = -1
	}
	m.db, err = store.Open(store.Options{
		Path: filepath.Join(m.dir, "state.db"), Schema: schema, Stamp: []byte("test"),
		FlushBytes: m.options.FlushBytes, FlushInterval: interval,
		Fatal: func(err error) { m.Error(err) },
	})
	if err != nil {
		m.Fatal(err)
	}
	m.fsm, err = fsm.NewMachine(fsm.Options{
		DB: m.db, Modules: m.options.Modules, Salt: m.salt(), Node: "node-1", Retention: m.options.Retention,
		Logger: slog.New(slog.DiscardHandler), Strict: !m.options.Lenient, Observe: m.options.Observe,
		Halt: m.halted,
	})
	if err != nil {
		m.Fatal(err)
	}
}

// Reopen closes the store, flushed or as a crash leaves it, opens it again and
// replays the history, of which the machine skips what it has.
func (m *Machine) Reopen(flush bool) {
	m.Helper()
	closing := m.db.Abandon
	if flush {
		closing = m.db.Close
	}
	if err := closing(); err != nil {
		m.Fatal(err)
	}
	m.open()
	m.fsm.ApplyBatch(m.history)
}

// Abandon closes the store of a machine that halted between two entries, as a
// crash would leave it, and ends the machine.
func (m *Machine) Abandon() {
	m.Helper()
	if err := m.db.Abandon(); err != nil {
		m.Fatal(err)
	}
	m.db = nil
}

// As submits as somebody else from now on.
func (m *Machine) As(who fsm.Actor) { m.Actor = who }

func (m *Machine) asNode(work func()) {
	before := m.Actor
	m.Actor = fsm.Actor{Kind: fsm.Node, ID: "node-1"}
	work()
	m.Actor = before
}

// AsNode submits what work submits as the node itself.
func (m *Machine) AsNode(work func()) { m.asNode(work) }

// Advance moves the clock by microseconds.
func (m *Machine) Advance(microseconds int64) { m.Clock = m.Clock.Add(microseconds) }

// Proposer takes requests straight to the machine, each in an entry of its own.
func (m *Machine) Proposer() fsm.Proposer { return proposer{m} }

type proposer struct{ m *Machine }

func (p proposer) Propose(_ context.Context, r fsm.Request) (fsm.Outcome, error) {
	return p.m.Apply(r)[0], nil
}

func (p proposer) Try(_ context.Context, r fsm.Request) (fsm.Outcome, error) {
	v := p.m.View()
	defer v.Close()
	return p.m.fsm.Try(v, r, p.m.Clock, [16]byte{1})
}

// Apply seals requests into one entry, applies it and returns the outcomes.
func (m *Machine) Apply(rs ...fsm.Request) []fsm.Outcome {
	m.Helper()
	return m.Outcomes(m.Deliver(m.Sealed(rs...))[0])
}

// Entry is what the leader would seal of these requests now.
func (m *Machine) Entry(rs ...fsm.Request) fsm.Entry {
	m.Clock++
	entry := fsm.Entry{SaltID: m.salt().ID(), Time: m.Clock}
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("seed"), m.index+1))
	copy(entry.Seed[:], sum[:])
	for _, r := range rs {
		entry.Requests = append(entry.Requests, store.Encode(&r))
	}
	return entry
}

// Sealed is the next log entry, with these requests.
func (m *Machine) Sealed(rs ...fsm.Request) *raft.Log {
	return m.Log(raft.LogCommand, fsm.Seal(m.Entry(rs...)))
}

// Log is the next log entry of any type.
func (m *Machine) Log(kind raft.LogType, data []byte) *raft.Log {
	m.index++
	return &raft.Log{Index: m.index, Term: 1, Type: kind, Data: data}
}

// Deliver hands log entries to the machine as raft would, in one batch, and
// returns its responses.
func (m *Machine) Deliver(logs ...*raft.Log) []any {
	m.history = append(m.history, logs...)
	return m.fsm.ApplyBatch(logs)
}

// Outcomes decodes the response to one log entry.
func (m *Machine) Outcomes(response any) []fsm.Outcome {
	m.Helper()
	encoded, ok := response.([][]byte)
	if !ok {
		m.Fatalf("entry %d: no outcomes: %v", m.index, m.fsm.Err())
	}
	outcomes := make([]fsm.Outcome, len(encoded))
	for i := range encoded {
		var err error
		if outcomes[i], err = fsm.DecodeOutcome(encoded[i]); err != nil {
			m.Fatal(err)
		}
	}
	return outcomes
}

// History is every log entry delivered so far.
func (m *Machine) History() []*raft.Log { return m.history }

// Caller is the acting user with a new request id.
func (m *Machine) Caller() *Caller {
	m.keyed++
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("request"), m.keyed))
	return &Caller{Context: context.Background(), From: fsm.Origin{Actor: m.Actor, RequestID: fsm.RequestID(sum[:16])}}
}

// Caller is an fsm.Caller with everything in the open.
type Caller struct {
	context.Context
	From    fsm.Origin
	Outcome fsm.Outcome
}

// Origin says who asks.
func (c *Caller) Origin() fsm.Origin { return c.From }

// Settled keeps the outcome.
func (c *Caller) Settled(o fsm.Outcome) { c.Outcome = o }

// View opens the latest state; the caller closes it.
func (m *Machine) View() *store.View { return m.db.Latest() }

// Read runs a function on the latest state.
func (m *Machine) Read(read func(v *store.View)) {
	v := m.View()
	defer v.Close()
	read(v)
}

// Machine is the machine itself.
func (m *Machine) Machine() *fsm.Machine { return m.fsm }

// Request is what the acting user asks, with a request id of its own.
func Request[In, Out any](m *Machine, c fsm.Command[In, Out], in In) fsm.Request {
	from := m.Caller().From
	return fsm.Request{Command: c.Name, Actor: from.Actor, RequestID: from.RequestID, Payload: store.Encode(&in)}
}

// Must submits a command that has to succeed.
func Must[In, Out any](m *Machine, c fsm.Command[In, Out], in In) Out {
	m.Helper()
	out, err := c.Submit(m.Caller(), m.Proposer(), in)
	if err != nil {
		m.Fatalf("%s: %v", c.Name, err)
	}
	return out
}

// Rejects submits a command that has to be refused, and returns how.
func Rejects[In, Out any](m *Machine, c fsm.Command[In, Out], in In, want *fsm.Rejection) *fsm.Rejection {
	m.Helper()
	_, err := c.Submit(m.Caller(), m.Proposer(), in)
	got, ok := fsm.AsRejection(err)
	if !ok || got.Code != want.Code {
		m.Fatalf("%s: got %v, want rejection %s", c.Name, err, want.Code)
	}
	return got
}

// Equal compares two values and prints how they differ.
func (m *Machine) Equal(got, want any) {
	m.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		m.Fatalf("(-want +got):\n%s", diff)
	}
}

// Digest is the digest of everything applied so far.
func (m *Machine) Digest() [32]byte {
	v := m.View()
	defer v.Close()
	return v.Applied().Digest
}

// RandomSeed returns a seed for a random test; log it.
func RandomSeed() uint64 {
	var seed [8]byte
	_, _ = rand.Read(seed[:])
	return binary.BigEndian.Uint64(seed[:])
}
