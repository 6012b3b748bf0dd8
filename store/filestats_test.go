package store

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// statsOf looks at the file of a database.
func statsOf(t testing.TB, db *DB) FileStats {
	t.Helper()
	s, err := db.FileStats()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFileStatsTellWhoKeepsPages(t *testing.T) {
	a, db := lived(t, 3, func(int) bool { return true })
	path := db.options.Path
	before := statsOf(t, db)
	if info, err := os.Stat(path); err != nil || info.Size() != before.Bytes {
		t.Errorf("the file has %d bytes, want %v %v", before.Bytes, info.Size(), err)
	}
	if before.Free <= 0 || before.Freelist <= 0 || before.Free >= before.Bytes {
		t.Errorf("a file that was changed often has %d free bytes in a list of %d", before.Free, before.Freelist)
	}
	if before.Reads != 1 || before.Oldest != 0 {
		t.Errorf("nobody reads: %+v", before)
	}
	v := db.Latest()
	if held := statsOf(t, db); held.Reads != 1 || held.Oldest != 0 {
		t.Errorf("a reader of the newest flush keeps nothing: %+v", held)
	}
	a.churn(db, rand.New(rand.NewPCG(1, 1)), 5)
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	first := statsOf(t, db)
	if first.Reads != 2 || first.Oldest <= 0 {
		t.Errorf("a reader outlives a flush: %+v", first)
	}
	if second := statsOf(t, db); second.Oldest <= first.Oldest {
		t.Errorf("it does not get older: %v, then %v", first.Oldest, second.Oldest)
	}
	v.Close()
	// The flusher lets go of the transaction a moment after the flush counts.
	for late := time.Now().Add(10 * time.Second); ; {
		after := statsOf(t, db)
		if after.Reads == 1 && after.Oldest == 0 {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("it has ended: %+v", after)
		}
	}
}

func TestFileStatsFollowAReplacement(t *testing.T) {
	a, db := lived(t, 1, func(int) bool { return false })
	path := db.options.Path
	v := db.Latest()
	next, _, _ := replacement(t, a, filepath.Dir(path), 20)
	if err := db.Replace(next); err != nil {
		t.Fatal(err)
	}
	if s := statsOf(t, db); s.Reads != 1 || s.Oldest <= 0 {
		t.Errorf("a reader keeps the file before: %+v", s)
	}
	v.Close()
	info, err := os.Stat(path)
	if s := statsOf(t, db); err != nil || s.Oldest != 0 || s.Bytes != info.Size() {
		t.Errorf("%+v of a file of %d bytes: %v", s, info.Size(), err)
	}
}
