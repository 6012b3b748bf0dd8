// Package platform is the area of the whole appliance on the AEVION surface:
// liveness under the paths that older clients know.
package platform

import (
	"coffer/fsm"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

// New makes the area.
func New() api.Area {
	return aevion.Area(api.Area{
		Name: "platform", Prefix: "", Tag: "Platform",
		Routes: []api.Route{
			api.Get("/health", health, api.Spec{Summary: "Liveness (older path)", Auth: api.Public, Read: fsm.Stale}),
			api.Get("/api/health", health, api.Spec{Summary: "Liveness of the whole appliance", Auth: api.Public, Read: fsm.Stale}),
		},
	})
}

type healthResponse struct{ aevion.Health }

// StatusCode is that of an appliance without storage.
func (h healthResponse) StatusCode() int { return h.Code() }

func health(c *api.Call, _ api.Empty) (healthResponse, error) {
	out := healthResponse{aevion.Alive(c, "AEVION Fintech")}
	if err := c.Read(func(*store.View) error { return nil }); err != nil {
		out.Status = "down"
	}
	return out, nil
}
