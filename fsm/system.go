package fsm

import (
	"coffer/ledgerchain"
	"coffer/store"
)

// Cluster is who this state belongs to. It is written once, by the first
// command of all.
type Cluster struct {
	ID       string             `cbor:"1,keyasint"`
	LedgerID string             `cbor:"2,keyasint"`
	SaltID   ledgerchain.SaltID `cbor:"3,keyasint"`
	Founded  store.Time         `cbor:"4,keyasint"`
}

// Term is the audit line of one leadership.
type Term struct {
	Term  uint64     `cbor:"1,keyasint"`
	Node  string     `cbor:"2,keyasint"`
	Index uint64     `cbor:"3,keyasint"`
	Time  store.Time `cbor:"4,keyasint"`
}

// Alarm is a replicated condition. While one of the freezing kinds is raised,
// business writes are refused.
type Alarm struct {
	Kind   string     `cbor:"1,keyasint"`
	Node   string     `cbor:"2,keyasint"`
	Reason string     `cbor:"3,keyasint,omitempty"`
	Raised store.Time `cbor:"4,keyasint"`
}

// The kinds of alarm.
const (
	Diverged   = "diverged"    // two replicas computed different states
	NoSpace    = "no_space"    // a voter's disk is nearly full
	ClockSkew  = "clock_skew"  // a node's clock is far from the leader's
	RolledBack = "rolled_back" // a node's files are older than what it said before
)

// freezing tells of each kind of alarm whether it stops business writes.
var freezing = map[string]bool{Diverged: true, NoSpace: true, ClockSkew: false, RolledBack: false}

var (
	clusters = store.NewTable("system.cluster", func(*Cluster) store.ID { return "cluster" })
	terms    = store.NewTable("system.terms", func(t *Term) store.Uint64 { return store.Uint64(t.Term) })
	alarms   = store.NewTable("system.alarms", func(a *Alarm) store.Pair[store.ID, store.ID] {
		return store.PairOf(store.ID(a.Kind), store.ID(a.Node))
	})
	freezes = store.NewTable("system.freeze", func(*freeze) store.ID { return "freeze" })
)

// freeze counts the alarms that stop business writes, so that each command
// reads one warm row instead of a range.
type freeze struct {
	Alarms int64 `cbor:"1,keyasint"`
}

func frozen(r store.Reader) bool {
	row, _ := freezes.Get(r, "freeze")
	return row.Alarms > 0
}

// freezeReason says why business writes are stopped. A state that may be wrong is
// worse than a disk that is full.
func freezeReason(r store.Reader) *Rejection {
	for _, alarm := range alarms.Scan(r, store.All{}, nil) {
		if freezing[alarm.Kind] && alarm.Kind != NoSpace {
			return ErrWriteFrozen
		}
	}
	return ErrNoSpace
}

// ClusterOf returns who the state belongs to; false before it is founded.
func ClusterOf(r store.Reader) (Cluster, bool) { return clusters.Get(r, "cluster") }

// TermOf returns the audit line of a term.
func TermOf(r store.Reader, term uint64) (Term, bool) { return terms.Get(r, store.Uint64(term)) }

// Alarms lists what is raised.
func Alarms(r store.Reader) []Alarm {
	var raised []Alarm
	for _, alarm := range alarms.Scan(r, store.All{}, nil) {
		raised = append(raised, alarm)
	}
	return raised
}

// WithSystem lists the domain of the machine itself ahead of all others, for
// checks of the whole state.
func WithSystem(modules []Module) []Module {
	return append([]Module{{
		Name:   "system",
		Tables: []store.Shape{clusters, terms, alarms, freezes, requests, members, tokens, epochs, audit, auditEnds},
		Commands: []Handler{
			Handle(Found, found), Handle(BeginTerm, beginTerm), Handle(Assert, assert),
			Handle(RaiseAlarm, raiseAlarm), Handle(DisarmAlarm, disarmAlarm),
			Handle(CreateToken, createToken), Handle(Admit, admit), Handle(RemoveMember, removeMember),
			Handle(Announce, announce), Handle(FinalizeUpgrade, finalizeUpgrade), Handle(BeginEpoch, beginEpoch),
			Handle(RecordAction, recordAction),
		},
		Invariants: []Invariant{
			{Name: "the freeze counts the alarms", Check: freezeCounts},
			{Name: "join tokens expire", Check: tokensExpire},
			{Name: "the audit of operators is a chain", Check: auditChains},
		},
	}}, modules...)
}
