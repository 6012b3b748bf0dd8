// Package auth turns credentials of a request into an fsm.Actor: bearer tokens
// and service keys. It never looks at state; whether a session still holds is
// checked in the view or the command that serves the request.
package auth
