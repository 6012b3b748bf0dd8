package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

type ruled struct {
	Name  string           `json:"name" validate:"required,max=5" mod:"trim" code:"name_required_max_80"`
	Mail  string           `json:"mail" validate:"omitempty,mail" mod:"trim,lower"`
	Kind  string           `json:"kind" validate:"omitempty,oneof=a b"`
	Owner string           `json:"owner" validate:"omitempty,id"`
	Count Integer          `json:"count" validate:"min=2,max=5"`
	Patch Optional[string] `json:"patch" validate:"min=1,max=3" mod:"trim" code:"max=too_much"`
	Site  string           `json:"site" validate:"omitempty,http_url"`
	Words []string         `json:"words" validate:"max=2,dive,min=2"`
	One   string           `json:"one" validate:"required_without=Two"`
	Two   string           `json:"two"`
	Must  *bool            `json:"must" validate:"required"`
}

func TestBindRules(t *testing.T) {
	b := bindTo[ruled](t, "POST", "")
	yes := true
	b.takes(`{"name":"  ann ","mail":" A@B.Example ","one":"x","must":true,"patch":" p "}`, ruled{
		Name: "ann", Mail: "a@b.example", One: "x", Must: &yes, Patch: Optional[string]{Set: true, Value: "p"},
	})
	b.takes(`{"name":"пятьх","two":"x","must":true,"kind":"b","owner":"wal_0123456789abcdef","count":2,"site":"https://x.example/y","words":["ab"],"patch":null}`, ruled{
		Name: "пятьх", Two: "x", Must: &yes, Kind: "b", Owner: "wal_0123456789abcdef", Count: Integer{2, true},
		Site: "https://x.example/y", Words: []string{"ab"}, Patch: Optional[string]{Set: true, Null: true},
	})
	const good = `"name":"ann","one":"x","must":true`
	for _, c := range []struct{ body, code, field, reason string }{
		{`{}`, "name_required_max_80", "name", "is required"},
		{`{"name":"   "}`, "name_required_max_80", "name", "is required"},
		{`{"name":"123456"}`, "name_required_max_80", "name", "must be at most 5 characters"},
		{`{"name":1}`, "name_required_max_80", "name", "must be a string"},
		{`{` + good + `,"mail":"x"}`, CodeValidation, "mail", "must be an e-mail address"},
		{`{` + good + `,"kind":"c"}`, CodeValidation, "kind", "must be one of a, b"},
		{`{` + good + `,"owner":"wal_XYZ"}`, CodeValidation, "owner", "must be id"},
		{`{` + good + `,"count":1}`, CodeValidation, "count", "must be at least 2"},
		{`{` + good + `,"count":0}`, CodeValidation, "count", "must be at least 2"},
		{`{` + good + `,"count":6}`, CodeValidation, "count", "must be at most 5"},
		{`{` + good + `,"patch":""}`, CodeValidation, "patch", "must be at least 1 character"},
		{`{` + good + `,"patch":"long"}`, "too_much", "patch", "must be at most 3 characters"},
		{`{` + good + `,"site":"ftp://x"}`, CodeValidation, "site", "must be an http or https URL"},
		{`{` + good + `,"site":"x"}`, CodeValidation, "site", "must be an http or https URL"},
		{`{` + good + `,"words":["abc","x"]}`, CodeValidation, "words", "must be at least 2 characters"},
		{`{"name":"ann","must":true}`, CodeValidation, "one", "is required"},
		{`{"name":"ann","one":"x"}`, CodeValidation, "must", "is required"},
		{`{"name":"ann","one":"x","must":null}`, CodeValidation, "must", "is required"},
		// Declaration order over all kinds of mistake.
		{`{"must":1,"mail":"x","name":"ann","one":"x"}`, CodeValidation, "mail", "must be an e-mail address"},
		{`{"mail":1,"name":"123456"}`, "name_required_max_80", "name", "must be at most 5 characters"},
	} {
		b.post(c.body).is(t, 400, "error", c.code, "field", c.field, "reason", c.reason)
	}
	b.post(`{`+good+`,"words":["abc","x"]}`).is(t, 400, "index", 1.0)
}

func TestBindCheckers(t *testing.T) {
	b := bindTo[transferRequest](t, "POST", "")
	const wallets = `"fromWalletId":"wal_0123456789abcdef","toWalletId":"wal_0123456789abcdee"`
	b.post(`{`+wallets+`,"amount":"7"}`).is(t, 200)
	if b.last.minor() != 7 {
		t.Fatalf("the amount is %d", b.last.minor())
	}
	b.refuses(`{`+wallets+`}`, "amount", "is required")
	b.refuses(`{`+wallets+`,"amount":1,"amountKzt":1}`, "amount", "conflicting amount fields")
	b.refuses(`{`+wallets+`,"amountKzt":0}`, "amountKzt", "must be at least 1")
	b.refuses(`{`+wallets+`,"amountKzt":10.5}`, "amountKzt", "must be an integer")
	b.refuses(`{"amountKzt":10.5}`, "fromWalletId", "is required")
	b.refuses(`{`+wallets+`,"memo":1}`, "amount", "is required")
	b.refuses(`{"fromWalletId":"wal_0123456789abcdef","amount":1}`, "toWalletId", "is required")
	b.post(`{"fromWalletId":"wal_0123456789abcdef","toEmail":"B@x.kz","amount":1}`).is(t, 200)
}

func TestBindRows(t *testing.T) {
	b := bindTo[batchRequest](t, "POST", "")
	row := func(i int) string {
		return fmt.Sprintf(`{"fromWalletId":"wal_%016x","toWalletId":"wal_%016x","amountKzt":%d}`, i, i+1, i+1)
	}
	rows := func(n int) []string {
		var all []string
		for i := range n {
			all = append(all, row(i))
		}
		return all
	}
	body := func(rows []string) string { return `{"transfers":[` + strings.Join(rows, ",") + `]}` }
	b.post(body(rows(3))).is(t, 200)
	if len(b.last.Transfers) != 3 || b.last.Transfers[2].From != "wal_0000000000000002" || b.last.Transfers[2].minor() != 3 {
		t.Fatalf("bound %+v", b.last)
	}
	b.post(body(rows(8190)), func(*http.Request) {}).is(t, 200)
	if len(b.last.Transfers) != 8190 || b.last.Transfers[8189].minor() != 8190 {
		t.Fatalf("bound %d rows", len(b.last.Transfers))
	}
	b.post(`{}`).is(t, 400, "error", "items_required", "field", "transfers")
	b.post(`{"transfers":[]}`).is(t, 400, "error", "items_required", "field", "transfers", "reason", "must have at least 1 item")
	tiny := strings.TrimSuffix(strings.Repeat(`{},`, 8191), ",")
	b.post(`{"transfers":[`+tiny+`]}`).is(t, 400, "error", CodeValidation, "field", "fromWalletId", "index", 0.0)

	bad := rows(100)
	bad[7] = strings.Replace(bad[7], `"amountKzt":8`, `"amountKzt":1e3`, 1)
	bad[9] = `{}`
	b.post(body(bad)).is(t, 400, "field", "amountKzt", "reason", "must be an integer", "index", 7.0)
	bad = rows(100)
	bad[5] = strings.Replace(bad[5], `wal_`, `wal`, 1)
	bad[6] = `7`
	b.post(body(bad)).is(t, 400, "field", "fromWalletId", "reason", "must be id", "index", 5.0)
	bad = rows(3)
	bad[1] = strings.Replace(bad[1], `"amountKzt"`, `"amount":1,"amountKzt"`, 1)
	b.post(body(bad)).is(t, 400, "field", "amount", "reason", "conflicting amount fields", "index", 1.0)
}

func TestBindTooManyRows(t *testing.T) {
	type few struct {
		Rows []inner `json:"rows" validate:"required,min=1,max=2" code:"max=too_many_items"`
	}
	b := bindTo[few](t, "POST", "")
	b.post(`{"rows":[{},{}]}`).is(t, 200)
	b.post(`{"rows":[{},{},{"b":"wrong"}]}`).is(t, 400, "error", "too_many_items", "field", "rows", "reason", "must have at most 2 items")
}

func TestBindFreeForm(t *testing.T) {
	type patch struct {
		Metadata Optional[JSON] `json:"metadata" validate:"object,max=20" code:"max=metadata_too_large"`
		Plain    JSON           `json:"plain" validate:"omitempty,object,max=20"`
	}
	b := bindTo[patch](t, "POST", "")
	b.takes(`{}`, patch{})
	b.takes(`{"metadata":null,"plain":null}`, patch{Metadata: Optional[JSON]{Set: true, Null: true}})
	b.takes(`{"metadata": { "a" : [ 1, "x y" ] },"plain":{}}`, patch{
		Metadata: Optional[JSON]{Set: true, Value: JSON(`{"a":[1,"x y"]}`)}, Plain: JSON(`{}`),
	})
	b.refuses(`{"metadata":[]}`, "metadata", "must be an object")
	b.refuses(`{"plain":"x"}`, "plain", "must be an object")
	b.post(`{"metadata":{"a":"12345678901234567890"}}`).is(t, 400, "error", "metadata_too_large", "reason", "must be at most 20 bytes")
	b.post(`{"metadata":{  "a":                       1  }}`).is(t, 200)
}
