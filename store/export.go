package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Export reads the whole state of the last flush for a copy of it. It pins
// pages of the file and keeps it from being mapped anew: close it soon.
type Export struct {
	view *View
}

// Row is one row of a whole state. Key and Sealed are only good until the next
// one, and must not be changed.
type Row struct {
	Bucket string
	Key    []byte // in a partitioned bucket it starts with the hour
	Sealed []byte // the value with its CRC32C, as CheckRow expects it
}

// Export opens a read transaction on the file. What is applied but not flushed
// is not in it.
func (db *DB) Export() (*Export, error) {
	b := db.hold()
	applied, err := readApplied(b.tx)
	if err != nil {
		db.release(b)
		return nil, fmt.Errorf("export %s: %w", db.options.Path, err)
	}
	return &Export{view: &View{db: db, base: b, active: emptyGeneration(b, applied)}}, nil
}

// View reads the same state; it is good until Close and must not be closed.
func (e *Export) View() *View { return e.view }

// Applied tells the log entry this state is the result of.
func (e *Export) Applied() Applied { return e.view.Applied() }

// Size is how many bytes of the file this state occupies, free pages included.
func (e *Export) Size() int64 { return e.view.base.tx.Size() }

// Used is how many bytes of the file hold something: no copy of the rows is
// larger.
func (e *Export) Used() (int64, error) {
	p := e.view.base.pages
	free, err := p.freePages()
	if err != nil {
		return 0, fmt.Errorf("export %s: %w", e.view.db.options.Path, err)
	}
	return e.Size() - int64(len(free)*p.size), nil
}

// Close ends the read transaction.
func (e *Export) Close() { e.view.Close() }

// Rows visits every row in order of bucket and key, each verified against its
// checksum. It ends with the first error; damage is a Corruption.
func (e *Export) Rows(visit func(Row) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case Corruption:
			err = fault
		case runtime.Error:
			if _, mapped := fault.(interface{ Addr() uintptr }); !mapped {
				panic(fault)
			}
			err = fmt.Errorf("read %s: %w", e.view.db.options.Path, fault)
		default:
			panic(fault)
		}
	}()
	x := exporter{base: e.view.base, visit: visit}
	floored := false
	for i, declared := range e.view.db.schema.ranked {
		if !floored && declared.name > metaBucket {
			floored = true
			if err := x.floors(e.view.db.schema); err != nil {
				return err
			}
		}
		if err := x.bucket(rank(i), declared); err != nil {
			return err
		}
	}
	if !floored {
		return x.floors(e.view.db.schema)
	}
	return nil
}

// exporter visits the rows of one base.
type exporter struct {
	base  *base
	visit func(Row) error
	key   []byte // of a partitioned row
}

// floors visits the first partitions that count: the only rows about the file
// that are part of the state.
func (x *exporter) floors(schema *Schema) error {
	for i, declared := range schema.ranked {
		if floor := x.base.floors[i]; floor > 0 {
			key := append(bytes.Clone(floorKey), declared.name...)
			value := binary.BigEndian.AppendUint64(nil, uint64(floor))
			if err := x.visit(Row{metaBucket, key, metaRows.appendSealed(nil, key, value)}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *exporter) bucket(r rank, declared *bucket) error {
	stored := x.base.rows[r]
	if !stored.parent {
		return x.rows(stored, nil)
	}
	for _, hour := range stored.hours() {
		name := appendHour(nil, hour)
		partition, found := stored.partition(name)
		if !found {
			Corrupt(declared.name, name, errPartitionName)
		}
		if err := x.rows(partition, name); err != nil {
			return err
		}
	}
	return nil
}

func (x *exporter) rows(stored fileRows, hour []byte) error {
	declared := stored.bucket
	for l := stored.seek(nil); l.key != nil; l.next() {
		if err := declared.verify(hour, l.key, l.value); err != nil {
			Corrupt(declared.name, append(bytes.Clone(hour), l.key...), err)
		}
		row := Row{Bucket: declared.name, Key: l.key, Sealed: l.value}
		if hour != nil {
			x.key = append(append(x.key[:0], hour...), l.key...)
			row.Key = x.key
		}
		if err := x.visit(row); err != nil {
			return err
		}
	}
	return nil
}

// CheckRow tells what is wrong with the checksum of a row. It needs no schema.
func CheckRow(r Row) error {
	b := bucket{name: r.Bucket, seed: checksumSeed(r.Bucket)}
	return b.verify(nil, r.Key, r.Sealed)
}
