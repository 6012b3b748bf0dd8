package fsm

import (
	"crypto/sha256"
	"fmt"

	"coffer/store"
)

// AuditRecord is one thing that an operator has asked of the cluster, or that
// changed who belongs to it. Records are never changed or removed, and each
// holds the hash of the one before.
type AuditRecord struct {
	Index    uint64     `cbor:"1,keyasint"` // of its log entry
	Time     store.Time `cbor:"2,keyasint"`
	Actor    Actor      `cbor:"3,keyasint"`
	Reason   string     `cbor:"4,keyasint,omitempty"` // as the operator has given it
	Command  string     `cbor:"5,keyasint"`
	Input    store.Raw  `cbor:"6,keyasint"`           // of the command
	Refused  string     `cbor:"7,keyasint,omitempty"` // code of the rejection
	Previous [32]byte   `cbor:"8,keyasint"`           // hash of the record before, zero for the first
}

// auditEnd is the end of the chain of records: without it, nobody would miss the
// last ones.
type auditEnd struct {
	Length uint64   `cbor:"1,keyasint"`
	Hash   [32]byte `cbor:"2,keyasint"` // of the last record
}

var (
	audit     = store.NewJournal[AuditRecord]("system.audit")
	auditEnds = store.NewTable("system.audit_end", func(*auditEnd) store.ID { return "end" })
)

// hashAudit is the hash of a record as it is stored.
func hashAudit(stored []byte) (hash [32]byte) {
	h := sha256.New()
	h.Write([]byte("coffer/audit/1\n"))
	h.Write(stored)
	h.Sum(hash[:0])
	return hash
}

// Hash is what the next record must hold as Previous.
func (r AuditRecord) Hash() [32]byte { return hashAudit(store.Encode(&r)) }

// audited tells whether a request belongs on the record: all that operators ask,
// and what nodes do to the membership and to the epoch.
func audited(h Handler, r *Request) bool { return r.Actor.Kind == Operator || h.audited }

// record puts a request on the record, in the same batch as its effect, or in
// one of its own if there is none.
func record(ctx *Context, r *Request, refusal *Rejection) {
	end, _ := auditEnds.Get(ctx, "end")
	row := AuditRecord{
		Index: ctx.Index, Time: ctx.Now, Actor: r.Actor, Reason: r.Reason, Command: r.Command, Input: r.Payload, Previous: end.Hash,
	}
	if refusal != nil {
		row.Refused = refusal.Code
	}
	end.Length, end.Hash = audit.Add(ctx, row)+1, row.Hash()
	auditEnds.Put(ctx, end)
}

// AuditLength is the number of records, and the hash of the last one.
func AuditLength(r store.Reader) (length uint64, last [32]byte) {
	end, _ := auditEnds.Get(r, "end")
	return end.Length, end.Hash
}

// Audit returns up to limit records from number from on, the first being 0.
func Audit(r store.Reader, from uint64, limit int) []AuditRecord {
	var records []AuditRecord
	for number := from; number < audit.Length(r) && len(records) < limit; number++ {
		records = append(records, audit.At(r, number))
	}
	return records
}

// auditChains is an invariant: every record holds the hash of the one before,
// and the last one is the last that was written.
func auditChains(v *store.View) error {
	var end auditEnd
	for number, row := range audit.Scan(v, 0, audit.Length(v)) {
		if row.Err != nil {
			return fmt.Errorf("audit record %d: %w", number, row.Err)
		}
		var r AuditRecord
		if err := store.Decode(row.Bytes, &r); err != nil {
			return fmt.Errorf("audit record %d: %w", number, err)
		}
		if r.Previous != end.Hash {
			return fmt.Errorf("audit record %d does not follow the one before", number)
		}
		end.Length, end.Hash = number+1, hashAudit(row.Bytes)
	}
	if length, last := AuditLength(v); length != end.Length || last != end.Hash {
		return fmt.Errorf("the audit ends after %d records with %x, %d were written up to %x", end.Length, end.Hash[:4], length, last[:4])
	}
	return nil
}

// Longest texts of a Note, in bytes.
const (
	longestAction = 40
	longestAbout  = 1000
)

// Note is the input of RecordAction.
type Note struct {
	Action string `cbor:"1,keyasint"` // such as "backup"
	About  string `cbor:"2,keyasint,omitempty"`
}

// ErrNoteTooLong refuses a note that is empty or longer than a record takes.
var ErrNoteTooLong = Reject(Invalid, "note_too_long")

// RecordAction puts on the record what an operator does that is no command, such
// as a backup. It changes nothing else.
var RecordAction = Command[Note, Nothing]{
	Name: "system.record_action/1", System: true, Rejects: Rejections{ErrNotPermitted, ErrNoteTooLong},
}

func recordAction(ctx *Context, c Note) (Nothing, error) {
	if ctx.Actor.Kind != Operator {
		return Nothing{}, ErrNotPermitted
	}
	if c.Action == "" || len(c.Action) > longestAction || len(c.About) > longestAbout {
		return Nothing{}, ErrNoteTooLong
	}
	return Nothing{}, nil
}
