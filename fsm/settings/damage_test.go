package settings_test

import (
	"bytes"

	"go.etcd.io/bbolt"

	"coffer/fsm/fsmtest"
)

// damage replaces text in a stored row, under a checksum that fits.
func damage(bucket string, key []byte, from, to string) func(tx *bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		row := tx.Bucket([]byte(bucket)).Get(key)
		changed := bytes.Replace(row[:len(row)-4], []byte(from), []byte(to), 1)
		return tx.Bucket([]byte(bucket)).Put(key, fsmtest.SealRow(bucket, key, changed))
	}
}
