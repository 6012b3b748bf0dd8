package store

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
)

// Index orders the rows of a table by a second key. An index function that
// answers false leaves its row out, so an index may be sparse.
type Index[K Key[K], T any, X Key[X]] struct {
	bucket *bucket
	table  *Table[K, T]
	of     func(*T) (X, bool)
}

// Unique is an index with at most one row per key.
type Unique[K Key[K], T any, X Key[X]] struct {
	bucket *bucket
	table  *Table[K, T]
	of     func(*T) (X, bool)
}

// AddIndex declares an index on a table.
func AddIndex[K Key[K], T any, X Key[X]](t *Table[K, T], name string, of func(*T) (X, bool)) *Index[K, T, X] {
	index := &Index[K, T, X]{bucket: newBucket(t.bucket.name+"/"+name, indexBucket), table: t, of: of}
	t.indexes = append(t.indexes, index)
	return index
}

// AddUnique declares a unique index on a table. A second row of one key is a
// programming error and panics: handlers look before they write.
func AddUnique[K Key[K], T any, X Key[X]](t *Table[K, T], name string, of func(*T) (X, bool)) *Unique[K, T, X] {
	index := &Unique[K, T, X]{bucket: newBucket(t.bucket.name+"/"+name, indexBucket), table: t, of: of}
	t.indexes = append(t.indexes, index)
	return index
}

func (x *Index[K, T, X]) declared() *bucket  { return x.bucket }
func (x *Unique[K, T, X]) declared() *bucket { return x.bucket }

// noValue is what an entry holds whose key says it all; nil would remove it.
var noValue = []byte{}

// entry is the index key followed by the primary key, with no value.
func (x *Index[K, T, X]) entry(dst []byte, row *T, primary []byte) (key, value []byte, indexed bool) {
	k, indexed := x.of(row)
	if !indexed {
		return nil, nil, false
	}
	return append(k.appendKey(dst), primary...), noValue, true
}

// entry is the index key alone, with the primary key as value.
func (x *Unique[K, T, X]) entry(dst []byte, row *T, primary []byte) (key, value []byte, indexed bool) {
	k, indexed := x.of(row)
	if !indexed {
		return nil, nil, false
	}
	return k.appendKey(dst), bytes.Clone(primary), true
}

func (x *Index[K, T, X]) update(b *Batch, primary []byte, before, after *T) {
	updateEntry(b, x, primary, before, after)
}

func (x *Unique[K, T, X]) update(b *Batch, primary []byte, before, after *T) {
	if after != nil {
		if k, indexed := x.of(after); indexed {
			if holder, taken := b.indexed(x.bucket, k.appendKey(nil)); taken && !bytes.Equal(holder, primary) {
				panic(fmt.Sprintf("store: a second row for a key of the unique index %s", x.bucket.name))
			}
		}
	}
	updateEntry(b, x, primary, before, after)
}

// updateEntry moves a row's entry, or leaves it where it is.
func updateEntry[T any](b *Batch, x indexOf[T], primary []byte, before, after *T) {
	var oldKey, newKey, newValue []byte
	var had, has bool
	var oldRoom, newRoom [96]byte
	rank := b.db.schema.rank(x.declared())
	if before != nil {
		oldKey, _, had = x.entry(appendRank(oldRoom[:0], rank), before, primary)
	}
	if after != nil {
		newKey, newValue, has = x.entry(appendRank(newRoom[:0], rank), after, primary)
	}
	if had && has && bytes.Equal(oldKey, newKey) {
		return
	}
	if had {
		b.index.remove(string(oldKey))
	}
	if has {
		checkLength(x.declared(), newKey)
		b.index.put(string(newKey), newValue)
	}
}

// indexed returns the value of an index entry as this batch sees it.
func (b *Batch) indexed(declared *bucket, key []byte) (value []byte, found bool) {
	if b.index.tree.Len() > 0 {
		ranked := append(appendRank(nil, b.db.schema.rank(declared)), key...)
		if value, found := b.index.get(textOf(ranked)); found {
			return value, value != nil
		}
	}
	sealed, found := b.under.get(declared, key)
	if !found {
		return nil, false
	}
	return declared.mustOpen(key, sealed), true
}

// Get returns the one row with this index key.
func (x *Unique[K, T, X]) Get(r Reader, key X) (row T, ok bool) {
	primary, ok := x.primary(r, key.appendKey(nil))
	if !ok {
		return row, false
	}
	row, ok = x.table.Get(r, primary)
	if !ok {
		Corrupt(x.bucket.name, key.appendKey(nil), errDangling)
	}
	return row, true
}

var errDangling = errors.New("the index names a row that does not exist")

func (x *Unique[K, T, X]) primary(r Reader, key []byte) (primary K, ok bool) {
	var value []byte
	if b := r.batch(); b != nil {
		value, ok = b.indexed(x.bucket, key)
	} else {
		var sealed []byte
		if sealed, ok = r.layers().get(x.bucket, key); ok {
			value = x.bucket.mustOpen(key, sealed)
		}
	}
	if !ok {
		return primary, false
	}
	primary, _, ok = primary.cutKey(value)
	if !ok {
		Corrupt(x.bucket.name, key, errDangling)
	}
	return primary, true
}

// Scan visits the rows whose index key starts with prefix, in index order,
// from after the cursor on.
func (x *Index[K, T, X]) Scan(r Reader, prefix Prefix, after Cursor) iter.Seq2[Cursor, T] {
	return func(yield func(Cursor, T) bool) {
		start := prefix.appendKey(nil)
		for key, sealed := range scanIndex(r, x.bucket, start, after) {
			x.bucket.mustOpen(key, sealed)
			if !yield(Cursor(key[len(start):]), x.row(r, key)) {
				return
			}
		}
	}
}

// Keys visits the index keys and primary keys below prefix without reading
// the rows.
func (x *Index[K, T, X]) Keys(r Reader, prefix Prefix, after Cursor) iter.Seq2[X, K] {
	return func(yield func(X, K) bool) {
		for key, sealed := range scanIndex(r, x.bucket, prefix.appendKey(nil), after) {
			x.bucket.mustOpen(key, sealed)
			if !yield(x.cut(key)) {
				return
			}
		}
	}
}

func (x *Index[K, T, X]) cut(key []byte) (index X, primary K) {
	index, rest, ok := index.cutKey(key)
	if ok {
		primary, rest, ok = primary.cutKey(rest)
	}
	if !ok || len(rest) > 0 {
		Corrupt(x.bucket.name, key, errDangling)
	}
	return index, primary
}

func (x *Index[K, T, X]) row(r Reader, key []byte) T {
	_, primary := x.cut(key)
	row, ok := x.table.Get(r, primary)
	if !ok {
		Corrupt(x.bucket.name, key, errDangling)
	}
	return row
}

func scanIndex(r Reader, declared *bucket, prefix []byte, after Cursor) iter.Seq2[[]byte, []byte] {
	var above []item
	if b := r.batch(); b != nil && b.index.tree.Len() > 0 {
		above = b.indexOverlay(declared, prefix)
	}
	return r.layers().scan(declared, prefix, after, above)
}

// indexOverlay is this batch's changes to one index below a prefix, as a scan
// sees them.
func (b *Batch) indexOverlay(declared *bucket, prefix []byte) []item {
	var rows []item
	start := append(appendRank(nil, b.db.schema.rank(declared)), prefix...)
	b.index.each(string(start), func(key string, value []byte) {
		above := item{key: key[rankLength:]}
		if value != nil {
			above.value = declared.appendSealed(nil, []byte(above.key), value)
		}
		rows = append(rows, above)
	})
	return rows
}
