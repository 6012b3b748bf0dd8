package node

import (
	"cmp"
	"context"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"coffer/http/aevion"
	"coffer/http/aevion/auth"
	"coffer/http/aevion/platform"
	"coffer/http/aevion/qpaynet"
	"coffer/http/aevion/veilnetx"
	"coffer/http/aevion/ztide"
	"coffer/http/api"
	"coffer/http/apitest"
)

// openAPIDocument is one that a node serves, with the name of its golden.
type openAPIDocument struct {
	name string
	path string
	// Paths of the document stand below this prefix.
	relative string
	// The routes of the node that it describes.
	describes func(path string) bool
}

func below(prefix string) func(string) bool {
	return func(path string) bool { return strings.HasPrefix(path, prefix+"/") }
}

var openAPIDocuments = []openAPIDocument{
	{"aevion", "/api/openapi.json", "", func(string) bool { return true }},
	{"qpaynet", "/api/qpaynet/openapi.json", "/api/qpaynet", func(path string) bool {
		return below("/api/qpaynet")(path) && !below("/api/qpaynet/admin")(path)
	}},
	{"veilnetx-ledger", "/api/veilnetx-ledger/openapi.json", "", below("/api/veilnetx-ledger")},
	{"ztide", "/api/ztide/openapi.json", "", below("/api/ztide")},
}

// TestOpenAPI holds the documents of a node against their goldens, an
// independent validator, the routes of the node and the contract.
func TestOpenAPI(t *testing.T) {
	n := startAPI(t, nil)
	whole := loadDocument(t, fetchDocument(t, n, "/api/openapi.json"))
	for _, d := range openAPIDocuments {
		t.Run("document/"+d.name, func(t *testing.T) {
			body := fetchDocument(t, n, d.path)
			compareGolden(t, filepath.Join("../testdata/openapi", d.name+".json"), body)
			document := loadDocument(t, body)
			if err := document.Validate(context.Background()); err != nil {
				t.Error(err)
			}
			var want []string
			for _, o := range operations(whole, "") {
				if d.describes(o.path) {
					want = append(want, o.name())
				}
			}
			equalLists(t, "routes", want, operationNames(operations(document, d.relative)))
		})
	}
	t.Run("routes", func(t *testing.T) { checkInventory(t, whole) })
	t.Run("methods", func(t *testing.T) { checkMethods(t, n, whole) })
	t.Run("contract", func(t *testing.T) { checkContract(t, whole) })
	t.Run("tags", func(t *testing.T) { checkTags(t, whole) })
}

// TestOpenAPIValidatorRefuses shows that the validator looks at what it is given.
func TestOpenAPIValidatorRefuses(t *testing.T) {
	good, err := os.ReadFile("../testdata/openapi/ztide.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range [][2]string{
		{`"type": "string"`, `"type": "strings"`},
		{`"description": "Created"`, `"describes": "Created"`},
		{`"in": "query"`, `"in": "nowhere"`},
		{`#/components/schemas/`, `#/components/nothing/`},
	} {
		bad := strings.Replace(string(good), damage[0], damage[1], 1)
		if bad == string(good) {
			t.Fatalf("the golden has no %s", damage[0])
		}
		document, err := openapi3.NewLoader().LoadFromData([]byte(bad))
		if err == nil {
			err = document.Validate(context.Background())
		}
		if err == nil {
			t.Errorf("%s passes", damage[1])
		}
	}
}

// TestOpenAPIForPartners is what the contract says about the QPayNet document.
func TestOpenAPIForPartners(t *testing.T) {
	n := startAPI(t, map[string]string{"PUBLIC_BACKEND_URL": "https://money.example"})
	document := loadDocument(t, fetchDocument(t, n, "/api/qpaynet/openapi.json"))
	if got := document.Servers[0].URL; got != "https://money.example/api/qpaynet" {
		t.Errorf("the first server is %s", got)
	}
	if !strings.Contains(document.Info.Title, "QPayNet") {
		t.Errorf("the title is %q", document.Info.Title)
	}
	for path := range document.Paths.Map() {
		if strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/admin") {
			t.Errorf("%s is for partners", path)
		}
	}
	codes, _ := document.Extensions["x-error-codes"].(map[string]any)
	equalLists(t, "groups of codes", []string{"auth", "idempotency", "lifecycle", "money", "rate", "validation"}, slices.Collect(maps.Keys(codes)))
	for group, code := range map[string]string{
		"money": "insufficient_balance", "lifecycle": "tx_already_refunded", "idempotency": "idempotency_key_body_mismatch",
	} {
		members, _ := codes[group].(map[string]any)
		if text, _ := members[code].(string); text == "" {
			t.Errorf("x-error-codes does not explain %s.%s", group, code)
		}
	}
	webhooks, _ := document.Extensions["x-webhook-contract"].(map[string]any)
	for _, member := range []string{"eventTypes", "headers", "retries", "verification"} {
		if webhooks[member] == nil {
			t.Errorf("x-webhook-contract has no %s", member)
		}
	}
}

// fetchDocument gets a document as any client would.
func fetchDocument(t *testing.T, n *Node, path string) []byte {
	t.Helper()
	response, err := http.Get(n.URL() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s answers %s: %v", path, response.Status, err)
	}
	return body
}

func loadDocument(t *testing.T, body []byte) *openapi3.T {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromData(body)
	if err != nil {
		t.Fatal(err)
	}
	if document.OpenAPI != "3.1.0" {
		t.Errorf("the document is of OpenAPI %s", document.OpenAPI)
	}
	return document
}

// compareGolden compares bytes with a golden, or writes it with -update.
func compareGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if apitest.Update() {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; make it with -update", err)
	}
	if diff := gocmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("%s is another document now (-want +got); read it and use -update:\n%s", path, diff)
	}
}

// operation is an operation of a document with the path a client calls.
type operation struct {
	method, path string
	*openapi3.Operation
}

func (o operation) name() string { return o.method + " " + o.path }

func operations(document *openapi3.T, prefix string) (all []operation) {
	for path, item := range document.Paths.Map() {
		for method, o := range item.Operations() {
			all = append(all, operation{method, prefix + path, o})
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.method, b.method)) })
	return all
}

func operationNames(all []operation) (list []string) {
	for _, o := range all {
		list = append(list, o.name())
	}
	return list
}

func equalLists(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := gocmp.Diff(want, got, cmpopts.SortSlices(strings.Compare), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// checkInventory compares a document with what the areas declare: no route is
// left out, none is made up, and each needs the credentials it says.
func checkInventory(t *testing.T, document *openapi3.T) {
	rooms := map[string][]api.Area{
		"auth": {auth.New(aevion.Deps{})}, "platform": {platform.New(aevion.Deps{})}, "qpaynet": {qpaynet.New(aevion.Deps{})},
		"ztide": {ztide.New(aevion.Deps{})}, "veilnetx": veilnetx.New(aevion.Deps{}),
	}
	entries, err := os.ReadDir("../http/aevion")
	if err != nil {
		t.Fatal(err)
	}
	var inhabited []string
	for _, entry := range entries {
		if entry.IsDir() {
			inhabited = append(inhabited, entry.Name())
		}
	}
	equalLists(t, "areas", inhabited, slices.Collect(maps.Keys(rooms)))
	var declared []string
	for _, d := range openAPIDocuments {
		declared = append(declared, "GET "+d.path+" []")
	}
	for _, areas := range rooms {
		for _, area := range areas {
			for _, route := range area.Routes {
				declared = append(declared, route.Method+" "+area.Prefix+route.Pattern+" ["+strings.Join(route.Spec.Auth.Schemes(), " ")+"]")
			}
		}
	}
	var described []string
	for _, o := range operations(document, "") {
		described = append(described, o.name()+" ["+strings.Join(schemes(o), " ")+"]")
	}
	equalLists(t, "routes", declared, described)
}

// schemes are the credentials of which an operation takes one.
func schemes(o operation) (list []string) {
	if o.Security == nil {
		return nil
	}
	for _, requirement := range *o.Security {
		list = append(list, slices.Sorted(maps.Keys(requirement))...)
	}
	return list
}

var parameterForm = regexp.MustCompile(`\{[^}]*\}`)

// checkMethods asks the node itself which methods the path of each operation
// answers: those of the document and no other.
func checkMethods(t *testing.T, n *Node, document *openapi3.T) {
	for path, item := range document.Paths.Map() {
		want := append(slices.Collect(maps.Keys(item.Operations())), http.MethodOptions)
		slices.Sort(want)
		r, err := http.NewRequest(http.MethodOptions, n.URL()+parameterForm.ReplaceAllString(path, "any"), nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		got := strings.Split(response.Header.Get("Access-Control-Allow-Methods"), ", ")
		if response.StatusCode != http.StatusNoContent || !slices.Equal(got, want) {
			t.Errorf("%s answers %s and allows %v, the document has %v", path, response.Status, got, want)
		}
	}
}

// checkTags wants every operation under one tag that the document explains.
func checkTags(t *testing.T, document *openapi3.T) {
	for _, name := range []string{"QPayNet", "VeilNetX Ledger", "Z-Tide", "Auth"} {
		if document.Tags.Get(name) == nil {
			t.Errorf("the document has no tag %s", name)
		}
	}
	used := map[string]bool{}
	for _, o := range operations(document, "") {
		if len(o.Tags) != 1 || document.Tags.Get(o.Tags[0]) == nil || document.Tags.Get(o.Tags[0]).Description == "" {
			t.Errorf("%s has the tags %v", o.name(), o.Tags)
			continue
		}
		used[o.Tags[0]] = true
	}
	for _, tag := range document.Tags {
		if !used[tag.Name] {
			t.Errorf("nothing has the tag %s", tag.Name)
		}
	}
}

// openAPIContract is the index of the contract as far as it is built: method,
// path, who may call, and + where Idempotency-Key is honoured. An owner is a
// user whose own objects they are; those of others are not found.
const openAPIContract = "../testdata/openapi/contract.txt"

// callers says for each who of the contract which credentials an operation
// takes, and which refusals it declares: status and code, or a status alone.
var callers = map[string]struct{ schemes, refusals []string }{
	"none":    {},
	"user":    {[]string{"bearerAuth"}, []string{"401 auth_required"}},
	"owner":   {[]string{"bearerAuth"}, []string{"401 auth_required", "404"}},
	"admin":   {[]string{"bearerAuth"}, []string{"401 auth_required", "403 not_admin"}},
	"service": {[]string{"serviceKey", "bearerAuth"}, []string{"401 auth_required", "403 admin_or_service_key_required"}},
}

// checkContract walks through the index: everything is there, for whom it says,
// and nothing else is.
func checkContract(t *testing.T, document *openapi3.T) {
	index, err := os.ReadFile(openAPIContract)
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.Lines(string(index)) {
		words := strings.Fields(line)
		listed = append(listed, words[0]+" "+words[1])
		t.Run(words[0]+" "+words[1], func(t *testing.T) {
			item := document.Paths.Value(words[1])
			if item == nil || item.GetOperation(words[0]) == nil {
				t.Fatal("is not in the document")
			}
			o := operation{words[0], words[1], item.GetOperation(words[0])}
			checkCallers(t, o, words[2])
			checkParameters(t, o, len(words) == 4)
		})
	}
	equalLists(t, "operations", listed, operationNames(operations(document, "")))
}

func checkCallers(t *testing.T, o operation, who string) {
	want, known := callers[who]
	if !known {
		t.Fatalf("who is %q?", who)
	}
	if got := schemes(o); !slices.Equal(got, want.schemes) {
		t.Errorf("takes the credentials %v, want %v", got, want.schemes)
	}
	declared := map[string]bool{}
	for status, response := range o.Responses.Map() {
		declared[status] = true
		for _, name := range codesOf("", status, response.Value) {
			declared[strings.TrimSpace(name)] = true
		}
	}
	for _, refusal := range want.refusals {
		if !declared[refusal] {
			t.Errorf("does not declare %s", refusal)
		}
	}
	if who == "none" && declared["401 auth_required"] {
		t.Error("asks nobody for a token, but may refuse one")
	}
}

// checkParameters wants a dry run on every write, and a key where it is honoured.
func checkParameters(t *testing.T, o operation, keyed bool) {
	if got := o.Parameters.GetByInAndName("header", "Idempotency-Key") != nil; got != keyed {
		t.Errorf("takes an Idempotency-Key: %v, want %v", got, keyed)
	}
	if got := o.Parameters.GetByInAndName("query", "dryRun") != nil; got != (o.method != "GET") {
		t.Errorf("takes dryRun: %v", got)
	}
}
