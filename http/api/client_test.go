package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
	body map[string]any
}

// edit changes a request before it is sent.
type edit func(*http.Request)

func as(user string) edit {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+user+":ses_"+user) }
}

func header(name, value string) edit {
	return func(r *http.Request) { r.Header[name] = append(r.Header[name], value) }
}

// do sends one request. A body is JSON unless an edit says otherwise.
func do(t testing.TB, h http.Handler, method, target, body string, edits ...edit) answer {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader)
	r.RequestURI = target
	r.RemoteAddr = "203.0.113.7:1234"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, change := range edits {
		change(r)
	}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	got := answer{ResponseRecorder: recorder}
	if strings.Contains(recorder.Header().Get("Content-Type"), "json") && recorder.Body.Len() > 0 {
		if err := json.Unmarshal(recorder.Body.Bytes(), &got.body); err != nil {
			t.Fatalf("%s %s: answer is no JSON: %v\n%s", method, target, err, recorder.Body)
		}
	}
	return got
}

// is checks status and some members of the body, given as name, value pairs.
func (a answer) is(t testing.TB, status int, members ...any) {
	t.Helper()
	if a.Code != status {
		t.Fatalf("status %d, want %d: %s", a.Code, status, a.Body)
	}
	for i := 0; i < len(members); i += 2 {
		if got := a.body[members[i].(string)]; got != members[i+1] {
			t.Fatalf("%s is %v, want %v: %s", members[i], got, members[i+1], a.Body)
		}
	}
}

const goodTransfer = `{"fromWalletId":"wal_0123456789abcdef0123456789abcdef","toWalletId":"wal_0123456789abcdef0123456789abcdee","amountKzt":1234}`
