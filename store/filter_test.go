package store

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

// TestFiltersNeverMiss asks the writer for every request it has put, over many
// hours, restarts and drops, while filters are still built and afterwards: a
// request that is not found would be applied twice.
func TestFiltersNeverMiss(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 9))
			k := newKeeper(t, seed%2 == 1)
			for range 12 {
				for range 5 + random.IntN(10) {
					k.entry(random)
				}
				if random.IntN(2) == 0 {
					k.reopen(random)
				}
				k.check()
				if random.IntN(3) == 0 {
					k.db.scrubber.Wait()
					k.check()
				}
			}
			if err := k.db.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// keeper remembers what a partitioned table must know.
type keeper struct {
	t     *testing.T
	atlas *atlas
	path  string
	db    *DB
	hours map[string]int64 // newest hour of each visit
	kept  map[string]int64 // as of the last flush
	hour  int64
	floor int64
	saved [2]int64 // hour and floor as of the last flush
	next  int
}

func newKeeper(t *testing.T, unproven bool) *keeper {
	k := &keeper{t: t, atlas: newAtlas(t), path: filepath.Join(t.TempDir(), "state.db"), hours: map[string]int64{}, kept: map[string]int64{}}
	k.atlas.unproven = unproven
	k.db = k.atlas.open(t, k.path, 1<<20)
	return k
}

// entry moves on by up to three hours and puts visits into this hour and the
// ones before; some are known from an older hour.
func (k *keeper) entry(random *rand.Rand) {
	k.hour += int64(random.IntN(4))
	b := k.db.Begin()
	if random.IntN(4) == 0 && k.hour > 30 {
		k.floor = max(k.floor, k.hour-30)
		k.atlas.visits.Drop(b, Time(k.floor*Hour+int64(random.IntN(int(Hour)))))
	}
	for range 1 + random.IntN(40) {
		id := fmt.Sprint("visit ", k.next)
		if k.next++; random.IntN(5) == 0 {
			id = fmt.Sprint("visit ", random.IntN(k.next))
		}
		hour := max(k.floor, k.hour-int64(random.IntN(3)))
		k.atlas.visits.Put(b, Time(hour*Hour), visit{ID: id, City: fmt.Sprint(hour)})
		k.hours[id] = max(k.hours[id], hour)
	}
	b.Merge()
	k.db.Commit(Applied{Index: k.db.Published() + 1})
	if random.IntN(3) == 0 {
		k.flushed()
	}
}

func (k *keeper) flushed() {
	if err := k.db.Flush(); err != nil {
		k.t.Fatal(err)
	}
	k.kept = make(map[string]int64, len(k.hours))
	for id, hour := range k.hours {
		k.kept[id] = hour
	}
	k.saved = [2]int64{k.hour, k.floor}
}

// reopen restarts, with or without what was not flushed.
func (k *keeper) reopen(random *rand.Rand) {
	if random.IntN(2) == 0 {
		k.flushed()
	}
	if err := k.db.Abandon(); err != nil {
		k.t.Fatal(err)
	}
	k.hours, k.hour, k.floor = k.kept, k.saved[0], k.saved[1]
	k.kept = make(map[string]int64, len(k.hours))
	for id, hour := range k.hours {
		k.kept[id] = hour
	}
	k.db = k.atlas.open(k.t, k.path, 1<<20)
}

// check asks the writer, who uses the filters, and a view, which does not.
func (k *keeper) check() {
	k.t.Helper()
	b, v := k.db.Begin(), k.db.Latest()
	defer b.Discard()
	defer v.Close()
	for i := range k.next + 50 {
		id := fmt.Sprint("visit ", i)
		hour, known := k.hours[id]
		want, wanted := visit{ID: id, City: fmt.Sprint(hour)}, known && hour >= k.floor
		if !wanted {
			want = visit{}
		}
		for _, r := range []Reader{b, v} {
			if got, found := k.atlas.visits.Get(r, ID(id)); found != wanted || got != want {
				k.t.Fatalf("%s at hour %d, floor %d: got %v %v, want %v %v", id, k.hour, k.floor, got, found, want, wanted)
			}
		}
	}
}

// TestFiltersSpareLookups makes sure that the filters are of use: a new request
// is looked up in next to no partition, before a restart and after.
func TestFiltersSpareLookups(t *testing.T) {
	k := newKeeper(t, false)
	random := rand.New(rand.NewPCG(1, 1))
	for range 40 {
		k.entry(random)
	}
	k.flushed()
	for _, restarted := range []bool{false, true} {
		if restarted {
			if err := k.db.Abandon(); err != nil {
				t.Fatal(err)
			}
			k.db = k.atlas.open(t, k.path, 1<<20)
			k.db.scrubber.Wait()
		}
		b := k.db.Begin()
		asked := 0
		for i := range 1000 {
			asked += len(k.atlas.visits.hoursToAsk(b.under, b, ID(fmt.Sprint("new ", i)).appendKey(nil)))
		}
		b.Discard()
		if hours := len(k.db.filters[k.atlas.schema.rank(k.atlas.visits.bucket)].hours); hours < 20 || asked > 10*hours {
			t.Errorf("1,000 requests were looked up %d times in %d partitions, restarted %v", asked, hours, restarted)
		}
	}
	if err := k.db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestBloom(t *testing.T) {
	seed := maphash.MakeSeed()
	f := newBloom(20_000)
	for i := range 20_000 {
		if f.full() {
			t.Fatal("full too early")
		}
		f.add(maphash.Comparable(seed, i))
	}
	if !f.full() {
		t.Fatal("not full")
	}
	wrong := 0
	for i := range 40_000 {
		holds := f.holds(maphash.Comparable(seed, i))
		if i < 20_000 && !holds {
			t.Fatalf("%d was forgotten", i)
		}
		if i >= 20_000 && holds {
			wrong++
		}
	}
	if wrong > 600 {
		t.Fatalf("%d of 20,000 lookups would be in vain", wrong)
	}
}
