package fsm

import (
	"context"
	"errors"
	"fmt"

	"coffer/store"
)

// Command ties a name to the types of its input and result. It is declared
// once, beside its handler. A released name never changes meaning.
type Command[In, Out any] struct {
	Name    string     // "domain.verb/version"
	Rejects Rejections // what it may answer besides Out
	System  bool       // runs while an alarm has frozen business writes
	Audited bool       // goes on the record of operators, whoever asks
}

// Origin is where a request comes from and how it is to be treated.
type Origin struct {
	Actor         Actor
	RequestID     RequestID // from the idempotency key, else random
	BodyHash      [32]byte
	KeepRejection bool   // remember a rejection under the request id too
	DryRun        bool   // answer as if, change nothing
	Reason        string // of an operator, for the record
}

// Caller is a context with an origin: an API call or a leader task.
type Caller interface {
	context.Context
	Origin() Origin
	Settled(Outcome) // told what the log answered, before Submit returns
}

// Proposer takes a request to the log and brings its outcome back.
type Proposer interface {
	// Propose returns the outcome once the request is durable and applied.
	Propose(ctx context.Context, r Request) (Outcome, error)
	// Try runs the request against a view of its own and commits nothing.
	Try(ctx context.Context, r Request) (Outcome, error)
}

// Submit asks for a command and returns its result, or a *Rejection, or an
// error when the outcome is not known or the request certainly did not apply.
func (c Command[In, Out]) Submit(caller Caller, p Proposer, in In) (Out, error) {
	var out Out
	origin := caller.Origin()
	request := Request{
		Command:       c.Name,
		Actor:         origin.Actor,
		RequestID:     origin.RequestID,
		BodyHash:      origin.BodyHash,
		KeepRejection: origin.KeepRejection,
		Payload:       store.Encode(&in),
		Reason:        origin.Reason,
	}
	run := p.Propose
	if origin.DryRun {
		run = p.Try
	}
	outcome, err := run(caller, request)
	if err != nil {
		return out, fmt.Errorf("submit %s: %w", c.Name, err)
	}
	caller.Settled(outcome)
	if outcome.Rejection != nil {
		return out, outcome.Rejection
	}
	if err := store.Decode(outcome.Result, &out); err != nil {
		return out, fmt.Errorf("result of %s: %w", c.Name, err)
	}
	return out, nil
}

// Handler is a command with the function that runs it, types erased.
type Handler struct {
	name    string
	rejects Rejections
	system  bool
	audited bool
	run     func(ctx *Context, payload []byte) (result []byte, err error)
	input   func() any // a new input, for wire goldens
}

// Handle joins a command and its handler; the compiler checks both ends.
func Handle[In, Out any](c Command[In, Out], handle func(*Context, In) (Out, error)) Handler {
	return Handler{
		name:    c.Name,
		rejects: c.Rejects,
		system:  c.System,
		audited: c.Audited,
		input:   func() any { return new(In) },
		run: func(ctx *Context, payload []byte) ([]byte, error) {
			var in In
			if err := store.Decode(payload, &in); err != nil {
				return nil, undecodable{err}
			}
			out, err := handle(ctx, in)
			if err != nil {
				return nil, err
			}
			return store.Encode(&out), nil
		},
	}
}

// Name is the command's permanent name.
func (h Handler) Name() string { return h.name }

// Rejects lists the command's declared rejections.
func (h Handler) Rejects() Rejections { return h.rejects }

// Input returns a new zero input of the command, for tests of the wire form.
func (h Handler) Input() any { return h.input() }

func (h Handler) declares(r *Rejection) bool {
	for _, known := range h.rejects {
		if known.Code == r.Code {
			return true
		}
	}
	return false
}

// undecodable is a payload this program cannot read.
type undecodable struct{ err error }

func (u undecodable) Error() string { return "payload: " + u.err.Error() }
func (u undecodable) Unwrap() error { return u.err }

var errNoResult = errors.New("a handler returned an error that is no rejection")
