package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

// stream makes the requests of one client and judges their answers. It is
// used by one goroutine.
type stream interface {
	// next returns the bytes of the next request, valid until the next call.
	next() []byte
	// accept counts what a 2xx answer acknowledges and says what is wrong with it.
	accept(body []byte) (count int64, err error)
}

// inspectEvery is how many answers pass between two that are decoded in full;
// the first is always decoded. The status of every answer is checked.
const inspectEvery = 1024

// prepared is a ready-made request with the places of its parts.
type prepared struct {
	bytes     []byte
	key, body int
}

func prepare(address string, call call, body []byte) prepared {
	call.key = string(bytes.Repeat([]byte("0"), keyWidth))
	request := newRequest(address, call, body)
	return prepared{bytes: request, key: keyOffset(request), body: len(request) - len(body)}
}

// transferStream sends single transfers of all users.
type transferStream struct {
	bank     *bank
	random   *rand.Rand
	keys     *keySequence
	requests []prepared // one per user
	slots    transferSlots
	last     transfer
	answers  int
}

func newTransferStream(b *bank) stream {
	s := &transferStream{bank: b, keys: b.newKeys(), random: b.newRandom()}
	var body []byte
	body, s.slots = appendTransfer(nil, len(b.wallets[0]))
	for _, token := range b.tokens {
		s.requests = append(s.requests, prepare(b.address,
			call{method: "POST", path: "/api/qpaynet/transfer", token: token}, body))
	}
	return s
}

func (s *transferStream) next() []byte {
	s.last = s.bank.pick(s.random, anyOwner)
	request := s.requests[s.last.owner]
	s.keys.put(request.bytes[request.key:])
	s.slots.put(request.bytes[request.body:], s.last)
	return request.bytes
}

func (s *transferStream) accept(body []byte) (int64, error) {
	s.answers++
	if s.answers%inspectEvery != 1 {
		return 1, nil
	}
	if _, err := inspectTransfer(body, s.last); err != nil {
		return 0, err
	}
	return 1, nil
}

// inspectTransfer returns the transaction id of an answer that fits its request.
func inspectTransfer(body []byte, sent transfer) (string, error) {
	var answer struct {
		TransactionID     string
		AmountKzt, FeeKzt int64
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("decode transfer: %w", err)
	}
	if answer.TransactionID == "" || answer.AmountKzt != int64(sent.amount) || answer.FeeKzt < 1 {
		return "", fmt.Errorf("transfer of %d answered %.300s", sent.amount, body)
	}
	return answer.TransactionID, nil
}
