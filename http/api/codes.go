package api

import (
	"net/http"

	"coffer/fsm"
)

// Answer is what a problem looks like on the wire of one area.
type Answer struct {
	Status  int
	Code    string
	Message string // for people
}

// Codes is an area's table from codes of problems to answers. It covers every
// rejection its routes declare, which is checked at start.
type Codes map[string]Answer

// standard holds the answers to the problems this package finds by itself.
var standard = Codes{
	CodeValidation:       {http.StatusBadRequest, CodeValidation, "The request is not valid."},
	CodeInvalidCursor:    {http.StatusBadRequest, CodeInvalidCursor, "The cursor cannot be decoded."},
	CodeUnknownField:     {http.StatusBadRequest, CodeUnknownField, "The request has a member this route does not know."},
	CodeAuthRequired:     {http.StatusUnauthorized, CodeAuthRequired, "A valid credential is required."},
	CodeForbidden:        {http.StatusForbidden, CodeForbidden, "The caller may not do this."},
	CodeNotFound:         {http.StatusNotFound, CodeNotFound, "There is no such object."},
	CodeMethodNotAllowed: {http.StatusMethodNotAllowed, CodeMethodNotAllowed, "The path does not answer this method."},
	CodePayloadTooLarge:  {http.StatusRequestEntityTooLarge, CodePayloadTooLarge, "The request is larger than this route takes."},
	CodeMediaType:        {http.StatusUnsupportedMediaType, CodeMediaType, "The body must be application/json without content encoding."},
	CodeURITooLong:       {http.StatusRequestURITooLong, CodeURITooLong, "The URL is longer than 8192 bytes."},
	CodeMisdirected:      {http.StatusMisdirectedRequest, CodeMisdirected, "This server does not answer for that host."},
	CodeRateLimit:        {http.StatusTooManyRequests, CodeRateLimit, "Too many requests; try again later."},
	CodeUnavailable:      {http.StatusServiceUnavailable, CodeUnavailable, "Nothing was changed; try again later."},
	CodeOutcomeUnknown:   {http.StatusServiceUnavailable, CodeOutcomeUnknown, "The request may have been carried out; repeat it with the same Idempotency-Key."},
	CodeInternal:         {http.StatusInternalServerError, CodeInternal, "Something failed inside."},
	CodeKeyReused:        {http.StatusConflict, CodeKeyReused, "The Idempotency-Key was used with another request."},
	CodeWritesFrozen:     {http.StatusServiceUnavailable, CodeWritesFrozen, "Writes are stopped until an operator acts."},
	CodeNoSpace:          {http.StatusInsufficientStorage, CodeNoSpace, "A disk is nearly full: nothing is written until an operator has made room."},
}

// statuses are the default statuses of the kinds.
var statuses = [...]int{
	fsm.Invalid:         http.StatusBadRequest,
	fsm.Unauthenticated: http.StatusUnauthorized,
	fsm.Forbidden:       http.StatusForbidden,
	fsm.NotFound:        http.StatusNotFound,
	fsm.Conflict:        http.StatusConflict,
	fsm.Limited:         http.StatusTooManyRequests,
	fsm.Unavailable:     http.StatusServiceUnavailable,
	fsm.Internal:        http.StatusInternalServerError,
}

// StatusOf is the default status of a kind of problem.
func StatusOf(kind fsm.Kind) int {
	if int(kind) < len(statuses) && statuses[kind] != 0 {
		return statuses[kind]
	}
	return http.StatusInternalServerError
}

// Answer looks a problem up: the area's own table, then that of this package,
// then the kind. An empty part of an entry takes the default.
func (c Codes) Answer(p *Problem) Answer {
	answer, own := c[p.Code]
	fallback, known := standard[p.Code]
	if !own {
		answer = fallback
	}
	if answer.Status == 0 {
		answer.Status = StatusOf(p.Kind)
		if known {
			answer.Status = fallback.Status
		}
	}
	if answer.Code == "" {
		answer.Code = p.Code
	}
	if answer.Message == "" {
		answer.Message = fallback.Message
	}
	return answer
}

// covers tells whether a code has an answer of its own or a standard one.
func (c Codes) covers(code string) bool {
	if _, own := c[code]; own {
		return true
	}
	_, known := standard[code]
	return known
}
