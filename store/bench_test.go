package store

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

const benchAccounts = 100_000

// benchBank is a bank with accounts in the file.
func benchBank(b *testing.B, accounts int, flushBytes int64) (*bank, *DB) {
	k := newBank(b)
	db := k.open(b, filepath.Join(b.TempDir(), "state.db"), flushBytes)
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	batch := db.Begin()
	for i := range accounts {
		k.accounts.Put(batch, account{ID: accountID(i), Owner: "usr_0123456789", Currency: "KZT", Balance: 1})
	}
	batch.Merge()
	db.Commit(Applied{Index: 1})
	if err := db.Flush(); err != nil {
		b.Fatal(err)
	}
	return k, db
}

// entry applies one entry of so many transfers.
func (k *bank) entry(db *DB, random *rand.Rand, accounts, transfers int) {
	batch := db.Begin()
	for i := range transfers {
		who := random.IntN(accounts)
		a, _ := k.accounts.Get(batch, accountIDs[who])
		a.Balance++
		a.Last = uint64(i)
		k.accounts.Put(batch, a)
		k.entries.Append(batch, entryRow)
	}
	batch.Merge()
	db.WriteSet(sha256.New())
	db.Commit(Applied{Index: db.Published() + 1})
}

var accountIDs = func() (ids [benchAccounts]ID) {
	for i := range ids {
		ids[i] = accountID(i)
	}
	return ids
}()

// BenchmarkApply is what the state costs per transfer in entries of 8,190:
// one account read and written, one journal row of 700 bytes, the digest, and
// all flushes.
func BenchmarkApply(b *testing.B) {
	for _, c := range []struct {
		accounts int
		flushed  bool
	}{{10_000, false}, {10_000, true}, {benchAccounts, false}, {benchAccounts, true}} {
		b.Run(fmt.Sprint(c.accounts, " accounts, flushed ", c.flushed), func(b *testing.B) {
			size := int64(1 << 40)
			if c.flushed {
				size = 64 << 20
			}
			k, db := benchBank(b, c.accounts, size)
			random := rand.New(rand.NewPCG(1, 1))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				k.entry(db, random, c.accounts, 8190)
				n += 8190
				if !c.flushed && db.Unflushed() > 256<<20 {
					b.StopTimer()
					if err := db.Flush(); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			}
			if c.flushed {
				if err := db.Flush(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/transfer")
		})
	}
}

// BenchmarkWriteSet writes 10,000 rows of one table into the generation, with
// the digest.
func BenchmarkWriteSet(b *testing.B) {
	k, db := benchBank(b, benchAccounts, 1<<40)
	random := rand.New(rand.NewPCG(1, 1))
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		if db.Unflushed() > 256<<20 {
			if err := db.Flush(); err != nil {
				b.Fatal(err)
			}
		}
		batch := db.Begin()
		for range 10_000 {
			k.accounts.Put(batch, account{ID: accountIDs[random.IntN(benchAccounts)], Owner: "usr_0123456789", Currency: "KZT", Balance: 1})
		}
		batch.Merge()
		b.StartTimer()
		db.WriteSet(sha256.New())
		b.StopTimer()
		db.Commit(Applied{Index: db.Published() + 1})
		b.StartTimer()
	}
}

// BenchmarkView opens a view of each entry of 100 transfers, so that the tree
// is copied as often as can be.
func BenchmarkView(b *testing.B) {
	for _, viewed := range []bool{false, true} {
		b.Run(fmt.Sprint("viewed ", viewed), func(b *testing.B) {
			k, db := benchBank(b, benchAccounts, 64<<20)
			random := rand.New(rand.NewPCG(1, 1))
			b.ReportAllocs()
			for b.Loop() {
				k.entry(db, random, benchAccounts, 100)
				if viewed {
					db.Latest().Close()
				}
			}
		})
	}
}

// BenchmarkGet reads random accounts of the file through one view, verified at
// open or at each read.
func BenchmarkGet(b *testing.B) {
	for _, sound := range []bool{true, false} {
		b.Run(fmt.Sprint("sound ", sound), func(b *testing.B) {
			k, db := benchBank(b, benchAccounts, 64<<20)
			db.file.sound.Store(sound)
			random := rand.New(rand.NewPCG(1, 1))
			v := db.Latest()
			defer v.Close()
			b.ReportAllocs()
			for b.Loop() {
				if _, found := k.accounts.Get(v, accountIDs[random.IntN(benchAccounts)]); !found {
					b.Fatal("an account is missing")
				}
			}
		})
	}
}

// BenchmarkFlush writes generations of 64 MiB of transfers between 100,000
// accounts.
func BenchmarkFlush(b *testing.B) {
	k, db := benchBank(b, benchAccounts, 1<<40)
	random := rand.New(rand.NewPCG(1, 1))
	b.SetBytes(64 << 20)
	b.ReportAllocs()
	transfers := 0
	for b.Loop() {
		b.StopTimer()
		for db.Unflushed() < 64<<20 {
			k.entry(db, random, benchAccounts, 1000)
			transfers += 1000
		}
		b.StartTimer()
		if err := db.Flush(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(transfers)/b.Elapsed().Seconds(), "transfers/s")
}

// BenchmarkScan visits the 100,000 accounts of the file.
func BenchmarkScan(b *testing.B) {
	k, db := benchBank(b, benchAccounts, 64<<20)
	v := db.Latest()
	defer v.Close()
	b.ReportAllocs()
	for b.Loop() {
		rows := 0
		for range k.accounts.Scan(v, All{}, nil) {
			rows++
		}
		if rows != benchAccounts {
			b.Fatal(rows)
		}
	}
}
