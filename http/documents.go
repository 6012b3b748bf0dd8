package http

import (
	"fmt"

	"coffer/fsm"
	"coffer/http/aevion/qpaynet"
	"coffer/http/api"
	"coffer/http/openapi"
)

// documents are the OpenAPI documents of the AEVION surface: one of everything
// and one of each module.
type documents struct {
	version string
	bodies  map[string][]byte // by name of the area; "" is the whole surface
}

func newDocuments(version string) *documents {
	return &documents{version: version, bodies: map[string][]byte{}}
}

// modules have a document of their own.
var modules = []struct{ area, title string }{
	{"qpaynet", "QPayNet"}, {"veilnetx-ledger", "VeilNetX Ledger"}, {"ztide", "Z-Tide"},
}

// tags stand in this order in the documents.
var tags = []openapi.Tag{
	{Name: "QPayNet", Description: "Wallets, deposits, withdrawals, transfers, KYC"},
	{Name: "VeilNetX Ledger", Description: "The public hash chain"},
	{Name: "Z-Tide", Description: "Reputation"},
	{Name: "Auth", Description: "Accounts and sessions"},
	{Name: "Platform", Description: "Liveness and documents"},
}

// addRoutes adds the routes of the documents themselves.
func (d *documents) addRoutes(s *api.Surface) {
	for i := range s.Areas {
		area := &s.Areas[i]
		if area.Name == "platform" {
			area.Routes = append(area.Routes, d.route("/api/openapi.json", ""))
		}
		for _, m := range modules {
			if area.Name == m.area {
				area.Routes = append(area.Routes, d.route("/openapi.json", m.area))
			}
		}
	}
}

func (d *documents) route(pattern, name string) api.Route {
	return api.Get(pattern, func(c *api.Call, _ api.Empty) (api.Content, error) {
		c.SetHeader("Cache-Control", "public, max-age=300")
		return api.Content{Media: "application/json; charset=utf-8", Body: d.bodies[name]}, nil
	}, api.Spec{Summary: "OpenAPI document", Auth: api.Public, Read: fsm.Stale, AnyOrigin: true, Media: []string{"application/json"}})
}

const description = "Amounts are integers in minor units. Every write takes dryRun=true; every answer names the log index it reflects."

func (d *documents) render(s api.Surface) error {
	err := d.add(s, "", openapi.Options{Title: "AEVION Fintech", Servers: []string{"/"}})
	if err != nil {
		return err
	}
	for _, m := range modules {
		o := openapi.Options{Title: m.title, Servers: []string{"/"}, Areas: []string{m.area}}
		if m.area == "qpaynet" {
			// The slice for partners: relative paths, nothing for administrators.
			o = openapi.Options{
				Title: "QPayNet partner API", Servers: []string{"https://api.aevion.app/api/qpaynet", "/api/qpaynet"},
				Areas: []string{m.area}, Relative: true, Without: []string{"/admin"},
				Extra: map[string]any{"x-error-codes": qpaynet.ErrorCodes(areaOf(s, m.area))},
			}
		}
		if err := d.add(s, m.area, o); err != nil {
			return err
		}
	}
	return nil
}

func (d *documents) add(s api.Surface, name string, o openapi.Options) error {
	o.Version, o.Description, o.Tags = d.version, description, tags
	body, err := openapi.Document(s, o)
	if err != nil {
		return fmt.Errorf("openapi document %q: %w", name, err)
	}
	d.bodies[name] = body
	return nil
}

func areaOf(s api.Surface, name string) (found api.Area) {
	for _, area := range s.Areas {
		if area.Name == name {
			found = area
		}
	}
	return found
}
