package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

var (
	errWrongKey     = errors.New("the row stands under a key that is not its own")
	errMissingEntry = errors.New("the index entry of a row is missing or wrong")
)

// Checked counts what a check has read of one shape.
type Checked struct {
	Name string
	Rows uint64
}

// Check reads every row of every shape: checksums, encoding, keys and indexes.
// It reports what is wrong and goes on; progress is told after each shape. What
// a damaged shape should hold besides is not checked.
func (v *View) Check(report func(Problem), progress func(Checked)) {
	trees := map[*bucket]uint64{}
	for _, found := range v.base.pages.verifyBuckets(v.db.schema, report) {
		trees[v.db.schema.named(found.name)] = found.root
	}
	for _, shape := range v.db.schema.shapes {
		buckets := shape.buckets()
		damaged := false
		for _, b := range buckets {
			if root := trees[b]; root != 0 {
				v.base.pages.verifyBucket(b, root, func(p Problem) { damaged = true; report(p) })
			}
		}
		var rows uint64
		if !damaged {
			rows = checkShape(v, shape, report)
		}
		progress(Checked{Name: buckets[0].name, Rows: rows})
	}
}

func checkShape(v *View, shape Shape, report func(Problem)) (rows uint64) {
	defer onCorruption(func(damage Corruption) { report(Problem(damage)) })
	return shape.check(v, report)
}

// CheckPages verifies the pages of the file: every one used exactly once, laid
// out as written, keys in order and every row as its checksum says. It ends at
// the first ten findings. Flushes may go on meanwhile.
func (v *View) CheckPages(report func(error)) {
	found := 0
	v.base.pages.verifyAll(v.db.schema, func(p Problem) {
		if found++; found <= 10 {
			report(p)
		}
	})
	if found == 0 {
		v.base.file.sound.Store(true)
	}
}

func (t *Table[K, T]) check(v *View, report func(Problem)) (rows uint64) {
	entries := make([]uint64, len(t.indexes))
	for key, sealed := range v.scan(t.bucket, nil, nil, nil) {
		rows++
		row, err := t.checkRow(key, sealed)
		if err != nil {
			report(Problem{Bucket: t.bucket.name, Key: bytes.Clone(key), Err: err})
			continue
		}
		for i, index := range t.indexes {
			if checkEntry(v, index, row, key, report) {
				entries[i]++
			}
		}
	}
	for i, index := range t.indexes {
		checkEntries(v, index.declared(), entries[i], report)
	}
	return rows
}

func (t *Table[K, T]) checkRow(key, sealed []byte) (*T, error) {
	value, err := t.bucket.open(key, sealed)
	if err != nil {
		return nil, err
	}
	row := new(T)
	if err := Decode(value, row); err != nil {
		return nil, err
	}
	if !bytes.Equal(t.key(row).appendKey(nil), key) {
		return nil, errWrongKey
	}
	return row, nil
}

// checkEntry looks a row up in one index and tells whether it belongs there.
func checkEntry[T any](v *View, index indexOf[T], row *T, primary []byte, report func(Problem)) bool {
	key, value, indexed := index.entry(nil, row, primary)
	if !indexed {
		return false
	}
	sealed, found := v.get(index.declared(), key)
	if found {
		stored, err := index.declared().open(key, sealed)
		found = err == nil && bytes.Equal(stored, value)
	}
	if !found {
		report(Problem{Bucket: index.declared().name, Key: key, Err: errMissingEntry})
	}
	return true
}

// checkEntries counts an index: with an entry for each row, one too many means
// one that names no row.
func checkEntries(v *View, declared *bucket, want uint64, report func(Problem)) {
	var have uint64
	for key, sealed := range v.scan(declared, nil, nil, nil) {
		have++
		if _, err := declared.open(key, sealed); err != nil {
			report(Problem{Bucket: declared.name, Key: bytes.Clone(key), Err: err})
		}
	}
	if have != want {
		report(Problem{Bucket: declared.name, Err: fmt.Errorf("%d entries for %d rows", have, want)})
	}
}

func (j *RawJournal) check(v *View, report func(Problem)) (rows uint64) {
	var next uint64
	for l := v.base.rows[v.db.schema.rank(j.bucket)].seek(nil); l.key != nil; l.next() {
		if len(l.key) != 8 || binary.BigEndian.Uint64(l.key) != next {
			report(Problem{Bucket: j.bucket.name, Key: bytes.Clone(l.key), Err: errJournalKey})
			return rows
		}
		next, rows = next+1, rows+1
		if _, err := j.bucket.open(l.key, l.value); err != nil {
			report(Problem{Bucket: j.bucket.name, Key: bytes.Clone(l.key), Err: err})
		}
	}
	return rows
}

func (j *Journal[T]) check(v *View, report func(Problem)) (rows uint64) {
	rows = j.RawJournal.check(v, report)
	for sequence, row := range j.Scan(v, 0, j.Length(v)) {
		var value T
		if row.Err != nil {
			continue // reported above
		}
		if err := Decode(row.Bytes, &value); err != nil {
			report(Problem{Bucket: j.bucket.name, Key: journalKey(sequence), Err: err})
		}
	}
	return rows
}

func (p *Partitioned[K, T]) check(v *View, report func(Problem)) (rows uint64) {
	stored := v.base.rows[v.db.schema.rank(p.bucket)]
	for _, hour := range stored.hours() {
		name := appendHour(nil, hour)
		partition, found := stored.partition(name)
		if !found {
			report(Problem{Bucket: p.bucket.name, Key: name, Err: errPartitionName})
			continue
		}
		for l := partition.seek(nil); l.key != nil; l.next() {
			rows++
			if err := p.checkRow(append(bytes.Clone(name), l.key...), l.value); err != nil {
				report(Problem{Bucket: p.bucket.name, Key: bytes.Clone(l.key), Err: err})
			}
		}
	}
	return rows
}

func (p *Partitioned[K, T]) checkRow(key, sealed []byte) error {
	value, err := p.bucket.open(key, sealed)
	if err != nil {
		return err
	}
	var row T
	if err := Decode(value, &row); err != nil {
		return err
	}
	if !bytes.Equal(p.key(&row).appendKey(nil), key[8:]) {
		return errWrongKey
	}
	return nil
}
