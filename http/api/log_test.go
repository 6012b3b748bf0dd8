package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLogHasNoSecrets(t *testing.T) {
	b := newBank(t)
	m := b.mux()
	do(t, m, "POST", "/api/money/transfer?dryRun=false&token=query-secret", goodTransfer, as("usr_ann"), key("key-secret"),
		header("Cookie", "cookie-secret"), header("X-Api-Key", "header-secret"))
	do(t, m, "GET", "/api/money/wallets/wal_0123456789abcdef", "", as("usr_ann"))
	do(t, m, "GET", "/path-secret", "", header("Authorization", "Bearer token-secret"))
	lines := strings.Split(strings.TrimSpace(b.records.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d records of 3 requests", len(lines))
	}
	for _, secret := range []string{"secret", "ses_usr_ann", "wal_", "Bearer", "1234,"} {
		if strings.Contains(b.records.String(), secret) {
			t.Errorf("the log has %q: %s", secret, b.records)
		}
	}
	for _, part := range []string{
		`"msg":"request"`, `"route":"POST /api/money/transfer"`, `"status":200`, `"actor":"usr_ann"`, `"ip":"203.0.113.7"`, `"trace_id":"`, `"index":100`, `"dur_ms":0`,
	} {
		if !strings.Contains(lines[0], part) {
			t.Errorf("the record has no %s: %s", part, lines[0])
		}
	}
	if !strings.Contains(lines[1], `"route":"GET /api/money/wallets/{id}"`) || !strings.Contains(lines[2], `"route":"unrouted"`) || !strings.Contains(lines[2], `"code":"not_found"`) {
		t.Errorf("records %s\n%s", lines[1], lines[2])
	}
}

func TestObserver(t *testing.T) {
	b := newBank(t)
	started := 0
	var finished []string
	b.options.Observe = Observer{
		Started: func() { started++ },
		Finished: func(route string, status int, took time.Duration) {
			finished = append(finished, fmt.Sprint(route, " ", status, " ", took))
		},
	}
	m := b.mux()
	do(t, m, "GET", "/api/money/stats", "")
	do(t, m, "GET", "/x", "")
	want := []string{"GET /api/money/stats 200 0s", "unrouted 404 0s"}
	if diff := cmp.Diff(want, finished); diff != "" || started != 2 {
		t.Fatalf("%d started\n%s", started, diff)
	}
}
