package store

import (
	"bytes"
	"encoding/binary"
	"hash"
	"slices"

	"github.com/tidwall/btree"
)

// Writer is what rows are written to: a *Batch, or a type that embeds one.
type Writer interface {
	Reader
	writable() *Batch
}

// Batch collects the writes of one command. It reads its own writes over the
// layers below; nothing is visible to others until Merge, and dropping the
// batch drops everything. It belongs to one goroutine.
type Batch struct {
	db       *DB
	under    *View
	isLive   bool                // the writer's own: may merge, uses the warm rows
	tables   []cellSet           // by rank; nil until touched
	touched  []rank              // of tables
	index    *btree.BTreeG[item] // index entries, keyed like a generation; nil until needed
	journals []pendingTail       // by rank
	appended []rank              // of journals
	puts     []partitionPut      // in order of call
	drops    []partitionDrop     // in order of call
	scratch  []byte              // the write set, as the digest sees it
	encoded  bytes.Buffer        // one row at a time
	near     btree.PathHint      // where the row before went: rows come sorted
	room     [8]byte             // for the key of a journal row
}

// cellSet is the type-erased side of a table's touched rows.
type cellSet interface {
	merge(b *Batch)
	reset()
}

type pendingTail struct {
	bytes []byte
	ends  []int // end of each row in bytes
}

func newBatch(db *DB) *Batch {
	n := len(db.schema.ranked)
	return &Batch{db: db, tables: make([]cellSet, n), journals: make([]pendingTail, n)}
}

func (b *Batch) layers() *View    { return b.under }
func (b *Batch) batch() *Batch    { return b }
func (b *Batch) writable() *Batch { return b }

// Begin opens the writer's batch over the newest state. Only the goroutine that
// commits may call it; the batch is over with Merge or Discard.
func (db *DB) Begin() *Batch {
	b := db.write
	if b.under != nil {
		panic("store: the batch before is still open")
	}
	if !db.writing {
		db.mu.Lock()
		defer db.mu.Unlock()
	}
	db.viewMu.Lock()
	b.under, b.isLive = db.pin(db.live), true
	db.viewMu.Unlock()
	return b
}

// Try opens a batch over a view. It can never be merged: it is for dry runs.
func (v *View) Try() *Batch {
	b := newBatch(v.db)
	b.under = v
	return b
}

// Discard drops all writes of the batch.
func (b *Batch) Discard() {
	for _, r := range b.touched {
		b.tables[r].reset()
	}
	for _, r := range b.appended {
		b.journals[r] = pendingTail{bytes: b.journals[r].bytes[:0], ends: b.journals[r].ends[:0]}
	}
	b.touched, b.appended = b.touched[:0], b.appended[:0]
	b.puts, b.drops, b.index = b.puts[:0], b.drops[:0], nil
	if b.isLive {
		b.under.Close()
	}
	b.under = nil
}

// Merge makes the batch part of the entry being written and adds its ordered
// write set to sum: each bucket by name, each key in order.
func (b *Batch) Merge(sum hash.Hash) {
	if !b.isLive {
		panic("store: a dry run is never merged")
	}
	b.db.beginEntry()
	b.scratch = b.scratch[:0]
	for _, r := range b.mergeOrder() {
		b.mergeRank(r)
		if len(b.scratch) > 32<<10 {
			sum.Write(b.scratch)
			b.scratch = b.scratch[:0]
		}
	}
	sum.Write(b.scratch)
	b.Discard()
}

// mergeOrder lists the ranks with writes, in order.
func (b *Batch) mergeOrder() []rank {
	order := append(slices.Clone(b.touched), b.appended...)
	for _, put := range b.puts {
		order = append(order, put.rank)
	}
	for _, drop := range b.drops {
		order = append(order, drop.rank)
	}
	if b.index != nil {
		b.index.Scan(func(it item) bool {
			if r := rankOf(it.key); len(order) == 0 || order[len(order)-1] != r {
				order = append(order, r)
			}
			return true
		})
	}
	slices.Sort(order)
	return slices.Compact(order)
}

func rankOf(key string) rank { return rank(key[0])<<8 | rank(key[1]) }

func (b *Batch) mergeRank(r rank) {
	switch declared := b.db.schema.ranked[r]; declared.kind {
	case rowBucket:
		b.tables[r].merge(b)
	case indexBucket:
		b.mergeIndex(r, declared)
	case journalBucket:
		b.mergeJournal(r, declared)
	case partitionBucket:
		b.mergePartition(r, declared)
	}
}

func (b *Batch) mergeIndex(r rank, declared *bucket) {
	b.index.Ascend(item{key: string(appendRank(nil, r))}, func(it item) bool {
		if rankOf(it.key) != r {
			return false
		}
		key := []byte(it.key[rankLength:])
		if it.value == nil {
			b.remove(r, declared, key)
			return true
		}
		b.set(r, declared, key, it.value)
		return true
	})
}

// set puts one row into the generation and into the write set. The value is
// sealed here.
func (b *Batch) set(r rank, declared *bucket, key, value []byte) {
	g := b.db.live.active
	memory := g.memory.grow(rankLength + len(key) + len(value) + checksumLength)
	memory = append(appendRank(memory, r), key...)
	split := len(memory)
	memory = declared.appendSealed(memory, key, value)
	g.memory.bytes += rowOverhead
	g.tree.SetHint(item{key: textOf(memory[:split]), value: memory[split:len(memory):len(memory)]}, &b.near)
	b.record(opPut, declared, key, value)
}

func (b *Batch) remove(r rank, declared *bucket, key []byte) {
	g := b.db.live.active
	memory := append(appendRank(g.memory.grow(rankLength+len(key)), r), key...)
	g.memory.bytes += rowOverhead
	g.tree.SetHint(item{key: textOf(memory)}, &b.near)
	b.record(opDelete, declared, key, nil)
}

// The operations of a write set, as the digest sees them.
const (
	opPut    = 'p'
	opDelete = 'd'
	opDrop   = 'x'
)

// record adds one write to the write set: every part carries its length, so no
// two write sets have the same bytes.
func (b *Batch) record(op byte, declared *bucket, key, value []byte) {
	s := append(b.scratch, op, byte(len(declared.name)))
	s = append(s, declared.name...)
	s = append(binary.BigEndian.AppendUint32(s, uint32(len(key))), key...)
	b.scratch = append(binary.BigEndian.AppendUint32(s, uint32(len(value))), value...)
}
