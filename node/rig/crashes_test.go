package rig

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// crashes counts what happened at the sites of a test.
type crashes struct {
	seed  uint64
	aimed int            // runs in which a process should have been killed
	at    map[string]int // processes killed, by site
	wrong map[string]int // violations, by site
}

func newCrashes(seed uint64) *crashes {
	return &crashes{seed: seed, at: map[string]int{}, wrong: map[string]int{}}
}

// happened notes a crash and runs what must hold after it.
func (c *crashes) happened(t *testing.T, site string, holds func()) {
	t.Helper()
	c.at[site]++
	before := t.Failed()
	defer func() {
		if t.Failed() && !before {
			c.wrong[site]++
			t.Logf("seed %d: behind a crash at %s", c.seed, site)
		}
	}()
	holds()
}

func (c *crashes) total() (total int) {
	for _, count := range c.at {
		total += count
	}
	return total
}

// report prints one line for each site, and fails a run without a crash.
func (c *crashes) report(t *testing.T) {
	t.Helper()
	var out strings.Builder
	for _, site := range slices.Sorted(maps.Keys(c.at)) {
		fmt.Fprintf(&out, "\n%5d crashes %3d violations  %s", c.at[site], c.wrong[site], site)
	}
	t.Logf("seed %d: %d runs, %d crashes at %d sites%s", c.seed, c.aimed, c.total(), len(c.at), &out)
	if c.total() == 0 {
		t.Errorf("seed %d: nothing crashed: the test proves nothing", c.seed)
	}
}
