package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// forgetful makes nodes keep as few old entries as they can: a follower that was
// away for long is then sent a state.
var forgetful = []string{"--log-budget", "67108864", "--probation", "300ms"}

// filler makes states and logs large.
type filler struct {
	cluster *Cluster
	client  *client
	token   string
	wallets [2]string
	memo    string
}

// fillRows is how many transfers a request of a filler has: 60 KiB of log.
const fillRows = 200

// newFiller gives the states of a cluster so many requests to hold.
func newFiller(t testing.TB, c *Cluster, seed uint64, requests int) *filler {
	t.Helper()
	f := &filler{cluster: c, client: newClient(Patience), memo: strings.Repeat("filling ", 24)}
	n := c.Leader()
	f.token = must[struct{ Token string }](t, f.client, n, call{method: "POST", path: "/api/auth/register",
		body: fmt.Appendf(nil, `{"email":"filler%d@example.org","password":%q}`, seed, password)}).Token
	for i := range f.wallets {
		f.wallets[i] = must[struct{ ID string }](t, f.client, n, call{method: "POST", path: "/api/qpaynet/wallets", token: f.token,
			body: fmt.Appendf(nil, `{"currency":"KZT","name":"filler %d"}`, i)}).ID
	}
	must[struct{}](t, f.client, n, call{method: "POST", path: "/api/qpaynet/deposit", token: f.token,
		body: fmt.Appendf(nil, `{"walletId":%q,"amountKzt":100000000}`, f.wallets[0])})
	for range requests {
		if done := f.send(t, n, 1); done != fillRows {
			t.Fatalf("%d of %d transfers were made", done, fillRows)
		}
	}
	return f
}

func (f *filler) request(amount int) call {
	row := fmt.Sprintf(`{"fromWalletId":%q,"toWalletId":%q,"amountKzt":%d,"description":%q}`, f.wallets[0], f.wallets[1], amount, f.memo)
	body := `{"atomic":true,"transfers":[` + strings.Repeat(row+",", fillRows-1) + row + `]}`
	return call{method: "POST", path: "/api/qpaynet/transfers/batch", token: f.token, body: []byte(body)}
}

// send asks for transfers of an amount, all or none, and returns how many were
// made.
func (f *filler) send(t testing.TB, n *Node, amount int) int {
	t.Helper()
	r, err := f.client.do(t.Context(), n, f.request(amount))
	if err != nil {
		t.Errorf("fill the log: %v", err)
		return -1
	}
	var told struct{ SucceededCount int }
	if json.Unmarshal(r.body, &told) != nil || r.status != http.StatusOK && r.status != http.StatusUnprocessableEntity && r.status != http.StatusBadRequest {
		t.Errorf("fill the log: %d %s", r.status, r.body)
		return -1
	}
	return told.SucceededCount
}

// outgrow writes until the logs of all running nodes begin behind an entry. The
// requests are refused, so the states do not grow with the logs.
func (f *filler) outgrow(t testing.TB, index uint64) {
	t.Helper()
	forgotten := func() bool {
		for _, n := range f.cluster.Others(nil) {
			if status, err := n.Status(); err != nil || status.LogFirst <= index {
				return false
			}
		}
		return true
	}
	const senders, most = 4, 4000
	leader := f.cluster.Leader()
	for sent := 0; !forgotten(); sent += senders * 10 {
		if sent > most || t.Failed() {
			t.Fatalf("the logs do not forget entry %d within %d requests", index, most)
		}
		var all sync.WaitGroup
		for range senders {
			all.Go(func() {
				for range 10 {
					f.send(t, leader, 1_000_000_000)
				}
			})
		}
		all.Wait()
	}
}

// pour makes logs grow and be cut until the context ends, whoever dies meanwhile.
func (f *filler) pour(ctx context.Context) {
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				running := f.cluster.Others(nil)
				if _, err := f.client.do(ctx, running[len(running)-1], f.request(1_000_000_000)); err != nil {
					Pass(10 * time.Millisecond)
				}
			}
		})
	}
	all.Wait()
}

// received names the states that a node has received and not installed.
func (n *Node) received() (names []string) {
	names, _ = filepath.Glob(n.File("snap/*"))
	return names
}

// spools names the files without a name that a running node holds: copies of its
// state on their way to somebody.
func (n *Node) spools() (names []string) {
	descriptors, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", n.run.command.Process.Pid))
	for _, descriptor := range descriptors {
		if name, err := os.Readlink(descriptor); err == nil && strings.HasPrefix(name, n.Dir) && strings.HasSuffix(name, " (deleted)") {
			names = append(names, name)
		}
	}
	return names
}

// spotless waits until no node holds a copy of a state on its way.
func (c *Cluster) spotless() {
	c.t.Helper()
	for _, n := range c.Others(nil) {
		var left []string
		if !within(Patience, func() bool { left = append(n.received(), n.spools()...); return len(left) == 0 }) {
			c.t.Errorf("%s still holds %v", n.ID, left)
		}
	}
}
