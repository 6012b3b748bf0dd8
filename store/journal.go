package store

import (
	"encoding/binary"
	"errors"
	"iter"
)

// RawJournal is an append-only list of rows, numbered from 0. It bypasses the
// tree, so a row costs no search and its pages are written once.
type RawJournal struct {
	bucket *bucket
}

// NewRawJournal declares a journal of rows that are bytes with a meaning of
// their own.
func NewRawJournal(name string) *RawJournal {
	return &RawJournal{bucket: newBucket(name, journalBucket)}
}

// Journal is an append-only list of rows of type T, numbered from 0.
type Journal[T any] struct {
	RawJournal
}

// NewJournal declares a journal.
func NewJournal[T any](name string) *Journal[T] {
	return &Journal[T]{RawJournal: *NewRawJournal(name)}
}

// Add appends a row and returns its number.
func (j *Journal[T]) Add(w Writer, row T) uint64 {
	b := w.writable()
	b.encoded.Reset()
	EncodeTo(&b.encoded, &row)
	return j.Append(w, b.encoded.Bytes())
}

// At returns the row of a number below Length. A bad one is a Corruption.
func (j *Journal[T]) At(r Reader, sequence uint64) T {
	var row T
	if err := Decode(j.Get(r, sequence), &row); err != nil {
		Corrupt(j.bucket.name, journalKey(sequence), err)
	}
	return row
}

func (j *RawJournal) buckets() []*bucket { return []*bucket{j.bucket} }

var errMissingRow = errors.New("a row below the end is missing")

// Length is the number of rows, own appends of a batch included.
func (j *RawJournal) Length(r Reader) uint64 {
	v := r.layers()
	rank := v.db.schema.rank(j.bucket)
	length := v.active.tails[rank].end()
	if b := r.batch(); b != nil {
		length += uint64(len(b.journals[rank].rows))
	}
	return length
}

// Append adds a row and returns its number. The bytes are copied.
func (j *RawJournal) Append(w Writer, row []byte) uint64 {
	b := w.writable()
	sequence := j.Length(b)
	rank := b.db.schema.rank(j.bucket)
	pending := &b.journals[rank]
	pending.mark(b, rank)
	key := binary.BigEndian.AppendUint64(b.room[:0], sequence)
	pending.rows = append(pending.rows, j.bucket.appendSealed(b.memory.grow(len(row)+checksumLength), key, row))
	return sequence
}

// Get returns the row of a number below Length. A bad one is a Corruption. The
// bytes must not be changed and are good while the reader is open.
func (j *RawJournal) Get(r Reader, sequence uint64) []byte {
	return j.bucket.mustOpen(journalKey(sequence), j.find(r, sequence))
}

// Raw returns a row with what is wrong about it, for verification.
func (j *RawJournal) Raw(r Reader, sequence uint64) ([]byte, error) {
	sealed := j.find(r, sequence)
	if sealed == nil {
		return nil, errMissingRow
	}
	return j.bucket.open(journalKey(sequence), sealed)
}

func journalKey(sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 0, 8), sequence)
}

// find returns a row, sealed, or nil.
func (j *RawJournal) find(r Reader, sequence uint64) (sealed []byte) {
	v := r.layers()
	rank := v.db.schema.rank(j.bucket)
	if sequence < v.base.ends[rank] {
		sealed, _ = v.base.rows[rank].get(journalKey(sequence))
		return sealed
	}
	if v.frozen != nil {
		if t := v.frozen.tails[rank]; sequence >= t.first && sequence < t.end() {
			return t.rows[sequence-t.first]
		}
	}
	t := v.active.tails[rank]
	if sequence >= t.first && sequence < t.end() {
		return t.rows[sequence-t.first]
	}
	b := r.batch()
	if b == nil || sequence < t.end() || sequence-t.end() >= uint64(len(b.journals[rank].rows)) {
		return nil
	}
	return b.journals[rank].rows[sequence-t.end()]
}

// pendingTail is what an entry has appended to a journal, sealed.
type pendingTail struct {
	rows    [][]byte
	command uint64 // that has marked it
}

// journalMark is how many rows a journal had before a command.
type journalMark struct {
	rank rank
	rows int
}

// mark notes once per command how long the journal is.
func (p *pendingTail) mark(b *Batch, r rank) {
	if p.command == b.command {
		return
	}
	p.command = b.command
	if len(p.rows) == 0 {
		b.appended = append(b.appended, r)
	}
	b.marks = append(b.marks, journalMark{rank: r, rows: len(p.rows)})
}

// cut drops the rows from a number on.
func (p *pendingTail) cut(rows int) {
	clear(p.rows[rows:])
	p.rows = p.rows[:rows]
}

// Scan visits the rows from number from up to, but not including, to, with
// what is wrong about each. It reads the file in order.
func (j *RawJournal) Scan(v *View, from, to uint64) iter.Seq2[uint64, JournalRow] {
	return func(yield func(uint64, JournalRow) bool) {
		rank := v.db.schema.rank(j.bucket)
		to = min(to, j.Length(v))
		sequence := from
		if sequence < min(to, v.base.ends[rank]) {
			stored := v.base.rows[rank].seek(journalKey(sequence))
			for ; sequence < min(to, v.base.ends[rank]); sequence++ {
				row := JournalRow{Err: errMissingRow}
				if len(stored.key) == 8 && binary.BigEndian.Uint64(stored.key) == sequence {
					row.Bytes, row.Err = j.bucket.open(stored.key, stored.value)
					stored.next()
				}
				if !yield(sequence, row) {
					return
				}
			}
		}
		for ; sequence < to; sequence++ {
			bytes, err := j.Raw(v, sequence)
			if !yield(sequence, JournalRow{Bytes: bytes, Err: err}) {
				return
			}
		}
	}
}

// JournalRow is a row and, if it is damaged, why.
type JournalRow struct {
	Bytes []byte
	Err   error
}

func (b *Batch) writeJournal(r rank, declared *bucket) {
	g := b.db.live.active
	t, pending := &g.tails[r], b.journals[r].rows
	first := t.end()
	t.rows = append(t.rows, pending...)
	for i, sealed := range pending {
		g.memory.bytes += int64(len(sealed)) + rowOverhead
		key := binary.BigEndian.AppendUint64(b.room[:0], first+uint64(i))
		b.record(opPut, declared, key, sealed[:len(sealed)-checksumLength])
	}
}
