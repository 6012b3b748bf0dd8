package identity

import (
	"fmt"

	"coffer/fsm"
	"coffer/store"
)

// census counts the users that are not deleted.
type census struct {
	Active int64 `cbor:"1,keyasint"`
}

var censuses = store.NewTable("identity.census", func(*census) store.ID { return "census" })

func countUsers(ctx *fsm.Context, delta int64) {
	c, _ := censuses.Get(ctx, "census")
	c.Active += delta
	censuses.Put(ctx, c)
}

// Count returns how many users are not deleted.
func Count(r store.Reader) int64 {
	c, _ := censuses.Get(r, "census")
	return c.Active
}

// Module is the domain for the list of all domains.
func Module() fsm.Module {
	return fsm.Module{
		Name:   "identity",
		Tables: []store.Shape{users, credentials, sessions, submissions, auditRows, trailEnds, censuses},
		Commands: []fsm.Handler{
			fsm.Handle(RegisterUser, register), fsm.Handle(StartSession, startSession),
			fsm.Handle(RecordFailure, recordFailure), fsm.Handle(RenameUser, rename),
			fsm.Handle(SetPassword, setPassword), fsm.Handle(RevokeSession, revokeSession),
			fsm.Handle(RevokeOthers, revokeOthers), fsm.Handle(DeleteAccount, deleteAccount),
			fsm.Handle(SubmitKYC, submitKYC), fsm.Handle(DecideKYC, decideKYC),
		},
		Before:   before,
		Refusals: fsm.Rejections{ErrAuthRequired},
		Invariants: []fsm.Invariant{
			{Name: "the census counts the active users", Check: countedUsers},
			{Name: "sessions belong to users", Check: sessionOwners},
			{Name: "audit trails are whole", Check: trailsWhole},
		},
	}
}

func countedUsers(v *store.View) error {
	var active int64
	for _, u := range users.Scan(v, store.All{}, nil) {
		if u.DeletedAt == 0 {
			active++
		}
		if (u.DeletedAt == 0) == (u.Email == "") {
			return fmt.Errorf("user %s: deleted %v with e-mail %q", u.ID, u.DeletedAt != 0, u.Email)
		}
	}
	if counted := Count(v); counted != active {
		return fmt.Errorf("%d users are counted, %d are active", counted, active)
	}
	return nil
}

func sessionOwners(v *store.View) error {
	for _, s := range sessions.Scan(v, store.All{}, nil) {
		u, ok := users.Get(v, s.User)
		if !ok {
			return fmt.Errorf("session %s belongs to nobody", s.ID)
		}
		if u.DeletedAt != 0 && s.RevokedAt == 0 {
			return fmt.Errorf("session %s of a deleted user is open", s.ID)
		}
	}
	return nil
}

func trailsWhole(v *store.View) error {
	for _, end := range trailEnds.Scan(v, store.All{}, nil) {
		var rows uint64
		for _, row := range AuditOf(v, end.Trail, end.User, 0) {
			if row.User != end.User || row.Trail != end.Trail {
				return fmt.Errorf("trail %s of %s leads to a row of %s", end.Trail, end.User, row.User)
			}
			rows++
		}
		if rows != end.Count {
			return fmt.Errorf("trail %s of %s has %d rows, %d are counted", end.Trail, end.User, rows, end.Count)
		}
	}
	return nil
}
