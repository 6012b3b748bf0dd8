// Package reputation keeps scores: the plain sum of weighted events per user,
// the ladder of ranks above it, and the events themselves.
package reputation
