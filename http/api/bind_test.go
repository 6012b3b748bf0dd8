package api

import (
	"fmt"
	"net/http"
	"strings"
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

// Bodies that no strict reader accepts, whatever the input type.
func TestBindRefusesMalformedBodies(t *testing.T) {
	b := bindTo[everything](t, "POST", "")
	nest := func(n int) string { return strings.Repeat(`{"x":`, n) + "1" + strings.Repeat("}", n) }
	for name, body := range map[string]string{
		"cut":                   `{"text":"x"`,
		"cut string":            `{"text":"x`,
		"no quotes":             `{text:"x"}`,
		"single quotes":         `{'text':'x'}`,
		"trailing comma":        `{"text":"x",}`,
		"trailing data":         `{"text":"x"} {}`,
		"trailing text":         `{} x`,
		"comment":               `{} // x`,
		"duplicate":             `{"text":"a","text":"b"}`,
		"duplicate by escape":   `{"text":"a","te\u0078t":"b"}`,
		"duplicate unknown":     `{"u":1,"u":2}`,
		"duplicate in a row":    `{"rows":[{"a":"x","a":"y"}]}`,
		"duplicate deep":        `{"u":{"v":{"w":1,"w":2}}}`,
		"invalid UTF-8":         "{\"text\":\"\xff\"}",
		"invalid UTF-8 name":    "{\"\xff\":1}",
		"overlong UTF-8":        "{\"text\":\"\xc0\x80\"}",
		"lone surrogate":        `{"text":"\ud800"}`,
		"BOM":                   "\xef\xbb\xbf{}",
		"UTF-16":                "{\x00}\x00",
		"NUL":                   "{\"text\":\"\x00\"}",
		"control character":     "{\"text\":\"\n\"}",
		"NaN":                   `{"int":NaN}`,
		"Infinity":              `{"int":Infinity}`,
		"hex":                   `{"int":0x1}`,
		"leading zero":          `{"int":01}`,
		"plus":                  `{"int":+1}`,
		"white space only":      " \n",
		"vertical tab":          "\v{}",
		"no-break space":        "\u00a0{}",
		"depth 33":              nest(33),
		"depth 1000":            nest(1000),
		"arrays deep":           `{"u":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`,
		"depth 20000":           nest(20000),
		"escaped NUL":           `{"text":"a\u0000b"}`,
		"escaped NUL in a name": `{"a\u0000b":1}`,
		"escaped NUL deep":      `{"u":[["\u0000"]]}`,
		"NUL after backslash":   `{"u":"\\\u0000"}`,
	} {
		a := b.post(body)
		if a.Code != 400 || a.body["error"] != CodeValidation || a.body["field"] != "body" {
			t.Errorf("%s: status %d %s", name, a.Code, a.Body)
		}
	}
	for name, body := range map[string]string{"array": `[]`, "string": `"x"`, "number": `1`, "null": `null`, "true": `true`} {
		if a := b.post(body); a.Code != 400 || a.body["reason"] != "must be a JSON object" {
			t.Errorf("%s: status %d %s", name, a.Code, a.Body)
		}
	}
	b.takes(nest(32), everything{})
	b.takes(`{"u":"\\u0000"}`, everything{})
	b.takes(`{"u":`+strings.Repeat(`[],`, 0)+`["{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{[[[[["]}`, everything{})
}

func TestBindSizes(t *testing.T) {
	b := bindTo[everything](t, "POST", "")
	pad := func(size int) string { return `{"text":"` + strings.Repeat("x", size-len(`{"text":""}`)) + `"}` }
	b.post(pad(BodyLimit)).is(t, 200)
	a := b.post(pad(BodyLimit + 1))
	a.is(t, 413, "error", CodePayloadTooLarge)
	if a.Header().Get("Connection") != "close" {
		t.Fatal("the connection of a body too large stays open")
	}
	chunked := func(r *http.Request) { r.ContentLength = -1 }
	b.post(pad(BodyLimit), chunked).is(t, 200)
	b.post(pad(BodyLimit+1), chunked).is(t, 413, "error", CodePayloadTooLarge)
}

func TestBindMediaTypes(t *testing.T) {
	b := bindTo[everything](t, "POST", "")
	for media, status := range map[string]int{
		"application/json":                   200,
		"application/json; charset=utf-8":    200,
		"application/json;charset=UTF-8":     200,
		"Application/JSON":                   200,
		"application/json; charset=latin1":   415,
		"application/json; charset=utf-8; x": 415,
		"application/json, text/plain":       415,
		"application/problem+json":           415,
		"application/x-www-form-urlencoded":  415,
		"multipart/form-data; boundary=x":    415,
		"text/plain":                         415,
		"":                                   415,
		"application/jsonx":                  415,
		"text/plain; application/json":       415,
	} {
		if a := b.post(`{}`, func(r *http.Request) { r.Header.Set("Content-Type", media) }); a.Code != status {
			t.Errorf("%q: status %d, want %d", media, a.Code, status)
		}
	}
	b.post(`{}`, func(r *http.Request) { r.Header.Del("Content-Type") }).is(t, 415, "error", CodeMediaType)
	b.post(`{}`, header("Content-Type", "text/plain")).is(t, 415)
	b.post(`{}`, header("Content-Encoding", "gzip")).is(t, 415)
	b.post(``, func(r *http.Request) { r.Header.Del("Content-Type") }).is(t, 200)
}

type ruled struct {
	Name  string           `json:"name" validate:"required,max=5" mod:"trim" code:"name_required_max_80"`
	Mail  string           `json:"mail" validate:"omitempty,mail" mod:"trim,lower"`
	Kind  string           `json:"kind" validate:"omitempty,oneof=a b"`
	Owner string           `json:"owner" validate:"omitempty,id"`
	Count Integer          `json:"count" validate:"min=2,max=5"`
	Patch Optional[string] `json:"patch" validate:"min=1,max=3" mod:"trim" code:"max=too_much"`
	Site  string           `json:"site" validate:"omitempty,http_url"`
	Words []string         `json:"words" validate:"max=2,dive,min=2"`
	One   string           `json:"one" validate:"required_without=Two"`
	Two   string           `json:"two"`
	Must  *bool            `json:"must" validate:"required"`
}

func TestBindRules(t *testing.T) {
	b := bindTo[ruled](t, "POST", "")
	yes := true
	b.takes(`{"name":"  ann ","mail":" A@B.Example ","one":"x","must":true,"patch":" p "}`, ruled{
		Name: "ann", Mail: "a@b.example", One: "x", Must: &yes, Patch: Optional[string]{Set: true, Value: "p"},
	})
	b.takes(`{"name":"пятьх","two":"x","must":true,"kind":"b","owner":"wal_0123456789abcdef","count":2,"site":"https://x.example/y","words":["ab"],"patch":null}`, ruled{
		Name: "пятьх", Two: "x", Must: &yes, Kind: "b", Owner: "wal_0123456789abcdef", Count: Integer{2, true},
		Site: "https://x.example/y", Words: []string{"ab"}, Patch: Optional[string]{Set: true, Null: true},
	})
	const good = `"name":"ann","one":"x","must":true`
	for _, c := range []struct{ body, code, field, reason string }{
		{`{}`, "name_required_max_80", "name", "is required"},
		{`{"name":"   "}`, "name_required_max_80", "name", "is required"},
		{`{"name":"123456"}`, "name_required_max_80", "name", "must be at most 5 characters"},
		{`{"name":1}`, "name_required_max_80", "name", "must be a string"},
		{`{` + good + `,"mail":"x"}`, CodeValidation, "mail", "must be an e-mail address"},
		{`{` + good + `,"kind":"c"}`, CodeValidation, "kind", "must be one of a, b"},
		{`{` + good + `,"owner":"wal_XYZ"}`, CodeValidation, "owner", "must be id"},
		{`{` + good + `,"count":1}`, CodeValidation, "count", "must be at least 2"},
		{`{` + good + `,"count":0}`, CodeValidation, "count", "must be at least 2"},
		{`{` + good + `,"count":6}`, CodeValidation, "count", "must be at most 5"},
		{`{` + good + `,"patch":""}`, CodeValidation, "patch", "must be at least 1 character"},
		{`{` + good + `,"patch":"long"}`, "too_much", "patch", "must be at most 3 characters"},
		{`{` + good + `,"site":"ftp://x"}`, CodeValidation, "site", "must be an http or https URL"},
		{`{` + good + `,"site":"x"}`, CodeValidation, "site", "must be an http or https URL"},
		{`{` + good + `,"words":["abc","x"]}`, CodeValidation, "words", "must be at least 2 characters"},
		{`{"name":"ann","must":true}`, CodeValidation, "one", "is required"},
		{`{"name":"ann","one":"x"}`, CodeValidation, "must", "is required"},
		{`{"name":"ann","one":"x","must":null}`, CodeValidation, "must", "is required"},
		// Declaration order over all kinds of mistake.
		{`{"must":1,"mail":"x","name":"ann","one":"x"}`, CodeValidation, "mail", "must be an e-mail address"},
		{`{"mail":1,"name":"123456"}`, "name_required_max_80", "name", "must be at most 5 characters"},
	} {
		b.post(c.body).is(t, 400, "error", c.code, "field", c.field, "reason", c.reason)
	}
	b.post(`{`+good+`,"words":["abc","x"]}`).is(t, 400, "index", 1.0)
}

func TestBindCheckers(t *testing.T) {
	b := bindTo[transferRequest](t, "POST", "")
	const wallets = `"fromWalletId":"wal_0123456789abcdef","toWalletId":"wal_0123456789abcdee"`
	b.post(`{`+wallets+`,"amount":"7"}`).is(t, 200)
	if b.last.minor() != 7 {
		t.Fatalf("the amount is %d", b.last.minor())
	}
	b.refuses(`{`+wallets+`}`, "amount", "is required")
	b.refuses(`{`+wallets+`,"amount":1,"amountKzt":1}`, "amount", "conflicting amount fields")
	b.refuses(`{`+wallets+`,"amountKzt":0}`, "amountKzt", "must be at least 1")
	b.refuses(`{`+wallets+`,"amountKzt":10.5}`, "amountKzt", "must be an integer")
	b.refuses(`{"amountKzt":10.5}`, "fromWalletId", "is required")
	b.refuses(`{`+wallets+`,"memo":1}`, "amount", "is required")
	b.refuses(`{"fromWalletId":"wal_0123456789abcdef","amount":1}`, "toWalletId", "is required")
	b.post(`{"fromWalletId":"wal_0123456789abcdef","toEmail":"B@x.kz","amount":1}`).is(t, 200)
}

func TestBindRows(t *testing.T) {
	b := bindTo[batchRequest](t, "POST", "")
	row := func(i int) string {
		return fmt.Sprintf(`{"fromWalletId":"wal_%016x","toWalletId":"wal_%016x","amountKzt":%d}`, i, i+1, i+1)
	}
	rows := func(n int) []string {
		var all []string
		for i := range n {
			all = append(all, row(i))
		}
		return all
	}
	body := func(rows []string) string { return `{"transfers":[` + strings.Join(rows, ",") + `]}` }
	b.post(body(rows(3))).is(t, 200)
	if len(b.last.Transfers) != 3 || b.last.Transfers[2].From != "wal_0000000000000002" || b.last.Transfers[2].minor() != 3 {
		t.Fatalf("bound %+v", b.last)
	}
	b.post(body(rows(8190)), func(*http.Request) {}).is(t, 200)
	if len(b.last.Transfers) != 8190 || b.last.Transfers[8189].minor() != 8190 {
		t.Fatalf("bound %d rows", len(b.last.Transfers))
	}
	b.post(`{}`).is(t, 400, "error", "items_required", "field", "transfers")
	b.post(`{"transfers":[]}`).is(t, 400, "error", "items_required", "field", "transfers", "reason", "must have at least 1 item")
	tiny := strings.TrimSuffix(strings.Repeat(`{},`, 8191), ",")
	b.post(`{"transfers":[`+tiny+`]}`).is(t, 400, "error", CodeValidation, "field", "fromWalletId", "index", 0.0)

	bad := rows(100)
	bad[7] = strings.Replace(bad[7], `"amountKzt":8`, `"amountKzt":1e3`, 1)
	bad[9] = `{}`
	b.post(body(bad)).is(t, 400, "field", "amountKzt", "reason", "must be an integer", "index", 7.0)
	bad = rows(100)
	bad[5] = strings.Replace(bad[5], `wal_`, `wal`, 1)
	bad[6] = `7`
	b.post(body(bad)).is(t, 400, "field", "fromWalletId", "reason", "must be id", "index", 5.0)
	bad = rows(3)
	bad[1] = strings.Replace(bad[1], `"amountKzt"`, `"amount":1,"amountKzt"`, 1)
	b.post(body(bad)).is(t, 400, "field", "amount", "reason", "conflicting amount fields", "index", 1.0)
}

func TestBindTooManyRows(t *testing.T) {
	type few struct {
		Rows []inner `json:"rows" validate:"required,min=1,max=2" code:"max=too_many_items"`
	}
	b := bindTo[few](t, "POST", "")
	b.post(`{"rows":[{},{}]}`).is(t, 200)
	b.post(`{"rows":[{},{},{"b":"wrong"}]}`).is(t, 400, "error", "too_many_items", "field", "rows", "reason", "must have at most 2 items")
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

func TestBindForms(t *testing.T) {
	type form struct {
		User  string  `form:"user" validate:"required,max=5" mod:"trim"`
		Count Integer `form:"count"`
	}
	b := bindTo[form](t, "POST", "")
	asForm := func(r *http.Request) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	}
	b.post("user=+ann&count=3&other=x", asForm).is(t, 200)
	if diff := cmp.Diff(form{User: "ann", Count: Integer{3, true}}, b.last); diff != "" {
		t.Fatal(diff)
	}
	b.post("count=1", asForm).is(t, 400, "field", "user", "reason", "is required")
	b.post("user=a&user=b", asForm).is(t, 400, "field", "user", "reason", "must be there once")
	b.post("user=%ff", asForm).is(t, 400, "field", "user")
	b.post("user=%zz", asForm).is(t, 400, "field", "body")
	b.post("user=a").is(t, 415)
}
