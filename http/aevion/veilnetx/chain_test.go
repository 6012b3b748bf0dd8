package veilnetx_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/ledger"
	"coffer/http/aevion"
	"coffer/http/aevion/veilnetx"
	"coffer/http/api"
	"coffer/ledgerchain"
	"coffer/store"
)

// chain is a machine whose chain is served.
type chain struct {
	*bank.Bank
	mux http.Handler
	ids []string
}

// newChain serves a chain of four external entries.
func newChain(t *testing.T) *chain {
	c := &chain{Bank: bank.New(t, fsmtest.Options{Unchecked: true})}
	c.Register("ann@example.org")
	for range 4 {
		c.mint()
	}
	salt, err := ledgerchain.NewSalt([]byte(fsmtest.Secret))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := ledgerchain.NewKeyRing(salt)
	if err != nil {
		t.Fatal(err)
	}
	deps := aevion.Deps{
		Verify: func(v *store.View, from, to uint64) (ledger.Verified, error) { return ledger.Verify(v, ring, from, to) },
		Legacy: func() bool { return false },
	}
	unlimited := func(api.Rate, *fsm.Actor) api.Limit { return api.Limit{} }
	nobody := api.Scheme{Name: "bearerAuth", BearerFormat: "JWT", Identify: func(*http.Request) (fsm.Actor, error) {
		return fsm.Actor{}, api.ErrNoCredential
	}}
	c.mux, err = api.NewMux(api.Options{
		Surfaces: []api.Surface{aevion.Surface(unlimited, []api.Scheme{nobody}, veilnetx.New(deps)...)}, Reader: c,
		Authorise: func(*store.View, fsm.Actor, string) error { return nil }, Fatal: func(err error) { t.Error(err) }, Strict: true,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mint appends one entry.
func (c *chain) mint() {
	c.Helper()
	done := fsmtest.Must(c.Machine, ledger.AppendExternal, ledger.External{
		Kind: "mint", To: "alice", Amount: 5, Currency: "USD", Meta: []byte("{}"),
	})
	c.ids = append(c.ids, done.ID)
}

// Read gives the handlers the latest state.
func (c *chain) Read(_ context.Context, _ fsm.Level, read func(*store.View) error) error {
	v := c.View()
	defer v.Close()
	return read(v)
}

// get returns an answer of the public API.
func (c *chain) get(path string) (answer map[string]any) {
	c.Helper()
	w := httptest.NewRecorder()
	c.mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		c.Fatalf("GET %s answers %d: %s", path, w.Code, w.Body)
	}
	return answer
}

// change replaces text in the row of an entry, under a checksum that fits.
func (c *chain) change(height uint64, old, changed string) {
	c.Edit(func(tx *bbolt.Tx) error {
		const bucket = "ledgerchain.entries"
		key := binary.BigEndian.AppendUint64(nil, height-1)
		row := string(tx.Bucket([]byte(bucket)).Get(key))
		other := strings.Replace(row[:len(row)-4], old, changed, 1)
		if other == row[:len(row)-4] {
			c.Fatalf("entry %d does not hold %q", height, old)
		}
		return tx.Bucket([]byte(bucket)).Put(key, fsmtest.SealRow(bucket, key, []byte(other)))
	})
}
