package bench

import (
	"bytes"
	"fmt"
	"strconv"
)

// newRequest renders the bytes of one request, headers and body.
func newRequest(address string, call call, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", call.method, call.path, address)
	if call.token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", call.token)
	}
	if call.key != "" {
		fmt.Fprintf(&b, "%s%s\r\n", keyHeader, call.key)
	}
	if call.method != "GET" {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

const keyHeader = "Idempotency-Key: "

// keyOffset returns where the idempotency key of a rendered request stands.
func keyOffset(request []byte) int {
	return bytes.Index(request, []byte(keyHeader)) + len(keyHeader)
}

// transferSlots are the places of the three parts of one transfer that vary.
// Every value of a part has the same width, so no length ever changes.
type transferSlots struct {
	from, to, amount int
}

// appendTransfer appends a transfer with blank parts and tells their places.
func appendTransfer(body []byte, idWidth int) ([]byte, transferSlots) {
	blank := bytes.Repeat([]byte("0"), idWidth)
	var slots transferSlots
	body = append(body, `{"fromWalletId":"`...)
	slots.from = len(body)
	body = append(body, blank...)
	body = append(body, `","toWalletId":"`...)
	slots.to = len(body)
	body = append(body, blank...)
	body = append(body, `","amountKzt":`...)
	slots.amount = len(body)
	body = strconv.AppendInt(body, minAmount, 10)
	return append(body, '}'), slots
}

// put writes one transfer over the blank parts.
func (s transferSlots) put(body []byte, t transfer) {
	copy(body[s.from:], t.from)
	copy(body[s.to:], t.to)
	strconv.AppendInt(body[:s.amount], int64(t.amount), 10)
}

// transfer is one movement of minAmount to maxAmount minor units.
type transfer struct {
	owner    int // user that owns from
	from, to string
	amount   int
}

// Amounts of all transfers are written with the same number of digits.
const (
	minAmount = 100
	maxAmount = 999
)

// keyWidth is the length of every idempotency key.
const keyWidth = 32

// keySequence makes keys that are unique within and between runs.
type keySequence struct {
	next uint64
	text [keyWidth]byte
}

// newKeySequence starts a sequence for one client. No two clients of one run
// share a number, and no two runs share their random first half.
func newKeySequence(run uint64, client int) *keySequence {
	s := &keySequence{next: uint64(client) << 40}
	putHex(s.text[:16], run)
	return s
}

// put writes the next key of the sequence.
func (s *keySequence) put(to []byte) {
	putHex(s.text[16:], s.next)
	s.next++
	copy(to, s.text[:])
}

func (s *keySequence) take() string {
	var key [keyWidth]byte
	s.put(key[:])
	return string(key[:])
}

func putHex(to []byte, value uint64) {
	const digits = "0123456789abcdef"
	for i := 15; i >= 0; i-- {
		to[i] = digits[value&15]
		value >>= 4
	}
}
