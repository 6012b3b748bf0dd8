package cluster

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
)

// pastOf runs random calls on a real raft.db in dir and hands its state to look after each.
func pastOf(t *testing.T, random *rand.Rand, dir string, calls, largest int, look func(files *storage, call int)) {
	t.Helper()
	cfg, err := benchmarkConfig(dir).completeForTest()
	must(t, err)
	files, err := openStorage(cfg, testSnapshots{&stateFile{}}, newFailure(cfg.Fatal), seams{})
	must(t, err)
	defer func() { must(t, files.close()) }()
	const elections = 1 << 20
	must(t, files.votes.SetUint64([]byte(keyCurrentTerm), elections))
	term := uint64(2)
	for call := range calls {
		first, last, _ := files.logs.measure()
		switch choice := random.IntN(20); {
		case choice == 0:
			must(t, files.votes.SetUint64([]byte(keyCurrentTerm), elections+uint64(call)))
		case choice < 3 && last > 0: // after a snapshot
			must(t, files.logs.DeleteRange(first, first+random.Uint64N(last-first+1)))
		case choice < 5 && last > 0: // of another leader
			must(t, files.logs.DeleteRange(last-random.Uint64N(min(last-first+1, 1<<random.IntN(10))), last))
			term++
		default:
			size := random.IntN(1 << random.IntN(1+largest))
			must(t, files.logs.StoreLogs(testLogs(last+1, 1+random.IntN(1<<random.IntN(9)), term, size)))
		}
		look(files, call)
	}
}

func TestNoFileThatWasWrittenIsRefused(t *testing.T) {
	t.Parallel()
	files, calls := 4, 120
	if os.Getenv("SOAK") != "" {
		files, calls = 30, 300
	}
	for range files {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		dir := t.TempDir()
		pastOf(t, random, dir, calls, random.IntN(17), func(files *storage, call int) {
			held, torn, err := inspectFile(filepath.Join(dir, fileName))
			if err != nil || torn {
				t.Fatalf("seed %d, call %d: torn %v, error %v", seed, call, torn, err)
			}
			end, err := readEnd(dir)
			must(t, err)
			if end.index != held.last() {
				t.Fatalf("seed %d, call %d: the log ends at %d, the mark says %d", seed, call, held.last(), end.index)
			}
			must(t, files.reaches(dir))
			if first, last, _ := files.logs.measure(); held.first != first || held.last() != last {
				t.Fatalf("seed %d, call %d: log from %d to %d, want %d to %d", seed, call, held.first, held.last(), first, last)
			}
		})
	}
}

func TestAPageThatIsFullToItsLastByteIsAccepted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), fileName)
	bolt, err := openBolt(path)
	must(t, err)
	defer closeBolt(t, bolt)
	for size := 2*4096 - 200; size < 2*4096; size++ { // one of them, with what is around it, fills two pages
		must(t, bolt.StoreLog(&raft.Log{Index: 1, Data: make([]byte, size)}))
		held, _, err := inspectFile(path)
		if err != nil || held.last() != 1 {
			t.Errorf("an entry of %d bytes: log to %d, error %v", size, held.last(), err)
		}
	}
}

// TestT14EveryFlippedBitOfTheTreeIsNoticed flips each bit that says where entries are, one at a time. What is accepted must
// end with the entry that the log ends with, so that nothing that raft would replay is missing.
func TestT14EveryFlippedBitOfTheTreeIsNoticed(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	dir, calls := t.TempDir(), 20
	if os.Getenv("SOAK") != "" {
		calls = 60
	}
	pastOf(t, random, dir, calls, 9, func(*storage, int) {})
	content, err := os.ReadFile(filepath.Join(dir, fileName))
	must(t, err)
	f, err := openBoltFile(bytes.NewReader(content), int64(len(content)))
	must(t, err)
	want, err := f.log()
	must(t, err)
	mark, err := os.ReadFile(filepath.Join(dir, endName))
	must(t, err)
	content = content[:f.pages*4096]
	flips := 0
	for id := uint64(2); id < f.pages; id++ {
		head := content[id*4096:]
		if f.seen[id/64]&(1<<(id%64)) == 0 || order.Uint64(head) != id {
			continue // free, or the rest of a page
		}
		end := headerSize + int(order.Uint16(head[10:]))*elementSize
		if id == f.root {
			end = 4096
		}
		for bit := range end * 8 {
			head[bit/8] ^= 1 << (bit % 8)
			if held, lied := accepts(t, content, mark, want); lied {
				t.Errorf("seed %d: page %d, bit %d: log from %d to %d instead of %d to %d", seed, id, bit, held.first, held.last(), want.first, want.last())
			}
			head[bit/8] ^= 1 << (bit % 8)
			flips++
		}
	}
	if flips == 0 {
		t.Errorf("seed %d: nothing was flipped", seed)
	}
}

// accepts inspects a file; one that passes with another log is opened beside the mark of the true one.
func accepts(t *testing.T, content, mark []byte, want extent) (held extent, lied bool) {
	t.Helper()
	held, _, err := inspect(bytes.NewReader(content), int64(len(content)))
	if err != nil || held.first == want.first && held.last() == want.last() {
		return held, false
	}
	files, err := tryOpenMarked(t, content, mark, max(1, want.first)-1)
	if err != nil {
		return held, false
	}
	must(t, files.close())
	return held, held.last() != want.last()
}
