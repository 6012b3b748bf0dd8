package api

import (
	"net/http"
	"reflect"

	"coffer/fsm"
)

// Spec is what a route declares beside its types.
type Spec struct {
	Summary     string
	Description string
	Operation   string // operationId of OpenAPI; made of method and path when empty
	Deprecated  bool

	Auth Auth   // must be given
	Role string // what the caller must be besides known, for Options.Authorise
	Rate Rate   // RateRead for GET, else RateWrite, when empty

	Idempotent bool           // honours Idempotency-Key
	Rejections fsm.Rejections // what the handler may answer besides its result
	Codes      []string       // of problems made by the handler or a Checker itself
	NotFound   *fsm.Rejection // for a malformed id in the path; else CodeNotFound
	Read       fsm.Level      // of Call.Read; the zero value is the strictest
	Status     int            // of success, 200 when zero
	BodyLimit  int            // bytes, BodyLimit when zero
	Media      []string       // media types of the answer; JSON when empty
	Head       bool           // a GET route that answers HEAD too
	AnyOrigin  bool           // every web origin may read it, whatever the area says
	Hidden     bool           // not in OpenAPI
}

// BodyLimit is how many bytes a body may have, unless the route says more.
const BodyLimit = 1 << 20

// MaxBodyLimit is the most a route may say.
const MaxBodyLimit = 16 << 20

// Route is one endpoint: its types come from the handler, the rest from the
// Spec. Make one with Get, Post, Patch, Put or Delete.
type Route struct {
	Method  string
	Pattern string // below the prefix of its area, with parameters in braces
	Spec    Spec
	In, Out reflect.Type

	run func(*Call, *binder) (out any, err error)
	raw http.Handler
}

// Empty is the input or output of a route that has none.
type Empty struct{}

// Get declares a route that changes nothing.
func Get[In, Out any](pattern string, handle func(*Call, In) (Out, error), spec Spec) Route {
	return route(http.MethodGet, pattern, handle, spec)
}

// Post declares a route that does something.
func Post[In, Out any](pattern string, handle func(*Call, In) (Out, error), spec Spec) Route {
	return route(http.MethodPost, pattern, handle, spec)
}

// Patch declares a route that changes parts of an object.
func Patch[In, Out any](pattern string, handle func(*Call, In) (Out, error), spec Spec) Route {
	return route(http.MethodPatch, pattern, handle, spec)
}

// Put declares a route that replaces an object.
func Put[In, Out any](pattern string, handle func(*Call, In) (Out, error), spec Spec) Route {
	return route(http.MethodPut, pattern, handle, spec)
}

// Delete declares a route that removes an object.
func Delete[In, Out any](pattern string, handle func(*Call, In) (Out, error), spec Spec) Route {
	return route(http.MethodDelete, pattern, handle, spec)
}

// Raw declares a GET route that a handler of the standard library answers, such
// as embedded pages. It has no typed input, no session check and no envelope.
// Its pattern may end with a parameter like {rest...} for all that follows.
func Raw(pattern string, handler http.Handler, spec Spec) Route {
	return Route{Method: http.MethodGet, Pattern: pattern, Spec: spec, In: emptyType, Out: emptyType, raw: handler}
}

var emptyType = reflect.TypeFor[Empty]()

func route[In, Out any](method, pattern string, handle func(*Call, In) (Out, error), spec Spec) Route {
	return Route{
		Method: method, Pattern: pattern, Spec: spec,
		In: reflect.TypeFor[In](), Out: reflect.TypeFor[Out](),
		run: func(c *Call, b *binder) (any, error) {
			in := new(In)
			if problem := b.bind(c, reflect.ValueOf(in).Elem()); problem != nil {
				return nil, problem
			}
			out, err := handle(c, *in)
			if err != nil {
				return nil, err
			}
			return &out, nil
		},
	}
}

// Writes tells that the route may change something, so that it takes a body, an
// idempotency key and a dry run.
func (r Route) Writes() bool { return r.Method != http.MethodGet }
