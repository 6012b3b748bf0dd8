package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// named answers with the pattern that was chosen and its parameters.
type named struct {
	Pattern string   `json:"pattern"`
	Values  []string `json:"values"`
}

// echoRoute is a public route that tells how it was reached.
func echoRoute(method, pattern string) Route {
	answer := func(c *Call) (named, error) {
		return named{Pattern: method + " " + pattern, Values: append([]string{}, c.params...)}, nil
	}
	spec := Spec{Summary: "Tells its pattern", Auth: Public}
	switch strings.Count(pattern, "{") {
	case 0:
		return route(method, pattern, func(c *Call, _ Empty) (named, error) { return answer(c) }, spec)
	case 1:
		type in struct {
			A string `path:"a"`
		}
		return route(method, pattern, func(c *Call, _ in) (named, error) { return answer(c) }, spec)
	case 2:
		type in struct {
			A string `path:"a"`
			B string `path:"b"`
		}
		return route(method, pattern, func(c *Call, _ in) (named, error) { return answer(c) }, spec)
	}
	type in struct {
		A string `path:"a"`
		B string `path:"b"`
		C string `path:"c"`
	}
	return route(method, pattern, func(c *Call, _ in) (named, error) { return answer(c) }, spec)
}

func muxOf(t testing.TB, prefix string, patterns ...string) (*Mux, error) {
	b := newBank(t)
	area := Area{Name: "paths", Prefix: prefix, Envelope: flat{}}
	for _, p := range patterns {
		method, pattern, _ := strings.Cut(p, " ")
		area.Routes = append(area.Routes, echoRoute(method, pattern))
	}
	b.options.Surfaces = []Surface{{Name: "paths", Areas: []Area{area}}}
	return NewMux(b.options)
}

func mustMux(t testing.TB, prefix string, patterns ...string) *Mux {
	t.Helper()
	m, err := muxOf(t, prefix, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// reaches checks which pattern answers a target, and with what parameters.
func reaches(t *testing.T, m *Mux, method, target, pattern string, values ...string) {
	t.Helper()
	a := do(t, m, method, target, "")
	a.is(t, 200, "pattern", pattern)
	var got []string
	for _, v := range a.body["values"].([]any) {
		got = append(got, v.(string))
	}
	if diff := cmp.Diff(values, got); diff != "" {
		t.Fatalf("%s %s:\n%s", method, target, diff)
	}
}

// The pairs that httprouter alone refuses.
func TestLiteralsBesideParameters(t *testing.T) {
	m := mustMux(t, "/api",
		"GET /requests/{a}", "GET /requests/{a}/deliveries", "GET /requests.csv", "POST /requests/{a}/pay",
		"GET /w/{a}", "GET /w/me", "GET /w/me/{b}/{a}", "GET /w/{a}/x/{b}", "GET /w/{a}/x/y", "GET /w/me/x/y",
		"POST /notifications/read-all", "POST /notifications/{a}/read", "GET /notifications/unread-count", "GET /notifications/{a}",
		"GET ", "GET /w",
	)
	reaches(t, m, "GET", "/api", "GET ")
	reaches(t, m, "GET", "/api/requests/tok", "GET /requests/{a}", "tok")
	reaches(t, m, "GET", "/api/requests/pr_1/deliveries", "GET /requests/{a}/deliveries", "pr_1")
	reaches(t, m, "GET", "/api/requests.csv", "GET /requests.csv")
	reaches(t, m, "POST", "/api/requests/tok/pay", "POST /requests/{a}/pay", "tok")
	reaches(t, m, "GET", "/api/w", "GET /w")
	reaches(t, m, "GET", "/api/w/me", "GET /w/me")
	reaches(t, m, "GET", "/api/w/mee", "GET /w/{a}", "mee")
	reaches(t, m, "GET", "/api/w/ME", "GET /w/{a}", "ME")
	reaches(t, m, "GET", "/api/w/me/x/y", "GET /w/me/x/y")
	reaches(t, m, "GET", "/api/w/you/x/y", "GET /w/{a}/x/y", "you")
	reaches(t, m, "GET", "/api/w/you/x/z", "GET /w/{a}/x/{b}", "you", "z")
	reaches(t, m, "GET", "/api/w/me/x/z", "GET /w/me/{b}/{a}", "x", "z")
	reaches(t, m, "GET", "/api/w/me/q/z", "GET /w/me/{b}/{a}", "q", "z")
	reaches(t, m, "POST", "/api/notifications/read-all", "POST /notifications/read-all")
	reaches(t, m, "POST", "/api/notifications/ntf_1/read", "POST /notifications/{a}/read", "ntf_1")
	reaches(t, m, "POST", "/api/notifications/read-all/read", "POST /notifications/{a}/read", "read-all")
	reaches(t, m, "GET", "/api/notifications/unread-count", "GET /notifications/unread-count")
	do(t, m, "GET", "/api/w/you/q/z", "").is(t, 404, "error", CodeNotFound)
	do(t, m, "POST", "/api/notifications/ntf_1", "").is(t, 405, "error", CodeMethodNotAllowed)
}

func TestRootArea(t *testing.T) {
	m := mustMux(t, "", "GET /", "GET /health", "GET /{a}/b")
	reaches(t, m, "GET", "/", "GET /")
	reaches(t, m, "GET", "/health", "GET /health")
	reaches(t, m, "GET", "/x/b", "GET /{a}/b", "x")
	do(t, m, "GET", "/x", "").is(t, 404)
}

// No other spelling of a path reaches a handler.
func TestOtherSpellingsOfAPath(t *testing.T) {
	m := mustMux(t, "/api", "GET /wallets/{a}", "GET /wallets", "GET /wallets/{a}/close", "POST /wallets/{a}/close")
	for _, target := range []string{
		"/api/wallets/", "/api/wallets/x/", "/api//wallets", "//api/wallets", "/api/wallets//close", "/api/./wallets", "/api/x/../wallets",
		"/api/wallets/..", "/api/wallets/.", "/api/wallets/%2e", "/api/wallets/%2e%2e", "/api/wallets/.%2E/close", "/api/%77allets",
		"/api/wallets/x%2Fclose", "/api/wallets/x%2fclose", "/api%2Fwallets", "/API/wallets", "/api/Wallets", "/api/wallets;x=1",
		"/api/wallets%20", "/api/wallets%00", "/api/wallets/x/%63lose", "/api/wallets/x/close/", "/api/wallets\\x", "/api",
		"/api/", "/", "/apiwallets", "/api/walletsx", "/api/wallets/x/close/y", "/api/wallets/%2F", "/api/wallets/x%00",
	} {
		a := do(t, m, "GET", target, "")
		if a.Code != 404 || a.Header().Get("Location") != "" {
			t.Errorf("GET %s: status %d %s", target, a.Code, a.Body)
		}
	}
	reaches(t, m, "GET", "/api/wallets/a%40b", "GET /wallets/{a}", "a@b")
	reaches(t, m, "GET", "/api/wallets/a%20b", "GET /wallets/{a}", "a b")
	reaches(t, m, "GET", "/api/wallets/a+b", "GET /wallets/{a}", "a+b")
	reaches(t, m, "GET", "/api/wallets/%D0%B0", "GET /wallets/{a}", "а")
	reaches(t, m, "GET", "/api/wallets/%77", "GET /wallets/{a}", "w")
	reaches(t, m, "GET", "/api/wallets/x%25", "GET /wallets/{a}", "x%")
	reaches(t, m, "GET", "/api/wallets?x=/../", "GET /wallets")
}

func TestMethods(t *testing.T) {
	m := mustMux(t, "/api", "GET /w/{a}", "GET /w/me", "DELETE /w/{a}", "POST /w/me", "PUT /w/me/x")
	for _, c := range []struct{ method, target, allow string }{
		{"POST", "/api/w/x", "DELETE, GET, OPTIONS"},
		{"PATCH", "/api/w/me", "DELETE, GET, OPTIONS, POST"},
		{"HEAD", "/api/w/x", "DELETE, GET, OPTIONS"},
		{"TRACE", "/api/w/x", "DELETE, GET, OPTIONS"},
		{"get", "/api/w/x", "DELETE, GET, OPTIONS"},
		{"GET", "/api/w/me/x", "OPTIONS, PUT"},
	} {
		a := do(t, m, c.method, c.target, "")
		if a.Code != 405 || a.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: status %d, Allow %q, want %q", c.method, c.target, a.Code, a.Header().Get("Allow"), c.allow)
		}
	}
	// No header changes the method.
	for _, name := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
		do(t, m, "POST", "/api/w/x", "", header(name, "DELETE")).is(t, 405)
		reaches(t, m, "GET", "/api/w/x", "GET /w/{a}", "x")
	}
	do(t, m, "POST", "/api/w/x?_method=DELETE", "").is(t, 405)
}

func TestPatternsThatCannotBe(t *testing.T) {
	for name, patterns := range map[string][]string{
		"equal":               {"GET /a/b", "GET /a/b"},
		"empty segment":       {"GET /a//b"},
		"trailing slash":      {"GET /a/"},
		"no slash":            {"GET a"},
		"dots":                {"GET /a/../b"},
		"reserved characters": {"GET /a%20b"},
		"colon":               {"GET /a/:id"},
		"star":                {"GET /a/*id"},
		"half a parameter":    {"GET /a/x{a}"},
		"open parameter":      {"GET /a/{a"},
		"empty parameter":     {"GET /a/{}"},
		"parameter twice":     {"GET /a/{a}/{a}"},
	} {
		if _, err := muxOf(t, "/api", patterns...); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	_, err := newTree([]*target{{Route: Route{Method: "GET"}, full: "/api/a/{a}/c"}, {Route: Route{Method: "GET"}, full: "/api/a/{b}/c"}})
	if err == nil || !strings.Contains(err.Error(), "/api/a/{a}/c and /api/a/{b}/c") {
		t.Errorf("the error does not name both: %v", err)
	}
}

func TestRawRoutes(t *testing.T) {
	b := newBank(t)
	files := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s|%s", r.URL.Path, r.PathValue("rest"))
	})
	public := Spec{Summary: "Pages", Auth: Public, Head: true}
	b.options.Surfaces = []Surface{{Name: "docs", Areas: []Area{{
		Name: "docs", Prefix: "/docs", Envelope: flat{}, Routes: []Route{Raw("", files, public), Raw("/{rest...}", files, public)},
	}}}}
	m := b.mux()
	for target, want := range map[string]string{"/docs": "/docs|", "/docs/a.css": "/docs/a.css|a.css", "/docs/a/b.js": "/docs/a/b.js|a/b.js"} {
		if a := do(t, m, "GET", target, ""); a.Code != 200 || a.Body.String() != want {
			t.Errorf("%s: %d %q, want %q", target, a.Code, a.Body, want)
		}
	}
	for _, target := range []string{"/docs/", "/docs/../x", "/docs//x", "/docs/a/%2e%2e/b"} {
		do(t, m, "GET", target, "").is(t, 404)
	}
	do(t, m, "HEAD", "/docs/a.css", "").is(t, 200)
	do(t, m, "POST", "/docs/a.css", "").is(t, 405)
	for name, routes := range map[string][]Route{
		"a sibling":   {Raw("/{rest...}", files, public), Raw("/x", files, public)},
		"a protected": {Raw("/x", files, Spec{Summary: "x", Auth: Bearer})},
		"not last":    {Raw("/{rest...}/x", files, public)},
	} {
		b.options.Surfaces[0].Areas[0].Routes = routes
		b.options.Surfaces[0].Schemes = []Scheme{testScheme()}
		if _, err := NewMux(b.options); err == nil {
			t.Errorf("%s raw route is accepted", name)
		}
	}
}

// naive finds a pattern by trying all: the one with a literal at the first
// difference wins.
func naive(patterns []string, path string) string {
	best := ""
	for _, p := range patterns {
		if fits(p, path) && (best == "" || moreSpecific(p, best)) {
			best = p
		}
	}
	return best
}

func fits(pattern, path string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if !strings.HasPrefix(want[i], "{") && want[i] != got[i] {
			return false
		}
	}
	return true
}

func moreSpecific(a, b string) bool {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	for i := range x {
		if literalX, literalY := !strings.HasPrefix(x[i], "{"), !strings.HasPrefix(y[i], "{"); literalX != literalY {
			return literalX
		}
	}
	return false
}

// pathOf makes three segments of the bits of a byte: nothing, x, y or what is
// in its place of names.
func pathOf(b byte, names string) string {
	var path strings.Builder
	for i := range 3 {
		switch (b >> (2 * i)) & 3 {
		case 1:
			path.WriteString("/x")
		case 2:
			path.WriteString("/y")
		case 3:
			path.WriteString("/" + names[3*i:3*i+3])
		}
	}
	return path.String()
}

// Any set of patterns must choose as the naive matcher does. The bytes of the
// input name patterns and a path over a tiny alphabet.
func FuzzMux(f *testing.F) {
	f.Add([]byte{0x12, 0x21, 0x11, 0, 0x12})
	f.Add([]byte{0x3, 0x31, 0x13, 0x113 % 256, 0, 0x33, 0x12})
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 24 {
			return
		}
		var patterns []string
		shapes := map[string]bool{}
		paths := 0
		for paths < len(input) && input[paths] != 0 {
			p := pathOf(input[paths], "{a}{b}{c}")
			shape := strings.NewReplacer("{a}", "*", "{b}", "*", "{c}", "*").Replace(p)
			if p != "" && !shapes[shape] {
				shapes[shape] = true
				patterns = append(patterns, p)
			}
			paths++
		}
		if len(patterns) == 0 {
			return
		}
		var targets []*target
		for _, p := range patterns {
			targets = append(targets, &target{Route: Route{Method: "GET"}, full: p})
		}
		tree, err := newTree(targets)
		if err != nil {
			t.Fatalf("%v: %v", patterns, err)
		}
		for _, b := range append(slices.Clone(input[paths:]), 0b010101, 0b101010, 0b11, 0b1101, 0b0111) {
			path := pathOf(b, "zzzyxz123")
			if path == "" {
				continue
			}
			var s slot
			found, values := tree.find(&s, "GET", path)
			got := ""
			if found != nil {
				got = found.full
			}
			want := naive(patterns, path)
			if got != want {
				t.Fatalf("%v: %s reaches %q, want %q", patterns, path, got, want)
			}
			if found != nil && len(values) != strings.Count(got, "{") {
				t.Fatalf("%v: %s has values %v", patterns, path, values)
			}
		}
	})
}
