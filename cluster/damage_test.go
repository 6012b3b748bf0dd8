package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

// usedFile returns a directory whose raft.db has a past: appended to, truncated at both ends, voted in.
func usedFile(t testing.TB, entries, size int) (dir string, content []byte) {
	t.Helper()
	dir = t.TempDir()
	cfg := benchmarkConfig(dir)
	cfg, err := cfg.completeForTest()
	must(t, err)
	files, err := openStorage(cfg, testSnapshots{&stateFile{}}, newFailure(cfg.Fatal), seams{})
	must(t, err)
	must(t, files.votes.SetUint64([]byte(keyCurrentTerm), 2))
	castVote2(t, files.votes)
	for i := range 10 {
		must(t, files.logs.StoreLogs(testLogs(uint64(1+i*entries/10), entries/10, 2, size)))
	}
	must(t, files.logs.DeleteRange(uint64(entries-5), uint64(entries)))
	must(t, files.logs.DeleteRange(1, 20))
	must(t, files.close())
	content, err = os.ReadFile(filepath.Join(dir, fileName))
	must(t, err)
	file, err := openBoltFile(bytes.NewReader(content), int64(len(content)))
	must(t, err)
	return dir, content[:int64(file.pages)*file.pageSize] // bbolt grows files 16 MiB ahead
}

func castVote2(t testing.TB, s raft.StableStore) {
	t.Helper()
	must(t, s.SetUint64([]byte(keyVoteTerm), 2))
	must(t, s.Set([]byte(keyVoteFor), []byte("node-1:7000")))
}

// tryOpen opens a copy of content as the log of a state at that entry, without a mark of its end.
func tryOpen(t *testing.T, content []byte, state uint64) (*storage, error) {
	t.Helper()
	return tryOpenMarked(t, content, nil, state)
}

func tryOpenMarked(t *testing.T, content, mark []byte, state uint64) (*storage, error) {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, fileName), content, 0o600))
	if mark != nil {
		must(t, os.WriteFile(filepath.Join(dir, endName), mark, 0o600))
	}
	cfg, err := benchmarkConfig(dir).completeForTest()
	must(t, err)
	cfg.State = State{Index: state, Term: 2}
	return openStorage(cfg, testSnapshots{&stateFile{state: cfg.State}}, newFailure(cfg.Fatal), seams{})
}

func TestAnUndamagedFileIsAccepted(t *testing.T) {
	for _, size := range []int{0, 300, 20000} {
		_, content := usedFile(t, 200, size)
		files, err := tryOpen(t, content, 30)
		must(t, err)
		if first, last, _ := files.logs.measure(); first != 21 || last != 194 {
			t.Errorf("entries of %d bytes: log from %d to %d, want 21 to 194", size, first, last)
		}
		must(t, files.close())
	}
}

func TestTheInspectionMeasuresTheLog(t *testing.T) {
	dir, _ := usedFile(t, 2000, 500)
	held, torn, err := inspectFile(filepath.Join(dir, fileName))
	must(t, err)
	if held.first != 21 || held.last() != 1994 || torn {
		t.Errorf("log from %d to %d, torn %v; want 21 to 1994", held.first, held.last(), torn)
	}
	if perEntry := held.bytes / int64(len(held.sizes)); perEntry < 500 || perEntry > 500+entryOverhead+30 {
		t.Errorf("entries of 500 bytes are measured as %d bytes", perEntry)
	}
}

func TestTruncatedFilesAreRefused(t *testing.T) {
	_, content := usedFile(t, 200, 300)
	used := len(content)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	lengths := []int{0, 1, 80, 4095, 4096, 8191, 8192, 8193, 16384, used / 2, used - 4096}
	for range 20 {
		lengths = append(lengths, random.IntN(used-4096))
	}
	for _, length := range lengths {
		files, err := tryOpen(t, content[:length], 30)
		var refused *Refused
		if !errors.As(err, &refused) {
			t.Errorf("seed %d: %d of %d bytes: error %v, want a refusal", seed, length, used, err)
		}
		if files != nil {
			must(t, files.close())
		}
	}
}

func TestForeignFilesAreRefused(t *testing.T) {
	write := func(name string, make func(*bbolt.Tx) error) []byte {
		path := filepath.Join(t.TempDir(), name)
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: name != "stored free list"})
		must(t, err)
		must(t, db.Update(make))
		must(t, db.Update(make))
		must(t, db.Close())
		content, err := os.ReadFile(path)
		must(t, err)
		return content
	}
	buckets := func(names ...string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			for _, name := range names {
				if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for reason, content := range map[string][]byte{
		"not a raft log":                  bytes.Repeat([]byte("SQLite format 3\x00"), 4096),
		"stores a free list":              write("stored free list", buckets(bucketLog, bucketConf)),
		`unknown bucket "wallet.wallets"`: write("state", buckets("wallet.wallets")),
		"buckets are missing":             write("half", buckets(bucketLog)),
		"names no owner":                  write("stock", buckets(bucketLog, bucketConf)),
		"is no index":                     write("keys", putLog([]byte("text key"), []byte("k"))),
		"does not follow entry 1":         write("gap", putLog(raftKey(1), raftKey(3))),
		"log entry 0 does not follow":     write("zero", putLog(raftKey(0))),
		`nested bucket "\x00\x00\x00\x00\x00\x00\x00\x01"`: write("nested", func(tx *bbolt.Tx) error {
			if err := buckets(bucketLog, bucketConf)(tx); err != nil {
				return err
			}
			_, err := tx.Bucket([]byte(bucketLog)).CreateBucketIfNotExists(raftKey(1))
			return err
		}),
	} {
		files, err := tryOpen(t, content, 30)
		var refused *Refused
		if !errors.As(err, &refused) || !contains(err, reason) {
			t.Errorf("error %v, want a refusal that says %q", err, reason)
		}
		if files != nil {
			must(t, files.close())
		}
	}
}

func raftKey(index uint64) []byte {
	key := make([]byte, 8)
	for i := range key {
		key[7-i] = byte(index >> (8 * i))
	}
	return key
}

func putLog(keys ...[]byte) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		for _, name := range []string{bucketLog, bucketConf} {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		for _, key := range keys {
			if err := tx.Bucket([]byte(bucketLog)).Put(key, []byte("value")); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestATornMetaPageFallsBackToTheWriteBefore(t *testing.T) {
	_, content := usedFile(t, 200, 300)
	held, _, err := inspect(bytes.NewReader(content), int64(len(content)))
	must(t, err)
	accepted := 0
	for meta := range 2 {
		torn := bytes.Clone(content)
		torn[meta*4096+headerSize+48] ^= 0xff // transaction id
		found, damaged, err := inspect(bytes.NewReader(torn), int64(len(torn)))
		if err != nil {
			continue // the older tree's pages were reused, which bbolt prevents for a write that never finished
		}
		accepted++
		if !damaged || found.first == held.first && found.last() != held.last() {
			t.Errorf("meta page %d torn: damage noticed %v, log from %d to %d", meta, damaged, found.first, found.last())
		}
	}
	if accepted == 0 {
		t.Error("no torn meta page was survived")
	}
}

// TestT14FlippedBitsNeverPanicNorLie flips random bits at rest. Whatever is accepted must read back exactly what was
// written or report damage.
func TestT14FlippedBitsNeverPanicNorLie(t *testing.T) {
	t.Parallel()
	rounds := 120
	if os.Getenv("SOAK") != "" {
		rounds = 5000
	}
	for _, size := range []int{0, 300, 9000} {
		flipBits(t, rand.Uint64(), size, rounds)
	}
}

// A page's count lost one bit, and 159 acknowledged entries were gone without a word.
func TestACountThatLostABitIsNoticed(t *testing.T) {
	t.Parallel()
	flipBits(t, 6522747001354818742, 300, 120)
}

func flipBits(t *testing.T, seed uint64, size, rounds int) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	dir, content := usedFile(t, 200, size)
	mark, err := os.ReadFile(filepath.Join(dir, endName))
	must(t, err)
	used := len(content)
	refused, opened := 0, 0
	for round := range rounds {
		damaged := bytes.Clone(content)
		state := []uint64{30, 185}[round%2] // most of the log is replayed, or hardly any
		for range 1 + random.IntN(16)*(1-round%2) {
			offset := random.IntN(used)
			if round%3 == 0 { // headers and elements are the most interesting
				offset = min(used-1, offset&^4095+random.IntN(256))
			}
			damaged[offset] ^= 1 << random.IntN(8)
		}
		files, err := tryOpenMarked(t, damaged, mark, state)
		if err != nil {
			var refusal *Refused
			if !errors.As(err, &refusal) {
				t.Fatalf("seed %d, size %d, round %d: error %v is no refusal", seed, size, round, err)
			}
			refused++
			continue
		}
		opened++
		if err := checkAccepted(files, damaged, size, state); err != nil {
			t.Errorf("seed %d, size %d, round %d: %v", seed, size, round, err)
		}
		must(t, files.close())
	}
	if refused == 0 || opened == 0 {
		t.Errorf("seed %d, size %d: %d refused, %d opened: the test proves nothing", seed, size, refused, opened)
	}
}

// checkAccepted reads everything and writes a little.
func checkAccepted(files *storage, content []byte, size int, state uint64) error {
	first, last, _ := files.logs.measure()
	_, torn, err := inspect(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return fmt.Errorf("accepted although %w", err)
	}
	if last != 194 || !torn && first != 21 {
		return fmt.Errorf("log from %d to %d was accepted", first, last)
	}
	for index := first; index <= last; index++ {
		want := testLogs(index, 1, 2, size)[0]
		var got raft.Log
		err := files.logs.GetLog(index, &got)
		if err == nil && (got.Term != want.Term || got.Type != want.Type || !bytes.Equal(got.Data, want.Data)) {
			return fmt.Errorf("entry %d reads back as %+v", index, got)
		}
		if err != nil && index > state {
			return fmt.Errorf("entry %d, which will be replayed, was accepted: %w", index, err)
		}
	}
	if files.votes.term != 2 || string(files.votes.vote.candidate) != "node-1:7000" {
		return fmt.Errorf("term %d, vote %+v was accepted", files.votes.term, files.votes.vote)
	}
	if err := files.logs.StoreLogs(testLogs(last+1, 30, 2, size)); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	return files.logs.DeleteRange(first, first+9)
}

// FuzzInspect leaves out the meta pages, whose checksum would stop nearly every mutation.
func FuzzInspect(f *testing.F) {
	for _, size := range []int{0, 3000} {
		_, content := usedFile(f, 40, size)
		file, err := openBoltFile(bytes.NewReader(content), int64(len(content)))
		must(f, err)
		f.Add(content[:min(len(content), 64<<10)], uint16(file.root))
	}
	f.Fuzz(func(t *testing.T, content []byte, root uint16) {
		pages := uint64(len(content) / 4096)
		file := &boltFile{
			file: bytes.NewReader(content), size: int64(len(content)), pageSize: 4096,
			root: uint64(root), pages: pages, seen: make([]uint64, pages/64+1),
		}
		held, err := file.log()
		if err == nil && held.first > held.last() {
			t.Errorf("log from %d to %d", held.first, held.last())
		}
	})
}
