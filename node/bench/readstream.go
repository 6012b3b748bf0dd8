package bench

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

// object is one thing to read, by the user who may.
type object struct {
	owner int
	id    string
}

// readStream reads random objects of one kind.
type readStream struct {
	objects  []object
	random   *rand.Rand
	requests [][]byte // one per user
	offset   int      // of the id, in every request
	last     object
	answers  int
}

// newReadStream reads path/id; all ids have the length of the first.
func newReadStream(b *bank, path string, objects []object) stream {
	b.streams++
	s := &readStream{objects: objects, random: b.newRandom(), offset: len("GET " + path + "/")}
	for _, token := range b.tokens {
		s.requests = append(s.requests, newRequest(b.address,
			call{method: "GET", path: path + "/" + objects[0].id, token: token}, nil))
	}
	return s
}

func (s *readStream) next() []byte {
	s.last = s.objects[s.random.IntN(len(s.objects))]
	request := s.requests[s.last.owner]
	copy(request[s.offset:], s.last.id)
	return request
}

func (s *readStream) accept(body []byte) (int64, error) {
	s.answers++
	if s.answers%inspectEvery != 1 {
		return 1, nil
	}
	var answer struct{ ID string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, fmt.Errorf("decode object: %w", err)
	}
	if answer.ID != s.last.id {
		return 0, fmt.Errorf("read of %s answered %.300s", s.last.id, body)
	}
	return 1, nil
}
