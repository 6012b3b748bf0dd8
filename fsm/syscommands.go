package fsm

import (
	"fmt"

	"coffer/ledgerchain"
	"coffer/store"
)

// Rejections of the system commands.
var (
	ErrFounded       = Reject(Conflict, "already_founded")
	ErrNotPermitted  = Reject(Forbidden, "not_permitted")
	ErrAlarmNotFound = Reject(NotFound, "alarm_not_found")
	ErrUnknownAlarm  = Reject(Invalid, "unknown_alarm")
)

// Nothing is the result of commands that only succeed or not.
type Nothing struct{}

// FoundCluster is the input of Found.
type FoundCluster struct {
	ID       string             `cbor:"1,keyasint"`
	LedgerID string             `cbor:"2,keyasint"`
	SaltID   ledgerchain.SaltID `cbor:"3,keyasint"`
}

// Found is the first command of a new cluster: it fixes the name of the ledger
// and with it the start of the chain.
var Found = Command[FoundCluster, Nothing]{
	Name: "system.found/1", System: true,
	Rejects: Rejections{ErrFounded, ErrNotPermitted},
}

func found(ctx *Context, c FoundCluster) (Nothing, error) {
	if ctx.Actor.Kind != Node {
		return Nothing{}, ErrNotPermitted
	}
	if _, ok := ClusterOf(ctx); ok {
		return Nothing{}, ErrFounded
	}
	clusters.Put(ctx, Cluster{ID: c.ID, LedgerID: c.LedgerID, SaltID: c.SaltID, Founded: ctx.Now})
	ledgerchain.Found(ctx, c.LedgerID)
	return Nothing{}, nil
}

// TermBegun is the input of BeginTerm.
type TermBegun struct {
	Term uint64 `cbor:"1,keyasint"`
	Node string `cbor:"2,keyasint"`
}

// BeginTerm is the first command of a leader: the audit line of its term. After
// it every later entry of the term reaches the machine.
var BeginTerm = Command[TermBegun, Nothing]{
	Name: "system.begin_term/1", System: true, Rejects: Rejections{ErrNotPermitted},
}

func beginTerm(ctx *Context, c TermBegun) (Nothing, error) {
	if ctx.Actor.Kind != Node {
		return Nothing{}, ErrNotPermitted
	}
	terms.Put(ctx, Term{Term: c.Term, Node: c.Node, Index: ctx.Index, Time: ctx.Now})
	return Nothing{}, nil
}

// Assertion is the input of Assert: the digest the leader computed.
type Assertion struct {
	Index  uint64   `cbor:"1,keyasint"`
	Digest [32]byte `cbor:"2,keyasint"`
}

// Assert lets every replica compare its digest of an entry with the leader's.
// It changes no state; a replica that differs stops serving.
var Assert = Command[Assertion, Nothing]{
	Name: "system.assert/1", System: true, Rejects: Rejections{ErrNotPermitted},
}

func assert(ctx *Context, c Assertion) (Nothing, error) {
	if ctx.Actor.Kind != Node {
		return Nothing{}, ErrNotPermitted
	}
	own, known := ctx.machine.digests.get(c.Index)
	ctx.machine.compared(c, own, known)
	return Nothing{}, nil
}

// AlarmChange is the input of RaiseAlarm and DisarmAlarm.
type AlarmChange struct {
	Kind   string `cbor:"1,keyasint"`
	Node   string `cbor:"2,keyasint"`
	Reason string `cbor:"3,keyasint,omitempty"`
}

// RaiseAlarm records a condition of a node. While one of a freezing kind is
// raised, business writes are refused. Raising it again changes nothing.
var RaiseAlarm = Command[AlarmChange, Nothing]{
	Name: "system.raise_alarm/1", System: true, Rejects: Rejections{ErrNotPermitted, ErrUnknownAlarm},
}

func raiseAlarm(ctx *Context, c AlarmChange) (Nothing, error) {
	if ctx.Actor.Kind != Node && ctx.Actor.Kind != Operator {
		return Nothing{}, ErrNotPermitted
	}
	if _, known := freezing[c.Kind]; !known {
		return Nothing{}, ErrUnknownAlarm
	}
	raise(ctx, Alarm{Kind: c.Kind, Node: c.Node, Reason: c.Reason})
	return Nothing{}, nil
}

func raise(ctx *Context, a Alarm) {
	if alarms.Has(ctx, store.PairOf(store.ID(a.Kind), store.ID(a.Node))) {
		return
	}
	a.Raised = ctx.Now
	alarms.Put(ctx, a)
	if freezing[a.Kind] {
		countAlarms(ctx, 1)
	}
}

// DisarmAlarm ends an alarm; an operator does it once the cause is gone.
var DisarmAlarm = Command[AlarmChange, Nothing]{
	Name: "system.disarm_alarm/1", System: true, Rejects: Rejections{ErrNotPermitted, ErrAlarmNotFound},
}

func disarmAlarm(ctx *Context, c AlarmChange) (Nothing, error) {
	if ctx.Actor.Kind != Node && ctx.Actor.Kind != Operator {
		return Nothing{}, ErrNotPermitted
	}
	key := store.PairOf(store.ID(c.Kind), store.ID(c.Node))
	if !alarms.Has(ctx, key) {
		return Nothing{}, ErrAlarmNotFound
	}
	alarms.Delete(ctx, key)
	if freezing[c.Kind] {
		countAlarms(ctx, -1)
	}
	return Nothing{}, nil
}

func countAlarms(ctx *Context, delta int64) {
	row, _ := freezes.Get(ctx, "freeze")
	row.Alarms += delta
	freezes.Put(ctx, row)
}

func freezeCounts(v *store.View) error {
	row, _ := freezes.Get(v, "freeze")
	raised := int64(0)
	for _, a := range Alarms(v) {
		if freezing[a.Kind] {
			raised++
		}
	}
	if row.Alarms != raised {
		return fmt.Errorf("%d freezing alarms are counted, %d are raised", row.Alarms, raised)
	}
	return nil
}
