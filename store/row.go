package store

import (
	"encoding/binary"
	"hash/crc32"
)

func checksumSeed(bucket string) uint32 {
	return crc32.Update(crc32.Checksum([]byte(bucket), castagnoli), castagnoli, []byte{0})
}

// checksum covers bucket, key and value, so a row moved elsewhere fails too.
func (b *bucket) checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Update(b.seed, castagnoli, key), castagnoli, value)
}

// appendSealed appends value and its checksum.
func (b *bucket) appendSealed(dst, key, value []byte) []byte {
	return binary.BigEndian.AppendUint32(append(dst, value...), b.checksum(key, value))
}

// open returns the value of a sealed row, or why it is damaged.
func (b *bucket) open(key, sealed []byte) ([]byte, error) {
	split := len(sealed) - checksumLength
	if split < 0 {
		return nil, errShortRow
	}
	if binary.BigEndian.Uint32(sealed[split:]) != b.checksum(key, sealed[:split]) {
		return nil, errChecksum
	}
	return sealed[:split:split], nil
}

// verify tells what is wrong with a sealed row whose key starts with prefix.
func (b *bucket) verify(prefix, key, sealed []byte) error {
	split := len(sealed) - checksumLength
	if split < 0 {
		return errShortRow
	}
	sum := crc32.Update(crc32.Update(b.seed, castagnoli, prefix), castagnoli, key)
	if binary.BigEndian.Uint32(sealed[split:]) != crc32.Update(sum, castagnoli, sealed[:split]) {
		return errChecksum
	}
	return nil
}

// mustOpen is open for readers: damage is a Corruption.
func (b *bucket) mustOpen(key, sealed []byte) []byte {
	value, err := b.open(key, sealed)
	if err != nil {
		Corrupt(b.name, key, err)
	}
	return value
}

// decodeRow reads one sealed row of type T; damage is a Corruption.
func decodeRow[T any](b *bucket, key, sealed []byte) T {
	var row T
	if err := Decode(b.mustOpen(key, sealed), &row); err != nil {
		Corrupt(b.name, key, err)
	}
	return row
}
