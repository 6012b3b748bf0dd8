package fsm

import (
	"github.com/fxamacker/cbor/v2"

	"coffer/store"
)

// Outcome is what comes back for one request, locally or over the wire.
type Outcome struct {
	Index     uint64          `cbor:"1,keyasint"` // of the entry that applied it; a replay repeats it
	Result    cbor.RawMessage `cbor:"2,keyasint,omitempty"`
	Rejection *Rejection      `cbor:"3,keyasint,omitempty"`
	Replayed  bool            `cbor:"4,keyasint,omitempty"` // answered from the request table
}

// EncodeOutcome is the form in which the log answers.
func EncodeOutcome(o Outcome) []byte { return store.Encode(&o) }

// DecodeOutcome reads what EncodeOutcome wrote.
func DecodeOutcome(encoded []byte) (Outcome, error) {
	var o Outcome
	err := store.Decode(encoded, &o)
	return o, err
}
