package auth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/fsm"
	"coffer/http/api"
)

func request(headers ...string) *http.Request {
	r := &http.Request{Header: http.Header{}}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestBearer(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []string
		want    string
		err     error
	}{
		{"none", nil, "", api.ErrNoCredential},
		{"bearer", []string{"Authorization", "Bearer abc"}, "abc", nil},
		{"scheme without case", []string{"Authorization", "bEARER abc"}, "abc", nil},
		{"more spaces", []string{"Authorization", "Bearer   abc"}, "abc", nil},
		{"another scheme", []string{"Authorization", "Basic abc"}, "", api.ErrNoCredential},
		{"no token", []string{"Authorization", "Bearer "}, "", errBearer},
		{"no space", []string{"Authorization", "Bearer"}, "", api.ErrNoCredential},
		{"twice", []string{"Authorization", "Bearer a", "Authorization", "Bearer b"}, "", errAuthorization},
		{"too long", []string{"Authorization", "Bearer " + strings.Repeat("x", maxToken+1)}, "", errBearer},
		{"cookie and query do not count", []string{"Cookie", "token=abc"}, "", api.ErrNoCredential},
	} {
		got, err := Bearer(request(c.headers...))
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %q %v, want %q %v", c.name, got, err, c.want, c.err)
		}
	}
}

func TestIdentify(t *testing.T) {
	tokens := newTokens(t)
	token, _ := tokens.Issue(testClaims())
	got, err := tokens.Identify(request("Authorization", "Bearer "+token))
	want := fsm.Actor{Kind: fsm.User, ID: "usr_1", Session: "ses_1", Email: "ann@example.org"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatalf("%v\n%s", err, diff)
	}
	if _, err := tokens.Identify(request()); !errors.Is(err, api.ErrNoCredential) {
		t.Fatalf("without token: %v", err)
	}
	if _, err := tokens.Identify(request("Authorization", "Bearer x")); err == nil || errors.Is(err, api.ErrNoCredential) {
		t.Fatalf("with a bad token: %v", err)
	}
}

func TestServiceKey(t *testing.T) {
	wrong := errors.New("wrong key")
	key, err := NewServiceKey("ztide", "X-Ztide-Service-Key", []string{"first", "", "second"}, wrong)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		headers []string
		err     error
	}{
		{"none", nil, api.ErrNoCredential},
		{"first", []string{"X-Ztide-Service-Key", "first"}, nil},
		{"second", []string{"X-Ztide-Service-Key", "second"}, nil},
		{"other", []string{"X-Ztide-Service-Key", "third"}, wrong},
		{"prefix", []string{"X-Ztide-Service-Key", "firs"}, wrong},
		{"empty", []string{"X-Ztide-Service-Key", ""}, wrong},
		{"twice", []string{"X-Ztide-Service-Key", "first", "X-Ztide-Service-Key", "first"}, wrong},
	} {
		actor, err := key.Identify(request(c.headers...))
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		if c.err == nil && (actor.Kind != fsm.Service || actor.ID != "ztide") {
			t.Errorf("%s: actor %+v", c.name, actor)
		}
	}
	unset, _ := NewServiceKey("ztide", "X-Ztide-Service-Key", []string{""}, wrong)
	if _, err := unset.Identify(request("X-Ztide-Service-Key", "")); !errors.Is(err, wrong) {
		t.Errorf("an unset key matches: %v", err)
	}
	if _, err := NewServiceKey("ztide", "X-ZTide-Service-Key", nil, wrong); err == nil {
		t.Error("a header that net/http writes otherwise is accepted")
	}
	if text := fmt.Sprintf("%+v %#v", key, key); strings.Contains(text, "second") {
		t.Error("printing shows the key")
	}
}
