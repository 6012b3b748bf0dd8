package fsm

import "coffer/store"

// requestRow remembers what a request id was answered, in the same batch as
// its effect: the same id never applies twice while it is remembered.
type requestRow struct {
	ID       RequestID  `cbor:"1,keyasint"`
	BodyHash [32]byte   `cbor:"2,keyasint"`
	Time     store.Time `cbor:"3,keyasint"`
	Outcome  Outcome    `cbor:"4,keyasint"`
}

var requests = store.NewPartitioned("system.requests", func(r *requestRow) store.Bytes16 { return store.Bytes16(r.ID) })

// remembered answers a request whose id is known and not too old.
func (m *Machine) remembered(r store.Reader, request *Request, now store.Time) (Outcome, bool) {
	row, found := requests.Get(r, store.Bytes16(request.RequestID))
	if !found || row.Time.Add(m.options.Retention(r)) <= now {
		return Outcome{}, false
	}
	if row.BodyHash != request.BodyHash {
		return Outcome{Index: row.Outcome.Index, Rejection: ErrKeyReused}, true
	}
	if observe := m.options.Observe.Replayed; observe != nil {
		observe()
	}
	outcome := row.Outcome
	outcome.Replayed = true
	return outcome, true
}

// dropOldRequests drops partitions wholly past their retention, once an hour
// of log time, as a write of its own.
func (a *application) dropOldRequests(now store.Time) {
	m := a.machine
	if int64(now)/store.Hour == int64(m.applied.Time)/store.Hour {
		return
	}
	batch := m.db.Begin()
	requests.Drop(batch, now.Add(-m.options.Retention(batch)))
	batch.Merge()
}
