package store

import (
	"bytes"
	"slices"
)

// cell is one row as the writer knows it: as the layers hold it, or what the
// commands of this entry have made of it.
type cell[T any] struct {
	row     T
	exists  bool
	read    bool   // stays known when the entry is written
	written bool   // by this entry
	command uint64 // that saved the row before, so that it saves it once
}

// cells are the rows of one bucket that the writer knows, under keys of any
// comparable type: those this entry has written, and those it or an entry of
// late has read, so that busy rows are not read and decoded again for each
// command. Rows that are only written, such as the tiles of a tree, take no room
// once they are written. Nobody outside keeps a pointer to a cell.
type cells[C comparable, T any] struct {
	young, old map[C]*cell[T]
	changed    []keyedCell[C, T] // written by this entry
	mark       int               // of changed, those before this command
	undo       []saved[C, T]
	pool       []*cell[T]
	limit      int // of young and of old; one entry may go beyond
}

type keyedCell[C comparable, T any] struct {
	key  C
	cell *cell[T]
}

// saved is a cell as it was before the command, or that there was none.
type saved[C comparable, T any] struct {
	keyedCell[C, T]
	before cell[T]
	absent bool
}

func newCells[C comparable, T any](b *Batch) cells[C, T] {
	return cells[C, T]{young: map[C]*cell[T]{}, limit: b.db.options.knownRows}
}

// find returns the cell for key, nil for a row the writer does not know.
func (s *cells[C, T]) find(key C) *cell[T] {
	c := s.young[key]
	if c == nil && len(s.old) > 0 {
		if c = s.old[key]; c != nil {
			s.young[key] = c
		}
	}
	return c
}

// add makes a cell for a row that is not known.
func (s *cells[C, T]) add(key C, row T, exists bool) *cell[T] {
	var c *cell[T]
	if last := len(s.pool) - 1; last >= 0 {
		c, s.pool = s.pool[last], s.pool[:last]
	} else {
		c = new(cell[T])
	}
	c.row, c.exists = row, exists
	if len(s.changed) == 0 {
		s.age()
	}
	s.young[key] = c
	return c
}

// age forgets rows that nobody has asked for in a while. No row of the entry may
// be among them.
func (s *cells[C, T]) age() {
	if len(s.young) >= s.limit {
		s.young, s.old = map[C]*cell[T]{}, s.young
	}
}

// save readies a cell for a change by this command: what it was before is kept.
// It is absent when it was added for this change alone.
func (s *cells[C, T]) save(b *Batch, r rank, key C, c *cell[T], absent bool) {
	if c.command == b.command {
		return
	}
	if len(s.undo) == 0 {
		b.changed = append(b.changed, r)
		s.mark = len(s.changed)
	}
	kept := saved[C, T]{keyedCell: keyedCell[C, T]{key, c}, absent: absent}
	if !absent {
		kept.before = *c
	}
	s.undo = append(s.undo, kept)
	c.command = b.command
	if c.written {
		return
	}
	if len(s.changed) == 0 {
		b.touched = append(b.touched, r)
	}
	c.written = true
	s.changed = append(s.changed, kept.keyedCell)
}

func (s *cells[C, T]) keep() {
	clear(s.undo)
	s.undo = s.undo[:0]
}

func (s *cells[C, T]) restore() {
	for _, u := range slices.Backward(s.undo) {
		if u.absent {
			s.drop(u.keyedCell)
			continue
		}
		*u.cell = u.before
	}
	clear(s.changed[s.mark:])
	s.changed = s.changed[:s.mark]
	s.keep()
}

// keptCells bounds what a reused batch keeps from a large entry.
const keptCells = 16 << 10

// drop forgets a row.
func (s *cells[C, T]) drop(k keyedCell[C, T]) {
	delete(s.young, k.key)
	if len(s.pool) < keptCells {
		*k.cell = cell[T]{}
		s.pool = append(s.pool, k.cell)
	}
}

// reset ends the entry: what it has written is in the layers now.
func (s *cells[C, T]) reset() {
	for _, k := range s.changed {
		k.cell.written = false
		if !k.cell.read {
			s.drop(k)
		}
	}
	if cap(s.changed) > 4*keptCells {
		s.changed, s.undo = nil, nil
	}
	clear(s.changed)
	s.changed = s.changed[:0]
	s.keep()
	s.age()
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

func (o *sorter[C, T]) sort(changed []keyedCell[C, T], appendKey func(dst []byte, key C) []byte) []keyed[T] {
	if cap(o.list) > 4*keptCells {
		o.list, o.keys = nil, nil
	}
	clear(o.list)
	list, keys := o.list[:0], o.keys[:0]
	for _, k := range changed {
		start := len(keys)
		keys = appendKey(keys, k.key)
		list = append(list, keyed[T]{key: keys[start:len(keys):len(keys)], cell: k.cell})
	}
	slices.SortFunc(list, func(a, b keyed[T]) int { return bytes.Compare(a.key, b.key) })
	o.list, o.keys = list, keys
	return list
}
