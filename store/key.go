package store

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Key is the constraint for primary and index keys. Byte order of the encoded
// form is the logical order, so scans come out sorted.
type Key[K any] interface {
	comparable
	appendKey(dst []byte) []byte
	cutKey(src []byte) (key K, rest []byte, ok bool)
}

// Prefix is the leading part of a key: every Key is one, for the rows that
// start with it.
type Prefix interface {
	appendKey(dst []byte) []byte
}

// All is the empty prefix; a scan below it visits the whole bucket.
type All struct{}

func (All) appendKey(dst []byte) []byte { return dst }

// ID names a row. It is printable text without a zero byte.
type ID string

// Text is a free text key, such as an e-mail address. It has no zero byte.
type Text string

// Uint64 is a number as a key, smallest first.
type Uint64 uint64

// Newest orders times from the latest to the earliest.
type Newest Time

// Pair is a key of two parts; rows sort by the first, then by the second.
type Pair[A Key[A], B Key[B]] struct {
	First  A
	Second B
}

// PairOf makes a Pair; the types follow from the arguments.
func PairOf[A Key[A], B Key[B]](first A, second B) Pair[A, B] {
	return Pair[A, B]{First: first, Second: second}
}

// MaxKey is the longest encoded key in bytes. A longer one could not be written
// to the file, so whoever puts it is stopped: by a panic, as at a text key that
// holds a zero byte.
const MaxKey = 4096

// checkKey panics for a key that can never be written.
func checkKey[K Key[K]](b *Batch, declared *bucket, key K) {
	b.tried = key.appendKey(b.tried[:0])
	checkLength(declared, b.tried)
}

func checkLength(declared *bucket, key []byte) {
	if len(key) > MaxKey {
		panic(fmt.Sprintf("store: a key of %s has %d bytes, more than %d", declared.name, len(key), MaxKey))
	}
}

func appendText(dst []byte, text string) []byte {
	if strings.IndexByte(text, 0) >= 0 {
		panic("store: a text key holds a zero byte")
	}
	return append(append(dst, text...), 0)
}

func cutText(src []byte) (text string, rest []byte, ok bool) {
	for i, b := range src {
		if b == 0 {
			return string(src[:i]), src[i+1:], true
		}
	}
	return "", nil, false
}

func (k ID) appendKey(dst []byte) []byte { return appendText(dst, string(k)) }

func (ID) cutKey(src []byte) (ID, []byte, bool) {
	text, rest, ok := cutText(src)
	return ID(text), rest, ok
}

func (k Text) appendKey(dst []byte) []byte { return appendText(dst, string(k)) }

func (Text) cutKey(src []byte) (Text, []byte, bool) {
	text, rest, ok := cutText(src)
	return Text(text), rest, ok
}

func (k Uint64) appendKey(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(k))
}

func (Uint64) cutKey(src []byte) (Uint64, []byte, bool) {
	if len(src) < 8 {
		return 0, nil, false
	}
	return Uint64(binary.BigEndian.Uint64(src)), src[8:], true
}

// Times sort by their value; flipping the sign bit puts negative ones first.
const signBit = 1 << 63

func (k Time) appendKey(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(k)^signBit)
}

func (Time) cutKey(src []byte) (Time, []byte, bool) {
	if len(src) < 8 {
		return 0, nil, false
	}
	return Time(binary.BigEndian.Uint64(src) ^ signBit), src[8:], true
}

func (k Newest) appendKey(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(dst, ^(uint64(k) ^ signBit))
}

func (Newest) cutKey(src []byte) (Newest, []byte, bool) {
	if len(src) < 8 {
		return 0, nil, false
	}
	return Newest(^binary.BigEndian.Uint64(src) ^ signBit), src[8:], true
}

func (k Pair[A, B]) appendKey(dst []byte) []byte {
	return k.Second.appendKey(k.First.appendKey(dst))
}

func (k Pair[A, B]) cutKey(src []byte) (Pair[A, B], []byte, bool) {
	first, rest, ok := k.First.cutKey(src)
	if !ok {
		return Pair[A, B]{}, nil, false
	}
	second, rest, ok := k.Second.cutKey(rest)
	return Pair[A, B]{First: first, Second: second}, rest, ok
}

// Bytes16 is a 128-bit key, such as a request id.
type Bytes16 [16]byte

func (k Bytes16) appendKey(dst []byte) []byte { return append(dst, k[:]...) }

func (k Bytes16) cutKey(src []byte) (Bytes16, []byte, bool) {
	if len(src) < len(k) {
		return k, nil, false
	}
	return Bytes16(src[:len(k)]), src[len(k):], true
}
