package store

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
)

// TestDamageIsNotWrittenOn hits what only a write would trip over: a leaf that
// claims fewer rows than it has would be written again without them, a page
// that is in use but counts as free would be overwritten. The node writes
// before it has read anything.
func TestDamageIsNotWrittenOn(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	expected, v, err := a.writeFirst(t, a.place(t, a.file))
	if v != harmless || err != nil {
		t.Fatal(v, err)
	}
	targets := a.targets(t)
	for name, claim := range targets {
		verdicts := map[verdict]int{}
		for seed := range uint64(soakCount(60)) {
			damaged := slices.Clone(a.file)
			claim(rand.New(rand.NewPCG(seed, 15)), damaged)
			got, v, err := a.writeFirst(t, a.place(t, damaged))
			if err != nil || v == harmless && got != expected {
				t.Fatalf("%s, seed %d: a wrong state was written: %v", name, seed, err)
			}
			verdicts[v]++
		}
		if t.Log(name, verdicts); verdicts[halted] == 0 {
			t.Errorf("%s: no write was stopped", name)
		}
	}
}

// targets are the ways in which a page may claim what is not so.
func (a *archive) targets(t testing.TB) map[string]func(*rand.Rand, []byte) {
	p := pagesOf(t, a.file)
	size := os.Getpagesize()
	page := func(file []byte, id uint64) filePage { return file[int(id)*size:][:size] }
	rows := map[string][]uint64{}
	for _, b := range p.verifyBuckets(a.schema, panicOn) {
		rows[string(b.name)] = leaves(t, p, b.root)
	}
	notes := rows[a.notes.bucket.name]
	partitions := leaves(t, p, a.partitionRoot(t, 1))
	return map[string]func(*rand.Rand, []byte){
		"a leaf with fewer rows": func(random *rand.Rand, file []byte) {
			leaf := page(file, notes[random.IntN(len(notes))])
			fileOrder.PutUint16(leaf[10:], uint16(random.IntN(leaf.count())))
		},
		"a longer leaf of a partition to be dropped": func(random *rand.Rand, file []byte) {
			leaf := page(file, partitions[random.IntN(len(partitions))])
			fileOrder.PutUint32(leaf[12:], uint32(leaf.overflow())+uint32(1+random.IntN(3)))
		},
		"a page in use that counts as free": func(random *rand.Rand, file []byte) {
			free := page(file, p.head.freelist)
			for {
				i := random.IntN(free.count() - 1)
				entry, after := free[pageHeader+8*i:], free[pageHeader+8*(i+1):]
				if id := fileOrder.Uint64(entry); id+1 < fileOrder.Uint64(after) {
					fileOrder.PutUint64(entry, id+1)
					return
				}
			}
		},
	}
}

func (a *archive) partitionRoot(t testing.TB, hour int64) uint64 {
	db, err := Inspect(Options{Path: a.place(t, a.file), Schema: a.schema, Stamp: []byte("atlas")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	p, found := db.base.rows[a.schema.rank(a.visits.bucket)].partition(appendHour(nil, hour))
	if !found {
		t.Fatalf("no partition %d", hour)
	}
	return uint64(p.rows.Root())
}

// leaves lists the leaves of a tree in order.
func leaves(t testing.TB, p *pages, id uint64) (all []uint64) {
	var buffer []byte
	page, err := p.read(&buffer, id)
	if err != nil {
		t.Fatal(err)
	}
	if page.kind() == leafPage {
		return []uint64{id}
	}
	for i := range page.count() {
		_, child := page.branch(i)
		all = append(all, leaves(t, p, child)...)
	}
	return all
}

// writeFirst writes to a file of which nothing was verified, then reads it, and
// verifies what it has become if nobody has complained.
func (a *archive) writeFirst(t testing.TB, path string) (dump string, v verdict, err error) {
	var fatal fatalError
	options := Options{
		Path: path, Schema: a.schema, Stamp: []byte("atlas"), FlushBytes: 1 << 30, FlushInterval: time.Hour,
		Fatal: fatal.set, Logger: slog.New(slog.DiscardHandler), verifyLimit: -1,
	}
	db, err := Open(options)
	if err != nil {
		return "", refused, nil
	}
	if dump, v, err = a.writeRounds(db); v == harmless {
		db.scrubber.Wait()
	}
	closed := db.Abandon()
	if fatal.get() != nil {
		return "", halted, nil
	}
	if v != harmless || err != nil || closed != nil {
		return dump, v, errors.Join(err, closed)
	}
	options.verifyLimit = 0
	if db, err = Open(options); err != nil {
		return "", v, fmt.Errorf("damage was written on: %w", err)
	}
	return dump, v, db.Close()
}

func (a *archive) writeRounds(db *DB) (dump string, v verdict, err error) {
	defer onCorruption(func(Corruption) { v = found })
	random := rand.New(rand.NewPCG(8, 8))
	for range 3 {
		b := db.Begin()
		a.visits.Drop(b, Time(int64(1+db.Published()/2)*Hour))
		a.log.Add(b, visit{})
		b.Merge()
		a.churn(db, random, 50)
		if db.Flush() != nil {
			return "", halted, nil
		}
	}
	view := db.Latest()
	defer view.Close()
	return a.dump(view), harmless, nil
}

// TestMergedNeighbour empties a leaf but for one row, so that bbolt merges it
// with the leaf before it, which claims fewer rows than it has.
func TestMergedNeighbour(t *testing.T) {
	a := newArchive(t)
	p := pagesOf(t, a.file)
	var notes []uint64
	for _, b := range p.verifyBuckets(a.schema, panicOn) {
		if string(b.name) == a.notes.bucket.name {
			notes = leaves(t, p, b.root)
		}
	}
	for i := 1; i < len(notes); i += 2 {
		file := slices.Clone(a.file)
		before := filePage(file[int(notes[i-1])*p.size:][:p.size])
		fileOrder.PutUint16(before[10:], uint16(before.count()-1))
		if a.emptyLeaf(t, a.place(t, file), file[int(notes[i])*p.size:][:p.size]) == nil {
			t.Errorf("leaf %d was merged with rows missing", i-1)
		}
	}
}

// emptyLeaf deletes all rows of a leaf but one and flushes, with no scrub
// around that would find the damage.
func (a *archive) emptyLeaf(t *testing.T, path string, leaf filePage) error {
	o := Options{Path: path, Schema: a.schema, Stamp: []byte("atlas"), verifyLimit: -1}
	o.setDefaults()
	file, err := openState(o, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	db, err := newDB(o, file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Abandon()
	db.write = newBatch(db)
	b := db.Begin()
	for i := 1; i < leaf.count(); i++ {
		key, _, _ := ID("").cutKey(leaf.key(i))
		a.notes.Delete(b, key)
	}
	b.Merge()
	db.Commit(Applied{Index: db.Published() + 1})
	return db.writeGeneration(db.live.active)
}
