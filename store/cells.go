package store

import (
	"bytes"
	"slices"
)

// cell is one row an entry has written.
type cell[T any] struct {
	row     T
	exists  bool
	command uint64 // that saved the row before, so that it saves it once
}

// cells are all rows of one bucket an entry has written, under keys of any
// comparable type. They are reused from entry to entry, since nobody keeps a
// pointer to one.
type cells[C comparable, T any] struct {
	rows map[C]*cell[T]
	pool []*cell[T]
	used int
	undo []saved[C, T]
}

// saved is a cell as it was before the command, or that there was none.
type saved[C comparable, T any] struct {
	key    C
	before cell[T]
	absent bool
}

// open returns the cell for key, ready to be changed by this command: what it
// was before is saved. A new cell is filled by load.
func (s *cells[C, T]) open(b *Batch, r rank, key C, load func() (T, bool)) *cell[T] {
	c := s.rows[key]
	if c != nil && c.command == b.command {
		return c
	}
	if len(s.undo) == 0 {
		b.changed = append(b.changed, r)
	}
	if c != nil {
		s.undo = append(s.undo, saved[C, T]{key: key, before: *c})
		c.command = b.command
		return c
	}
	if len(s.rows) == 0 {
		b.touched = append(b.touched, r)
	}
	s.undo = append(s.undo, saved[C, T]{key: key, absent: true})
	c = s.allocate()
	c.row, c.exists = load()
	c.command = b.command
	s.rows[key] = c
	return c
}

func (s *cells[C, T]) allocate() *cell[T] {
	if s.used == len(s.pool) {
		s.pool = append(s.pool, new(cell[T]))
	}
	s.used++
	return s.pool[s.used-1]
}

func (s *cells[C, T]) keep() {
	clear(s.undo)
	s.undo = s.undo[:0]
}

func (s *cells[C, T]) restore() {
	for _, u := range slices.Backward(s.undo) {
		if u.absent {
			delete(s.rows, u.key)
			continue
		}
		*s.rows[u.key] = u.before
	}
	s.keep()
}

// keptCells bounds what a reused batch keeps from a large entry.
const keptCells = 16 << 10

func (s *cells[C, T]) reset() {
	var none cell[T]
	for _, c := range s.pool[:s.used] {
		*c = none
	}
	if s.used > keptCells {
		s.pool, s.rows, s.undo = nil, map[C]*cell[T]{}, nil
	}
	clear(s.rows)
	s.keep()
	s.used = 0
}

// keyed is a cell under its encoded key.
type keyed[T any] struct {
	key  []byte
	cell *cell[T]
}

// sorter lists cells in the order of their encoded keys; it reuses its memory.
type sorter[C comparable, T any] struct {
	list []keyed[T]
	keys []byte
}

func (o *sorter[C, T]) sort(rows map[C]*cell[T], appendKey func(dst []byte, key C) []byte) []keyed[T] {
	if cap(o.list) > 4*keptCells {
		o.list, o.keys = nil, nil
	}
	clear(o.list)
	list, keys := o.list[:0], o.keys[:0]
	for key, c := range rows {
		start := len(keys)
		keys = appendKey(keys, key)
		list = append(list, keyed[T]{key: keys[start:len(keys):len(keys)], cell: c})
	}
	slices.SortFunc(list, func(a, b keyed[T]) int { return bytes.Compare(a.key, b.key) })
	o.list, o.keys = list, keys
	return list
}
