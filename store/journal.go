package store

import (
	"encoding/binary"
	"errors"
	"iter"
	"slices"
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
		length += uint64(len(b.journals[rank].ends))
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
	pending.bytes = append(pending.bytes, row...)
	pending.ends = append(pending.ends, len(pending.bytes))
	return sequence
}

// Get returns the row of a number below Length. A bad one is a Corruption. The
// bytes must not be changed and are good while the reader is open.
func (j *RawJournal) Get(r Reader, sequence uint64) []byte {
	sealed, pending := j.find(r, sequence)
	if pending {
		return sealed
	}
	return j.bucket.mustOpen(journalKey(sequence), sealed)
}

// Raw returns a row with what is wrong about it, for verification.
func (j *RawJournal) Raw(r Reader, sequence uint64) ([]byte, error) {
	sealed, pending := j.find(r, sequence)
	if pending {
		return sealed, nil
	}
	if sealed == nil {
		return nil, errMissingRow
	}
	return j.bucket.open(journalKey(sequence), sealed)
}

func journalKey(sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 0, 8), sequence)
}

// find returns a stored row, sealed, or one this batch has appended, plain.
func (j *RawJournal) find(r Reader, sequence uint64) (row []byte, pending bool) {
	v := r.layers()
	rank := v.db.schema.rank(j.bucket)
	if sequence < v.base.ends[rank] {
		row, _ = v.base.rows[rank].get(journalKey(sequence))
		return row, false
	}
	if v.frozen != nil {
		if t := v.frozen.tails[rank]; sequence >= t.first && sequence < t.end() {
			return t.rows[sequence-t.first], false
		}
	}
	t := v.active.tails[rank]
	if sequence >= t.first && sequence < t.end() {
		return t.rows[sequence-t.first], false
	}
	b := r.batch()
	if b == nil || sequence < t.end() {
		return nil, false
	}
	return b.journals[rank].row(int(sequence - t.end())), true
}

// pendingTail is what an entry has appended to a journal.
type pendingTail struct {
	bytes   []byte
	ends    []int  // end of each row in bytes
	command uint64 // that has marked it
}

// journalMark is where a journal stood before a command.
type journalMark struct {
	rank        rank
	bytes, rows int
}

// mark notes once per command how long the journal is.
func (p *pendingTail) mark(b *Batch, r rank) {
	if p.command == b.command {
		return
	}
	p.command = b.command
	if len(p.ends) == 0 {
		b.appended = append(b.appended, r)
	}
	b.marks = append(b.marks, journalMark{rank: r, bytes: len(p.bytes), rows: len(p.ends)})
}

func (p *pendingTail) cut(mark journalMark) {
	p.bytes, p.ends = p.bytes[:mark.bytes], p.ends[:mark.rows]
}

// keptTail bounds what a reused batch keeps from a large entry.
const keptTail = 16 << 20

func (p *pendingTail) reset() {
	if cap(p.bytes) > keptTail {
		p.bytes = nil
	}
	p.cut(journalMark{})
}

func (p *pendingTail) row(i int) []byte {
	if i >= len(p.ends) {
		return nil
	}
	start := 0
	if i > 0 {
		start = p.ends[i-1]
	}
	return p.bytes[start:p.ends[i]:p.ends[i]]
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
	t := &g.tails[r]
	pending := &b.journals[r]
	t.rows = slices.Grow(t.rows, len(pending.ends))
	for i := range pending.ends {
		row := pending.row(i)
		key := binary.BigEndian.AppendUint64(b.room[:0], t.end())
		memory := declared.appendSealed(g.memory.grow(len(row)+checksumLength), key, row)
		t.rows = append(t.rows, memory)
		g.memory.bytes += rowOverhead
		b.record(opPut, declared, key, row)
	}
}
