package api

import "coffer/fsm"

// Surface is one public API: what shares an OpenAPI document, credentials and
// rate limits.
type Surface struct {
	Name    string // "aevion"
	Areas   []Area
	Schemes []Scheme
	Limits  Limits // nil switches rate limits off
}

// Area is a part of a surface: routes below one prefix that speak one envelope.
type Area struct {
	Name     string // "qpaynet"; scopes idempotency keys, so it never changes
	Prefix   string // "/api/qpaynet", or empty for the root
	Tag      string // of its operations in OpenAPI
	Envelope Envelope
	Codes    Codes
	// Rejections are those every route may answer, such as that of a revoked
	// session.
	Rejections fsm.Rejections
	// StrictFields refuses unknown members of a body.
	StrictFields bool
	// KeepRejections remembers rejections under idempotency keys too.
	KeepRejections bool
	// ProblemMedia is the media type of problems, JSON when empty.
	ProblemMedia string
	// Origins chooses the web origin that may read an answer. Nil allows all.
	Origins Origins
	Routes  []Route
}
