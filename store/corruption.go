package store

import (
	"errors"
	"fmt"
	"hash/crc32"
)

// Corruption is the panic value for damaged data: a row, a page or an index
// that cannot be what was written. Whoever recovers it stops the node.
type Corruption struct {
	Bucket string
	Key    []byte
	Err    error
}

func (c Corruption) Error() string {
	return fmt.Sprintf("damaged data in %s, key %x: %v", c.Bucket, c.Key, c.Err)
}

func (c Corruption) Unwrap() error { return c.Err }

// Corrupt panics with a Corruption for one row.
func Corrupt(bucket string, key []byte, err error) {
	panic(Corruption{Bucket: bucket, Key: append([]byte(nil), key...), Err: err})
}

var (
	errShortRow = errors.New("row is shorter than its checksum")
	errChecksum = errors.New("checksum does not match")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const checksumLength = 4
