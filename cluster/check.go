package cluster

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/hashicorp/raft"
)

// raft.db has no checksums of its own: bbolt checks only its two meta pages. So everything in it carries one.

const checksumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkSealed verifies the rule of sealed entries: the last four bytes are the CRC32C of the rest, big-endian.
func checkSealed(data []byte) error {
	body := len(data) - checksumSize
	if body < 0 {
		return errors.New("sealed entry is shorter than its checksum")
	}
	if crc32.Checksum(data[:body], castagnoli) != binary.BigEndian.Uint32(data[body:]) {
		return errors.New("sealed entry does not match its checksum")
	}
	return nil
}

// logSum covers what raft acts upon: index, term, type and data. Without it one flipped bit
// turns a command into a no-op, which raft would skip in silence.
func logSum(log *raft.Log) uint32 {
	var head [17]byte
	binary.BigEndian.PutUint64(head[0:], log.Index)
	binary.BigEndian.PutUint64(head[8:], log.Term)
	head[16] = byte(log.Type)
	return crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, log.Data)
}

// checkLog verifies a log read from the store at index and takes the store's own checksum off again.
func checkLog(index uint64, log *raft.Log) error {
	switch {
	case log.Index != index:
		return errors.New("entry carries another index")
	case len(log.Extensions) != checksumSize:
		return errors.New("entry carries no checksum")
	case binary.BigEndian.Uint32(log.Extensions) != logSum(log):
		return errors.New("entry does not match its checksum")
	}
	log.Extensions = nil
	if log.Type == raft.LogCommand {
		return checkSealed(log.Data)
	}
	return nil
}

// sealStable appends to value a checksum over key and value.
func sealStable(key, value []byte) []byte {
	sealed := make([]byte, 0, len(value)+checksumSize)
	sealed = append(sealed, value...)
	return binary.BigEndian.AppendUint32(sealed, stableSum(key, value))
}

// openStable reverses sealStable.
func openStable(key, sealed []byte) ([]byte, error) {
	body := len(sealed) - checksumSize
	if body < 0 || binary.BigEndian.Uint32(sealed[body:]) != stableSum(key, sealed[:body]) {
		return nil, errors.New("value of " + string(key) + " does not match its checksum")
	}
	return sealed[:body], nil
}

func stableSum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}
