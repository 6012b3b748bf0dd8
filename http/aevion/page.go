package aevion

import (
	"coffer/http/api"
	"coffer/store"
)

// Page is the query of a list.
type Page struct {
	Cursor api.Cursor `query:"cursor" doc:"nextCursor of the page before"`
	Limit  int        `query:"limit" clamp:"50,200" doc:"Items per page, at most 200"`
}

// After is where the page begins.
func (p *Page) After() store.Cursor { return p.Cursor.Store() }
