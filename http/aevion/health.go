package aevion

import (
	"net/http"

	"coffer/fsm"
	"coffer/http/api"
	"coffer/store"
)

// Health is what the health routes answer.
type Health struct {
	Status    string   `json:"status" doc:"ok, degraded or down"`
	Service   string   `json:"service"`
	Timestamp api.Time `json:"timestamp"`
}

// StatusCode is 503 while storage cannot be read.
func (h Health) StatusCode() int {
	if h.Status == down {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// ModuleHealth is the health of a module with storage of its own.
type ModuleHealth struct {
	Health
	DB string `json:"db" doc:"ok or down"`
}

const down = "down"

// Alive says that a service answers and that its storage can be read: look is
// called with a view. The error is that of a request which asks for more than
// can be had now, such as a level without a leader.
func Alive(c *api.Call, service string, look func(*store.View) error) (ModuleHealth, error) {
	h := ModuleHealth{Health{Status: "ok", Service: service, Timestamp: Now(c)}, "ok"}
	err := c.Read(look)
	if err == nil {
		return h, nil
	}
	if problem := api.ProblemOf(err, false); problem.Kind != fsm.Internal {
		return h, problem
	}
	h.Status, h.DB = down, down
	return h, nil
}

// Readable is a look that wants nothing in particular.
func Readable(*store.View) error { return nil }

// Now is the clock of this node as answers show it.
func Now(c *api.Call) api.Time { return api.Time(c.Time().UnixMicro()) }

// HealthNote describes a health route in documents.
const HealthNote = "Answers 503 with status down while storage cannot be read."
