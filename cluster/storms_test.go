package cluster

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// heals runs a group through so many heals and returns its violations.
func heals(t *testing.T, seed uint64, count int, stock bool) []string {
	s := newStorm(t, seed, stock)
	s.committed()
	for i := range count {
		s.heal()
		if i%10 == 9 || i == count-1 {
			s.check()
		}
	}
	terms := s.term()
	s.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	if terms < uint64(count) {
		t.Errorf("seed %d: %d heals but only %d terms", seed, count, terms)
	}
	t.Logf("seed %d: %d heals, %d terms, %d led, %d writes acknowledged, %d violations", seed, count, terms, len(s.leaders), len(s.acked), len(s.faults))
	return s.faults
}

// stormSize returns how many groups run beside each other, and the heals of each.
func stormSize() (groups, each int) {
	if os.Getenv("SOAK") != "" {
		return 5, 200
	}
	return 4, 5
}

func TestT10VoteStorms(t *testing.T) {
	t.Parallel()
	groups, each := stormSize()
	for range groups {
		seed := rand.Uint64()
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			for _, fault := range heals(t, seed, each, false) {
				t.Errorf("seed %d: %s", seed, fault)
			}
		})
	}
}

// stockSeed makes the test below run, in a process of its own: what stock raft does may be a panic.
const stockSeed = "COFFER_TEST_STOCK_SEED"

func TestT10StockHeartbeats(t *testing.T) {
	if text := os.Getenv(stockSeed); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		must(t, err)
		_, each := stormSize()
		for _, fault := range heals(t, seed, each, true) {
			t.Logf("stock: %s", fault)
		}
		return
	}
	if os.Getenv("SOAK") == "" {
		t.Skip("the comparison with the stock transport runs with SOAK")
	}
	t.Parallel()
	seed := rand.Uint64()
	command := exec.Command(os.Args[0], "-test.run=^TestT10StockHeartbeats$", "-test.v", "-test.timeout=30m")
	command.Env = append(os.Environ(), fmt.Sprintf("%s=%d", stockSeed, seed))
	said, err := command.CombinedOutput()
	t.Logf("stock, seed %d: %v\n%s", seed, err, said)
}
