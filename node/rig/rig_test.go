package rig

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	code := m.Run()
	Clean()
	os.Exit(code)
}

// soaking tells that faults are tried at length.
var soaking = os.Getenv("SOAK") != ""

// needsTime skips what takes long and is no part of the short run.
func needsTime(t *testing.T) {
	t.Helper()
	if !soaking {
		t.Skip("takes a quarter of a minute: run it with make soak")
	}
}

// rounds is how often a fault is tried: a few times as a test, the stated count
// with SOAK, another one with COUNT.
func rounds(few, stated int) int {
	if count, err := strconv.Atoi(os.Getenv("COUNT")); err == nil && count > 0 {
		return count
	}
	if soaking {
		return stated
	}
	return few
}

// newSeed seeds a test; every failure and every report prints it.
func newSeed() (uint64, *rand.Rand) {
	seed := uint64(time.Now().UnixNano())
	return seed, rand.New(rand.NewPCG(seed, 1))
}

func anyOf(random *rand.Rand, nodes []*Node) *Node { return nodes[random.IntN(len(nodes))] }

// between is a random time.
func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)+1))
}
