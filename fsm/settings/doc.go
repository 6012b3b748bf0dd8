// Package settings holds the business values: caps, thresholds, allow-lists,
// rates, retention. They are state, changed by a command and seen by all
// replicas at the same entry; they are never flags of a node.
//
// A value is declared in one line of values.go and read with its Of method.
package settings
