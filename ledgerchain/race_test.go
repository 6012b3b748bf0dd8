//go:build race

package ledgerchain

// raceEnabled tells tests that count allocations that pools drop values at random.
const raceEnabled = true
