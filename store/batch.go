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

// Batch collects the writes of one log entry, command by command. It reads its
// own writes over the layers below. A command that is refused takes back what
// it has written, the others stay; nothing is visible outside before Commit. It
// belongs to one goroutine.
//
// Rows stay decoded until the entry is written: what many commands of an entry
// change, such as a total, is encoded, hashed and stored once.
type Batch struct {
	db      *DB
	under   *View // the layers below, from the first command of the entry on
	isLive  bool  // the writer's own: may merge
	open    bool  // between Begin and Merge or Discard
	command uint64

	tables   []cellSet     // by rank, of tables and partitions; nil until touched
	touched  []rank        // those with rows of this entry
	changed  []rank        // those with rows of this command; may repeat
	index    *overlay      // index entries
	journals []pendingTail // by rank
	appended []rank        // of journals with rows of this entry
	marks    []journalMark // where journals stood before this command
	drops    []partitionDrop
	dropped  int // of drops, those before this command

	memory  arena          // of rows of journals
	scratch []byte         // the write set, as the digest sees it
	encoded bytes.Buffer   // one row at a time
	near    btree.PathHint // where the row before went: rows come sorted
	room    [8]byte        // for the key of a journal row
	tried   []byte         // a key that is checked
}

// cellSet is the type-erased side of the rows of one bucket.
type cellSet interface {
	write(b *Batch) // into the generation
	keep()          // what this command wrote
	restore()       // what was there before this command
	reset()         // for the next entry
}

func newBatch(db *DB) *Batch {
	n := len(db.schema.ranked)
	return &Batch{db: db, tables: make([]cellSet, n), index: newOverlay(), journals: make([]pendingTail, n)}
}

func (b *Batch) layers() *View    { return b.under }
func (b *Batch) batch() *Batch    { return b }
func (b *Batch) writable() *Batch { return b }

// Begin opens the writer's batch for one command, over the newest state and
// what the commands before it in the same entry have written. Only the
// goroutine that commits may call it; the command ends with Merge or Discard.
func (db *DB) Begin() *Batch {
	b := db.write
	if b.open {
		panic("store: the command before is still open")
	}
	b.open = true
	b.command++
	if b.under == nil {
		db.mu.Lock()
		db.viewMu.Lock()
		b.under, b.isLive = db.pin(db.live), true
		db.viewMu.Unlock()
		db.mu.Unlock()
	}
	return b
}

// Try opens a batch over a view. It is never committed: it is for dry runs.
func (v *View) Try() *Batch {
	b := newBatch(v.db)
	b.under, b.open, b.command = v, true, 1
	return b
}

// Merge ends the command and keeps what it has written for the entry.
func (b *Batch) Merge() {
	if !b.isLive {
		panic("store: a dry run is never merged")
	}
	for _, r := range b.changed {
		b.tables[r].keep()
	}
	b.index.keep()
	b.close()
}

// Discard ends the command and takes back what it has written.
func (b *Batch) Discard() {
	for _, r := range b.changed {
		b.tables[r].restore()
	}
	b.index.restore()
	for _, mark := range slices.Backward(b.marks) {
		b.journals[mark.rank].cut(mark.rows)
	}
	b.drops = b.drops[:b.dropped]
	b.close()
}

func (b *Batch) close() {
	b.changed, b.marks, b.dropped, b.open = b.changed[:0], b.marks[:0], len(b.drops), false
}

// forget drops the whole entry.
func (b *Batch) forget() {
	for _, r := range b.touched {
		b.tables[r].reset()
	}
	for _, r := range b.appended {
		b.journals[r].cut(0)
	}
	b.index.reset()
	b.touched, b.appended, b.drops = b.touched[:0], b.appended[:0], b.drops[:0]
	b.close()
	if b.under != nil {
		b.under.Close()
		b.under = nil
	}
}

// WriteSet moves what the entry's commands have written into the generation and
// adds it to sum, each bucket by name, each key in order: what an entry changed,
// whatever the commands did on the way. Commit must follow.
func (db *DB) WriteSet(sum hash.Hash) {
	b := db.write
	if b.open {
		panic("store: a command is still open")
	}
	db.beginEntry()
	b.scratch = b.scratch[:0]
	for _, r := range b.writeOrder() {
		b.writeRank(r)
		if len(b.scratch) > scratchLimit {
			b.digest(sum)
		}
	}
	b.digest(sum)
	b.forget()
}

// scratchLimit is how much of the write set is gathered before it is hashed.
const scratchLimit = 32 << 10

func (b *Batch) digest(sum hash.Hash) {
	if sum != nil {
		sum.Write(b.scratch)
	}
	b.scratch = b.scratch[:0]
}

// writeOrder lists the ranks with writes, in order.
func (b *Batch) writeOrder() []rank {
	order := append(slices.Clone(b.touched), b.appended...)
	for _, drop := range b.drops {
		order = append(order, drop.rank)
	}
	order = b.index.ranks(order)
	slices.Sort(order)
	return slices.Compact(order)
}

func (b *Batch) writeRank(r rank) {
	switch declared := b.db.schema.ranked[r]; declared.kind {
	case rowBucket:
		b.tables[r].write(b)
	case indexBucket:
		b.writeIndex(r, declared)
	case journalBucket:
		b.writeJournal(r, declared)
	case partitionBucket:
		b.writeDrops(r, declared)
		if b.tables[r] != nil {
			b.tables[r].write(b)
		}
	}
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
