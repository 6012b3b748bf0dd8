package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"
)

// client makes API calls and never repeats one by itself.
type client struct{ http *http.Client }

func newClient(patience time.Duration) *client {
	return &client{&http.Client{
		Timeout:   patience,
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
	}}
}

// reply is an answer that has arrived whole.
type reply struct {
	status   int
	replayed bool
	retry    string // Retry-After
	body     []byte
}

func (r reply) doubtful() bool { return bytes.Contains(r.body, []byte("outcome_unknown")) }

// call is one request.
type call struct {
	method, path, token, key string
	body                     []byte
	consistency              string
}

// do makes one call to a node. An error means that there is no answer.
func (c *client) do(ctx context.Context, n *Node, what call) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, what.method, "http://"+n.HTTP+what.path, bytes.NewReader(what.body))
	if err != nil {
		return reply{}, err
	}
	request.GetBody = nil // net/http would repeat a request with a key by itself
	for name, value := range map[string]string{
		"Idempotency-Key": what.key, "Coffer-Consistency": what.consistency,
	} {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	if what.token != "" {
		request.Header.Set("Authorization", "Bearer "+what.token)
	}
	if len(what.body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return reply{}, err
	}
	answer, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return reply{}, err
	}
	return reply{response.StatusCode, response.Header.Get("Idempotent-Replayed") == "true", response.Header.Get("Retry-After"), answer}, nil
}

// must makes a call that has to succeed and decodes its answer.
func must[T any](t testing.TB, c *client, n *Node, what call) (out T) {
	t.Helper()
	r, err := c.do(t.Context(), n, what)
	if err != nil {
		t.Fatalf("%s %s at %s: %v\n%s", what.method, what.path, n.ID, err, n.Log())
	}
	if r.status >= http.StatusMultipleChoices {
		t.Fatalf("%s %s at %s answered %d: %s", what.method, what.path, n.ID, r.status, r.body)
	}
	if err := json.Unmarshal(r.body, &out); err != nil {
		t.Fatalf("%s %s at %s answered %s: %v", what.method, what.path, n.ID, r.body, err)
	}
	return out
}
