package http

import (
	"fmt"
	"sync"

	"coffer/fsm"
	"coffer/fsm/settings"
	"coffer/http/aevion/qpaynet"
	"coffer/http/api"
	"coffer/http/openapi"
	"coffer/store"
)

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

const description = "Amounts are integers in minor units. Every write takes dryRun=true; every answer names the log index it reflects."

// documents are the OpenAPI documents of the AEVION surface: one of everything
// and one of each module. They name the server's public address, which is a
// setting, so they are made when somebody asks, and again when that changes: they
// take longer than all else at a start.
type documents struct {
	surface api.Surface
	version string

	mu      sync.Mutex
	backend string            // address that the bodies name
	bodies  map[string][]byte // by name of the area; "" is the whole surface
}

// addDocuments adds the routes of the documents, which they describe too.
func addDocuments(s *api.Surface, version string) {
	d := &documents{version: version}
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
	d.surface = *s
}

func (d *documents) route(pattern, name string) api.Route {
	return api.Get(pattern, func(c *api.Call, _ api.Empty) (api.Content, error) {
		backend := ""
		err := c.Read(func(v *store.View) error {
			backend = settings.BackendURL.Of(v)
			return nil
		})
		if err != nil {
			return api.Content{}, err
		}
		body, err := d.body(name, backend)
		c.SetHeader("Cache-Control", "public, max-age=300")
		return api.Content{Media: "application/json; charset=utf-8", Body: body}, err
	}, api.Spec{Summary: "OpenAPI document", Auth: api.Public, Read: fsm.Stale, AnyOrigin: true, Media: []string{"application/json"}})
}

// body is one document that names a public address.
func (d *documents) body(name, backend string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bodies == nil || backend != d.backend {
		if err := d.make(backend); err != nil {
			return nil, err
		}
	}
	return d.bodies[name], nil
}

// make makes all documents.
func (d *documents) make(backend string) error {
	bodies := map[string][]byte{}
	for name, o := range d.options(backend) {
		o.Version, o.Description, o.Tags = d.version, description, tags
		body, err := openapi.Document(d.surface, o)
		if err != nil {
			return fmt.Errorf("openapi document %q: %w", name, err)
		}
		bodies[name] = body
	}
	d.backend, d.bodies = backend, bodies
	return nil
}

// options are those of all documents by name. The server that answers comes
// first where a person tries calls, the public one where partners read.
func (d *documents) options(backend string) map[string]openapi.Options {
	all := map[string]openapi.Options{"": {Title: "AEVION Fintech", Servers: []string{"/", backend}}}
	for _, m := range modules {
		all[m.area] = openapi.Options{Title: m.title, Servers: []string{"/", backend}, Areas: []string{m.area}}
	}
	partner := d.area("qpaynet")
	// Relative paths, and nothing for administrators.
	all[partner.Name] = openapi.Options{
		Title: "QPayNet partner API", Servers: []string{backend + partner.Prefix, partner.Prefix},
		Areas: []string{partner.Name}, Relative: true, Without: []string{"/admin"},
		Extra: map[string]any{"x-error-codes": qpaynet.ErrorCodes(partner), "x-webhook-contract": qpaynet.Webhooks()},
	}
	return all
}

func (d *documents) area(name string) (found api.Area) {
	for _, area := range d.surface.Areas {
		if area.Name == name {
			found = area
		}
	}
	return found
}
