package store

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bank is a schema of the shape of the busiest tables: small rows under random
// keys and a journal of larger ones.
type bank struct {
	accounts *Table[ID, account]
	entries  *RawJournal
	requests *Partitioned[Bytes16, request]
	schema   *Schema
}

type account struct {
	ID       ID     `cbor:"1,keyasint"`
	Owner    ID     `cbor:"2,keyasint"`
	Currency string `cbor:"3,keyasint"`
	Balance  int64  `cbor:"4,keyasint"`
	Held     int64  `cbor:"5,keyasint,omitempty"`
	Last     uint64 `cbor:"6,keyasint"`
	Count    uint64 `cbor:"7,keyasint"`
}

type request struct {
	ID     Bytes16 `cbor:"1,keyasint"`
	Answer []byte  `cbor:"2,keyasint"`
}

func newBank(t testing.TB) *bank {
	b := &bank{
		accounts: NewTable("bank.accounts", func(a *account) ID { return a.ID }),
		entries:  NewRawJournal("bank.entries"),
		requests: NewPartitioned("bank.requests", func(r *request) Bytes16 { return r.ID }),
	}
	var err error
	if b.schema, err = NewSchema(b.accounts, b.entries, b.requests); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bank) open(t testing.TB, path string, flushBytes int64) *DB {
	db, err := Open(Options{
		Path: path, Schema: b.schema, Stamp: []byte("bank"), FlushBytes: flushBytes, FlushInterval: time.Hour,
		Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func accountID(i int) ID {
	return ID(fmt.Sprintf("acc_%016x", uint64(i)*0x9e3779b97f4a7c15))
}

var entryRow = []byte(strings.Repeat("entry of the chain, ", 35)) // 700 bytes

// transfer is the write set of one transfer: an account and a journal row.
func (b *bank) transfer(batch *Batch, number, who int) {
	b.accounts.Put(batch, account{ID: accountID(who), Owner: "usr_0123456789", Currency: "KZT", Balance: int64(number), Last: uint64(number)})
	b.entries.Append(batch, entryRow)
}

// grow makes a file of about so many bytes.
func (b *bank) grow(t testing.TB, path string, bytes int64) {
	db := b.open(t, path, 32<<20)
	random := rand.New(rand.NewPCG(1, 1))
	for n := 0; ; n++ {
		batch := db.Begin()
		for i := range 8000 {
			b.transfer(batch, n*8000+i, random.IntN(int(bytes/1000)))
		}
		batch.Merge()
		db.Commit(Applied{Index: db.Published() + 1})
		if info, err := os.Stat(path); err != nil || info.Size() > bytes-(32<<20) {
			break
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkOpen opens files of several sizes: those up to the limit are
// verified whole, the largest is not.
func BenchmarkOpen(b *testing.B) {
	for _, megabytes := range []int64{50, 100, 256, 300} {
		b.Run(fmt.Sprint(megabytes, " MiB"), func(b *testing.B) {
			k := newBank(b)
			path := filepath.Join(b.TempDir(), "state.db")
			k.grow(b, path, megabytes<<20)
			info, err := os.Stat(path)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(info.Size())
			for b.Loop() {
				db := k.open(b, path, 1<<20)
				b.StopTimer()
				if err := db.Abandon(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
