package ledgerchain

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// MaxInteger is the largest number of a payload; beyond ±MaxInteger it is written as a decimal string.
const MaxInteger = 1<<53 - 1

const hexDigits = "0123456789abcdef"

// AppendString appends s as a canonical JSON string: only ", \ and characters below 0x20 are escaped.
// A byte that is not UTF-8 becomes U+FFFD, so the output is always canonical.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := len(dst)
	dst = append(dst, s...)
	if i := plainEnd(dst, start); i < len(dst) {
		dst = appendEscaped(dst[:i], s[i-start:])
	}
	return append(dst, '"')
}

// AppendInt appends n as a number, or as a decimal string where a number would lose digits in other languages.
func AppendInt(dst []byte, n int64) []byte {
	if -MaxInteger <= n && n <= MaxInteger {
		return strconv.AppendInt(dst, n, 10)
	}
	dst = append(dst, '"')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '"')
}

func appendEscaped(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			dst = appendEscapedByte(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		dst = utf8.AppendRune(dst, r) // an invalid byte decodes to U+FFFD
		i += size
	}
	return dst
}

func appendEscapedByte(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\t':
		return append(dst, '\\', 't')
	case '\n':
		return append(dst, '\\', 'n')
	case '\f':
		return append(dst, '\\', 'f')
	case '\r':
		return append(dst, '\\', 'r')
	}
	if c < 0x20 {
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
	return append(dst, c)
}

// plainEnd returns the place of the first byte from i on that is not plain: a quote, a backslash, a control
// character or part of a rune beyond ASCII. It looks at eight bytes at a time.
func plainEnd(b []byte, i int) int {
	for ; len(b)-i >= 8; i += 8 {
		if found := special(binary.LittleEndian.Uint64(b[i:])); found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(b) && b[i] >= 0x20 && b[i] < utf8.RuneSelf && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// special sets the high bit of the lowest byte of x that is not plain, and none if all are.
// Bytes above the lowest may be marked wrongly: a subtraction borrows from them.
func special(x uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote, backslash := x^(ones*'"'), x^(ones*'\\')
	return ((x-ones*0x20)&^x | (quote-ones)&^quote | (backslash-ones)&^backslash | x) & highs
}
