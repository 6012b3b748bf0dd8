package node

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"coffer/fsm"
	"coffer/fsm/settings"
	"coffer/store"
)

// walkFrozen stops business writes with an alarm, as replicas that differ do and
// a node without disk space. Nothing happens until an operator disarms it.
func walkFrozen(t *testing.T, c *apiContract) {
	r := newRoad(t, c, startAPI(t, nil))
	for _, frozen := range []struct {
		kind, code string
		status     int
	}{
		{fsm.Diverged, "writes_frozen", http.StatusServiceUnavailable},
		{fsm.NoSpace, "no_space", http.StatusInsufficientStorage},
	} {
		alarm := fsm.AlarmChange{Kind: frozen.kind, Node: "another", Reason: "test"}
		if _, err := fsm.RaiseAlarm.Submit(r.node.self(t.Context()), r.node, alarm); err != nil {
			t.Fatal(err)
		}
		for _, operation := range c.writes() {
			request, body := r.request(operation)
			r.refused(request, body, frozen.status, frozen.code)
			request.URL.RawQuery = "dryRun=true"
			r.refused(request, body, frozen.status, frozen.code)
		}
		if _, err := fsm.DisarmAlarm.Submit(r.node.self(t.Context()), r.node, alarm); err != nil {
			t.Fatal(err)
		}
	}
	client := newClient(r.node.URL())
	t.Cleanup(client.close)
	openWallet(t, client, r.user("ann@example.org").token, "first")
	checkHealth(t, r.node)
}

// walkClosed takes the cluster away underneath a node that still answers.
func walkClosed(t *testing.T, c *apiContract) {
	r := newRoad(t, c, startAPI(t, nil))
	if err := r.node.cluster.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, operation := range c.operations() {
		request, body := r.request(operation)
		request.Header.Set("Coffer-Consistency", "linearizable")
		r.refused(request, body, http.StatusServiceUnavailable, "unavailable")
	}
}

// dyingNode starts a node whose end is in the hands of the test: exit is called
// where the process would end.
func dyingNode(t *testing.T, exit func(code int)) *Node {
	t.Helper()
	c := Config{
		DataDir: t.TempDir(), HTTPAddr: "127.0.0.1:0", Strict: true, Version: "test", Logger: apiLog(t),
		FlushBytes: 64 << 20, FlushEvery: time.Minute, LogBudget: 1 << 30, Exit: exit,
	}
	err := c.Complete(settings.Development, func(name string) (string, bool) {
		text, usual := apiEnvironment[name]
		return text, usual
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// poison proposes a command that only a newer program knows: no node of this
// one can apply it, so each stops.
func poison(ctx context.Context, n *Node) {
	request := fsm.Request{
		Command: "later.command/1", Actor: fsm.Actor{Kind: fsm.Node, ID: n.dir.Identity.NodeID}, RequestID: fsm.NewRequestID(),
	}
	_, _ = n.cluster.Propose(ctx, store.Encode(&request)) // nobody answers
}

// walkDying meets a node that must stop, between its decision and the end of its
// process: what it reads cannot be trusted any more, what it writes stays in the
// log without an answer.
func walkDying(t *testing.T, c *apiContract) {
	exit, end := make(chan int), make(chan struct{})
	n := dyingNode(t, func(code int) {
		exit <- code
		<-end
	})
	r := newRoad(t, c, n)
	go poison(t.Context(), n)
	if code := <-exit; code != ExitStorage {
		t.Errorf("the node ends with code %d", code)
	}
	poisoned := n.cluster.Status().LogLast
	var answers sync.WaitGroup
	var unknown atomic.Int64 // writes that were told so
	for _, operation := range c.operations() {
		request, body := r.request(operation)
		request.Header.Set("Coffer-Consistency", "linearizable")
		before := n.cluster.Status()
		done := make(chan struct{})
		answers.Go(func() {
			defer close(done)
			if r.dies(operation, request, body) {
				unknown.Add(1)
			}
		})
		eventually(t, operation+" is answered, or waits to be written or applied", func() bool {
			select {
			case <-done:
				return true
			default:
				now := n.cluster.Status()
				return now.LogLast > before.LogLast || now.Requests > before.Requests
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nobody waits for what is under way
	if err := n.cluster.Close(ctx); err == nil {
		t.Error("a cluster whose machine hangs is closed")
	}
	answers.Wait()
	close(end)
	if err := n.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Logf("the end: %v", err) // as a node may end that is broken
	}
	if logged := userRequests(t, n.config.DataDir, poisoned); logged == 0 || logged != unknown.Load() {
		t.Errorf("the log holds %d writes, and the outcome of %d was called unknown", logged, unknown.Load())
	}
}

// userRequests counts the requests of users in the log behind an entry.
func userRequests(t *testing.T, dir string, behind uint64) (count int64) {
	t.Helper()
	for _, log := range delivered(t, dir) {
		if log.Index <= behind || log.Type != raft.LogCommand {
			continue
		}
		entry, err := fsm.OpenEntry(log.Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, encoded := range entry.Requests {
			var r fsm.Request
			if err := store.Decode(encoded, &r); err != nil {
				t.Fatal(err)
			}
			if r.Actor.Kind != fsm.Node {
				count++
			}
		}
	}
	return count
}

// dies wants one of the answers of a node that must stop, and returns whether it
// calls the outcome of a write unknown.
func (r *apiRoad) dies(operation string, request *http.Request, body string) (unknown bool) {
	response, answer := r.send(request, body)
	if response == nil {
		return false
	}
	switch {
	case response.StatusCode == http.StatusInternalServerError && strings.Contains(answer, `"internal_error"`):
	case response.StatusCode == http.StatusServiceUnavailable && strings.Contains(answer, `"outcome_unknown"`) && isWrite(operation):
		return true
	case response.StatusCode == http.StatusServiceUnavailable && strings.Contains(answer, `"unavailable"`) && isWrite(operation): // it never left
	case isDown(response.StatusCode, []byte(answer)) && !isWrite(operation):
	default:
		r.t.Errorf("%s answers %d %s", operation, response.StatusCode, answer)
	}
	return false
}
