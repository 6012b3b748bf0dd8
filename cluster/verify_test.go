package cluster

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestVerifyReadsWhatNoStartReads flips bits of a log of which a start replays hardly anything. What verify accepts is
// whole, but for a last write that looks unfinished; and it finds damage that a start would not meet.
func TestVerifyReadsWhatNoStartReads(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	_, content := usedFile(t, 200, 300)
	const state = 185
	refused, accepted, unmet := 0, 0, 0
	for round := range 150 {
		damaged := bytes.Clone(content)
		offset := random.IntN(len(content))
		damaged[offset] ^= 1 << random.IntN(8)
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, fileName), damaged, 0o600))
		cfg := benchmarkConfig(dir)
		cfg.State = State{Index: state, Term: 2}
		held, err := Verify(cfg, testSnapshots{&stateFile{state: cfg.State}})
		var refusal *Refused
		switch {
		case errors.As(err, &refusal):
			refused++
			if files, err := tryOpen(t, damaged, state); err == nil {
				unmet++
				must(t, files.close())
			}
		case err != nil:
			t.Fatalf("seed %d, round %d: error %v is no refusal", seed, round, err)
		case held == Log{First: 21, Last: 194} || held.Torn:
			accepted++
		default:
			t.Errorf("seed %d, round %d: a flipped bit at %d leaves %+v", seed, round, offset, held)
		}
		after, err := os.ReadFile(filepath.Join(dir, fileName))
		must(t, err)
		if !bytes.Equal(after, damaged) {
			t.Fatalf("seed %d, round %d: verify has written", seed, round)
		}
	}
	if refused == 0 || accepted == 0 || unmet == 0 {
		t.Errorf("seed %d: %d refused, %d accepted, %d that no start meets: the test proves too little", seed, refused, accepted, unmet)
	}
}
