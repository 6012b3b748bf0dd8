package identity

import (
	"iter"

	"coffer/fsm"
	"coffer/store"
)

// Trail names an audit trail. Rows of different trails stand in one journal.
type Trail string

// The trails of the AEVION surface.
const (
	AuthTrail    Trail = "auth"
	QPayNetTrail Trail = "qpaynet"
)

// AuditRow is one thing somebody did. Rows are never changed or removed.
type AuditRow struct {
	ID      store.ID     `cbor:"1,keyasint"`
	Trail   Trail        `cbor:"2,keyasint"`
	User    store.ID     `cbor:"3,keyasint,omitempty"` // whose trail it is on
	Actor   store.ID     `cbor:"4,keyasint,omitempty"` // who did it, if not the user
	Action  string       `cbor:"5,keyasint"`
	Details []fsm.Detail `cbor:"6,keyasint,omitempty"`
	IP      string       `cbor:"7,keyasint,omitempty"`
	Agent   string       `cbor:"8,keyasint,omitempty"`
	At      store.Time   `cbor:"9,keyasint"`
	// Before is the number + 1 of the user's row before on the same trail, 0
	// for none.
	Before uint64 `cbor:"10,keyasint,omitempty"`
}

// trailEnd is where a user's trail goes on.
type trailEnd struct {
	Trail Trail    `cbor:"1,keyasint"`
	User  store.ID `cbor:"2,keyasint"`
	Last  uint64   `cbor:"3,keyasint"` // number + 1
	Count uint64   `cbor:"4,keyasint"`
}

var (
	auditRows = store.NewJournal[AuditRow]("identity.audit")
	trailEnds = store.NewTable("identity.trails", func(t *trailEnd) store.Pair[store.Text, store.ID] {
		return store.PairOf(store.Text(t.Trail), t.User)
	})
)

// Audit records what was done to or by a user in the same command.
func Audit(ctx *fsm.Context, trail Trail, user store.ID, action string, details ...fsm.Detail) {
	row := AuditRow{
		ID: ctx.NewID("aud"), Trail: trail, User: user, Action: action, Details: details,
		IP: ctx.Actor.IP, Agent: ctx.Actor.Agent, At: ctx.Now,
	}
	if acting := store.ID(ctx.Actor.ID); acting != user {
		row.Actor = acting
	}
	key := store.PairOf(store.Text(trail), user)
	end, _ := trailEnds.Get(ctx, key)
	row.Before = end.Last
	end.Trail, end.User, end.Count = trail, user, end.Count+1
	end.Last = auditRows.Add(ctx, row) + 1
	trailEnds.Put(ctx, end)
}

// AuditCount is the number of rows on a user's trail.
func AuditCount(r store.Reader, trail Trail, user store.ID) uint64 {
	end, _ := trailEnds.Get(r, store.PairOf(store.Text(trail), user))
	return end.Count
}

// AuditOf visits a user's trail, newest first. It starts behind the row with
// the given number + 1, or at the newest for 0; each row comes with its own.
func AuditOf(r store.Reader, trail Trail, user store.ID, behind uint64) iter.Seq2[uint64, AuditRow] {
	return func(yield func(uint64, AuditRow) bool) {
		for at := auditStart(r, trail, user, behind); at != 0; {
			row := auditRows.At(r, at-1)
			if !yield(at, row) {
				return
			}
			at = row.Before
		}
	}
}

// auditStart is where a walk begins; a number that is not of this trail leads
// nowhere.
func auditStart(r store.Reader, trail Trail, user store.ID, behind uint64) uint64 {
	if behind == 0 {
		end, _ := trailEnds.Get(r, store.PairOf(store.Text(trail), user))
		return end.Last
	}
	if behind > auditRows.Length(r) {
		return 0
	}
	row := auditRows.At(r, behind-1)
	if row.Trail != trail || row.User != user {
		return 0
	}
	return row.Before
}
