// Package outbox queues what the world outside should hear of: one event per
// command, in the same batch as its effect. Webhooks, mails, notifications and
// event streams are derived from these rows; none of them can lose one.
package outbox

import (
	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/store"
)

// Event says that something happened. It points at the chain entries that hold
// the facts instead of repeating them.
type Event struct {
	ID    store.ID     `cbor:"1,keyasint"`
	Kind  string       `cbor:"2,keyasint"` // "wallet.transferred"
	At    store.Time   `cbor:"3,keyasint"`
	First uint64       `cbor:"4,keyasint,omitempty"` // height of the first chain entry, 0 for none
	Count uint64       `cbor:"5,keyasint,omitempty"` // chain entries
	Users []store.ID   `cbor:"6,keyasint,omitempty"` // whom it concerns, at most MaxUsers
	Facts []fsm.Detail `cbor:"7,keyasint,omitempty"` // what no chain entry says
}

// MaxUsers bounds the users one event names.
const MaxUsers = 256

var events = store.NewJournal[Event]("outbox.events")

// Emit queues an event; id and time are added here.
func Emit(ctx *fsm.Context, e Event) {
	e.ID, e.At = ctx.NewID("evt"), ctx.Now
	e.Users = e.Users[:min(len(e.Users), MaxUsers)]
	events.Add(ctx, e)
}

// Length is the number of events queued so far.
func Length(r store.Reader) uint64 { return events.Length(r) }

// At returns the event of a number below Length.
func At(r store.Reader, number uint64) Event { return events.At(r, number) }

// Module is the domain for the list of all domains.
func Module() fsm.Module {
	return fsm.Module{
		Name:    "outbox",
		Tables:  []store.Shape{events},
		Listens: []fsm.Listener{identity.KYCDecided.Listen(kycDecided)},
	}
}

// kycDecided queues what identity, which comes before this domain, cannot.
func kycDecided(ctx *fsm.Context, k identity.KYC) error {
	Emit(ctx, Event{Kind: "identity.kyc_" + string(k.Status), Users: []store.ID{k.User}})
	return nil
}
