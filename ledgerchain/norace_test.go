//go:build !race

package ledgerchain

const raceEnabled = false
