package api

import (
	"errors"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxInteger is the largest magnitude an Integer takes, 2^53 - 1.
// Every JSON client can hold it exactly.
const MaxInteger = 1<<53 - 1

// Integer is an optional whole number of a request, such as minor units.
// It takes an integer literal or a string of one, never 1.0 or 1e3.
type Integer struct {
	Value int64
	Set   bool // false when the member is absent or null
}

const reasonInteger = "must be an integer"

var (
	errInteger      = errors.New(reasonInteger)
	errIntegerRange = errors.New("must be between -9007199254740991 and 9007199254740991")
)

// ParseInteger reads a decimal integer without plus sign, leading zeros,
// fraction or exponent, of at most MaxInteger in magnitude.
func ParseInteger(text string) (int64, error) {
	if !isInteger(text) {
		return 0, errInteger
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || value > MaxInteger || value < -MaxInteger {
		return 0, errIntegerRange
	}
	return value, nil
}

// isInteger tells whether text is an integer as JSON writes it.
func isInteger(text string) bool {
	digits := text
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if digits == "" || (digits[0] == '0' && len(digits) > 1) {
		return false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	return true
}

// MarshalJSONTo writes the number, or null when it is not set.
func (i Integer) MarshalJSONTo(e *jsontext.Encoder) error {
	if !i.Set {
		return e.WriteToken(jsontext.Null)
	}
	return e.WriteToken(jsontext.Int(i.Value))
}

// UnmarshalJSON reads a number, a string of a number, or null.
func (i *Integer) UnmarshalJSON(value []byte) error {
	text := string(value)
	switch {
	case text == "null":
		*i = Integer{}
		return nil
	case len(text) >= 2 && text[0] == '"':
		text = text[1 : len(text)-1]
	}
	number, err := ParseInteger(text)
	if err != nil {
		return err
	}
	*i = Integer{Value: number, Set: true}
	return nil
}
