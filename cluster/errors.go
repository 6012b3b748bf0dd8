package cluster

import (
	"errors"
	"fmt"
)

// Every error of Propose is exactly one of these kinds, or ErrTooLarge.
var (
	// ErrNotApplied means the request certainly had no effect and never will.
	ErrNotApplied = errors.New("not applied")
	// ErrUnknown means the request may have been applied, or may still be.
	// Proposing the same request id again tells the truth.
	ErrUnknown = errors.New("outcome unknown")
	// ErrTooLarge refuses a request above MaxRequest bytes.
	ErrTooLarge = errors.New("request exceeds 1 MiB")
)

// Reasons that accompany the kinds; errors.Is finds both.
var (
	// ErrNotLeader means that another node leads, or none does.
	ErrNotLeader = errors.New("not the leader")
	// ErrNotReady means this leader has not yet begun its term.
	ErrNotReady = errors.New("leader has not begun its term")
	// ErrOverloaded means the queue or the machine's backlog is full.
	// The caller should answer with Retry-After.
	ErrOverloaded = errors.New("overloaded")
	// ErrStopping means this node is shutting down.
	ErrStopping = errors.New("node is stopping")
)

// proposalError joins a kind with its reason.
type proposalError struct{ kind, reason error }

// Error returns kind and reason.
func (e *proposalError) Error() string { return e.kind.Error() + ": " + e.reason.Error() }

// Unwrap lets errors.Is find both.
func (e *proposalError) Unwrap() []error { return []error{e.kind, e.reason} }

// The refusals of the hot path are made once.
var (
	errNotLeader  = &proposalError{ErrNotApplied, ErrNotLeader}
	errNotReady   = &proposalError{ErrNotApplied, ErrNotReady}
	errOverloaded = &proposalError{ErrNotApplied, ErrOverloaded}
	errStopping   = &proposalError{ErrNotApplied, ErrStopping}
)

func notApplied(reason error) error { return &proposalError{ErrNotApplied, reason} }
func unknown(reason error) error    { return &proposalError{ErrUnknown, reason} }

// reasonOf returns the reason without its kind.
func reasonOf(err error) error {
	var proposal *proposalError
	if errors.As(err, &proposal) {
		return proposal.reason
	}
	return err
}

// Refused says why a node must not start with the files it found.
// Nothing was changed; an operator decides, usually by adding the node again under a new id.
type Refused struct {
	Reason string // one sentence for the operator
	Err    error  // what was found, may be nil
}

// Error returns the reason with what was found.
func (r *Refused) Error() string {
	if r.Err == nil {
		return "refused to start: " + r.Reason
	}
	return fmt.Sprintf("refused to start: %s: %v", r.Reason, r.Err)
}

// Unwrap returns what was found.
func (r *Refused) Unwrap() error { return r.Err }

func refuse(err error, format string, args ...any) error {
	return &Refused{Reason: fmt.Sprintf(format, args...), Err: err}
}
