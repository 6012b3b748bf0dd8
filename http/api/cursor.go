package api

import "coffer/store"

// Cursor is a store.Cursor as clients see it: opaque text. One that cannot be
// decoded is refused with CodeInvalidCursor.
type Cursor store.Cursor

// Store is the cursor as scans take it.
func (c Cursor) Store() store.Cursor { return store.Cursor(c) }

// IsZero tells that there is no cursor, for the omitzero option.
func (c Cursor) IsZero() bool { return len(c) == 0 }

// MarshalText writes the cursor as clients send it back.
func (c Cursor) MarshalText() ([]byte, error) { return []byte(store.Cursor(c).String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (c *Cursor) UnmarshalText(text []byte) error {
	parsed, err := store.ParseCursor(string(text))
	if err != nil {
		return err
	}
	*c = Cursor(parsed)
	return nil
}
