package node

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"coffer/fsm/ledger"
)

// walkOverflow moves the largest amounts between two wallets until their
// accounts cannot count them any more. Sums of an account are 63 bits wide, an
// amount has 53 of them.
func walkOverflow(t *testing.T, c *apiContract) {
	r := newRoad(t, c, startAPI(t, map[string]string{"QPAYNET_KYC_AUTO_VERIFY": "1"}))
	client := newClient(r.node.URL())
	t.Cleanup(client.close)
	ann := r.user("ann@example.org")
	must[any](t, client, "POST", "/api/qpaynet/kyc/submit", ann.token, `{"fullName":"Ann Example","iin":"123456789012"}`)
	first, second := openWallet(t, client, ann.token, "first"), openWallet(t, client, ann.token, "second")

	post := func(path, body string) (int, string) {
		request, err := http.NewRequest(http.MethodPost, r.node.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+ann.token)
		response, answer := r.send(request, body)
		return response.StatusCode, answer
	}
	overflows := func(path, body string) {
		t.Helper()
		if status, answer := post(path, body); status != http.StatusBadRequest || !strings.Contains(answer, `{"error":"amount_overflow"`) {
			t.Errorf("%s answers %d %.300s", path, status, answer)
		}
	}
	payment := func(id string) string { return fmt.Sprintf(`{"walletId":%q,"amount":%d}`, id, int64(ledger.MaxAmount)) }
	for range 4 {
		for _, id := range []string{first, second} {
			if status, answer := post("/api/qpaynet/deposit", payment(id)); status != http.StatusOK {
				t.Fatalf("deposit answers %d %s", status, answer)
			}
		}
	}
	row := func(from, to string) string {
		return fmt.Sprintf(`{"fromWalletId":%q,"toWalletId":%q,"amount":%d}`, from, to, int64(ledger.MaxAmount))
	}
	back := row(first, second) + "," + row(second, first)
	rows := "[" + back + strings.Repeat(","+back, 1024) + "]"
	overflows("/api/qpaynet/transfers/batch", `{"atomic":true,"transfers":`+rows+`}`)

	status, answer := post("/api/qpaynet/transfers/batch", `{"transfers":`+rows+`}`)
	// 4 deposits and 1,020 transfers are 1,024 amounts, the most an account counts.
	if want := `{"requested":2050,"succeededCount":2040,"failedCount":10,`; status != http.StatusOK || !strings.HasPrefix(answer, want) {
		t.Errorf("the batch answers %d %.300s, want %s", status, answer, want)
	}
	overflows("/api/qpaynet/transfer", row(first, second))
	overflows("/api/qpaynet/deposit", payment(first))
	// What goes out never exceeds what has come in, so it can still be counted.
	if status, answer := post("/api/qpaynet/withdraw", payment(first)); status != http.StatusOK {
		t.Errorf("the withdrawal answers %d %s", status, answer)
	}
	checkHealth(t, r.node)
}

// openWallet opens a wallet in KZT.
func openWallet(t testing.TB, c *client, token, name string) string {
	t.Helper()
	return must[struct{ ID string }](t, c, "POST", "/api/qpaynet/wallets", token, fmt.Sprintf(`{"name":%q}`, name)).ID
}
