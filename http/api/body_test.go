package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
