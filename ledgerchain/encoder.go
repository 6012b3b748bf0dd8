package ledgerchain

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// MaxDepth is how deep objects and arrays of a payload may nest.
const MaxDepth = 16

// Encoder writes one canonical payload. The zero value is ready; it allocates only when its buffer grows.
// A mistake (keys out of order, a value without key, too large) is kept and returned by Bytes.
type Encoder struct {
	buffer []byte
	start  int
	depth  int
	frames [MaxDepth]frame
	err    error
}

type frame struct {
	key   string // the latest key of an object
	array bool
	some  bool // an element has been written
	keyed bool // a key waits for its value
}

// Reset starts a new payload that will be appended to dst.
func (e *Encoder) Reset(dst []byte) {
	e.buffer, e.start, e.depth, e.err = dst, len(dst), 0, nil
}

// Bytes returns dst of Reset with the payload appended, or the first mistake.
func (e *Encoder) Bytes() ([]byte, error) {
	switch {
	case e.err != nil:
		return nil, fmt.Errorf("encode payload: %w", e.err)
	case e.depth != 0 || len(e.buffer) == e.start:
		return nil, errors.New("encode payload: unfinished object")
	case len(e.buffer)-e.start > MaxPayload:
		return nil, fmt.Errorf("encode payload: %d bytes, limit %d", len(e.buffer)-e.start, MaxPayload)
	}
	return e.buffer, nil
}

// BeginObject opens an object: the payload itself, or a value in it.
func (e *Encoder) BeginObject() { e.open('{', false) }

// EndObject closes the object opened last.
func (e *Encoder) EndObject() { e.close('}', false) }

// BeginArray opens an array as a value.
func (e *Encoder) BeginArray() { e.open('[', true) }

// EndArray closes the array opened last.
func (e *Encoder) EndArray() { e.close(']', true) }

// Key starts the next member of an object. Keys are ASCII and rise byte by byte.
func (e *Encoder) Key(key string) *Encoder {
	if e.err != nil {
		return e
	}
	if e.depth == 0 || e.top().array || e.top().keyed {
		return e.fail(fmt.Errorf("key %q outside an object", key))
	}
	top := e.top()
	if top.some && key <= top.key {
		return e.fail(fmt.Errorf("key %q after %q: keys must rise", key, top.key))
	}
	if top.some {
		e.buffer = append(e.buffer, ',')
	}
	top.key, top.some, top.keyed = key, true, true
	plain := true
	for i := range len(key) {
		if key[i] >= utf8.RuneSelf {
			return e.fail(fmt.Errorf("key %q is not ASCII", key))
		}
		plain = plain && key[i] >= 0x20 && key[i] != '"' && key[i] != '\\'
	}
	if !plain {
		e.buffer = append(AppendString(e.buffer, key), ':')
		return e
	}
	e.buffer = append(e.buffer, '"')
	e.buffer = append(e.buffer, key...)
	e.buffer = append(e.buffer, '"', ':')
	return e
}

// String writes a string value.
func (e *Encoder) String(value string) {
	if e.value() {
		e.buffer = AppendString(e.buffer, value)
	}
}

// Int writes an integer value, as a decimal string beyond ±MaxInteger.
func (e *Encoder) Int(value int64) {
	if e.value() {
		e.buffer = AppendInt(e.buffer, value)
	}
}

// Bool writes a boolean value.
func (e *Encoder) Bool(value bool) {
	if !e.value() {
		return
	}
	if value {
		e.buffer = append(e.buffer, "true"...)
		return
	}
	e.buffer = append(e.buffer, "false"...)
}

// Raw writes a value that is already canonical, such as the answer of Canonicalize.
func (e *Encoder) Raw(value []byte) {
	if e.err != nil {
		return
	}
	end, err := scanValue(value, 0, MaxDepth-e.depth)
	if err == nil && end != len(value) {
		err = errors.New("bytes after the value")
	}
	if err != nil {
		e.fail(fmt.Errorf("raw value: %w", err))
		return
	}
	if e.value() {
		e.buffer = append(e.buffer, value...)
	}
}

func (e *Encoder) top() *frame { return &e.frames[e.depth-1] }

func (e *Encoder) fail(err error) *Encoder {
	if e.err == nil {
		e.err = err
	}
	return e
}

// value makes room for a value and reports whether one may stand here.
func (e *Encoder) value() bool {
	if e.err != nil {
		return false
	}
	if e.depth == 0 {
		e.fail(errors.New("a payload is one object"))
		return false
	}
	top := e.top()
	if !top.array && !top.keyed {
		e.fail(errors.New("value without key"))
		return false
	}
	if top.array && top.some {
		e.buffer = append(e.buffer, ',')
	}
	top.some, top.keyed = true, false
	return true
}

func (e *Encoder) open(bracket byte, array bool) {
	payload := e.err == nil && e.depth == 0 && len(e.buffer) == e.start && !array
	if !payload && !e.value() {
		return
	}
	if e.depth == MaxDepth {
		e.fail(fmt.Errorf("nested deeper than %d", MaxDepth))
		return
	}
	e.frames[e.depth] = frame{array: array}
	e.depth++
	e.buffer = append(e.buffer, bracket)
}

func (e *Encoder) close(bracket byte, array bool) {
	if e.err != nil {
		return
	}
	if e.depth == 0 || e.top().array != array || e.top().keyed {
		e.fail(fmt.Errorf("%q closes nothing", bracket))
		return
	}
	e.depth--
	e.buffer = append(e.buffer, bracket)
}
