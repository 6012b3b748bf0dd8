package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coffer/fsm"
	"coffer/store"
)

// Problem is why a request is not answered with a result.
type Problem struct {
	Kind       fsm.Kind
	Code       string
	Fields     []Field       // public
	RetryAfter time.Duration // when trying again makes sense, else zero
	Cause      error         // logged, never sent
}

// Field is one public member of a problem beside its code. Its value is a
// string, an int64, a bool or a []string.
type Field struct {
	Name  string
	Value any
}

// Codes of the problems this package finds by itself. An area may give them
// other wire codes and statuses in its table.
const (
	CodeValidation       = "validation_failed"
	CodeInvalidCursor    = "invalid_cursor"
	CodeUnknownField     = "unknown_field"
	CodeAuthRequired     = "auth_required"
	CodeForbidden        = "forbidden"
	CodeNotFound         = "not_found"
	CodeMethodNotAllowed = "method_not_allowed"
	CodePayloadTooLarge  = "payload_too_large"
	CodeMediaType        = "unsupported_media_type"
	CodeURITooLong       = "uri_too_long"
	CodeMisdirected      = "misdirected_request"
	CodeRateLimit        = "rate_limit_exceeded"
	CodeUnavailable      = "unavailable"
	CodeOutcomeUnknown   = "outcome_unknown"
	CodeInternal         = "internal_error"         // fsm.ErrInternal
	CodeKeyReused        = "idempotency_key_reused" // fsm.ErrKeyReused
	CodeWritesFrozen     = "writes_frozen"          // fsm.ErrWriteFrozen
	CodeNoSpace          = "no_space"               // fsm.ErrNoSpace
)

// What a Proposer and a Reader say about requests that were not carried out.
// Whoever joins them to this package wraps their own errors with these.
var (
	// ErrNotApplied means the request certainly had no effect and never will.
	ErrNotApplied = errors.New("not applied")
	// ErrOutcomeUnknown means the request may have been applied, or may still be.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrTooLarge means the encoded request exceeds what the log takes.
	ErrTooLarge = errors.New("request too large for the log")
)

// retryAfter is what a client is told to wait when no leader can be reached.
const retryAfter = time.Second

// RetryAfterDetail is the detail of a rejection that becomes Retry-After.
const RetryAfterDetail = "retryAfterSeconds"

// Error is the code and the cause, for logs.
func (p *Problem) Error() string {
	if p.Cause != nil {
		return fmt.Sprintf("%s: %v", p.Code, p.Cause)
	}
	return p.Code
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Cause }

// ProblemOf turns what a handler returned into the problem to answer. Write
// tells that a timeout leaves open what happened.
func ProblemOf(err error, write bool) *Problem {
	var problem *Problem
	if errors.As(err, &problem) {
		return problem
	}
	if rejection, ok := fsm.AsRejection(err); ok {
		return rejected(rejection)
	}
	switch {
	case errors.Is(err, store.ErrCursor):
		return &Problem{Kind: fsm.Invalid, Code: CodeInvalidCursor, Cause: err}
	case errors.Is(err, ErrTooLarge):
		return &Problem{Kind: fsm.Invalid, Code: CodePayloadTooLarge, Cause: err}
	case errors.Is(err, ErrNotApplied):
		return &Problem{Kind: fsm.Unavailable, Code: CodeUnavailable, RetryAfter: retryAfter, Cause: err}
	case errors.Is(err, ErrOutcomeUnknown), write && isTimeout(err):
		return &Problem{Kind: fsm.Unavailable, Code: CodeOutcomeUnknown, RetryAfter: retryAfter, Cause: err}
	case isTimeout(err):
		return &Problem{Kind: fsm.Unavailable, Code: CodeUnavailable, RetryAfter: retryAfter, Cause: err}
	}
	return &Problem{Kind: fsm.Internal, Code: CodeInternal, Cause: err}
}

func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// rejected is the answer to a business "no".
func rejected(r *fsm.Rejection) *Problem {
	p := &Problem{Kind: r.Kind, Code: r.Code}
	for _, detail := range r.Details {
		if detail.Name == RetryAfterDetail && !detail.IsText {
			p.RetryAfter = time.Duration(detail.Number) * time.Second
		}
		if detail.IsText {
			p.Fields = append(p.Fields, Field{detail.Name, detail.Text})
			continue
		}
		p.Fields = append(p.Fields, Field{detail.Name, detail.Number})
	}
	return p
}

// badRequest refuses a part of the request that has no member of its own.
func badRequest(field, reason string, cause error) *Problem {
	p := (&Violation{Field: field, Reason: reason}).problem()
	p.Cause = cause
	return p
}
