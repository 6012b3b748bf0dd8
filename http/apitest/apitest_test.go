package apitest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// echo answers with what it was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	answer := map[string]any{
		"method": r.Method, "path": r.RequestURI, "body": fmt.Sprintf("%q", body), "type": r.Header.Get("Content-Type"),
		"user": r.Header.Get("Authorization"), "key": r.Header.Get("Idempotency-Key"), "extra": r.Header.Values("X-Extra"),
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Coffer-Index", "3:17")
	_ = json.NewEncoder(w).Encode(answer)
}

func newServer(t testing.TB, handlers map[string]http.HandlerFunc) *Server {
	mux := http.NewServeMux()
	for pattern, handler := range handlers {
		mux.HandleFunc(pattern, handler)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	signedUp := 0
	return &Server{
		BaseURL: server.URL,
		As: func(_ testing.TB, name string) User {
			signedUp++
			return User{
				Header: http.Header{"Authorization": {fmt.Sprintf("Bearer %s-%d", name, signedUp)}},
				Vars:   map[string]string{name: "usr_" + name},
			}
		},
		Vars: map[string]string{"given": "value"},
	}
}

func content(body, media string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", media)
		_, _ = io.WriteString(w, body)
	}
}

func jsonText(body string) http.HandlerFunc { return content(body, "application/json; charset=utf-8") }

// recorder is a test whose failure is a result.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}
func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}
func (r *recorder) Logf(string, ...any) {}

// runScript runs a script and returns what failed and the file afterwards.
func runScript(t *testing.T, source string, server *Server) (failures, file string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script.txt")
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		RunFile(r, path, server)
	}()
	<-done
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(r.failures, "\n"), string(after)
}

func passes(t *testing.T, source string, server *Server) {
	t.Helper()
	if failures, _ := runScript(t, source, server); failures != "" {
		t.Fatalf("the script fails:\n%s", failures)
	}
}

func fails(t *testing.T, source string, server *Server, want string) {
	t.Helper()
	failures, _ := runScript(t, source, server)
	if failures == "" {
		t.Fatalf("the script passes:\n%s", source)
	}
	if !strings.Contains(failures, want) {
		t.Fatalf("the failure does not say %q:\n%s", want, failures)
	}
}

func TestRequests(t *testing.T) {
	server := newServer(t, map[string]http.HandlerFunc{"/": echo})
	passes(t, `
# A user signs up once and keeps the header.
POST /a?x=1 as=ann idempotency-key=k1 header:X-Extra=1 header:X-Extra="two words"
{"n":"$given"}
--
200 {"path":"/a?x=1","method":"POST","body":"\"{\\\"n\\\":\\\"value\\\"}\"",
  "type":"application/json","user":"Bearer ann-1","key":"k1","extra":["1","two words"]}

GET /$ann as=ann
--
200 {"method":"GET","path":"/usr_ann","body":"<any>","type":"","user":"Bearer ann-1","key":"","extra":"<any>"}
Coffer-Index: 3:<number>

# Bodies of any bytes.
PUT /raw header:Content-Type=text/plain
raw "a\x00\xff"
raw "x"*3
hex 0a 0D
--
200 {"method":"PUT","path":"/raw","body":"\"a\\x00\\xffxxx\\n\\r\"","type":"text/plain","user":"","key":"","extra":"<any>"}

DELETE /none header:Content-Type=
{}
--
200 {"method":"DELETE","path":"/none","body":"\"{}\"","type":"","user":"","key":"","extra":"<any>"}
`, server)
}

func TestAnswers(t *testing.T) {
	server := newServer(t, map[string]http.HandlerFunc{
		"/transfer": jsonText(`{"transactionId":"tx_0123456789abcdef","fee":3,"at":"2026-03-04T05:06:07.089Z","ok":true,` +
			`"url":"https://x.example/r/tx_0123456789abcdef","none":null,"rows":[{"a":1,"b":2},[]]}`),
		"/csv":   content("id,amount\r\ntx_0123456789abcdef,5\r\n", "text/csv"),
		"/empty": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"/path/": echo,
	})
	passes(t, `
GET /transfer
--
200 {"rows":[{"b":2,"a":"<number>"},"<any>"],"none":null,"transactionId":"<tx=first>","fee":3,"at":"<time>","ok":"<bool>","url":"https://x.example/r/$first"}

GET /path/$first times=3
--
200 {"method":"GET","path":"/path/tx_0123456789abcdef","body":"\"\"","type":"","user":"","key":"","extra":null}

GET /csv
--
200
Content-Type: text/csv
id,amount
<tx>,5

GET /empty
--
204
`, server)
	for _, c := range []struct{ want, says string }{
		{`200 {"fee":3}`, "answers otherwise"},
		{`201 <any>`, "201"},
		{`200`, "answers otherwise"},
		{"200 <any>\nContent-Type: text/plain", "text/plain"},
		{"200 <any>\nX-None: x", "X-None"},
		{`200 {"transactionId":"<whs>","fee":3,"at":"<time>","ok":true,"url":"<any>","none":null,"rows":"<any>"}`, "<whs>"},
		{`200 {"transactionId":"<tx>","fee":"<text>","at":"<time>","ok":true,"url":"<any>","none":null,"rows":"<any>"}`, "<text>"},
		{`200 {"transactionId":"<number>","fee":3,"at":"<time>","ok":true,"url":"<any>","none":null,"rows":"<any>"}`, "<number>"},
		{`200 {"transactionId":"<tx>","fee":3,"at":"<time>","ok":true,"url":"<any>","none":"<bool>","rows":"<any>"}`, "<bool>"},
		{`200 {"transactionId":"<tx>","fee":3.0,"at":"<time>","ok":true,"url":"<any>","none":null,"rows":"<any>"}`, "3.0"},
		{`200 {"transactionId":"<tx>","fee":3,"at":"<time>","ok":true,"url":"<any>","none":null,"rows":[[],{"a":1,"b":2}]}`, "answers otherwise"},
		{`200 {"transactionId":"$nobody","fee":3}`, "$nobody"},
		{`200 {"transactionId"`, "no JSON"},
	} {
		fails(t, "GET /transfer\n--\n"+c.want+"\n", server, c.says)
	}
	fails(t, "GET /csv\n--\n200\nid,amount\n<tx>,6\n", server, "6")
	fails(t, "GET /empty\n--\n204 {}\n", server, "{}")
}

func TestStrictAnswers(t *testing.T) {
	server := newServer(t, map[string]http.HandlerFunc{
		"/twice": jsonText(`{"a":1,"a":1}`), "/trailing": jsonText(`{"a":1} x`), "/cut": jsonText(`{"a":`),
	})
	for _, path := range []string{"/twice", "/trailing", "/cut"} {
		fails(t, "GET "+path+"\n--\n200 {\"a\":1}\n", server, "no strict JSON")
	}
}

func TestScriptMistakes(t *testing.T) {
	server := newServer(t, map[string]http.HandlerFunc{"/": echo})
	for source, says := range map[string]string{
		"hello\n":                          "no request",
		"GET /\n200\n":                     "no line --",
		"GET /\n--\n":                      "no answer",
		"GET /\n--\nOK\n":                  "no status",
		"GET / as\n--\n200\n":              "no value",
		"GET / color=red\n--\n200\n":       "unknown",
		"GET / times=0\n--\n200\n":         "no positive number",
		"GET / header:X=\"a\n--\n200\n":    "value of header:X",
		"POST /\nraw \"a\" x\n--\n200\n":   "no *N",
		"POST /\nhex 0\n--\n200\n":         "odd length",
		"POST /\n$nobody\n--\n200 <any>\n": "$nobody",
		"GET /$nobody\n--\n200 <any>\n":    "$nobody",
	} {
		fails(t, source, server, says)
	}
	server.As = nil
	fails(t, "GET / as=ann\n--\n200 <any>\n", server, "no users")
}

const outdated = `# Keeps comments and
# placeholders that fit.
GET /transfer
--
200 {"transactionId":"<tx=first>","fee":3}
Content-Type: text/plain

GET /again
--
500

GET /csv
--
200 x

# Is right and stays as it is.
GET /same
--
200 {"a":2,
     "b":"<number>"}

GET /long
--
200 {}
`

var updated = `# Keeps comments and
# placeholders that fit.
GET /transfer
--
200 {"transactionId":"<tx=first>","other":"<wal>","fee":4,"at":"<time>","price":"5$$"}
Content-Type: application/json; charset=utf-8

GET /again
--
200 {"of":"$first","url":"https://example.org/<wal>/$$"}

GET /csv
--
200
a,b
1,2

# Is right and stays as it is.
GET /same
--
200 {"a":2,
     "b":"<number>"}

GET /long
--
200 {
  "a": "` + strings.Repeat("x", maxLine) + `"
}
`

func TestUpdate(t *testing.T) {
	if err := update.Set("true"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := update.Set("false"); err != nil {
			t.Fatal(err)
		}
	}()
	server := newServer(t, map[string]http.HandlerFunc{
		"/transfer": jsonText(`{"transactionId":"tx_0123456789abcdef","other":"wal_00000000","fee":4,"at":"2026-03-04T05:06:07.089Z","price":"5$"}`),
		"/again":    jsonText(`{"of":"tx_0123456789abcdef","url":"https://example.org/wal_0123456789abcdef0123456789abcdef/$"}`),
		"/csv":      content("a,b\n1,2\n", "text/csv"),
		"/same":     jsonText(`{"b":1,"a":2}`),
		"/long":     jsonText(`{"a":"` + strings.Repeat("x", maxLine) + `"}`),
	})
	failures, file := runScript(t, outdated, server)
	if failures != "" {
		t.Fatal(failures)
	}
	if diff := cmp.Diff(updated, file); diff != "" {
		t.Fatal(diff)
	}
	if err := update.Set("false"); err != nil {
		t.Fatal(err)
	}
	passes(t, file, server)
}

func TestRunFindsScripts(t *testing.T) {
	directory := t.TempDir()
	for _, name := range []string{"one", "two"} {
		script := "GET /" + name + "\n--\n200 {\"path\":\"/" + name + "\",\"method\":\"GET\",\"body\":\"<any>\",\"type\":\"\",\"user\":\"\",\"key\":\"\",\"extra\":null}\n"
		if err := os.WriteFile(filepath.Join(directory, name+".txt"), []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	started := 0
	Run(t, directory, func(t *testing.T) *Server {
		started++
		return newServer(t, map[string]http.HandlerFunc{"/": echo})
	})
	if started != 2 {
		t.Fatalf("%d servers were started for two scripts", started)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("GET / as=ann header:X=\"a b\"\n{}\n--\n200 {\"a\":\"<tx=first>\"}\nX: y\n")
	f.Add("# c\n\nPOST /x\nraw \"\\x00\"*3\n--\n400\n")
	f.Fuzz(func(t *testing.T, source string) {
		s, err := parse(source)
		if err != nil {
			return
		}
		again, err := parse(s.render())
		if err != nil {
			t.Fatalf("the rendered script is refused: %v\n%s", err, s.render())
		}
		if len(again.exchanges) != len(s.exchanges) {
			t.Fatalf("%d exchanges became %d", len(s.exchanges), len(again.exchanges))
		}
	})
}
