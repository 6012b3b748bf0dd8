// Package api is what every HTTP surface is made of: routes declared once, and
// the one road a request takes through routing, authentication, rate classes,
// idempotency, decoding, validation, its handler and the envelope of its area.
// It knows nothing of any surface; what it needs from state is injected.
package api
