package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// client makes API calls and never repeats one by itself.
type client struct {
	url  string
	http *http.Client
}

func newClient(url string) *client {
	return &client{url, &http.Client{
		Timeout:   patience,
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
	}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// reply is an answer that has arrived whole.
type reply struct {
	status   int
	replayed bool
	retry    string // Retry-After
	body     []byte
}

// do makes one call. An error means that there is no answer.
func (c *client) do(method, path, token, key string, body []byte) (reply, error) {
	request, err := http.NewRequest(method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	request.GetBody = nil // net/http would repeat a request with a key by itself
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	if len(body) > 0 {
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
func must[T any](t testing.TB, c *client, method, path, token, body string) (out T) {
	t.Helper()
	r, err := c.do(method, path, token, "", []byte(body))
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if r.status >= http.StatusMultipleChoices {
		t.Fatalf("%s %s answered %d: %s", method, path, r.status, r.body)
	}
	if err := json.Unmarshal(r.body, &out); err != nil {
		t.Fatalf("%s %s answered %s: %v", method, path, r.body, err)
	}
	return out
}

// purse is a wallet that a test knows.
type purse struct{ id, currency string }

// customer is a user with wallets.
type customer struct {
	email, token string
	purses       []purse
}

// password of every customer.
const password = "a password for tests"

func (c *client) login(t testing.TB, email string) string {
	t.Helper()
	return must[struct{ Token string }](t, c, "POST", "/api/auth/login", "",
		fmt.Sprintf(`{"email":%q,"password":%q}`, email, password)).Token
}

// register makes a customer with so many wallets of each currency.
func (c *client) register(t testing.TB, email string, each int, currencies ...string) *customer {
	t.Helper()
	who := &customer{email: email}
	who.token = must[struct{ Token string }](t, c, "POST", "/api/auth/register", "",
		fmt.Sprintf(`{"email":%q,"password":%q}`, email, password)).Token
	for _, currency := range currencies {
		for i := range each {
			opened := must[struct{ ID string }](t, c, "POST", "/api/qpaynet/wallets", who.token,
				fmt.Sprintf(`{"currency":%q,"name":"wallet %d"}`, currency, i))
			who.purses = append(who.purses, purse{opened.ID, currency})
		}
	}
	return who
}

// balances reads all wallets of a customer.
func (c *client) balances(t testing.TB, token string) map[string]int64 {
	t.Helper()
	held := map[string]int64{}
	for cursor := ""; ; {
		page := must[struct {
			Wallets []struct {
				ID                       string
				BalanceKzt, BalanceCents *int64
			}
			NextCursor string
		}](t, c, "GET", "/api/qpaynet/wallets?limit=200&cursor="+cursor, token, "")
		for _, w := range page.Wallets {
			if w.BalanceKzt != nil {
				held[w.ID] = *w.BalanceKzt
			} else {
				held[w.ID] = *w.BalanceCents
			}
		}
		if cursor = page.NextCursor; cursor == "" {
			return held
		}
	}
}

// chainVerified is the answer of chain/verify.
type chainVerified struct {
	Valid    bool
	Height   uint64
	HeadHash string
	BrokenAt *uint64
}

func (c *client) verifyChain(t testing.TB) chainVerified {
	t.Helper()
	return must[chainVerified](t, c, "GET", "/api/veilnetx-ledger/chain/verify", "", "")
}

// chainHead is the answer of chain/head.
type chainHead struct {
	Height uint64
	Hash   string
}

// head reads the end of the chain. It is as fresh as any read; what verifyChain
// says may be a second old.
func (c *client) head(t testing.TB) chainHead {
	t.Helper()
	return must[chainHead](t, c, "GET", "/api/veilnetx-ledger/chain/head", "", "")
}

// unlimited are wishes that leave a load to itself.
var unlimited = []string{
	"AEVION_RATE_READ=0", "AEVION_RATE_WRITE=0", "AEVION_RATE_STRICT=0", "AEVION_RATE_MONEY=0",
	"QPAYNET_DAILY_DEPOSIT_CAP=1000000000000", "QPAYNET_MAX_TRANSFER=1000000000000", "QPAYNET_KYC_THRESHOLD=1000000000000",
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ask func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(patience)
	for !ask() {
		select {
		case <-ticker.C:
		case <-limit:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
