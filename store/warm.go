package store

// warmRows keeps decoded rows the writer has read lately, so that busy rows are
// not read and decoded again for each command. They always equal what the
// layers hold: every entry updates them. Rows that are only written, such as the
// tiles of a tree, take no room here. Only the writer uses them.
type warmRows[K comparable, T any] struct {
	young, old map[K]warmRow[T]
}

type warmRow[T any] struct {
	row    T
	exists bool
}

// warmLimit bounds each of the two generations of a table's warm rows.
const warmLimit = 128 << 10

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

// refresh takes what an entry has written to a row that is warm.
func (w *warmRows[K, T]) refresh(key K, row T, exists bool) {
	if _, warm := w.young[key]; !warm {
		if _, warm = w.old[key]; !warm {
			return
		}
	}
	w.put(key, row, exists)
}

func (w *warmRows[K, T]) put(key K, row T, exists bool) {
	if len(w.young) >= warmLimit {
		w.old, w.young = w.young, map[K]warmRow[T]{}
	}
	w.young[key] = warmRow[T]{row: row, exists: exists}
}
