package store

import (
	"encoding/base64"
	"errors"
	"iter"
)

// MaxLimit caps the rows of one page.
const MaxLimit = 500

// ErrCursor is returned for a cursor that no page of ours has given.
var ErrCursor = errors.New("the cursor cannot be decoded")

// Cursor is where a page ended: the key of its last row, below the prefix of
// the scan. The empty cursor is the start.
type Cursor []byte

// String is the cursor as clients see it, base64url without padding.
func (c Cursor) String() string { return base64.RawURLEncoding.EncodeToString(c) }

// ParseCursor reads what String printed; "" is the start.
func ParseCursor(text string) (Cursor, error) {
	cursor, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(cursor) > 1024 {
		return nil, ErrCursor
	}
	return cursor, nil
}

// Collect takes the first limit rows, at least one and at most MaxLimit. The
// cursor is nil when there are no more.
func Collect[T any](rows iter.Seq2[Cursor, T], limit int) (page []T, next Cursor) {
	limit = max(1, min(limit, MaxLimit))
	page = []T{}
	var last Cursor
	for cursor, row := range rows {
		if len(page) == limit {
			return page, last
		}
		page = append(page, row)
		last = append(last[:0], cursor...)
	}
	return page, nil
}
