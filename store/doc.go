// Package store keeps the state of one node: typed tables, indexes, journals
// and partitions over layers that are read as one.
//
//	Batch (one command) -> generation (in memory) -> frozen generation -> state.db (bbolt)
//
// One goroutine writes; any number of readers hold a View, which is a
// consistent snapshot of all layers. A flush writes a whole generation in one
// sorted, fsynced bbolt transaction together with Applied, so state.db is
// always the exact state of one log index. What is newer is replayed from the
// raft log after a crash. Damage found on the way panics with Corruption:
// callers stop the node, they never answer from damaged rows.
//
// Rows carry checksums, bbolt's pages do not: a flipped bit in one could hide
// rows. So every page of the file is verified before it is first relied on:
// all at open in a small file, in a large one each as it is read or rewritten,
// and the rest by a scrub in the background.
package store
