package node

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// apiWitness is the client of a script. It checks every answer against the
// contract, and before each write it asks for a dry run, which must answer the
// same and change nothing.
type apiWitness struct {
	t        testing.TB
	contract *apiContract
	node     *Node
	origin   string // of what it sees
	once     bool   // no dry runs: they would count against rate limits
}

// RoundTrip sends a request.
func (w *apiWitness) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(content)
	}
	expected := ""
	if w.dries(r) {
		tried, answer, err := w.try(r, body)
		if err != nil {
			return nil, err
		}
		expected = answerText(tried, answer)
	}
	response, answer, err := apiSend(r, body)
	if err != nil {
		return nil, err
	}
	checkOutput(w.t, string(answer))
	w.contract.saw(w.t, w.origin, r, body, response, answer)
	if got := answerText(response, answer); expected != "" && got != expected && !fromKey(response, answer) {
		w.t.Errorf("%s %s: the dry run answered\n%s\nthe call answered\n%s", r.Method, r.URL.Path, expected, got)
	}
	return response, nil
}

// fromKey tells that an answer comes from an idempotency key that was used
// before. A dry run looks at no keys.
func fromKey(r *http.Response, body []byte) bool {
	return r.Header.Get("Idempotent-Replayed") == "true" || bytes.Contains(body, []byte("idempotency_key_body_mismatch"))
}

// dries tells whether a request is a write that is not dry already.
func (w *apiWitness) dries(r *http.Request) bool {
	writes := r.Method == http.MethodPost || r.Method == http.MethodPatch || r.Method == http.MethodDelete
	return writes && !w.once && !strings.Contains(r.URL.RawQuery, "dryRun")
}

// dryAttempts is how often a dry run is watched: the leader may append an entry of
// its own at the same time, but not each time.
const dryAttempts = 3

// try sends the dry run of a write.
func (w *apiWitness) try(r *http.Request, body string) (response *http.Response, answer []byte, err error) {
	dry := r.Clone(r.Context())
	query := dry.URL.Query()
	query.Set("dryRun", "true")
	dry.URL.RawQuery = query.Encode()
	for range dryAttempts {
		before := w.applied()
		if response, answer, err = apiSend(dry, body); err != nil {
			return nil, nil, err
		}
		if w.applied() == before {
			w.checkDry(r, response)
			return response, answer, nil
		}
	}
	w.t.Errorf("%s %s: a dry run commits", r.Method, r.URL.Path)
	return response, answer, nil
}

// checkDry wants the header on everything a route has answered.
func (w *apiWitness) checkDry(r *http.Request, response *http.Response) {
	early := response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusNotFound ||
		response.StatusCode == http.StatusMethodNotAllowed || response.StatusCode == http.StatusForbidden
	if response.Header.Get("Coffer-Dry-Run") != "true" && !early {
		w.t.Errorf("%s %s: a dry run answers %d without Coffer-Dry-Run", r.Method, r.URL.Path, response.StatusCode)
	}
}

func (w *apiWitness) applied() uint64 {
	v := w.node.db.Latest()
	defer v.Close()
	return v.Index()
}

// apiSend sends a request with a body and reads the answer whole.
func apiSend(r *http.Request, body string) (*http.Response, []byte, error) {
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = nil, 0
	if body != "" {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(answer))
	return response, answer, nil
}

// passingParts are the parts of an answer that differ from call to call.
var passingParts = regexp.MustCompile(`eyJ[A-Za-z0-9_.-]+|\b[a-z]{2,5}_[0-9a-f]{32}\b|\b[0-9a-f]{64}\b|\d{4}-\d\d-\d\dT[\d:.]+Z`)

// answerText is an answer without what differs from call to call.
func answerText(r *http.Response, body []byte) string {
	return r.Status + " " + passingParts.ReplaceAllString(string(body), "…")
}
