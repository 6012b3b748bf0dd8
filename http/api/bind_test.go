package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/store"
)

// strictly answers what was bound, or the problem.
type bound[In any] struct {
	t    testing.TB
	mux  *Mux
	last In
}

// bindTo makes a mux of one route that keeps its input.
func bindTo[In any](t testing.TB, method, pattern string, change ...func(*Area)) *bound[In] {
	t.Helper()
	b := &bound[In]{t: t}
	bank := newBank(t)
	area := Area{
		Name: "bound", Prefix: "/bound", Envelope: flat{},
		Codes: Codes{
			"name_required_max_80": {Status: 400}, "too_much": {Status: 400}, "thing_not_found": {Status: 404},
			"metadata_too_large": {Status: 400}, "items_required": {Status: 400}, "too_many_items": {Status: 400},
		},
		Routes: []Route{route(method, pattern, func(_ *Call, in In) (Empty, error) {
			b.last = in
			return Empty{}, nil
		}, Spec{Summary: "Keeps its input", Auth: Public, NotFound: errNoThing})},
	}
	for _, c := range change {
		c(&area)
	}
	bank.options.Surfaces = []Surface{{Name: "bound", Areas: []Area{area}}}
	b.mux = bank.mux()
	return b
}

var errNoThing = rejectThing()

func (b *bound[In]) post(body string, edits ...edit) answer {
	b.t.Helper()
	return do(b.t, b.mux, "POST", "/bound", body, edits...)
}

// takes posts a body that must be accepted and compares what was bound.
func (b *bound[In]) takes(body string, want In) {
	b.t.Helper()
	b.post(body).is(b.t, 200)
	if diff := cmp.Diff(want, b.last); diff != "" {
		b.t.Fatalf("%s is bound as:\n%s", body, diff)
	}
}

// refuses posts a body that must be refused for one member.
func (b *bound[In]) refuses(body, field, reason string) {
	b.t.Helper()
	b.post(body).is(b.t, 400, "error", CodeValidation, "field", field, "reason", reason)
}

type everything struct {
	Text    string            `json:"text"`
	Flag    bool              `json:"flag"`
	Int     int               `json:"int"`
	Small   int8              `json:"small"`
	Amount  Integer           `json:"amount"`
	At      Time              `json:"at"`
	Cursor  Cursor            `json:"cursor"`
	Pointer *string           `json:"pointer"`
	Maybe   Optional[string]  `json:"maybe"`
	Number  Optional[int]     `json:"number"`
	List    []string          `json:"list" validate:"max=3"`
	Rows    []inner           `json:"rows" validate:"max=3"`
	Nested  inner             `json:"nested"`
	Words   map[string]string `json:"words"`
	Typed   store.ID          `json:"typed"`
	Ignored string            `json:"-"`
}

type inner struct {
	A string  `json:"a"`
	B Integer `json:"b"`
}

func pointerText(text string) *string { return &text }

func TestBindTypes(t *testing.T) {
	b := bindTo[everything](t, "POST", "")
	b.takes(`{}`, everything{})
	b.takes(``, everything{})
	b.takes(` { "text" : "x" , "flag" : true , "int":-7,"small":127, "amount":5 } `,
		everything{Text: "x", Flag: true, Int: -7, Small: 127, Amount: Integer{5, true}})
	b.takes(`{"text":null,"flag":null,"int":null,"amount":null,"at":null,"pointer":null,"list":null,"rows":null,"nested":null}`, everything{})
	b.takes(`{"amount":"12","at":"2026-03-04T06:06:07.0895+01:00","pointer":"","typed":"wal_1"}`,
		everything{Amount: Integer{12, true}, At: 1772600767089500, Pointer: pointerText(""), Typed: "wal_1"})
	b.takes(`{"maybe":null,"number":3}`, everything{Maybe: Optional[string]{Set: true, Null: true}, Number: Optional[int]{Set: true, Value: 3}})
	b.takes(`{"maybe":""}`, everything{Maybe: Optional[string]{Set: true}})
	b.takes(`{"list":[],"rows":[]}`, everything{List: []string{}, Rows: []inner{}})
	b.takes(`{"list":["a","b"],"rows":[{"a":"x","b":1},{}],"nested":{"a":"y"},"words":{"k":"v"}}`, everything{
		List: []string{"a", "b"}, Rows: []inner{{"x", Integer{1, true}}, {}}, Nested: inner{A: "y"}, Words: map[string]string{"k": "v"},
	})
	b.takes(`{"text":"a\"b\\\\\"c\/\b\f\n\r\té😀\\u0000","cursor":"AQID"}`,
		everything{Text: "a\"b\\\\\"c/\b\f\n\r\té😀\\u0000", Cursor: Cursor{1, 2, 3}})
	b.takes(`{"unknown":{"deep":[[{"x":"]}\"{["}]],"n":1e400},"text":"after","Text":"not this","Ignored":"x","-":"y"}`, everything{Text: "after"})
	b.takes(`{"te\u0078t":"by another spelling"}`, everything{Text: "by another spelling"})
}

func TestBindTypeErrors(t *testing.T) {
	b := bindTo[everything](t, "POST", "")
	for _, c := range []struct{ body, field, reason string }{
		{`{"text":1}`, "text", "must be a string"},
		{`{"text":{}}`, "text", "must be a string"},
		{`{"flag":"true"}`, "flag", "must be true or false"},
		{`{"flag":1}`, "flag", "must be true or false"},
		{`{"int":1.0}`, "int", "must be an integer"},
		{`{"int":1e3}`, "int", "must be an integer"},
		{`{"int":"1"}`, "int", "must be an integer"},
		{`{"int":9223372036854775808}`, "int", "is out of range"},
		{`{"small":128}`, "small", "is out of range"},
		{`{"amount":1.0}`, "amount", "must be an integer"},
		{`{"amount":1e3}`, "amount", "must be an integer"},
		{`{"amount":1E400}`, "amount", "must be an integer"},
		{`{"amount":"x"}`, "amount", "must be an integer"},
		{`{"amount":""}`, "amount", "must be an integer"},
		{`{"amount":" 1"}`, "amount", "must be an integer"},
		{`{"amount":"+1"}`, "amount", "must be an integer"},
		{`{"amount":"01"}`, "amount", "must be an integer"},
		{`{"amount":"1.0"}`, "amount", "must be an integer"},
		{`{"amount":"NaN"}`, "amount", "must be an integer"},
		{`{"amount":true}`, "amount", "must be an integer"},
		{`{"amount":9007199254740992}`, "amount", "must be between -9007199254740991 and 9007199254740991"},
		{`{"amount":"99999999999999999999"}`, "amount", "must be between -9007199254740991 and 9007199254740991"},
		{`{"amount":-9007199254740992}`, "amount", "must be between -9007199254740991 and 9007199254740991"},
		{`{"at":"2026-03-04"}`, "at", "must be an RFC 3339 timestamp"},
		{`{"at":1772600767}`, "at", "must be an RFC 3339 timestamp"},
		{`{"pointer":1}`, "pointer", "must be a string"},
		{`{"number":"3"}`, "number", "must be an integer"},
		{`{"list":"a"}`, "list", "must be an array"},
		{`{"list":{}}`, "list", "must be an array"},
		{`{"list":["a","b","c","d"]}`, "list", "must have at most 3 items"},
		{`{"rows":{}}`, "rows", "must be an array"},
		{`{"nested":[]}`, "nested", "must be an object"},
		{`{"nested":{"b":"x"}}`, "nested.b", "must be an integer"},
		{`{"words":{"k":1}}`, "words", "has the wrong form"},
		// The first in the order of declaration is named, not the first sent.
		{`{"amount":1.5,"text":1}`, "text", "must be a string"},
	} {
		b.refuses(c.body, c.field, c.reason)
	}
	b.post(`{"list":["a",1]}`).is(t, 400, "field", "list", "reason", "must be a string", "index", 1.0)
	b.post(`{"list":["a",null]}`).is(t, 400, "field", "list", "reason", "must not hold null", "index", 1.0)
	b.post(`{"rows":[{},{"b":"x"},{"a":1}]}`).is(t, 400, "field", "b", "reason", "must be an integer", "index", 1.0)
	b.post(`{"rows":[{},7]}`).is(t, 400, "field", "rows", "reason", "must be an object", "index", 1.0)
	b.post(`{"cursor":"!"}`).is(t, 400, "error", CodeInvalidCursor, "field", "cursor")
}

func TestBindStrictFields(t *testing.T) {
	b := bindTo[everything](t, "POST", "", func(a *Area) { a.StrictFields = true })
	b.post(`{"text":"x"}`).is(t, 200)
	b.post(`{"text":1,"more":1}`).is(t, 400, "error", CodeUnknownField, "field", "more")
	b.post(`{"Text":"x"}`).is(t, 400, "error", CodeUnknownField, "field", "Text")
	b.post(`{"nested":{"c":1}}`).is(t, 400, "error", CodeUnknownField, "field", "nested.c")
	b.post(`{"rows":[{},{"c":1}]}`).is(t, 400, "error", CodeUnknownField, "field", "c", "index", 1.0)
}

type parameters struct {
	ID     string  `path:"id" validate:"id"`
	Cursor Cursor  `query:"cursor"`
	Limit  int     `query:"limit" clamp:"50,200"`
	Since  Time    `query:"since"`
	Active *bool   `query:"active"`
	Amount Integer `query:"amount"`
	Kind   string  `query:"kind" validate:"omitempty,oneof=a b" mod:"lower"`
	Agent  string  `header:"X-Agent" validate:"max=3"`
}

func TestBindParameters(t *testing.T) {
	b := bindTo[parameters](t, "GET", "/{id}")
	const id = "wal_0123456789abcdef"
	get := func(target string, edits ...edit) answer {
		t.Helper()
		return do(t, b.mux, "GET", "/bound/"+target, "", edits...)
	}
	get(id).is(t, 200)
	if diff := cmp.Diff(parameters{ID: id, Limit: 50}, b.last); diff != "" {
		t.Fatal(diff)
	}
	yes := true
	get(id+"?cursor=AQID&limit=7&since=2026-03-04T05:06:07Z&active=1&amount=9&kind=B&more=x", header("X-Agent", "abc")).is(t, 200)
	want := parameters{
		ID: id, Cursor: Cursor{1, 2, 3}, Limit: 7, Since: 1772600767000000, Active: &yes, Amount: Integer{9, true}, Kind: "b", Agent: "abc",
	}
	if diff := cmp.Diff(want, b.last); diff != "" {
		t.Fatal(diff)
	}
	for text, limit := range map[string]int{
		"0": 50, "-1": 50, "x": 50, "": 50, "1": 1, "200": 200, "201": 200, "1000000000": 200, "99999999999999999999": 200,
		"-99999999999999999999": 50, "1.5": 50, "%2B7": 7,
	} {
		get(id+"?limit="+text).is(t, 200)
		if b.last.Limit != limit {
			t.Errorf("limit=%s is %d, want %d", text, b.last.Limit, limit)
		}
	}
	for target, member := range map[string]string{
		"?cursor=!": "cursor", "?since=x": "since", "?active=yes": "active", "?amount=1.0": "amount", "?kind=c": "kind",
		"?kind=a&kind=b": "kind", "?kind=%ff": "kind", "?kind=%00": "kind", "?kind=%zz": "query", "?a;b": "query", "?limit=1&limit=2": "limit",
	} {
		if a := get(id + target); a.Code != 400 || a.body["field"] != member {
			t.Errorf("%s: status %d %s", target, a.Code, a.Body)
		}
	}
	get(id, header("X-Agent", "abcd")).is(t, 400, "field", "X-Agent")
	get(id, header("X-Agent", "a"), header("X-Agent", "b")).is(t, 400, "field", "X-Agent", "reason", "must be there once")
	get(id, header("X-Agent", "\xff")).is(t, 400, "field", "X-Agent")
	// A malformed id in the path is the 404 of the route, whatever else is wrong.
	get("wal_1?kind=c").is(t, 404, "error", "thing_not_found")
	get("WAL_0123456789ABCDEF").is(t, 404, "error", "thing_not_found")
	get("%ff").is(t, 404)
}
