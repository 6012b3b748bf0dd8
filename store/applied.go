package store

import "slices"

// Applied says which log entry a state is the result of. It is written in the
// same transaction as the rows, so it can never disagree with them.
type Applied struct {
	Index           uint64   `cbor:"1,keyasint"` // of the last entry applied
	Term            uint64   `cbor:"2,keyasint"` // of that entry
	Time            Time     `cbor:"3,keyasint"` // last tick of the log time
	Digest          [32]byte `cbor:"4,keyasint"` // over all entries and write sets
	Membership      []byte   `cbor:"5,keyasint"` // last configuration entry at or below Index
	MembershipIndex uint64   `cbor:"6,keyasint"` // of that configuration entry
	Version         uint32   `cbor:"7,keyasint"` // state-machine version in force
	Epoch           uint32   `cbor:"8,keyasint"` // raised by every restore and recovery
	Installed       bool     `cbor:"9,keyasint"` // Index came from an install, recovery or restore
}

func (a Applied) clone() Applied {
	a.Membership = slices.Clone(a.Membership)
	return a
}
