package store

import (
	"hash/maphash"
	"slices"
	"sync/atomic"
)

// partitionFilters spare the writer lookups in partitions that cannot hold a
// key. They are no state: an hour whose filter is not built yet is asked.
type partitionFilters struct {
	seed  maphash.Seed
	hours []int64 // known partitions, newest first
	of    map[int64]*hourFilter
}

// hourFilter covers what the file held at open, once built, and everything the
// writer added since.
type hourFilter struct {
	stored atomic.Pointer[bloom] // nil until built in the background
	built  bool                  // nothing was stored at open: no need to ask
	added  []*bloom
}

func newPartitionFilters() *partitionFilters {
	return &partitionFilters{seed: maphash.MakeSeed(), of: map[int64]*hourFilter{}}
}

// excludes tells that a known partition certainly lacks the key.
func (f *partitionFilters) excludes(hour int64, key []byte) bool {
	h := f.of[hour]
	sum := maphash.Bytes(f.seed, key)
	for _, filter := range h.added {
		if filter.holds(sum) {
			return false
		}
	}
	if h.built {
		return true
	}
	stored := h.stored.Load()
	return stored != nil && !stored.holds(sum)
}

func (f *partitionFilters) add(hour int64, key []byte) {
	h := f.of[hour]
	if h == nil {
		h = &hourFilter{built: true}
		f.insert(hour, h)
	}
	if n := len(h.added); n == 0 || h.added[n-1].full() {
		h.added = append(h.added, newBloom(smallestFilter<<min(n, 12)))
	}
	h.added[len(h.added)-1].add(maphash.Bytes(f.seed, key))
}

func (f *partitionFilters) insert(hour int64, h *hourFilter) {
	f.of[hour] = h
	at, _ := slices.BinarySearchFunc(f.hours, hour, func(a, b int64) int { return int(b - a) })
	f.hours = slices.Insert(f.hours, at, hour)
}

func (f *partitionFilters) drop(floor int64) {
	f.hours = slices.DeleteFunc(f.hours, func(hour int64) bool { return hour < floor })
	for hour := range f.of {
		if hour < floor {
			delete(f.of, hour)
		}
	}
}

// notedFilters notes the partitions of a file; their filters are built later.
func notedFilters(b *base, schema *Schema) (filters []*partitionFilters, err error) {
	defer onCorruption(func(damage Corruption) { err = damage })
	filters = make([]*partitionFilters, len(schema.ranked))
	for i, declared := range schema.ranked {
		if declared.kind != partitionBucket {
			continue
		}
		filters[i] = newPartitionFilters()
		for _, hour := range b.rows[i].hours() {
			filters[i].insert(hour, &hourFilter{})
		}
	}
	return filters, nil
}

// filterWork is one filter to be built from the file.
type filterWork struct {
	rank   rank
	hour   int64
	seed   maphash.Seed
	filter *hourFilter
}

// filterWork lists the filters to build, the newest hours first. It is called
// before the writer begins.
func (db *DB) filterWork() (work []filterWork) {
	for r, f := range db.filters {
		if f == nil {
			continue
		}
		for _, hour := range f.hours {
			work = append(work, filterWork{rank: rank(r), hour: hour, seed: f.seed, filter: f.of[hour]})
		}
	}
	slices.SortStableFunc(work, func(a, b filterWork) int { return int(b.hour - a.hour) })
	return work
}

// buildFilter reads one partition as it stands. Keys added since the database
// was opened are in the writer's own filters, so it does not matter when.
func (db *DB) buildFilter(w filterWork) {
	b := db.hold()
	defer db.release(b)
	partition, found := b.rows[w.rank].partition(appendHour(nil, w.hour))
	if !found {
		return // dropped meanwhile
	}
	partition.cover(nil, allLeaves, false)
	filter := newBloom(max(smallestFilter, partition.rows.Stats().KeyN))
	for l := partition.seek(nil); l.key != nil; l.next() {
		filter.add(maphash.Bytes(w.seed, l.key))
		if db.stopping() {
			return
		}
	}
	w.filter.stored.Store(filter)
}

// bloom is a Bloom filter with ten bits and four probes a key: about one in a
// hundred lookups is in vain.
type bloom struct {
	words    []uint64
	capacity int
	keys     int
}

const (
	smallestFilter = 16 << 10
	bitsPerKey     = 10
	probes         = 4
)

func newBloom(capacity int) *bloom {
	return &bloom{words: make([]uint64, capacity*bitsPerKey/64+1), capacity: capacity}
}

func (f *bloom) full() bool { return f.keys >= f.capacity }

func (f *bloom) add(sum uint64) {
	f.keys++
	for i := range uint64(probes) {
		bit := f.bit(sum, i)
		f.words[bit/64] |= 1 << (bit % 64)
	}
}

func (f *bloom) holds(sum uint64) bool {
	for i := range uint64(probes) {
		bit := f.bit(sum, i)
		if f.words[bit/64]&(1<<(bit%64)) == 0 {
			return false
		}
	}
	return true
}

// bit is the i-th probe, by double hashing of the halves.
func (f *bloom) bit(sum, i uint64) uint64 {
	low, high := sum&0xffffffff, sum>>32|1
	return (low + i*high) % uint64(len(f.words)*64)
}
