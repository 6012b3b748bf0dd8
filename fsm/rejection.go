package fsm

import (
	"errors"
	"fmt"
	"strings"
)

// Kind classifies a rejection; surfaces derive a status from it. The numbers
// are part of the log.
type Kind uint8

// The kinds of rejection.
const (
	Invalid         Kind = 1 // the request makes no sense, whatever the state
	Unauthenticated Kind = 2 // the credential does not hold (any more)
	Forbidden       Kind = 3 // the actor may not
	NotFound        Kind = 4 // no such object, or none the actor may see
	Conflict        Kind = 5 // the state does not allow it
	Limited         Kind = 6 // too much or too often
	Unavailable     Kind = 7 // not now
	Internal        Kind = 8 // a handler failed; nothing was changed
)

// Rejection is a business "no". It is deterministic and its code is permanent.
// Declare one per code as a package variable and add details with With.
type Rejection struct {
	Kind    Kind     `cbor:"1,keyasint"`
	Code    string   `cbor:"2,keyasint"` // snake_case
	Details []Detail `cbor:"3,keyasint,omitempty"`
}

// Detail is one public member beside the code: a text or a number.
type Detail struct {
	Name   string `cbor:"1,keyasint"`
	Text   string `cbor:"2,keyasint,omitempty"`
	Number int64  `cbor:"3,keyasint,omitempty"`
	IsText bool   `cbor:"4,keyasint,omitempty"`
}

// Text is a detail with a text value.
func Text(name, value string) Detail { return Detail{Name: name, Text: value, IsText: true} }

// Number is a detail with an integer value, such as minor units.
func Number(name string, value int64) Detail { return Detail{Name: name, Number: value} }

// Reject declares a rejection.
func Reject(kind Kind, code string) *Rejection { return &Rejection{Kind: kind, Code: code} }

// With returns the rejection with details; the declared one stays as it is.
func (r *Rejection) With(details ...Detail) *Rejection {
	return &Rejection{Kind: r.Kind, Code: r.Code, Details: append(r.Details[:len(r.Details):len(r.Details)], details...)}
}

// Detail returns the detail of a name.
func (r *Rejection) Detail(name string) (Detail, bool) {
	for _, d := range r.Details {
		if d.Name == name {
			return d, true
		}
	}
	return Detail{}, false
}

func (r *Rejection) Error() string {
	var text strings.Builder
	text.WriteString(r.Code)
	for _, d := range r.Details {
		if d.IsText {
			fmt.Fprintf(&text, " %s=%q", d.Name, d.Text)
			continue
		}
		fmt.Fprintf(&text, " %s=%d", d.Name, d.Number)
	}
	return text.String()
}

// Is tells that two rejections have the same code, whatever their details.
func (r *Rejection) Is(target error) bool {
	other, ok := target.(*Rejection)
	return ok && other.Code == r.Code
}

// Rejections lists what a command may answer besides its result.
type Rejections []*Rejection

// And joins lists, for commands that build on others.
func (rs Rejections) And(more ...*Rejection) Rejections {
	return append(rs[:len(rs):len(rs)], more...)
}

// declined wraps a rejection whose writes are kept.
type declined struct{ rejection *Rejection }

func (d declined) Error() string { return d.rejection.Error() }

// Declined refuses like r, but keeps what the handler has written, for a
// refusal that must leave a trace. Such a batch never holds postings.
func Declined(r *Rejection) error { return declined{r} }

// Rejections every command may answer.
var (
	ErrKeyReused   = Reject(Conflict, "idempotency_key_reused")
	ErrInternal    = Reject(Internal, "internal_error")
	ErrWriteFrozen = Reject(Unavailable, "writes_frozen")
	ErrNoSpace     = Reject(Unavailable, "no_space") // frozen for want of disk space alone
)

// AsRejection returns the rejection in an error's chain.
func AsRejection(err error) (*Rejection, bool) {
	var r *Rejection
	ok := errors.As(err, &r)
	return r, ok
}
