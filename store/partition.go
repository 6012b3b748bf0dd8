package store

import (
	"encoding/binary"
	"slices"
)

// Partitioned is a table for rows that grow old together: one bucket per hour
// of log time, dropped whole. Rows are looked up by key alone.
type Partitioned[K Key[K], T any] struct {
	bucket *bucket
	key    func(*T) K
}

// NewPartitioned declares a partitioned table.
func NewPartitioned[K Key[K], T any](name string, key func(*T) K) *Partitioned[K, T] {
	return &Partitioned[K, T]{bucket: newBucket(name, partitionBucket), key: key}
}

func (p *Partitioned[K, T]) buckets() []*bucket { return []*bucket{p.bucket} }

type partitionDrop struct {
	rank  rank
	floor int64
}

// partitionKey is a row's key with its partition.
type partitionKey[K comparable] struct {
	hour int64
	key  K
}

// partitionCells are the rows of a partitioned table an entry has written.
type partitionCells[K Key[K], T any] struct {
	cells[partitionKey[K], T]
	table *Partitioned[K, T]
	hours []int64 // that rows were put into
	order sorter[partitionKey[K], T]
}

func hourOf(at Time) int64 { return max(0, int64(at)/Hour) }

func appendHour(dst []byte, hour int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(hour))
}

// Put writes row into the partition of the given log time.
func (p *Partitioned[K, T]) Put(w Writer, at Time, row T) {
	b := w.writable()
	r := b.db.schema.rank(p.bucket)
	set, ok := b.tables[r].(*partitionCells[K, T])
	if !ok {
		set = &partitionCells[K, T]{table: p, cells: newCells[partitionKey[K], T](b)}
		b.tables[r] = set
	}
	key := partitionKey[K]{hourOf(at), p.key(&row)}
	if !slices.Contains(set.hours, key.hour) {
		set.hours = append(set.hours, key.hour)
	}
	c := set.find(key)
	absent := c == nil
	if absent {
		checkKey(b, p.bucket, key.key)
		c = set.add(key, row, true)
	}
	set.save(b, r, key, c, absent)
	c.row, c.exists = row, true
}

// Drop removes every partition that is wholly before the given log time.
func (p *Partitioned[K, T]) Drop(w Writer, before Time) {
	b := w.writable()
	r := b.db.schema.rank(p.bucket)
	if floor := hourOf(before); floor > p.floor(b) {
		b.drops = append(b.drops, partitionDrop{rank: r, floor: floor})
	}
}

func (p *Partitioned[K, T]) floor(b *Batch) int64 {
	r := b.db.schema.rank(p.bucket)
	floor := b.under.active.floors[r]
	for _, drop := range b.drops {
		if drop.rank == r {
			floor = max(floor, drop.floor)
		}
	}
	return floor
}

// Get returns the newest row under key. Whether it still counts is the
// caller's to decide: rows outlive their retention until their hour is dropped.
func (p *Partitioned[K, T]) Get(r Reader, key K) (row T, ok bool) {
	v, b := r.layers(), r.batch()
	own, written := p.pending(b, key)
	encoded := key.appendKey(nil)
	for _, hour := range p.hoursToAsk(v, b, encoded) {
		if written != nil && hour <= own {
			break
		}
		full := append(appendHour(make([]byte, 0, 8+len(encoded)), hour), encoded...)
		if sealed, found := v.getPartition(p.bucket, full); found {
			return decodeRow[T](p.bucket, full, sealed), true
		}
	}
	if written == nil {
		return row, false
	}
	return written.row, true
}

// pending returns the row under key that this entry has put into the newest
// partition.
func (p *Partitioned[K, T]) pending(b *Batch, key K) (hour int64, newest *cell[T]) {
	if b == nil {
		return 0, nil
	}
	set, ok := b.tables[b.db.schema.rank(p.bucket)].(*partitionCells[K, T])
	if !ok {
		return 0, nil
	}
	for _, h := range set.hours {
		if c := set.find(partitionKey[K]{h, key}); c != nil && (newest == nil || h > hour) {
			hour, newest = h, c
		}
	}
	return hour, newest
}

// hoursToAsk lists the partitions below that may hold key, newest first. The
// writer's filters spare most of them.
func (p *Partitioned[K, T]) hoursToAsk(v *View, b *Batch, key []byte) []int64 {
	r := v.db.schema.rank(p.bucket)
	if b == nil || !b.isLive {
		floor := v.active.floors[r]
		return slices.DeleteFunc(v.hours(r), func(hour int64) bool { return hour < floor })
	}
	floor, filters := p.floor(b), v.db.filters[r]
	var hours []int64
	for _, hour := range filters.hours {
		if hour >= floor && !filters.excludes(hour, key) {
			hours = append(hours, hour)
		}
	}
	return hours
}

// hours lists the partitions a view knows, newest first.
func (v *View) hours(r rank) []int64 {
	hours := v.base.rows[r].hours()
	for _, g := range []*generation{v.frozen, v.active} {
		if g != nil {
			hours = append(hours, g.hours(r)...)
		}
	}
	slices.Sort(hours)
	hours = slices.Compact(hours)
	slices.Reverse(hours)
	return hours
}

// hours lists the partitions with rows in a generation; it skips from one to
// the next.
func (g *generation) hours(r rank) (hours []int64) {
	from := appendRank(nil, r)
	for {
		found := false
		g.tree.Ascend(item{key: string(from)}, func(it item) bool {
			if rankOf(it.key) == r {
				hours, found = append(hours, int64(binary.BigEndian.Uint64(bytesOf(it.key[rankLength:])))), true
			}
			return false
		})
		if !found {
			return hours
		}
		from = appendHour(appendRank(nil, r), hours[len(hours)-1]+1)
	}
}

// getPartition returns the sealed row under hour and key, newest layer first.
func (v *View) getPartition(declared *bucket, key []byte) ([]byte, bool) {
	r := v.db.schema.rank(declared)
	ranked := append(appendRank(make([]byte, 0, rankLength+len(key)), r), key...)
	if value, found := v.active.get(ranked); found {
		return value, value != nil
	}
	if v.frozen != nil {
		if value, found := v.frozen.get(ranked); found {
			return value, value != nil
		}
	}
	partition, found := v.base.rows[r].partition(key[:8])
	if !found {
		return nil, false
	}
	return partition.get(key[8:])
}

// writeDrops applies drops; rows put by the same entry follow, and count.
func (b *Batch) writeDrops(r rank, declared *bucket) {
	g := b.db.live.active
	for _, drop := range b.drops {
		if drop.rank == r && drop.floor > g.floors[r] {
			g.floors[r] = drop.floor
			b.db.filters[r].drop(drop.floor)
			b.record(opDrop, declared, appendHour(nil, drop.floor), nil)
		}
	}
}

func (s *partitionCells[K, T]) write(b *Batch) {
	declared := s.table.bucket
	r := b.db.schema.rank(declared)
	sorted := s.order.sort(s.changed, func(dst []byte, key partitionKey[K]) []byte {
		return key.key.appendKey(appendHour(dst, key.hour))
	})
	for _, k := range sorted {
		b.encoded.Reset()
		EncodeTo(&b.encoded, &k.cell.row)
		b.set(r, declared, k.key, b.encoded.Bytes())
		b.db.filters[r].add(int64(binary.BigEndian.Uint64(k.key)), k.key[8:])
	}
}

func (s *partitionCells[K, T]) reset() {
	s.cells.reset()
	s.hours = s.hours[:0]
}
