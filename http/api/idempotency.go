package api

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"

	"coffer/fsm"
	"coffer/store"
)

const headerKey = "Idempotency-Key"

// maxKey is the longest idempotency key, in characters.
const maxKey = 255

const reasonKey = "must be 1 to 255 visible ASCII characters, once"

// readKey reads the idempotency key of a route that honours one.
func (c *Call) readKey() *Problem {
	values, given := c.request.Header[headerKey]
	if !given || !c.target.Spec.Idempotent {
		return nil
	}
	if len(values) != 1 || !isKey(values[0]) {
		return badRequest(headerKey, reasonKey, nil)
	}
	c.key = values[0]
	return nil
}

func isKey(key string) bool {
	if len(key) == 0 || len(key) > maxKey {
		return false
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}

// requestID derives the id under which the log remembers the request: SHA-256
// of area, actor, method, route and key, each with its length, cut to 16 bytes.
func requestID(area string, actor fsm.Actor, method, route, key string) fsm.RequestID {
	var room [512]byte
	message := appendSized(room[:0], area)
	message = binary.BigEndian.AppendUint32(message, uint32(1+len(actor.ID)))
	message = append(message, byte(actor.Kind))
	message = append(message, actor.ID...)
	message = appendSized(message, method)
	message = appendSized(message, route)
	message = appendSized(message, key)
	sum := sha256.Sum256(message)
	return fsm.RequestID(sum[:16])
}

// vetReplay checks the session of whoever repeats a key. The log answers a known
// key without running the command, which checks it otherwise.
func (c *Call) vetReplay() error {
	if !c.replayed {
		return nil
	}
	var refused error
	err := c.mux.options.Reader.Read(c, fsm.Linearizable, func(v *store.View) error {
		refused = c.mux.options.Authorise(v, c.actor, c.target.Spec.Role)
		return nil
	})
	if err != nil {
		// The command has run, perhaps just now: a node that loses its leader asks
		// again by itself. So this must not say that nothing has changed.
		refused = fmt.Errorf("%w: check the session behind a replay: %v", ErrOutcomeUnknown, err)
	}
	if refused != nil {
		delete(c.header, headerReplayed)
	}
	return refused
}

func appendSized(dst []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(text))), text...)
}

// fingerprint hashes the concrete path and the canonical body under the node's
// key, so that the same key with another body is found out.
func (c *Call) fingerprint(canonical []byte) {
	buffer := buffers.Get().(*[]byte)
	message := appendSized((*buffer)[:0], c.request.URL.EscapedPath())
	message = append(message, canonical...)
	c.bodyHash = c.mux.options.BodyHash(message)
	*buffer = message
	buffers.Put(buffer)
}

// buffers are bytes for bodies on their way in and out.
var buffers = sync.Pool{New: func() any { return new(make([]byte, 0, 4096)) }}
