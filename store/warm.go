package store

// warmRows keeps decoded rows the writer touched lately, so that busy rows are
// not read and decoded again for each command. They always equal what the
// layers hold: every merge updates them. Only the writer uses them.
type warmRows[K comparable, T any] struct {
	young, old map[K]warmRow[T]
}

type warmRow[T any] struct {
	row    T
	exists bool
}

// warmLimit bounds each of the two generations of a table's warm rows.
const warmLimit = 64 << 10

func (t *Table[K, T]) warmRows(b *Batch) *warmRows[K, T] {
	r := b.db.schema.rank(t.bucket)
	if warm, ok := b.db.warm[r].(*warmRows[K, T]); ok {
		return warm
	}
	warm := &warmRows[K, T]{young: map[K]warmRow[T]{}}
	b.db.warm[r] = warm
	return warm
}

func (w *warmRows[K, T]) get(key K, load func() (T, bool)) (T, bool) {
	if found, ok := w.young[key]; ok {
		return found.row, found.exists
	}
	found, ok := w.old[key]
	if !ok {
		found.row, found.exists = load()
	}
	w.put(key, found.row, found.exists)
	return found.row, found.exists
}

func (w *warmRows[K, T]) put(key K, row T, exists bool) {
	if len(w.young) >= warmLimit {
		w.old, w.young = w.young, make(map[K]warmRow[T], warmLimit)
	}
	w.young[key] = warmRow[T]{row: row, exists: exists}
}
