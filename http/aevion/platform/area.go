// Package platform is the area of the whole appliance on the AEVION surface:
// liveness under the paths that older clients know.
package platform

import (
	"coffer/fsm"
	"coffer/http/aevion"
	"coffer/http/api"
)

// New makes the area.
func New(deps aevion.Deps) api.Area {
	return deps.Area(api.Area{
		Name: "platform", Prefix: "", Tag: "Platform",
		Routes: []api.Route{
			api.Get("/health", health, api.Spec{
				Summary: "Liveness (older path)", Description: aevion.HealthNote, Auth: api.Public, Read: fsm.Stale,
			}),
			api.Get("/api/health", health, api.Spec{
				Summary: "Liveness of the whole appliance", Description: aevion.HealthNote, Auth: api.Public, Read: fsm.Stale,
			}),
		},
	})
}

func health(c *api.Call, _ api.Empty) (aevion.Health, error) {
	h, err := aevion.Alive(c, "AEVION Fintech", aevion.Readable)
	return h.Health, err
}
