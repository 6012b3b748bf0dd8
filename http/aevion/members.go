package aevion

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"coffer/fsm"
	"coffer/http/api"
)

// Members is a JSON object of details, in their order.
type Members []fsm.Detail

// MarshalJSONTo writes the object.
func (m Members) MarshalJSONTo(e *jsontext.Encoder) error {
	if err := e.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, d := range m {
		value := jsontext.Int(d.Number)
		if d.IsText {
			value = jsontext.String(d.Text)
		}
		if err := e.WriteToken(jsontext.String(d.Name)); err != nil {
			return err
		}
		if err := e.WriteToken(value); err != nil {
			return err
		}
	}
	return e.WriteToken(jsontext.EndObject)
}

// Health is what the health routes answer.
type Health struct {
	Status    string   `json:"status"`
	Service   string   `json:"service"`
	Timestamp api.Time `json:"timestamp"`
}

// Code is the status of the answer: 503 while storage cannot be read.
func (h *Health) Code() int {
	if h.Status == "down" {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// Alive says that a service answers.
func Alive(c *api.Call, service string) Health {
	return Health{Status: "ok", Service: service, Timestamp: Now(c)}
}

// Now is the clock of this node as answers show it.
func Now(c *api.Call) api.Time { return api.Time(c.Time().UnixMicro()) }
