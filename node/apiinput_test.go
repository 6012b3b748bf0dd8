package node

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
)

// malformed are bodies that are no strict JSON object, made of a good one.
var malformed = map[string]func(good string) string{
	"cut":                   func(good string) string { return good[:len(good)-1] },
	"trailing data":         func(good string) string { return good + ` {}` },
	"trailing comma":        func(good string) string { return good[:len(good)-1] + `,}` },
	"comment":               func(good string) string { return good + ` // done` },
	"an array":              func(good string) string { return `[` + good + `]` },
	"a string":              func(string) string { return `"text"` },
	"null":                  func(string) string { return `null` },
	"white space":           func(string) string { return " \n" },
	"a member twice":        func(good string) string { return good[:len(good)-1] + `,"x":1,"x":1}` },
	"the amount twice":      func(good string) string { return good[:len(good)-1] + `,"amount":5,"am\u006funt":6}` },
	"a member twice inside": func(good string) string { return good[:len(good)-1] + `,"x":{"y":[{"z":1,"z":2}]}}` },
	"byte order mark":       func(good string) string { return "\xef\xbb\xbf" + good },
	"UTF-16":                func(good string) string { return "\xff\xfe" + strings.Join(strings.Split(good, ""), "\x00") + "\x00" },
	"no UTF-8":              func(good string) string { return good[:len(good)-1] + ",\"memo\":\"\xff\"}" },
	"overlong UTF-8":        func(good string) string { return good[:len(good)-1] + ",\"memo\":\"\xc0\xaf\"}" },
	"a lone surrogate":      func(good string) string { return good[:len(good)-1] + `,"memo":"\ud800"}` },
	"U+0000":                func(good string) string { return good[:len(good)-1] + `,"memo":"a\u0000b"}` },
	"a control character":   func(good string) string { return good[:len(good)-1] + ",\"memo\":\"a\nb\"}" },
	"33 levels":             func(good string) string { return good[:len(good)-1] + `,"x":` + nested(32) + `}` },
	"100,000 levels":        func(good string) string { return good[:len(good)-1] + `,"x":` + nested(100_000) + `}` },
	"100,000 open brackets": func(string) string { return strings.Repeat("[", 100_000) },
}

func nested(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }

// badAmounts are no amounts of money, as they stand in JSON.
var badAmounts = []string{
	"0", "-0", "-1", "1.5", "1.0", "100.0", "1e3", "1E3", "1e400", "-1e400", "0.1", "9007199254740992", "9007199254740993",
	"9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551617", strings.Repeat("9", 400),
	`""`, `"x"`, `"1.5"`, `"1e3"`, `" 1"`, `"0x10"`, `"-1"`, `"١"`, `"9007199254740992"`, "true", "[]", "[1]", "{}",
}

// badNumbers are no JSON at all.
var badNumbers = []string{"01", "+1", ".5", "1.", "NaN", "Infinity", "0x10", "1_000", "1e", "--1"}

// moneyRoute is a route that moves money, and its good body without the amount.
type moneyRoute struct{ path, body string }

// TestBadInputChangesNothing sends what no client should, to each route that
// moves money: every answer is a 400 with a reason, and nothing reaches the log.
func TestBadInputChangesNothing(t *testing.T) {
	t.Parallel()
	n := startAPI(t, nil)
	c := newClient(n.URL())
	t.Cleanup(c.close)
	ann, bob := n.signUp(t, "ann"), n.signUp(t, "bob")
	from, to := openWallet(t, c, ann.token, "first"), openWallet(t, c, bob.token, "second")
	must[any](t, c, "POST", "/api/qpaynet/deposit", ann.token, fmt.Sprintf(`{"walletId":%q,"amount":100000}`, from))
	routes := []moneyRoute{
		{"/api/qpaynet/deposit", fmt.Sprintf(`{"walletId":%q}`, from)},
		{"/api/qpaynet/withdraw", fmt.Sprintf(`{"walletId":%q}`, from)},
		{"/api/qpaynet/transfer", fmt.Sprintf(`{"fromWalletId":%q,"toWalletId":%q}`, from, to)},
	}
	held, applied := c.balances(t, ann.token), n.machine.Applied()
	for _, route := range routes {
		for _, name := range []string{"amount", "amountKzt", "amountCents"} {
			for _, amount := range badAmounts {
				refusedInput(t, c, ann.token, route.path, amended(route.body, name, amount), name)
				rows := `{"transfers":[` + amended(routes[2].body, name, amount) + `]}`
				refusedInput(t, c, ann.token, "/api/qpaynet/transfers/batch", rows, name)
			}
			for _, number := range badNumbers {
				refusedInput(t, c, ann.token, route.path, amended(route.body, name, number), "body")
			}
		}
		refusedInput(t, c, ann.token, route.path, amended(route.body, "amount", "null"), "amount")
		refusedInput(t, c, ann.token, route.path, route.body, "amount")
		for _, spoil := range malformed {
			refusedInput(t, c, ann.token, route.path, spoil(amended(route.body, "amount", "1")), "body")
		}
	}
	if after := n.machine.Applied(); after != applied {
		t.Errorf("bad requests have made entries %d to %d", applied+1, after)
	}
	if now := c.balances(t, ann.token); !maps.Equal(now, held) {
		t.Errorf("balances were %v and are %v", held, now)
	}
	checkHealth(t, n)
}

// amended is an object with one more member.
func amended(object, name, value string) string {
	return object[:len(object)-1] + fmt.Sprintf(`,%q:%s}`, name, value)
}

// refusedInput wants a refusal that names a field.
func refusedInput(t *testing.T, c *client, token, path, body, field string) {
	t.Helper()
	r, err := c.do("POST", path, token, "", []byte(body))
	if err != nil {
		t.Errorf("%s %.200q: %v", path, body, err)
		return
	}
	checkOutput(t, string(r.body))
	var refusal struct{ Error, Message, Field, Reason string }
	if err := json.Unmarshal(r.body, &refusal); err != nil {
		t.Errorf("%s %.200q answers %s: %v", path, body, r.body, err)
	}
	if r.status != 400 || refusal.Error != "validation_failed" || refusal.Field != field || refusal.Reason == "" || refusal.Message == "" {
		t.Errorf("%s %.200q answers %d %s, want validation_failed of %s", path, body, r.status, r.body, field)
	}
}
