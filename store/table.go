package store

import (
	"bytes"
	"iter"
	"slices"
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
	entry(row *T, primary []byte) (key, value []byte, indexed bool)
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
	if cells := t.touched(b); cells != nil {
		if c := cells.rows[key]; c != nil {
			return c.row, c.exists
		}
	}
	if !b.isLive {
		return t.load(b.under, key)
	}
	return t.warmRows(b).get(key, func() (T, bool) { return t.load(b.under, key) })
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
	c := t.touch(b, set, key)
	t.reindex(b, key, c, &set.incoming)
	c.row, c.exists = row, true
}

// Delete removes the row under key and its index entries, if it is there.
func (t *Table[K, T]) Delete(w Writer, key K) {
	b := w.writable()
	c := t.touch(b, t.cells(b), key)
	t.reindex(b, key, c, nil)
	var none T
	c.row, c.exists = none, false
}

func (t *Table[K, T]) reindex(b *Batch, key K, c *cell[T], after *T) {
	if len(t.indexes) == 0 {
		return
	}
	var before *T
	if c.exists {
		before = &c.row
	}
	primary := key.appendKey(nil)
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
	return b.under.scan(t.bucket, prefix, after, t.touched(b).overlay(b, t.bucket))
}

// cell is one row a batch has written.
type cell[T any] struct {
	row    T
	exists bool
}

// cells are all rows of one table a batch has written. They are reused from
// batch to batch, since nobody keeps a pointer to one.
type cells[K Key[K], T any] struct {
	table    *Table[K, T]
	rows     map[K]*cell[T]
	pool     []*cell[T]
	used     int
	incoming T          // the row being put: keeps Put free of allocations
	order    []keyed[T] // reused by merge
	keys     []byte     // reused by merge
}

type keyed[T any] struct {
	key  []byte
	cell *cell[T]
}

func (t *Table[K, T]) touched(b *Batch) *cells[K, T] {
	set, _ := b.tables[b.db.schema.rank(t.bucket)].(*cells[K, T])
	if set == nil || len(set.rows) == 0 {
		return nil
	}
	return set
}

func (t *Table[K, T]) cells(b *Batch) *cells[K, T] {
	r := b.db.schema.rank(t.bucket)
	set, ok := b.tables[r].(*cells[K, T])
	if !ok {
		set = &cells[K, T]{table: t, rows: map[K]*cell[T]{}}
		b.tables[r] = set
	}
	return set
}

// touch returns the batch's cell for key; with indexes, it holds the row as it
// stands.
func (t *Table[K, T]) touch(b *Batch, set *cells[K, T], key K) *cell[T] {
	if c := set.rows[key]; c != nil {
		return c
	}
	if len(set.rows) == 0 {
		b.touched = append(b.touched, b.db.schema.rank(t.bucket))
	}
	c := set.allocate()
	if len(t.indexes) > 0 {
		c.row, c.exists = t.Get(b, key)
	}
	set.rows[key] = c
	return c
}

func (s *cells[K, T]) allocate() *cell[T] {
	if s.used == len(s.pool) {
		s.pool = append(s.pool, new(cell[T]))
	}
	s.used++
	return s.pool[s.used-1]
}

// keptCells bounds what a reused batch keeps from a large command.
const keptCells = 16 << 10

func (s *cells[K, T]) reset() {
	var none cell[T]
	for _, c := range s.pool[:s.used] {
		*c = none
	}
	if s.used > keptCells {
		s.pool, s.order, s.keys, s.rows = nil, nil, nil, map[K]*cell[T]{}
	}
	clear(s.rows)
	s.incoming, s.used, s.order = none.row, 0, s.order[:0]
}

// sorted lists the touched rows in key order.
func (s *cells[K, T]) sorted() []keyed[T] {
	s.order = s.order[:0]
	keys := s.keys[:0]
	for key, c := range s.rows {
		start := len(keys)
		keys = key.appendKey(keys)
		s.order = append(s.order, keyed[T]{key: keys[start:len(keys):len(keys)], cell: c})
	}
	s.keys = keys
	slices.SortFunc(s.order, func(a, b keyed[T]) int { return bytes.Compare(a.key, b.key) })
	return s.order
}

func (s *cells[K, T]) merge(b *Batch) {
	r := b.db.schema.rank(s.table.bucket)
	warm := s.table.warmRows(b)
	for _, k := range s.sorted() {
		if !k.cell.exists {
			b.remove(r, s.table.bucket, k.key)
			continue
		}
		b.encoded.Reset()
		EncodeTo(&b.encoded, &k.cell.row)
		b.set(r, s.table.bucket, k.key, b.encoded.Bytes())
	}
	for key, c := range s.rows {
		warm.put(key, c.row, c.exists)
	}
}

// overlay is the touched rows as a scan sees them: sealed, sorted, nil where
// deleted.
func (s *cells[K, T]) overlay(b *Batch, declared *bucket) []item {
	rows := make([]item, 0, len(s.rows))
	for _, k := range s.sorted() {
		it := item{key: string(k.key)}
		if k.cell.exists {
			it.value = declared.appendSealed(nil, k.key, Encode(&k.cell.row))
		}
		rows = append(rows, it)
	}
	return rows
}
