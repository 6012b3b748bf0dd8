package node

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"coffer/fsm/wallet"
)

// openTwo starts a node with a wallet that holds money and an empty one.
func openTwo(t *testing.T, amount int64) (n *Node, c *client, ann apiUser, from, to string) {
	t.Helper()
	n = startAPI(t, nil)
	c = newClient(n.URL())
	t.Cleanup(c.close)
	ann = n.signUp(t, "ann")
	from = openWallet(t, c, ann.token, "first")
	to = openWallet(t, c, n.signUp(t, "bob").token, "second")
	must[any](t, c, "POST", "/api/qpaynet/deposit", ann.token, fmt.Sprintf(`{"walletId":%q,"amount":%d}`, from, amount))
	return n, c, ann, from, to
}

// together makes so many calls at once.
func together(t *testing.T, count int, call func() (reply, error)) []reply {
	t.Helper()
	replies := make([]reply, count)
	var begin, calls sync.WaitGroup
	begin.Add(1)
	for i := range replies {
		calls.Go(func() {
			begin.Wait()
			var err error
			if replies[i], err = call(); err != nil {
				t.Error(err)
			}
		})
	}
	begin.Done()
	calls.Wait()
	return replies
}

// TestFiftyClientsWithOneKey transfer once, and all get the same answer.
func TestFiftyClientsWithOneKey(t *testing.T) {
	t.Parallel()
	n, c, ann, from, to := openTwo(t, 1_000_000)
	height := c.verifyChain(t).Height
	body := fmt.Sprintf(`{"fromWalletId":%q,"toWalletId":%q,"amountKzt":1000}`, from, to)
	replies := together(t, 50, func() (reply, error) {
		return c.do("POST", "/api/qpaynet/transfer", ann.token, "the-key", []byte(body))
	})
	replays := 0
	for _, r := range replies {
		if r.status != http.StatusOK || string(r.body) != string(replies[0].body) {
			t.Errorf("one answers %d %s, another %s", r.status, r.body, replies[0].body)
		}
		if r.replayed {
			replays++
		}
	}
	if held := c.balances(t, ann.token)[from]; replays != 49 || held != 998_999 {
		t.Errorf("%d of 50 answers are replays, the wallet holds %d", replays, held)
	}
	if now := c.verifyChain(t); now.Height != height+1 {
		t.Errorf("the chain has grown from %d to %d", height, now.Height)
	}
	checkHealth(t, n)
}

// TestParallelTransfersNeverOverdraw empties a wallet with ten times the
// transfers it can pay.
func TestParallelTransfersNeverOverdraw(t *testing.T) {
	t.Parallel()
	n, c, ann, from, to := openTwo(t, 100_100)
	body := fmt.Sprintf(`{"fromWalletId":%q,"toWalletId":%q,"amountKzt":10000}`, from, to)
	moved := 0
	for _, r := range together(t, 100, func() (reply, error) { return c.do("POST", "/api/qpaynet/transfer", ann.token, "", []byte(body)) }) {
		switch {
		case r.status == http.StatusOK:
			moved++
		case r.status != http.StatusBadRequest || !strings.Contains(string(r.body), `"insufficient_balance"`):
			t.Errorf("one answers %d %s", r.status, r.body)
		}
	}
	if held := c.balances(t, ann.token)[from]; moved != 10 || held != 0 {
		t.Errorf("%d transfers have moved, %d is left", moved, held)
	}
	checkHealth(t, n)
}

// TestTheSizeOfABatch is 8,190 rows, 2 MiB on the wire and 1 MiB in the log.
func TestTheSizeOfABatch(t *testing.T) {
	t.Parallel()
	n, c, ann, from, to := openTwo(t, 10_000_000)
	batch := func(rows int, memo string) reply {
		t.Helper()
		row := fmt.Sprintf(`{"fromWalletId":%q,"toWalletId":%q,"amountKzt":1,"memo":%q}`, from, to, memo)
		body := `{"transfers":[` + row + strings.Repeat(","+row, rows-1) + `]}`
		r, err := c.do("POST", "/api/qpaynet/transfers/batch", ann.token, "", []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	applied := n.machine.Applied()
	for want, r := range map[string]reply{
		`400 {"error":"validation_failed","message":"The request is not valid.","field":"transfers"`: batch(wallet.MaxTransfers+1, ""),
		`413 {"error":"payload_too_large"`: batch(5000, strings.Repeat("m", 200)), // in the log
	} {
		if got := fmt.Sprintf("%d %s", r.status, r.body); !strings.HasPrefix(got, want) {
			t.Errorf("%.300s, want %s", got, want)
		}
	}
	if after := n.machine.Applied(); after != applied {
		t.Errorf("batches that are too large have made entries %d to %d", applied+1, after)
	}
	r := batch(wallet.MaxTransfers, strings.Repeat("m", 30))
	var done struct{ Requested, SucceededCount, FailedCount int }
	if err := json.Unmarshal(r.body, &done); err != nil || r.status != http.StatusOK {
		t.Fatalf("the largest batch answers %d %.300s: %v", r.status, r.body, err)
	}
	if done.Requested != wallet.MaxTransfers || done.SucceededCount != wallet.MaxTransfers || done.FailedCount != 0 {
		t.Errorf("the largest batch answers %+v", done)
	}
	if held := c.balances(t, ann.token)[from]; held != 10_000_000-2*wallet.MaxTransfers {
		t.Errorf("%d is left", held)
	}
	checkHealth(t, n)
}

// TestAReceiptIsAPage looks at what a script cannot: markup.
func TestAReceiptIsAPage(t *testing.T) {
	t.Parallel()
	n, c, ann, from, to := openTwo(t, 10_000)
	made := must[struct{ TransactionID, LedgerEntryID string }](t, c, "POST", "/api/qpaynet/transfer", ann.token,
		fmt.Sprintf(`{"fromWalletId":%q,"toWalletId":%q,"amountKzt":1250,"memo":"<script>alert(1)</script>"}`, from, to))
	request, err := http.NewRequest(http.MethodGet, n.URL()+"/api/qpaynet/transactions/"+made.TransactionID+"/receipt", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/html")
	request.Header.Set("Authorization", "Bearer "+ann.token)
	_, answer, err := apiSend(request, "")
	if err != nil {
		t.Fatal(err)
	}
	page := string(answer)
	for _, part := range []string{
		"<!doctype html>", "12.50 KZT", "0.02 KZT", "<dd>bob</dd>", "&lt;script&gt;alert(1)&lt;/script&gt;",
		made.TransactionID, made.LedgerEntryID, from,
	} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q:\n%s", part, page)
		}
	}
	if strings.Contains(page, "<script>") {
		t.Errorf("the memo is markup:\n%s", page)
	}
}
