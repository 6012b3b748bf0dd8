package fsmtest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// Dump lists every row of the state file after a flush: bucket, key and stored
// value in hexadecimal, in order. Equal states have equal dumps.
func (m *Machine) Dump() []string {
	m.Helper()
	if err := m.db.Flush(); err != nil {
		m.Fatal(err)
	}
	return m.fileRows()
}

// fileRows reads a copy of the file, since an open one is locked.
func (m *Machine) fileRows() (rows []string) {
	m.Helper()
	file, err := bbolt.Open(copyFile(m, m.file(), filepath.Join(m.TempDir(), "copy.db")), 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		m.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	err = file.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error { return listRows(string(name), b, &rows) })
	})
	if err != nil {
		m.Fatal(err)
	}
	return rows
}

func listRows(path string, b *bbolt.Bucket, rows *[]string) error {
	return b.ForEach(func(key, value []byte) error {
		if nested := b.Bucket(key); nested != nil {
			return listRows(fmt.Sprintf("%s/%x", path, key), nested, rows)
		}
		*rows = append(*rows, fmt.Sprintf("%s %x = %x", path, key, value))
		return nil
	})
}

func (m *Machine) file() string { return filepath.Join(m.dir, "state.db") }

func copyFile(m *Machine, from, to string) string {
	m.Helper()
	in, err := os.Open(from)
	if err != nil {
		m.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(to)
	if err != nil {
		m.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		m.Fatal(err)
	}
	if err := out.Close(); err != nil {
		m.Fatal(err)
	}
	return to
}

// FirstDifference tells where two dumps part, or "" when they are equal.
func FirstDifference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("row %d is %s, want %s", i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		return fmt.Sprintf("%d rows, want %d", len(got), len(want))
	}
	return ""
}

// Edit flushes and closes the store, changes the file and opens it again
// without replaying anything, as if the disk had changed by itself.
func (m *Machine) Edit(edit func(tx *bbolt.Tx) error) {
	m.Helper()
	if err := m.db.Close(); err != nil {
		m.Fatal(err)
	}
	file, err := bbolt.Open(m.file(), 0o600, nil)
	if err != nil {
		m.Fatal(err)
	}
	if err := file.Update(edit); err != nil {
		m.Fatal(err)
	}
	if err := file.Close(); err != nil {
		m.Fatal(err)
	}
	m.open()
}

// Rot flips a bit of every place in the file that holds these bytes, under the
// open store, as a disk that forgets.
func (m *Machine) Rot(stored []byte) {
	m.Helper()
	m.Reopen(true)
	content, err := os.ReadFile(m.file())
	if err != nil {
		m.Fatal(err)
	}
	file, err := os.OpenFile(m.file(), os.O_WRONLY, 0)
	if err != nil {
		m.Fatal(err)
	}
	found := 0
	for at := 0; ; found++ {
		next := bytes.Index(content[at:], stored)
		if next < 0 {
			break
		}
		at += next
		if _, err := file.WriteAt([]byte{content[at] ^ 1}, int64(at)); err != nil {
			m.Fatal(err)
		}
		at++
	}
	if err := file.Close(); err != nil {
		m.Fatal(err)
	}
	if found == 0 {
		m.Fatalf("the file does not hold %x", stored)
	}
}

// SealRow is a value as the store keeps it: with the checksum of its bucket,
// key and value behind it.
func SealRow(bucket string, key, value []byte) []byte {
	covered := append(append(append([]byte(bucket), 0), key...), value...)
	return binary.BigEndian.AppendUint32(append([]byte(nil), value...), crc32.Checksum(covered, crc32.MakeTable(crc32.Castagnoli)))
}
