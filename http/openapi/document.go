package openapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/swaggest/openapi-go/openapi31"

	"coffer/http/api"
)

// Options choose what a document says and which routes it holds.
type Options struct {
	Title       string
	Version     string
	Description string
	Servers     []string // URLs
	Tags        []Tag    // in the order of the document; others follow
	Areas       []string // by name; all when empty
	// Relative writes paths below the prefix of their area, for a document of
	// one area whose server URL ends in that prefix.
	Relative bool
	// Without leaves out routes below these paths, as they are written.
	Without []string
	// Extra are further members of the document. Their names begin with x-.
	Extra map[string]any
}

// Tag describes a group of operations.
type Tag struct{ Name, Description string }

// Document is the OpenAPI document of a surface, or of some of its areas. It
// fails on types it cannot describe and on names that are there twice.
func Document(s api.Surface, o Options) ([]byte, error) {
	d := &document{
		options: o, surface: s, reflector: openapi31.NewReflector(),
		operations: map[string]string{}, shared: map[string]*response{},
	}
	d.prepare()
	if err := d.describe(); err != nil {
		return nil, err
	}
	if err := d.routes(d.countResponses); err != nil {
		return nil, err
	}
	if err := d.routes(d.add); err != nil {
		return nil, err
	}
	return d.bytes()
}

// routes runs a function for each route of the document.
func (d *document) routes(each func(area *api.Area, route api.Route, path string) error) error {
	for i := range d.surface.Areas {
		area := &d.surface.Areas[i]
		if len(d.options.Areas) > 0 && !slices.Contains(d.options.Areas, area.Name) {
			continue
		}
		for _, route := range area.Routes {
			path, ok := d.path(area, route)
			if !ok {
				continue
			}
			if err := each(area, route, path); err != nil {
				return fmt.Errorf("%s %s%s: %w", route.Method, area.Prefix, route.Pattern, err)
			}
		}
	}
	return nil
}

// document is a document in the making.
type document struct {
	options    Options
	surface    api.Surface
	reflector  *openapi31.Reflector
	operations map[string]string // ids and who has them
	tags       []string          // seen
	shared     map[string]*response
}

var errExtra = errors.New("extra members begin with x-")

// describe fills in what is not about routes.
func (d *document) describe() error {
	spec := d.reflector.Spec
	spec.Info = openapi31.Info{Title: d.options.Title, Version: d.options.Version}
	if d.options.Description != "" {
		spec.Info.WithDescription(d.options.Description)
	}
	for _, url := range d.options.Servers {
		spec.Servers = append(spec.Servers, openapi31.Server{URL: url})
	}
	for name, value := range d.options.Extra {
		if !strings.HasPrefix(name, "x-") {
			return fmt.Errorf("%q: %w", name, errExtra)
		}
		spec.WithMapOfAnythingItem(name, value)
	}
	for _, scheme := range d.surface.Schemes {
		described := openapi31.SecurityScheme{}
		switch {
		case scheme.Header != "":
			described.WithAPIKey(openapi31.SecuritySchemeAPIKey{Name: scheme.Header, In: openapi31.SecuritySchemeAPIKeyInHeader})
		case scheme.BearerFormat != "":
			described.WithHTTPBearer(openapi31.SecuritySchemeHTTPBearer{Scheme: "bearer", BearerFormat: &scheme.BearerFormat})
		default:
			return fmt.Errorf("scheme %s has neither a header nor a bearer format", scheme.Name)
		}
		if scheme.Description != "" {
			described.WithDescription(scheme.Description)
		}
		spec.ComponentsEns().WithSecuritySchemesItem(scheme.Name, openapi31.SecuritySchemeOrReference{SecurityScheme: &described})
	}
	return nil
}

// path is a route's path in this document; ok is false for routes left out.
func (d *document) path(area *api.Area, route api.Route) (path string, ok bool) {
	path = area.Prefix + route.Pattern
	if d.options.Relative {
		path = route.Pattern
	}
	path = strings.ReplaceAll(path, "...}", "}")
	if path == "" {
		path = "/"
	}
	for _, without := range d.options.Without {
		if path == without || strings.HasPrefix(path, strings.TrimSuffix(without, "/")+"/") {
			return "", false
		}
	}
	return path, !route.Spec.Hidden
}

// bytes are the document, indented, with a line break at the end.
func (d *document) bytes() ([]byte, error) {
	d.addTags()
	encoded, err := json.Marshal(d.reflector.Spec)
	if err != nil {
		return nil, fmt.Errorf("encode the document: %w", err)
	}
	// The library writes maps in the order of their names, so equal documents
	// are equal bytes.
	value := jsontext.Value(encoded)
	if err := value.Indent(jsontext.WithIndent("  ")); err != nil {
		return nil, fmt.Errorf("indent the document: %w", err)
	}
	return append(value, '\n'), nil
}

// addTags lists the tags of the options first, then those only routes have.
func (d *document) addTags() {
	listed := map[string]bool{}
	for _, tag := range d.options.Tags {
		described := openapi31.Tag{Name: tag.Name}
		if tag.Description != "" {
			described.WithDescription(tag.Description)
		}
		d.reflector.Spec.Tags = append(d.reflector.Spec.Tags, described)
		listed[tag.Name] = true
	}
	for _, name := range d.tags {
		if !listed[name] {
			d.reflector.Spec.Tags = append(d.reflector.Spec.Tags, openapi31.Tag{Name: name})
			listed[name] = true
		}
	}
}
