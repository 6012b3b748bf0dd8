package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"coffer/http/admin"
)

// Operator talks to a running node through the socket in its data directory.
type Operator struct {
	socket string
	client *http.Client
	// streaming has no limit for the whole answer.
	streaming *http.Client
	name      string
	reason    string // why they ask, for the record; may be empty
}

// NewOperator finds the socket of a node.
func NewOperator(dataDir string) *Operator {
	socket := filepath.Join(dataDir, adminSocket)
	o := &Operator{socket: socket, name: "operator", reason: os.Getenv("COFFER_REASON")}
	if who, err := user.Current(); err == nil {
		o.name = who.Username
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", socket)
	}}
	o.client = &http.Client{Timeout: operatorPatience, Transport: transport}
	o.streaming = &http.Client{Transport: transport}
	return o
}

// operatorPatience is how long an answer of the node may take.
const operatorPatience = 30 * time.Second

// Settings returns all settings as they stand.
func (o *Operator) Settings(ctx context.Context) (all admin.Settings, err error) {
	return all, o.call(ctx, http.MethodGet, "/admin/v1/settings", nil, &all)
}

// Change sets one setting, or takes it back with nil.
func (o *Operator) Change(ctx context.Context, name string, value *string) (done admin.Updated, err error) {
	update := admin.Update{Changes: []admin.Change{{Name: name, Value: value}}}
	return done, o.call(ctx, http.MethodPost, "/admin/v1/settings", update, &done)
}

// Status returns the node's picture of itself.
func (o *Operator) Status(ctx context.Context) (s admin.Status, err error) {
	return s, o.call(ctx, http.MethodGet, "/admin/v1/status", nil, &s)
}

func (o *Operator) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://admin"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	o.sign(request)
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := o.client.Do(request)
	if err != nil {
		return fmt.Errorf("%w through %s: %w", ErrUnreachable, o.socket, err)
	}
	answer, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return refusal(response.StatusCode, answer)
	}
	return json.Unmarshal(answer, out)
}

// sign says who asks, and why.
func (o *Operator) sign(request *http.Request) {
	request.Header.Set("Coffer-Operator", o.name)
	if o.reason != "" {
		request.Header.Set("Coffer-Reason", o.reason)
	}
}

// refusal is a problem document as an error of the class that decides the exit
// code.
func refusal(status int, body []byte) error {
	var problem struct {
		Code, Title, Name, Reason, Field string
	}
	text := fmt.Sprintf("the node answered %d %s", status, http.StatusText(status))
	if err := json.Unmarshal(body, &problem); err == nil && problem.Code != "" {
		text = problem.Title
		for _, detail := range []string{problem.Name, problem.Field, problem.Reason} {
			if detail != "" {
				text += " " + detail
			}
		}
		text += " (" + problem.Code + ")"
	}
	switch {
	case status == http.StatusForbidden, status == http.StatusConflict:
		return refused("%s", text)
	case status < http.StatusInternalServerError:
		return Usage{errors.New(text)}
	case status == http.StatusServiceUnavailable:
		return fmt.Errorf("%w: %s", ErrUnreachable, text)
	}
	return errors.New(text)
}
