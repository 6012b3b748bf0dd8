package api

import (
	"strings"
	"testing"

	"coffer/fsm"
)

// Inputs that do not fit their routes.
type (
	bodyOfGet struct {
		A string `json:"a"`
	}
	both struct {
		A string `json:"a"`
		B string `form:"b"`
	}
	coded struct {
		A string `json:"a" validate:"required" code:"code_of_tag"`
	}
	onePath struct {
		ID string `path:"id"`
	}
	lowerHeader struct {
		A string `header:"x-a"`
	}
	oddType struct {
		F func() `json:"f"`
	}
)

var fine = Spec{Summary: "x", Auth: Public}

// with is the fine spec changed.
func with(change func(*Spec)) Spec {
	s := fine
	change(&s)
	return s
}

func empty(*Call, Empty) (Empty, error) { return Empty{}, nil }

// takes and makes are handlers of odd types.
func takes[In any](*Call, In) (Empty, error)   { return Empty{}, nil }
func makes[Out any](*Call, Empty) (Out, error) { panic("never called") }

// badRoutes are declarations and what is said about them.
var badRoutes = map[string]Route{
	"declares no Auth":               Get("/a", empty, Spec{Summary: "x"}),
	"declares no Summary":            Get("/a", empty, Spec{Auth: Public}),
	"has no scheme apiKey":           Get("/a", empty, with(func(s *Spec) { s.Auth = Require("apiKey") })),
	"is idempotent, but changes":     Get("/a", empty, with(func(s *Spec) { s.Auth, s.Idempotent = Bearer, true })),
	"whose key it is":                Post("/a", empty, with(func(s *Spec) { s.Idempotent = true })),
	"answers HEAD, but is no GET":    Post("/a", empty, with(func(s *Spec) { s.Head = true })),
	"body limit outside":             Post("/a", empty, with(func(s *Spec) { s.BodyLimit = MaxBodyLimit + 1 })),
	"code never_declared is not in":  Post("/a", empty, with(func(s *Spec) { s.Rejections = fsm.Rejections{errUndeclare} })),
	"code thing_not_found is not in": Post("/a", empty, with(func(s *Spec) { s.NotFound = errNoThing })),
	"code own_code is not in":        Post("/a", empty, with(func(s *Spec) { s.Codes = []string{"own_code"} })),
	"code code_of_tag is not in":     Post("/a", takes[coded], fine),
	"members of a body, but a GET":   Get("/a", takes[bodyOfGet], fine),
	"of JSON and of a form":          Post("/a", takes[both], fine),
	"takes the path parameter id":    Get("/a/{id}", empty, fine),
	"has no parameter id":            Get("/a", takes[onePath], fine),
	"header x-a is written X-A":      Get("/a", takes[lowerHeader], fine),
	"input string is no struct":      Get("/a", takes[string], fine),
	"no rule how to read a func()":   Post("/a", takes[oddType], fine),
	"output: json: ":                 Get("/a", makes[oddType], fine),
	"does not begin with a slash":    Get("a", empty, fine),
}

// Whatever is declared wrongly is found at start, all of it at once.
func TestStartRefuses(t *testing.T) {
	for says, r := range badRoutes {
		b := newBank(t, r)
		_, err := NewMux(b.options)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", says, err)
		}
	}
	b := newBank(t, Get("/a", empty, Spec{Summary: "x"}), Get("/b", empty, Spec{Auth: Public}))
	_, err := NewMux(b.options)
	if err == nil || !strings.Contains(err.Error(), "/a: declares no Auth") || !strings.Contains(err.Error(), "/b: declares no Summary") {
		t.Errorf("not all mistakes are reported: %v", err)
	}
}

func TestStartRefusesAreasAndOptions(t *testing.T) {
	for says, change := range map[string]func(*Options){
		"has no name":              func(o *Options) { o.Surfaces[0].Areas[0].Name = "" },
		"has no envelope":          func(o *Options) { o.Surfaces[0].Areas[0].Envelope = nil },
		"prefix of area money":     func(o *Options) { o.Surfaces[0].Areas[0].Prefix = "api" },
		"two areas are named":      func(o *Options) { o.Surfaces = append(o.Surfaces, o.Surfaces[0]) },
		"no Options.Fatal":         func(o *Options) { o.Fatal = nil },
		"no Options.BodyHash":      func(o *Options) { o.BodyHash = nil },
		"no Options.Reader":        func(o *Options) { o.Reader = nil },
		"no Options.Authorise":     func(o *Options) { o.Authorise = nil },
		"has no scheme bearerAuth": func(o *Options) { o.Surfaces[0].Schemes = nil },
		"session_revoked is not":   func(o *Options) { delete(o.Surfaces[0].Areas[0].Codes, "session_revoked") },
	} {
		b := newBank(t)
		codes := Codes{}
		for code, answer := range bankCodes {
			codes[code] = answer
		}
		b.options.Surfaces[0].Areas[0].Codes = codes
		change(&b.options)
		_, err := NewMux(b.options)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", says, err)
		}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("Require without schemes is accepted")
			}
		}()
		Require()
	}()
}

func TestCodesOfTheLogAreTheirs(t *testing.T) {
	if CodeInternal != fsm.ErrInternal.Code || CodeKeyReused != fsm.ErrKeyReused.Code || CodeWritesFrozen != fsm.ErrWriteFrozen.Code ||
		CodeNoSpace != fsm.ErrNoSpace.Code {
		t.Fatal("a code of this package is not that of the log")
	}
}

func TestAnswersTableFallsBack(t *testing.T) {
	codes := Codes{"a": {Status: 418}, "b": {Code: "wire"}, CodeUnavailable: {Code: "later"}}
	for _, c := range []struct {
		p    Problem
		want Answer
	}{
		{Problem{Kind: fsm.Conflict, Code: "a"}, Answer{418, "a", ""}},
		{Problem{Kind: fsm.Conflict, Code: "b"}, Answer{409, "wire", ""}},
		{Problem{Kind: fsm.Unavailable, Code: CodeUnavailable}, Answer{503, "later", standard[CodeUnavailable].Message}},
		{Problem{Kind: fsm.Invalid, Code: CodeMediaType}, standard[CodeMediaType]},
		{Problem{Kind: 99, Code: "c"}, Answer{500, "c", ""}},
	} {
		if got := codes.Answer(&c.p); got != c.want {
			t.Errorf("%+v: %+v, want %+v", c.p, got, c.want)
		}
	}
}

func TestAnswersOfARoute(t *testing.T) {
	b := newBank(t)
	area := &b.options.Surfaces[0].Areas[0]
	answers, err := area.Answers(area.Routes[0])
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range answers {
		got = append(got, a.Code)
	}
	want := "insufficient_balance validation_failed auth_required idempotency_key_body_mismatch payload_too_large unsupported_media_type " +
		"rate_limit_exceeded internal_error outcome_unknown unavailable writes_frozen no_space"
	if strings.Join(got, " ") != want {
		t.Errorf("answers %s", strings.Join(got, " "))
	}
}

// What the road refuses depends on the route, also where an area lists it: nobody
// needs a token for a public route, and a read has no key.
func TestAnswersOfTheRoadDependOnTheRoute(t *testing.T) {
	own := fsm.Reject(fsm.Forbidden, "banned")
	area := Area{Envelope: ProblemDetails{}, Rejections: fsm.Rejections{
		own, fsm.ErrKeyReused, fsm.ErrWriteFrozen, fsm.ErrNoSpace, fsm.Reject(fsm.Unauthenticated, CodeAuthRequired),
	}}
	for want, route := range map[string]Route{
		"validation_failed banned rate_limit_exceeded internal_error unavailable": Get("/a", empty, fine),
		"validation_failed auth_required banned rate_limit_exceeded internal_error unavailable": Get("/b", empty,
			with(func(s *Spec) { s.Auth = Bearer })),
		"validation_failed banned payload_too_large unsupported_media_type rate_limit_exceeded internal_error " +
			"outcome_unknown unavailable writes_frozen no_space": Post("/c", empty, fine),
	} {
		answers, err := area.Answers(route)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range answers {
			got = append(got, a.Code)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s answers %s", route.Pattern, strings.Join(got, " "))
		}
	}
}

// A public route that reads may be asked for a level it does not know, or find
// no leader.
func TestAnswersOfAPublicRead(t *testing.T) {
	area := Area{Envelope: ProblemDetails{}}
	route := Get("/stats", func(*Call, Empty) (Empty, error) { return Empty{}, nil }, Spec{Summary: "x", Auth: Public})
	answers, err := area.Answers(route)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range answers {
		got = append(got, a.Code)
	}
	if want := "validation_failed rate_limit_exceeded internal_error unavailable"; strings.Join(got, " ") != want {
		t.Errorf("answers %s", strings.Join(got, " "))
	}
}
