package http

import (
	"coffer/http/aevion"
	"coffer/http/aevion/auth"
	"coffer/http/aevion/platform"
	"coffer/http/aevion/qpaynet"
	"coffer/http/aevion/veilnetx"
	"coffer/http/aevion/ztide"
	"coffer/http/api"
)

// surfaces lists every surface with its areas.
func surfaces(deps aevion.Deps, values *cached, schemes []api.Scheme, version string) []api.Surface {
	areas := []api.Area{platform.New(deps), auth.New(deps), qpaynet.New(deps), ztide.New(deps)}
	areas = append(areas, veilnetx.New(deps)...)
	for i := range areas {
		areas[i].Origins = values.origin
	}
	surface := aevion.Surface(values.limit, schemes, areas...)
	addDocuments(&surface, version)
	return []api.Surface{surface}
}
