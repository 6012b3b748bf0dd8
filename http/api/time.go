package api

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"coffer/store"
)

// Time is a store.Time as the public APIs write it: RFC 3339 in UTC with three
// decimals. Zero is absent in a request and null in an answer.
type Time store.Time

const (
	reasonTime = "must be an RFC 3339 timestamp"
	timeLayout = "2006-01-02T15:04:05.000Z"
)

var errTime = errors.New(reasonTime)

// ParseTime reads an RFC 3339 timestamp of any precision and offset; what is
// below a microsecond is cut.
func ParseTime(text string) (store.Time, error) {
	var t time.Time
	if err := t.UnmarshalText([]byte(text)); err != nil {
		return 0, errTime
	}
	return store.TimeOf(t), nil
}

// Store is the time as the rest of the program has it.
func (t Time) Store() store.Time { return store.Time(t) }

// IsZero tells that the time is not set, for the omitzero option.
func (t Time) IsZero() bool { return t == 0 }

// MarshalJSONTo writes the timestamp, or null for zero.
func (t Time) MarshalJSONTo(e *jsontext.Encoder) error {
	if t == 0 {
		return e.WriteToken(jsontext.Null)
	}
	var room [len(timeLayout) + 2]byte
	quoted := append(room[:0], '"')
	quoted = store.Time(t).Std().AppendFormat(quoted, timeLayout)
	return e.WriteValue(append(quoted, '"'))
}

// UnmarshalJSON reads a timestamp or null.
func (t *Time) UnmarshalJSON(value []byte) error {
	text := string(value)
	if text == "null" {
		*t = 0
		return nil
	}
	if len(text) < 2 || text[0] != '"' {
		return errTime
	}
	parsed, err := ParseTime(text[1 : len(text)-1])
	if err != nil {
		return err
	}
	*t = Time(parsed)
	return nil
}
