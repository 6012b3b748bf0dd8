// Package fsm is the replicated state machine: the registry of typed commands,
// the sealed log entries that carry them, and the machine that applies entries
// to the store, one command all or nothing at a time.
//
// Apply is a pure function of state and entry. Clocks, randomness and identity
// are decided at the door and travel in the entry. The same request id never
// applies twice. Unknown commands, fields and versions stop the node, because a
// replica that skips something is a second ledger.
package fsm
