package node

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"coffer/fsm/fsmtest"
)

// rounds is how many random cases a test tries.
func rounds(few int) int {
	if os.Getenv("SOAK") != "" {
		return 100 * few
	}
	return few
}

const pageSize = 4096

// flipped is a file with some bits changed at random places of what is used.
// Every third time it is the head of a page, where most depends on it.
func flipped(random *rand.Rand, file fileImage) (changed fileImage, at int) {
	content := bytes.Clone(file.content)
	at = random.IntN(len(content))
	if random.IntN(3) == 0 {
		at = min(len(content)-1, at&^(pageSize-1)+random.IntN(128))
	}
	content[at] ^= 1 << random.IntN(8)
	return fileImage{content, file.size}, at
}

// newestMeta tells which of the first two pages of a database counts: the one
// with the higher transaction number.
func newestMeta(file fileImage) int {
	number := func(page int) uint64 { return binary.LittleEndian.Uint64(file.content[page*pageSize+64:]) }
	if number(1) > number(0) {
		return 1
	}
	return 0
}

// TestT14FlippedBits flips bits of both databases and starts the node.
func TestT14FlippedBits(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	seed := fsmtest.RandomSeed()
	random := rand.New(rand.NewPCG(seed, 2))
	var all tally
	for _, file := range []string{stateFile, logFile} {
		var counts tally
		for range rounds(16) {
			changed, at := flipped(random, s.image[file])
			if file == logFile && at/pageSize == newestMeta(s.image[file]) {
				continue // TestALostLogWrite
			}
			s.try(t, fmt.Sprintf("seed %d: %s with a flipped bit at %d", seed, file, at), s.image.with(file, changed), &counts)
		}
		t.Logf("seed %d: %s with a flipped bit: %d refused, %d stopped, %d served as before", seed, file, counts.refused, counts.stopped, counts.served)
		all.refused, all.served = all.refused+counts.refused, all.served+counts.served
	}
	if all.refused == 0 || all.served == 0 {
		t.Errorf("seed %d: %+v proves too little", seed, all)
	}
}

// TestT14VerifyFlippedBits flips bits of both databases, one at a time, and
// verifies.
func TestT14VerifyFlippedBits(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	dir := t.TempDir()
	s.image.write(t, dir)
	for _, name := range []string{stateFile, logFile} {
		s.verifyFlipped(t, dir, name, fsmtest.RandomSeed())
	}
}

func (s *specimen) verifyFlipped(t *testing.T, dir, name string, seed uint64) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(seed, 3))
	var counts tally
	for range rounds(40) {
		changed, at := flipped(random, s.image[name])
		if _, err := file.WriteAt(changed.content[at:at+1], int64(at)); err != nil {
			t.Fatal(err)
		}
		if at/pageSize != newestMeta(s.image[name]) { // else it is the file before the last write, and as good
			s.verify(t, fmt.Sprintf("seed %d: %s with a flipped bit at %d", seed, name, at), dir, &counts)
		}
		if _, err := file.WriteAt(s.image[name].content[at:at+1], int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d: verify of %s with a flipped bit: %d found, %d as before", seed, name, counts.refused, counts.served)
	if counts.refused == 0 || counts.served == 0 {
		t.Errorf("seed %d: %s: %+v proves too little", seed, name, counts)
	}
}

// TestT14Truncated cuts both databases off.
func TestT14Truncated(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	seed := fsmtest.RandomSeed()
	random := rand.New(rand.NewPCG(seed, 4))
	for _, name := range []string{stateFile, logFile} {
		whole := s.image[name]
		used := len(whole.content)
		lengths := []int64{0, 1, 100, pageSize, 2 * pageSize, 3*pageSize - 1, int64(used/2) &^ (pageSize - 1), int64(used) - 1}
		for range rounds(6) {
			lengths = append(lengths, random.Int64N(int64(used)))
		}
		var counts, verified tally
		for _, length := range slices.Compact(lengths) {
			cut := s.image.with(name, fileImage{whole.content[:length], length})
			what := fmt.Sprintf("seed %d: %s cut off at %d of %d", seed, name, length, used)
			s.try(t, what, cut, &counts)
			if name == stateFile {
				dir := t.TempDir()
				cut.write(t, dir)
				s.verify(t, what, dir, &verified)
			}
		}
		t.Logf("seed %d: %s cut off: %d refused, %d stopped, %d served as before", seed, name, counts.refused, counts.stopped, counts.served)
		if counts.refused == 0 || name == stateFile && verified.refused == 0 {
			t.Errorf("seed %d: %+v, %+v proves too little", seed, counts, verified)
		}
	}
}

// TestALostLogWrite damages the newest root of raft.db. The file then looks like
// one whose last write never finished: that is said, the last write is gone, and
// nothing but that.
func TestALostLogWrite(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t)
	whole := t.TempDir()
	s.image.write(t, whole)
	_, before := readLog(t, whole, nil)
	changed := bytes.Clone(s.image[logFile].content)
	changed[newestMeta(s.image[logFile])*pageSize+64] ^= 1
	dir := t.TempDir()
	s.image.with(logFile, fileImage{changed, s.image[logFile].size}).write(t, dir)
	_, after := readLog(t, dir, nil)
	if after != before && after != before-1 {
		t.Errorf("the log ended at entry %d, now at %d", before, after)
	}
	n := mustHost(t, dir)
	if !strings.Contains(n.log.String(), "the last write to raft.db before the stop never finished") {
		t.Errorf("nobody is warned:\n%s", n.log)
	}
	n.end(t)
	checkReplay(t, dir)
}
