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

// asCorruption turns a panic of bbolt into a Corruption. It is to be deferred.
func asCorruption(declared *bucket, key []byte) {
	switch damage := recover().(type) {
	case nil:
	case Corruption:
		panic(damage)
	default:
		Corrupt(declared.name, key, fmt.Errorf("page: %v", damage))
	}
}

// onCorruption hands a Corruption to handle and lets every other panic pass.
// It is to be deferred.
func onCorruption(handle func(Corruption)) {
	switch damage := recover().(type) {
	case nil:
	case Corruption:
		handle(damage)
	default:
		panic(damage)
	}
}

// faultError is what a goroutine of our own tells of a panic it ended with.
func faultError(fault any) error {
	if err, ok := fault.(error); ok {
		return err
	}
	return fmt.Errorf("%v", fault)
}

// panicOn is the report of a check that ends with its first finding.
func panicOn(p Problem) { panic(Corruption(p)) }
