package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

// batchStream sends batches of one user's transfers.
type batchStream struct {
	bank    *bank
	random  *rand.Rand
	keys    *keySequence
	owner   int
	rows    int
	request prepared
	first   int // offset of the first row
	stride  int // bytes from row to row
	slots   transferSlots
	answers int
}

func newBatchStream(b *bank, rows int) stream {
	s := &batchStream{bank: b, keys: b.newKeys(), random: b.newRandom(), rows: rows}
	s.owner = b.streams % len(b.tokens)
	var row []byte
	row, s.slots = appendTransfer(nil, len(b.wallets[0]))
	s.stride = len(row) + 1
	body := []byte(`{"transfers":[`)
	offset := len(body)
	for i := range rows {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, row...)
	}
	body = append(body, "]}"...)
	s.request = prepare(b.address,
		call{method: "POST", path: "/api/qpaynet/transfers/batch", token: b.tokens[s.owner]}, body)
	s.first = s.request.body + offset
	return s
}

func (s *batchStream) next() []byte {
	s.keys.put(s.request.bytes[s.request.key:])
	for i := range s.rows {
		s.slots.put(s.request.bytes[s.first+i*s.stride:], s.bank.pick(s.random, s.owner))
	}
	return s.request.bytes
}

func (s *batchStream) accept(body []byte) (int64, error) {
	succeeded, found := numberAfter(body, `"succeededCount":`)
	if !found {
		return 0, fmt.Errorf("batch answered without succeededCount: %.300s", body)
	}
	s.answers++
	if succeeded != int64(s.rows) || s.answers%(inspectEvery/16) == 1 {
		return succeeded, s.inspect(body)
	}
	return succeeded, nil
}

func (s *batchStream) inspect(body []byte) error {
	var answer struct {
		Requested, SucceededCount, FailedCount int
		Results                                []struct {
			TransactionID, Error string
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("decode batch: %w", err)
	}
	if answer.Requested != s.rows || len(answer.Results) != s.rows ||
		answer.SucceededCount+answer.FailedCount != s.rows {
		return fmt.Errorf("batch of %d rows answered %.300s", s.rows, body)
	}
	moved := 0
	for i, result := range answer.Results {
		if result.Error != "" {
			return fmt.Errorf("%d of %d rows refused; row %d: %s", answer.FailedCount, s.rows, i, result.Error)
		}
		if result.TransactionID != "" {
			moved++
		}
	}
	if moved != answer.SucceededCount {
		return fmt.Errorf("batch names %d transactions and counts %d", moved, answer.SucceededCount)
	}
	return nil
}

// numberAfter reads the decimal number that follows a member's name in
// compact or spaced JSON, without decoding the rest.
func numberAfter(body []byte, name string) (int64, bool) {
	_, rest, found := bytes.Cut(body, []byte(name))
	if !found {
		return 0, false
	}
	rest = bytes.TrimLeft(rest, " \t\r\n")
	width := 0
	for width < len(rest) && '0' <= rest[width] && rest[width] <= '9' {
		width++
	}
	n, ok := parseDecimal(rest[:width])
	return int64(n), ok
}
