package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"coffer/fsm"
	"coffer/http/api"
)

var (
	errNoWallet = fsm.Reject(fsm.NotFound, "wallet_not_found")
	errShort    = fsm.Reject(fsm.Conflict, "insufficient_balance")
)

type amounts struct {
	AmountKzt api.Integer `json:"amountKzt" validate:"min=1" doc:"Minor units (tiyin)"`
	Amount    api.Integer `json:"amount" validate:"min=1"`
}

type transferRequest struct {
	From string `json:"fromWalletId" validate:"required,id" doc:"Wallet to debit"`
	To   string `json:"toWalletId" validate:"omitempty,id"`
	Mail string `json:"toEmail" validate:"omitempty,mail"`
	amounts
	Memo     api.Optional[string] `json:"memo" validate:"max=200"`
	Metadata jsontext.Value       `json:"metadata" validate:"omitempty,object,max=4096" code:"max=metadata_too_large"`
	Mode     string               `json:"mode" validate:"omitempty,oneof=fast slow"`
}

type transferResponse struct {
	ID        string   `json:"transactionId"`
	Fee       int64    `json:"feeKzt"`
	CreatedAt api.Time `json:"createdAt"`
	Memo      string   `json:"memo,omitempty"`
	Wallet    *wallet  `json:"wallet"`
}

type wallet struct {
	ID      string `json:"id"`
	Balance int64  `json:"balanceKzt" doc:"Minor units"`
}

type batchRequest struct {
	Rows  []transferRequest `json:"transfers" validate:"required,min=1,max=8190" code:"items_required"`
	Words []string          `json:"words" validate:"max=5,dive,max=10"`
}

type listRequest struct {
	Status string     `query:"status" validate:"omitempty,oneof=active closed"`
	Cursor api.Cursor `query:"cursor"`
	Limit  int        `query:"limit" clamp:"50,200"`
	Trace  string     `header:"X-Trace" validate:"max=9" doc:"Anything"`
}

type listResponse struct {
	Wallets []wallet   `json:"wallets"`
	Next    api.Cursor `json:"nextCursor,omitzero"`
}

type oneRequest struct {
	ID string `path:"id" validate:"id" doc:"The wallet"`
}

type closeRequest struct {
	ID     string `path:"id" validate:"id"`
	Reason string `json:"reason" validate:"required,min=5,max=200"`
}

type loginForm struct {
	User string `form:"user" validate:"required"`
}

// flat is the envelope of the test area.
type flat struct{ api.ProblemDetails }

type flatProblem struct {
	Error   string `json:"error" doc:"A stable code"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

func (flat) ProblemSchema() reflect.Type { return reflect.TypeFor[flatProblem]() }

func handle[In, Out any](*api.Call, In) (out Out, err error) { return out, errors.New("never called") }

func none(*http.Request) (fsm.Actor, error) { return fsm.Actor{}, api.ErrNoCredential }

func testSurface() api.Surface {
	codes := api.Codes{
		"insufficient_balance": {Status: 400, Message: "Too little."},
		"wallet_not_found":     {Message: "No such wallet."},
		"metadata_too_large":   {Status: 400},
		"items_required":       {Status: 400},
		api.CodeKeyReused:      {Status: 409, Code: "idempotency_key_body_mismatch"},
	}
	protected := api.Spec{Summary: "x", Auth: api.Bearer}
	spec := func(change func(*api.Spec)) api.Spec {
		s := protected
		change(&s)
		return s
	}
	return api.Surface{
		Name: "test",
		Schemes: []api.Scheme{
			{Name: "bearerAuth", BearerFormat: "JWT", Identify: none, Description: "From login."},
			{Name: "serviceKey", Header: "X-Service-Key", Identify: none},
		},
		Areas: []api.Area{{
			Name: "money", Prefix: "/api/money", Tag: "Money", Envelope: flat{}, Codes: codes,
			Routes: []api.Route{
				api.Post("/transfer", handle[transferRequest, transferResponse], spec(func(s *api.Spec) {
					s.Description, s.Idempotent, s.Rejections = "Moves money.", true, fsm.Rejections{errShort}
				})),
				api.Post("/transfers/batch", handle[batchRequest, transferResponse], spec(func(s *api.Spec) { s.Status = 201 })),
				api.Get("/wallets", handle[listRequest, listResponse], protected),
				api.Get("/wallets/{id}", handle[oneRequest, wallet], spec(func(s *api.Spec) { s.NotFound = errNoWallet })),
				api.Delete("/wallets/{id}", handle[closeRequest, api.Empty], spec(func(s *api.Spec) { s.Status = 204 })),
				api.Get("/wallets.csv", handle[api.Empty, api.Content], spec(func(s *api.Spec) { s.Media = []string{"text/csv; charset=utf-8"} })),
				api.Get("/admin/wallets", handle[listRequest, listResponse], spec(func(s *api.Spec) { s.Role = "money.admin" })),
				api.Get("/hidden", handle[api.Empty, wallet], spec(func(s *api.Spec) { s.Hidden = true })),
			},
		}, {
			Name: "login", Prefix: "/api/login", Tag: "Login", Envelope: api.ProblemDetails{}, ProblemMedia: api.ProblemDetailsMedia,
			Routes: []api.Route{
				api.Post("", handle[loginForm, wallet], api.Spec{Summary: "Sign in", Auth: api.Public}),
				api.Post("/events", handle[transferRequest, wallet], api.Spec{
					Summary: "Event", Auth: api.Require("serviceKey", "bearerAuth"), Deprecated: true, Operation: "postEvent", Codes: []string{"metadata_too_large"},
				}),
			},
		}},
	}
}

func testOptions() Options {
	return Options{
		Title: "Test API", Version: "1.0.0", Description: "For tests.", Servers: []string{"https://api.example.org"},
		Tags: []Tag{{"Money", "Wallets and transfers"}},
	}
}

func makeDocument(t *testing.T, s api.Surface, o Options) []byte {
	t.Helper()
	d, err := Document(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// validate checks a document with an independent library.
func validate(t *testing.T, document []byte) *openapi3.T {
	t.Helper()
	loader := openapi3.NewLoader()
	parsed, err := loader.LoadFromData(document)
	if err != nil {
		t.Fatalf("load: %v\n%s", err, document)
	}
	if err := parsed.Validate(context.Background(), openapi3.IsOpenAPI31OrLater(), openapi3.EnableSchemaFormatValidation(), openapi3.EnableSchemaPatternValidation(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatalf("validate: %v\n%s", err, document)
	}
	return parsed
}

func TestDocumentIsValid(t *testing.T) {
	parsed := validate(t, makeDocument(t, testSurface(), testOptions()))
	if parsed.OpenAPI != "3.1.0" {
		t.Fatalf("openapi is %s", parsed.OpenAPI)
	}
	var paths []string
	for _, path := range parsed.Paths.InMatchingOrder() {
		for method, o := range parsed.Paths.Value(path).Operations() {
			paths = append(paths, method+" "+path+" "+o.OperationID)
		}
	}
	slices.Sort(paths)
	want := []string{
		"DELETE /api/money/wallets/{id} delete_api_money_wallets_id",
		"GET /api/money/admin/wallets get_api_money_admin_wallets",
		"GET /api/money/wallets get_api_money_wallets",
		"GET /api/money/wallets.csv get_api_money_wallets_csv",
		"GET /api/money/wallets/{id} get_api_money_wallets_id",
		"POST /api/login post_api_login",
		"POST /api/login/events postEvent",
		"POST /api/money/transfer post_api_money_transfer",
		"POST /api/money/transfers/batch post_api_money_transfers_batch",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Fatal(diff)
	}
}

// member follows names and indexes into a document.
func member(t *testing.T, document []byte, path ...any) any {
	t.Helper()
	var at any
	if err := json.Unmarshal(document, &at); err != nil {
		t.Fatal(err)
	}
	for _, step := range path {
		switch step := step.(type) {
		case string:
			at = at.(map[string]any)[step]
		case int:
			at = at.([]any)[step]
		}
	}
	return at
}

func TestOperations(t *testing.T) {
	d := makeDocument(t, testSurface(), testOptions())
	for _, c := range []struct {
		name string
		path []any
		want string
	}{
		{"security", []any{"paths", "/api/money/transfer", "post", "security"}, `[{"bearerAuth":[]}]`},
		{"alternatives", []any{"paths", "/api/login/events", "post", "security"}, `[{"serviceKey":[]},{"bearerAuth":[]}]`},
		{"public", []any{"paths", "/api/login", "post", "security"}, `null`},
		{"deprecated", []any{"paths", "/api/login/events", "post", "deprecated"}, `true`},
		{"role", []any{"paths", "/api/money/admin/wallets", "get", "x-role"}, `"money.admin"`},
		{"tag", []any{"paths", "/api/money/transfer", "post", "tags"}, `["Money"]`},
		{"tags", []any{"tags"}, `[{"name":"Money","description":"Wallets and transfers"},{"name":"Login"}]`},
		{"JSON body", []any{"paths", "/api/money/transfer", "post", "requestBody", "content"},
			`{"application/json":{"schema":{"$ref":"#/components/schemas/OpenapiTransferRequest"}}}`},
		{"form body", []any{"paths", "/api/login", "post", "requestBody", "content"},
			`{"application/x-www-form-urlencoded":{"schema":{"$ref":"#/components/schemas/OpenapiLoginForm"}}}`},
		{"body of DELETE", []any{"paths", "/api/money/wallets/{id}", "delete", "requestBody", "required"}, `true`},
		{"CSV", []any{"paths", "/api/money/wallets.csv", "get", "responses", "200", "content"}, `{"text/csv":{"schema":{"type":"string"}}}`},
		{"no content", []any{"paths", "/api/money/wallets/{id}", "delete", "responses", "204"}, `{"description":"No Content"}`},
		{"created", []any{"paths", "/api/money/transfers/batch", "post", "responses", "201", "description"}, `"Created"`},
		{"own refusals", []any{"paths", "/api/money/wallets/{id}", "get", "responses", "404", "x-codes"}, `["wallet_not_found"]`},
		{"shared refusals", []any{"paths", "/api/money/wallets/{id}", "get", "responses", "401"}, `{"$ref":"#/components/responses/money.401.auth_required"}`},
		{"wire codes", []any{"paths", "/api/money/transfer", "post", "responses", "409", "x-codes"}, `["idempotency_key_body_mismatch"]`},
		{"media of problems", []any{"components", "responses", "login.500.internal_error", "content"},
			`{"application/problem+json":{"schema":{"$ref":"#/components/schemas/ApiProblemDetails"}}}`},
		{"bearer", []any{"components", "securitySchemes", "bearerAuth"},
			`{"type":"http","scheme":"bearer","bearerFormat":"JWT","description":"From login."}`},
		{"key", []any{"components", "securitySchemes", "serviceKey"}, `{"type":"apiKey","name":"X-Service-Key","in":"header"}`},
		{"path parameter", []any{"paths", "/api/money/wallets/{id}", "get", "parameters", 0},
			`{"name":"id","in":"path","required":true,"description":"The wallet","schema":{"type":"string","pattern":"` + idPattern + `"}}`},
		{"clamped parameter", []any{"paths", "/api/money/wallets", "get", "parameters", 2},
			`{"name":"limit","in":"query","description":"Brought into the range 1 to 200.","schema":{"type":"integer","default":50}}`},
		{"header parameter", []any{"paths", "/api/money/wallets", "get", "parameters", 3},
			`{"name":"X-Trace","in":"header","description":"Anything","schema":{"type":"string","maxLength":9}}`},
	} {
		var want any
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(want, member(t, d, c.path...)); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

// The schemas must accept what the encoder writes and what the binder reads.
func TestSchemasFitValues(t *testing.T) {
	parsed := validate(t, makeDocument(t, testSurface(), testOptions()))
	encode := func(v any) string {
		body, err := api.AppendJSON(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	for _, c := range []struct {
		schema, value string
		fits          bool
	}{
		{"OpenapiTransferResponse", encode(&transferResponse{ID: "tx_1", CreatedAt: 1}), true},
		{"OpenapiTransferResponse", encode(&transferResponse{CreatedAt: 1, Wallet: &wallet{}}), true},
		{"OpenapiTransferResponse", `{"transactionId":"tx_1"}`, false},
		{"OpenapiListResponse", encode(&listResponse{}), true},
		{"OpenapiListResponse", encode(&listResponse{Wallets: []wallet{{}}, Next: api.Cursor("x")}), true},
		{"OpenapiListResponse", `{"wallets":null}`, false},
		{"OpenapiTransferRequest", `{"fromWalletId":"wal_0123456789abcdef","amountKzt":1,"memo":null,"metadata":{"a":1},"mode":"fast"}`, true},
		{"OpenapiTransferRequest", `{"amountKzt":1}`, false},
		{"OpenapiTransferRequest", `{"fromWalletId":"wal"}`, false},
		{"OpenapiTransferRequest", `{"fromWalletId":"wal_0123456789abcdef","amountKzt":0}`, false},
		{"OpenapiTransferRequest", `{"fromWalletId":"wal_0123456789abcdef","amountKzt":1.5}`, false},
		{"OpenapiTransferRequest", `{"fromWalletId":"wal_0123456789abcdef","metadata":[]}`, false},
		{"OpenapiTransferRequest", `{"fromWalletId":"wal_0123456789abcdef","mode":"other"}`, false},
		{"OpenapiBatchRequest", `{"transfers":[]}`, false},
		{"OpenapiBatchRequest", `{"transfers":[{"fromWalletId":"wal_0123456789abcdef"}],"words":["a"]}`, true},
		{"OpenapiBatchRequest", `{"transfers":[{"fromWalletId":"wal_0123456789abcdef"}],"words":["aaaaaaaaaaa"]}`, false},
	} {
		var value any
		if err := json.Unmarshal([]byte(c.value), &value); err != nil {
			t.Fatal(err)
		}
		err := parsed.Components.Schemas[c.schema].Value.VisitJSON(value, openapi3.EnableJSONSchema2020())
		if (err == nil) != c.fits {
			t.Errorf("%s against %s: %v", c.value, c.schema, err)
		}
	}
}

func TestDocumentOfOneArea(t *testing.T) {
	o := testOptions()
	o.Areas, o.Relative, o.Without = []string{"money"}, true, []string{"/admin"}
	o.Servers = []string{"https://api.example.org/api/money"}
	o.Extra = map[string]any{"x-error-codes": map[string]any{"money": map[string]any{"insufficient_balance": "Too little."}}}
	d := makeDocument(t, testSurface(), o)
	parsed := validate(t, d)
	var paths []string
	for path := range parsed.Paths.Map() {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	want := []string{"/transfer", "/transfers/batch", "/wallets", "/wallets.csv", "/wallets/{id}"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Fatal(diff)
	}
	if got := member(t, d, "x-error-codes", "money", "insufficient_balance"); got != "Too little." {
		t.Fatalf("the extra member is %v", got)
	}
	if bytes.Contains(d, []byte("Login")) || bytes.Contains(d, []byte("money.admin")) {
		t.Fatal("the document tells of what it leaves out")
	}
}

func TestDocumentIsDeterministic(t *testing.T) {
	first := makeDocument(t, testSurface(), testOptions())
	for range 20 {
		if again := makeDocument(t, testSurface(), testOptions()); !bytes.Equal(first, again) {
			t.Fatal(cmp.Diff(string(first), string(again)))
		}
	}
}

func TestDocumentRefuses(t *testing.T) {
	one := func(routes ...api.Route) api.Surface {
		return api.Surface{Name: "x", Areas: []api.Area{{Name: "x", Prefix: "/x", Envelope: flat{}, Routes: routes}}}
	}
	public := api.Spec{Summary: "x", Auth: api.Public}
	type odd struct {
		F func() `json:"f"`
	}
	type badDive struct {
		Name string `json:"name" validate:"dive,max=1"`
	}
	for name, c := range map[string]struct {
		surface api.Surface
		options Options
	}{
		"a type without schema":   {surface: one(api.Get("/a", handle[api.Empty, odd], public))},
		"an input it cannot read": {surface: one(api.Post("/a", handle[odd, api.Empty], public))},
		"two equal ids":           {surface: one(api.Get("/a/b", handle[api.Empty, wallet], public), api.Get("/a_b", handle[api.Empty, wallet], public))},
		"a dive into text":        {surface: one(api.Get("/a", handle[api.Empty, badDive], public))},
		"an extra member":         {surface: one(), options: Options{Extra: map[string]any{"error-codes": 1}}},
		"a scheme without form":   {surface: api.Surface{Schemes: []api.Scheme{{Name: "x"}}}},
	} {
		if d, err := Document(c.surface, c.options); err == nil {
			t.Errorf("%s is accepted:\n%s", name, d)
		}
	}
}
