package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"coffer/http/admin"
)

// operators talks to the admin socket of a hosted node.
type operators struct {
	t *testing.T
	o *Operator
}

// ask makes one call and compares the status and, of a refusal, the code.
func (c operators) ask(status int, code, method, path, body string) []byte {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, "http://admin"+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.o.client.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		c.t.Fatal(err)
	}
	var problem struct{ Code string }
	if response.StatusCode >= http.StatusMultipleChoices {
		if err := json.Unmarshal(answer, &problem); err != nil {
			c.t.Errorf("%s %s: the refusal is no JSON: %s", method, path, answer)
		}
	}
	if response.StatusCode != status || problem.Code != code {
		c.t.Errorf("%s %s %s answered %d %s, want %d %q", method, path, body, response.StatusCode, answer, status, code)
	}
	return answer
}

// done is a call that has to succeed.
func (c operators) done(method, path, body string) []byte {
	c.t.Helper()
	return c.ask(http.StatusOK, "", method, path, body)
}

func (c operators) members() (m admin.Members) {
	c.t.Helper()
	if err := json.Unmarshal(c.done("GET", "/admin/v1/cluster", ""), &m); err != nil {
		c.t.Fatal(err)
	}
	return m
}

func TestAdminOfASoleNode(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	h := mustHost(t, dir)
	defer h.end(t)
	c := operators{t, NewOperator(dir)}
	var status admin.Status
	if err := json.Unmarshal(c.done("GET", "/admin/v1/status", ""), &status); err != nil {
		t.Fatal(err)
	}
	if status.NodeID != h.dir.Identity.NodeID || status.State != "Leader" || len(status.Reasons) > 0 {
		t.Errorf("status %+v", status)
	}
	if all := c.done("GET", "/admin/v1/settings", ""); !bytes.Contains(all, []byte(`"QPAYNET_FEE_PPM"`)) {
		t.Errorf("settings %s", all)
	}
	c.done("POST", "/admin/v1/settings", `{"changes":[{"name":"QPAYNET_FEE_PPM","value":"2000"}]}`)
	c.done("POST", "/admin/v1/settings", `{"changes":[{"name":"QPAYNET_FEE_PPM","value":null}]}`)
	c.ask(404, "unknown_setting", "POST", "/admin/v1/settings", `{"changes":[{"name":"NO_SUCH","value":"1"}]}`)
	c.ask(422, "invalid_setting", "POST", "/admin/v1/settings", `{"changes":[{"name":"QPAYNET_FEE_PPM","value":"much"}]}`)
	c.ask(400, "validation_failed", "POST", "/admin/v1/settings", `{"changes":[]}`)
	c.ask(400, "unknown_field", "POST", "/admin/v1/settings", `{"changes":[{"name":"QPAYNET_FEE_PPM","value":"1"}],"more":1}`)

	if m := c.members(); len(m.Members) != 1 || m.Leader != status.NodeID || !m.Members[0].Voter || !m.Members[0].Reachable {
		t.Errorf("members %+v", m)
	}
	c.ask(409, "no_cluster_port", "POST", "/admin/v1/tokens", `{"seconds":60}`)
	c.ask(409, "not_eligible", "POST", "/admin/v1/cluster/promote", `{"nodes":["nobody"]}`)
	c.ask(409, "not_eligible", "POST", "/admin/v1/cluster/transfer", `{}`)
	c.ask(409, "version_not_newer", "POST", "/admin/v1/cluster/finalize-upgrade", `{"version":1}`)

	if raised := string(c.done("GET", "/admin/v1/alarms", "")); strings.TrimSpace(raised) != `{"alarms":[]}` {
		t.Errorf("alarms %s", raised)
	}
	c.ask(404, "alarm_not_found", "POST", "/admin/v1/alarms/disarm", `{"kind":"no_space","node":"`+status.NodeID+`"}`)
	if !h.raise("no_space", "a test") {
		t.Fatal("the alarm is not raised")
	}
	if raised := c.done("GET", "/admin/v1/alarms", ""); !bytes.Contains(raised, []byte(`"reason":"a test"`)) {
		t.Errorf("alarms %s", raised)
	}
	c.done("POST", "/admin/v1/alarms/disarm", `{"kind":"no_space","node":"`+status.NodeID+`"}`)

	c.ask(422, "invalid_recipient", "GET", "/admin/v1/backup?recipient=nobody", "")
	if copied := c.done("GET", "/admin/v1/backup", ""); len(copied) < 1000 {
		t.Errorf("a backup of %d bytes", len(copied))
	}
	c.ask(404, "not_found", "GET", "/admin/v1/nothing", "")
}

// A second backup is refused while one is under way.
func TestOneBackupAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	h := mustHost(t, dir)
	defer h.end(t)
	began, goOn := make(chan struct{}), make(chan struct{})
	slow := writer(func(p []byte) (int, error) {
		select {
		case began <- struct{}{}:
			<-goOn
		case <-goOn:
		}
		return len(p), nil
	})
	finished := make(chan error, 1)
	go func() {
		_, err := h.Backup(context.Background(), slow, nil)
		finished <- err
	}()
	<-began
	operators{t, NewOperator(dir)}.ask(409, "backup_busy", "GET", "/admin/v1/backup", "")
	close(goOn)
	if err := <-finished; err != nil {
		t.Error(err)
	}
	operators{t, NewOperator(dir)}.done("GET", "/admin/v1/backup", "")
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String()
}

// hostPeer starts a node with peers and waits until it serves.
func hostPeer(t *testing.T, dir, address string) *hosted {
	t.Helper()
	h := mustHost(t, dir, func(c *Config) {
		c.Cluster, c.Probation = address, time.Millisecond
		c.Secrets = Secrets{} // those in the directory
	})
	if err := h.awaitReady(t.Context(), 20*time.Second); err != nil {
		t.Fatal(err)
	}
	return h
}

// hostCluster starts three nodes, of which the first has a vote.
func hostCluster(t *testing.T) (operators, map[string]*hosted) {
	t.Helper()
	root, address := t.TempDir(), freeAddress(t)
	dir := filepath.Join(root, "node-1")
	if _, err := initAs(InitFlags{DataDir: dir}, "node-1"); err != nil {
		t.Fatal(err)
	}
	nodes := map[string]*hosted{"node-1": hostPeer(t, dir, address)}
	c := operators{t, NewOperator(dir)}
	for _, id := range []string{"node-2", "node-3"} {
		var made admin.TokenMade
		if err := json.Unmarshal(c.done("POST", "/admin/v1/tokens", `{"seconds":60,"node":"`+id+`"}`), &made); err != nil {
			t.Fatal(err)
		}
		own := freeAddress(t)
		_, err := Join(t.Context(), JoinFlags{DataDir: filepath.Join(root, id), Token: made.Token, Peer: address, Advertise: own, NodeID: id})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(nodes["node-1"].log.String(), made.Token) {
			t.Error("the token is in the log")
		}
		nodes[id] = hostPeer(t, filepath.Join(root, id), own)
	}
	return c, nodes
}

// promoteBoth gives the newcomers a vote as soon as they may have one.
func (c operators) promoteBoth() {
	c.t.Helper()
	both := fmt.Sprintf(`{"nodes":["node-2","node-3"],"prevIndex":%d}`, c.members().Index)
	until := time.Now().Add(20 * time.Second)
	for c.o.call(c.t.Context(), http.MethodPost, "/admin/v1/cluster/promote", json.RawMessage(both), &struct{}{}) != nil {
		if time.Now().After(until) {
			c.t.Fatal("the newcomers are not promoted")
		}
		<-time.After(20 * time.Millisecond)
	}
}

func TestAdminOfACluster(t *testing.T) {
	c, nodes := hostCluster(t)
	defer nodes["node-1"].end(t)
	c.ask(409, "member_too_old", "POST", "/admin/v1/cluster/finalize-upgrade", `{"version":2}`)
	c.ask(400, "validation_failed", "POST", "/admin/v1/tokens", `{"seconds":86401}`)
	c.ask(409, "membership_changed", "POST", "/admin/v1/cluster/promote", `{"nodes":["node-2"],"prevIndex":1}`)
	c.promoteBoth()
	changes(t, c, nodes)
}

// changes goes through what can happen to a membership of three.
func changes(t *testing.T, c operators, peers map[string]*hosted) {
	t.Helper()
	voters := func() (ids []string) {
		for _, m := range c.members().Members {
			if m.Voter {
				ids = append(ids, m.ID)
			}
		}
		return ids
	}
	if got := voters(); !slices.Equal(got, []string{"node-1", "node-2", "node-3"}) {
		t.Fatalf("voters %v", got)
	}
	c.done("POST", "/admin/v1/cluster/demote", `{"nodes":["node-3"]}`)
	if got := voters(); !slices.Equal(got, []string{"node-1", "node-2"}) {
		t.Fatalf("voters %v", got)
	}
	c.done("POST", "/admin/v1/cluster/promote", `{"nodes":["node-3"]}`)
	c.done("POST", "/admin/v1/cluster/transfer", `{"node":"node-2"}`)
	if err := peers["node-2"].awaitReady(t.Context(), 20*time.Second); err != nil {
		t.Fatal(err)
	}
	c.ask(409, "not_eligible", "POST", "/admin/v1/cluster/transfer", `{"node":"nobody"}`)
	peers["node-3"].end(t)
	c.ask(409, "unsafe_change", "POST", "/admin/v1/cluster/remove", `{"nodes":["node-1"]}`)
	c.done("POST", "/admin/v1/cluster/remove", `{"nodes":["node-3"]}`)
	if got := len(c.members().Members); got != 2 {
		t.Errorf("%d members, want 2", got)
	}
	c.done("POST", "/admin/v1/cluster/remove", `{"nodes":["node-2"]}`)
	if err := peers["node-2"].Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if got := voters(); !slices.Equal(got, []string{"node-1"}) {
		t.Errorf("voters %v, want the first alone", got)
	}
}
