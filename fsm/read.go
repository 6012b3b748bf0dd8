package fsm

import (
	"context"

	"coffer/store"
)

// Level is how fresh a read must be (reliability, section 4.1).
type Level uint8

// The read levels. The zero value is the strictest one.
const (
	Linearizable Level = iota // everything acknowledged before the read began
	Session                   // everything the same client has seen
	Stale                     // some committed state of this node
)

// Reader opens a view of a level for the time of one function.
type Reader interface {
	Read(ctx context.Context, level Level, read func(*store.View) error) error
}
