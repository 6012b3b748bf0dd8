package ledgerchain

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"coffer/store"
)

func openLedger(t *testing.T, path string) *store.DB {
	t.Helper()
	schema, err := store.NewSchema(Tables()...)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(store.Options{Path: path, Schema: schema, FlushInterval: time.Hour, FlushBytes: 1 << 20,
		Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// appendBatch appends some entries in one batch, or drops them.
func appendBatch(t *testing.T, b *store.Batch, salt *Salt, entries int) {
	t.Helper()
	var a Appender
	if err := a.Open(b, salt); err != nil {
		t.Fatal(err)
	}
	for range entries {
		blind := sha256.Sum256(binary.BigEndian.AppendUint64(nil, a.Next()))
		_, err := a.Append(&Draft{Kind: "transfer", Time: int64(a.Next() + 1), Blind: Blind(blind[:16]),
			Payload: fmt.Appendf(nil, `{"n":%d}`, a.Next()), Links: []Link{{Account: a.Next()}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	a.Close()
}

// TestAppendedTilesFollowFromTheRows appends over two levels of tiles, with
// dropped batches and restarts in between.
func TestAppendedTilesFollowFromTheRows(t *testing.T) {
	const seed = 3
	random := rand.New(rand.NewPCG(seed, seed))
	salt, err := NewSalt([]byte("example-salt-not-for-production!"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "state.db")
	db := openLedger(t, path)
	b := db.Begin()
	Found(b, "ledger.example.com/main")
	b.Merge()
	index := uint64(1)
	db.Commit(store.Applied{Index: index})
	size := uint64(0)
	for size < 2*TileWidth*TileWidth+3*TileWidth {
		entries := 1 + random.IntN(4000)
		b := db.Begin()
		appendBatch(t, b, salt, entries)
		if random.IntN(4) == 0 {
			b.Discard()
			continue
		}
		b.Merge()
		index++
		db.Commit(store.Applied{Index: index})
		size += uint64(entries)
		if random.IntN(10) == 0 {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = openLedger(t, path)
		}
	}
	v := db.Latest()
	if err := CheckTiles(v); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	state, err := StateOf(v)
	if err != nil || Size(v) != size {
		t.Fatalf("size %d, want %d: %v", Size(v), size, err)
	}
	ring, err := NewKeyRing(salt)
	if err != nil {
		t.Fatal(err)
	}
	run := NewRun(GenesisHead("ledger.example.com/main"), ring)
	for i, row := range rows.Scan(v, 0, size) {
		if row.Err != nil || !run.Add(i, row.Bytes) {
			t.Fatalf("row %d: %v %v", i, row.Err, run.Fault())
		}
	}
	if err := run.CheckEnd(&state); err != nil {
		t.Error(err)
	}
	v.Close()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
