package rig

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	code := m.Run()
	Clean()
	os.Exit(code)
}

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
	if soaking {
		few = stated
	}
	return wish("COUNT", few)
}

// newSeed seeds a test; every failure and every report prints it.
func newSeed() (uint64, *rand.Rand) {
	seed := uint64(wish("SEED", int(time.Now().UnixNano())))
	return seed, randomOf(seed)
}

func anyOf(random *rand.Rand, nodes []*Node) *Node { return nodes[random.IntN(len(nodes))] }
