package node

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// apiContract is the OpenAPI document of a node, and what tests have seen of it.
type apiContract struct {
	document *openapi3.T

	mu   sync.Mutex
	seen map[string]bool        // answers, as answerName writes them
	good map[string]apiExchange // a success of each operation
}

// apiExchange is a request that can be sent again.
type apiExchange struct {
	origin string // the script; of several successes the one of the first counts
	email  string // of who sent it, empty for nobody
	path   string // with query
	header http.Header
	body   string
}

// readContract asks a node for its document.
func readContract(t *testing.T) *apiContract {
	t.Helper()
	n := startAPI(t, nil)
	response, err := http.Get(n.URL() + "/api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	document, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	return &apiContract{document: document, seen: map[string]bool{}, good: map[string]apiExchange{}}
}

// operation finds what answers a method and a path: "" for nothing.
func (c *apiContract) operation(method, path string) (name string, o *openapi3.Operation) {
	best := -1
	for pattern, item := range c.document.Paths.Map() {
		literals, ok := pathFits(pattern, path)
		if found := item.GetOperation(method); ok && found != nil && literals > best {
			best, name, o = literals, method+" "+pattern, found
		}
	}
	return name, o
}

// pathFits tells whether a path fits a pattern, and how many of its segments are
// there literally.
func pathFits(pattern, path string) (literals int, ok bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return 0, false
	}
	for i := range want {
		switch {
		case want[i] == got[i]:
			literals++
		case !strings.HasPrefix(want[i], "{"):
			return 0, false
		}
	}
	return literals, true
}

func answerName(operation string, status int, code string) string {
	return strings.TrimSuffix(fmt.Sprintf("%s %d %s", operation, status, code), " ")
}

// declared lists every answer of the document.
func (c *apiContract) declared() (names []string) {
	for pattern, item := range c.document.Paths.Map() {
		for method, o := range item.Operations() {
			for status, response := range o.Responses.Map() {
				names = append(names, codesOf(method+" "+pattern, status, response.Value)...)
			}
		}
	}
	slices.Sort(names)
	return names
}

func codesOf(operation, status string, response *openapi3.Response) (names []string) {
	codes, failure := response.Extensions["x-codes"].([]any)
	if !failure {
		return []string{operation + " " + status}
	}
	for _, code := range codes {
		names = append(names, fmt.Sprintf("%s %s %v", operation, status, code))
	}
	return names
}

// byClass are refusals that code shared by all routes gives, and that only a
// failing node can provoke. A handler that reads before it writes fails at its
// read, one that does not fails at its write, and a health route says "down"
// instead: so each of these must be seen of reads and of writes, not of each
// route.
var byClass = map[string]bool{
	"500 internal_error":  true, // api.ProblemOf of an error that nobody foresaw
	"503 outcome_unknown": true, // api.ProblemOf of api.ErrOutcomeUnknown
}

// classOf is the answer of any route of the kind, empty if each route must give
// it by itself.
func classOf(answered string) string {
	operation, code, _ := strings.Cut(answered, " /")
	_, code, _ = strings.Cut(code, " ")
	if !byClass[code] {
		return ""
	}
	return fmt.Sprint(code, " of a write: ", isWrite(operation+" "))
}

// impossible are answers that commands declare for safety and no history can
// lead to.
var impossible = map[string]bool{
	// An account's debits never exceed its credits, which overflow first.
	"POST /api/qpaynet/withdraw 400 amount_overflow": true,
}

// missing fails for every declared answer that no test has seen.
func (c *apiContract) missing(t *testing.T) {
	t.Helper()
	for name := range impossible {
		if c.seen[name] {
			t.Errorf("%s is reached, though it is said to be impossible", name)
		}
	}
	classes := map[string]bool{}
	for name := range c.seen {
		classes[classOf(name)] = true
	}
	all := c.declared()
	unseen := slices.DeleteFunc(slices.Clone(all), func(name string) bool {
		class := classOf(name)
		return c.seen[name] || impossible[name] || class != "" && classes[class]
	})
	if len(unseen) > 0 {
		t.Errorf("%d of %d declared answers are never reached:\n%s", len(unseen), len(all), strings.Join(unseen, "\n"))
	}
	t.Logf("%d answers of %d operations are declared and reached", len(all)-len(unseen), len(c.good))
}

// saw checks one answer against the document and notes it.
func (c *apiContract) saw(t testing.TB, origin string, sent *http.Request, body string, got *http.Response, answer []byte) {
	name, o := c.operation(sent.Method, sent.URL.Path)
	if o == nil || got.StatusCode == http.StatusMisdirectedRequest || got.StatusCode == http.StatusRequestURITooLong {
		return
	}
	declared := o.Responses.Value(fmt.Sprint(got.StatusCode))
	if declared == nil {
		t.Errorf("%s answers %d, which it does not declare: %s", name, got.StatusCode, answer)
		return
	}
	media, _, _ := strings.Cut(got.Header.Get("Content-Type"), ";")
	described := declared.Value.Content[media]
	if described == nil {
		t.Errorf("%s answers %d as %q, which it does not declare", name, got.StatusCode, media)
		return
	}
	if success := o.Responses.Value("200"); isDown(got.StatusCode, answer) && success != nil {
		fitSchema(t, name, success.Value.Content[media].Schema.Value, answer)
		return
	}
	code := ""
	if media == "application/json" {
		code = fitSchema(t, name, described.Schema.Value, answer)
	}
	answered := answerName(name, got.StatusCode, code)
	if !slices.Contains(codesOf(name, fmt.Sprint(got.StatusCode), declared.Value), answered) {
		t.Errorf("%s is no declared answer", answered)
	}
	c.note(answered, name, got.StatusCode, apiExchange{
		origin: origin, email: callerOf(sent), path: sent.URL.RequestURI(), header: sent.Header.Clone(), body: body,
	})
}

// isDown tells that a health route answers its result with the status of a
// failure (contract, health).
func isDown(status int, answer []byte) bool {
	return status == http.StatusServiceUnavailable && bytes.HasPrefix(answer, []byte(`{"status":"down",`))
}

// note remembers an answer, and a success to be sent again.
func (c *apiContract) note(answered, operation string, status int, sent apiExchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[answered] = true
	if status >= http.StatusMultipleChoices || sent.origin == "" {
		return
	}
	if known, has := c.good[operation]; !has || sent.origin < known.origin {
		sent.header.Del("Authorization")
		c.good[operation] = sent
	}
}

// callerOf is the e-mail in the token of a request.
func callerOf(sent *http.Request) string {
	token, _ := strings.CutPrefix(sent.Header.Get("Authorization"), "Bearer ")
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct{ Email string }
	if err := json.Unmarshal(payload, &claims); err != nil {
		return ""
	}
	return claims.Email
}

// fitSchema checks a body against its schema and returns the code of a refusal.
func fitSchema(t testing.TB, name string, schema *openapi3.Schema, body []byte) (code string) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Errorf("%s answers no JSON: %v: %s", name, err, body)
		return ""
	}
	if err := schema.VisitJSON(value, openapi3.EnableJSONSchema2020()); err != nil {
		t.Errorf("%s answers what its schema does not allow: %v\n%s", name, err, body)
	}
	if members, isObject := value.(map[string]any); isObject {
		code, _ = members["error"].(string)
	}
	return code
}
