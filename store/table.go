package store

import (
	"iter"
)

// Table holds rows of type T under primary keys of type K. Rows are values:
// what Get returns is the caller's, and only Put changes the table.
type Table[K Key[K], T any] struct {
	bucket  *bucket
	key     func(*T) K
	indexes []indexOf[T]
}

// indexOf is the type-erased side of an index on rows of type T.
type indexOf[T any] interface {
	declared() *bucket
	update(b *Batch, primary []byte, before, after *T)
	entry(dst []byte, row *T, primary []byte) (key, value []byte, indexed bool)
}

// NewTable declares a table. The name is permanent: it is part of the file and
// of every digest.
func NewTable[K Key[K], T any](name string, key func(*T) K) *Table[K, T] {
	return &Table[K, T]{bucket: newBucket(name, rowBucket), key: key}
}

func (t *Table[K, T]) buckets() []*bucket {
	all := []*bucket{t.bucket}
	for _, index := range t.indexes {
		all = append(all, index.declared())
	}
	return all
}

// Get returns the row under key.
func (t *Table[K, T]) Get(r Reader, key K) (row T, ok bool) {
	b := r.batch()
	if b == nil {
		return t.load(r.layers(), key)
	}
	set := t.cells(b)
	c := set.find(key)
	if c == nil {
		row, exists := t.load(b.under, key)
		c = set.add(key, row, exists)
	}
	c.read = true
	return c.row, c.exists
}

// Has tells whether a row exists.
func (t *Table[K, T]) Has(r Reader, key K) bool {
	_, ok := t.Get(r, key)
	return ok
}

func (t *Table[K, T]) load(v *View, key K) (row T, ok bool) {
	var room [96]byte
	encoded := key.appendKey(room[:0])
	sealed, ok := v.get(t.bucket, encoded)
	if !ok {
		return row, false
	}
	return decodeRow[T](t.bucket, encoded, sealed), true
}

// Put writes row under its own key and updates every index.
func (t *Table[K, T]) Put(w Writer, row T) {
	b := w.writable()
	set := t.cells(b)
	set.incoming = row
	key := t.key(&set.incoming)
	c := t.open(b, set, key)
	t.reindex(b, key, c, &set.incoming)
	c.row, c.exists = row, true
}

// Delete removes the row under key and its index entries, if it is there.
func (t *Table[K, T]) Delete(w Writer, key K) {
	b := w.writable()
	c := t.open(b, t.cells(b), key)
	t.reindex(b, key, c, nil)
	var none T
	c.row, c.exists = none, false
}

// open returns the cell to change; with indexes, it holds the row as it stands.
func (t *Table[K, T]) open(b *Batch, set *tableCells[K, T], key K) *cell[T] {
	c := set.find(key)
	if c == nil || !c.exists {
		checkKey(b, t.bucket, key)
	}
	absent := c == nil
	if absent {
		var row T
		var exists bool
		if len(t.indexes) > 0 {
			row, exists = t.load(b.under, key)
		}
		c = set.add(key, row, exists)
		c.read = len(t.indexes) > 0
	}
	set.save(b, b.db.schema.rank(t.bucket), key, c, absent)
	return c
}

func (t *Table[K, T]) reindex(b *Batch, key K, c *cell[T], after *T) {
	if len(t.indexes) == 0 {
		return
	}
	var before *T
	if c.exists {
		before = &c.row
	}
	var room [64]byte
	primary := key.appendKey(room[:0])
	for _, index := range t.indexes {
		index.update(b, primary, before, after)
	}
}

// Scan visits the rows whose primary key starts with prefix, in key order,
// from after the cursor on.
func (t *Table[K, T]) Scan(r Reader, prefix Prefix, after Cursor) iter.Seq2[Cursor, T] {
	return func(yield func(Cursor, T) bool) {
		start := prefix.appendKey(nil)
		for key, sealed := range t.scanRows(r, start, after) {
			if !yield(Cursor(key[len(start):]), decodeRow[T](t.bucket, key, sealed)) {
				return
			}
		}
	}
}

// scanRows merges the rows this batch has touched over the layers below.
func (t *Table[K, T]) scanRows(r Reader, prefix []byte, after Cursor) iter.Seq2[[]byte, []byte] {
	b := r.batch()
	if b == nil || t.touched(b) == nil {
		return r.layers().scan(t.bucket, prefix, after, nil)
	}
	return b.under.scan(t.bucket, prefix, after, t.touched(b).overlay(t.bucket))
}

// tableCells are the rows of a table that the writer knows.
type tableCells[K Key[K], T any] struct {
	cells[K, T]
	table    *Table[K, T]
	incoming T // the row being put: keeps Put free of allocations
	order    sorter[K, T]
}

func (t *Table[K, T]) cells(b *Batch) *tableCells[K, T] {
	r := b.db.schema.rank(t.bucket)
	set, ok := b.tables[r].(*tableCells[K, T])
	if !ok {
		set = &tableCells[K, T]{table: t, cells: newCells[K, T](b)}
		b.tables[r] = set
	}
	return set
}

func (t *Table[K, T]) touched(b *Batch) *tableCells[K, T] {
	set, _ := b.tables[b.db.schema.rank(t.bucket)].(*tableCells[K, T])
	if set == nil || len(set.changed) == 0 {
		return nil
	}
	return set
}

func (s *tableCells[K, T]) sorted() []keyed[T] {
	return s.order.sort(s.changed, func(dst []byte, key K) []byte { return key.appendKey(dst) })
}

func (s *tableCells[K, T]) write(b *Batch) {
	r := b.db.schema.rank(s.table.bucket)
	for _, k := range s.sorted() {
		if !k.cell.exists {
			b.remove(r, s.table.bucket, k.key)
			continue
		}
		b.encoded.Reset()
		EncodeTo(&b.encoded, &k.cell.row)
		b.set(r, s.table.bucket, k.key, b.encoded.Bytes())
	}
}

// overlay is the touched rows as a scan sees them: sealed, sorted, nil where
// deleted.
func (s *tableCells[K, T]) overlay(declared *bucket) []item {
	rows := make([]item, 0, len(s.changed))
	for _, k := range s.sorted() {
		it := item{key: string(k.key)}
		if k.cell.exists {
			it.value = declared.appendSealed(nil, k.key, Encode(&k.cell.row))
		}
		rows = append(rows, it)
	}
	return rows
}
