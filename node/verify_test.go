package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/ledger"
	"coffer/fsm/modules"
	"coffer/store"
)

// grown makes a directory with a chain of more than one tile, and stops its node.
func grown(t testing.TB) (image dirImage, wallet string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	n := mustHost(t, dir)
	c := newClient(n.URL())
	ann := c.register(t, "ann@example.org", 2, "KZT")
	must[any](t, c, "POST", "/api/qpaynet/deposit", ann.token, fmt.Sprintf(`{"walletId":%q,"amountKzt":1000000}`, ann.purses[0].id))
	rows := strings.Repeat(fmt.Sprintf(`,{"fromWalletId":%q,"toWalletId":%q,"amountKzt":100}`, ann.purses[0].id, ann.purses[1].id), 300)
	must[any](t, c, "POST", "/api/qpaynet/transfers/batch", ann.token, `{"transfers":[`+rows[1:]+`]}`)
	c.close()
	n.end(t)
	return imageOf(t, dir), ann.purses[0].id
}

// tampering changes rows as somebody who knows the format would: checksums fit.
type tampering struct {
	name, bucket string
	key          func(key []byte) bool
	change       func(value []byte) []byte // nil removes the row
	code         int
	check        string // that finds it first
	says         string
}

func tamperings(wallet string) []tampering {
	is := func(want string) func([]byte) bool {
		return func(key []byte) bool { return string(key) == want }
	}
	flip := func(at int) func([]byte) []byte {
		return func(value []byte) []byte { value[at] ^= 1; return value }
	}
	entry := string([]byte{0, 0, 0, 0, 0, 0, 0, 7})
	return []tampering{
		{"a stored tile", "ledgerchain.tiles", func([]byte) bool { return true }, flip(60), VerifyTree, "tree", "tile"},
		{"an entry", "ledgerchain.entries", is(entry), flip(40), VerifyChain, "chain", "entry 7"},
		{"an opening", "ledgerchain.entries", is(entry), func(value []byte) []byte { return flip(len(value) - 20)(value) }, VerifyChain, "chain", "entry 7"},
		{"a balance", "ledger.accounts", is(wallet + "\x00"), func(value []byte) []byte {
			var a ledger.Account
			if err := store.Decode(value, &a); err != nil {
				panic(err)
			}
			a.Credits += 100
			return store.Encode(&a)
		}, VerifyAccounts, "balances", wallet},
		{"an account", "ledger.accounts", is("fees:KZT\x00"), nil, VerifyAccounts, "balances", "4 accounts, 3 exist"},
		{"the freeze", "system.freeze", nil, func([]byte) []byte {
			return store.Encode(&struct {
				Alarms int64 `cbor:"1,keyasint"`
			}{1})
		}, VerifyDamaged, "invariants", "the freeze counts the alarms"},
		{"the ledger's name", "system.cluster", is("cluster\x00"), func(value []byte) []byte {
			var c fsm.Cluster
			if err := store.Decode(value, &c); err != nil {
				panic(err)
			}
			c.ID = "another"
			return store.Encode(&c)
		}, VerifyDamaged, "invariants", "the state is of ledger"},
		{"an index entry", "wallet.wallets/owner", func([]byte) bool { return true }, nil, VerifyDamaged, "rows", "index entry"},
		{"a row in another form", "wallet.wallets", is(wallet + "\x00"), func([]byte) []byte { return []byte{0xa0, 0} }, VerifyDamaged, "rows", "wallet.wallets"},
		{"a row under another key", "wallet.wallets", is(wallet + "\x00"), func(value []byte) []byte {
			return bytes.Replace(value, []byte("wal_"), []byte("waz_"), 1)
		}, VerifyDamaged, "rows", "wallet.wallets"},
	}
}

// tamper carries out a change on the state file of a directory.
func (c tampering) tamper(t *testing.T, dir string) {
	t.Helper()
	file, err := bbolt.Open(filepath.Join(dir, stateFile), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = file.Update(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket([]byte(c.bucket))
		if c.key == nil { // a row that is not there
			return bucket.Put([]byte("freeze\x00"), fsmtest.SealRow(c.bucket, []byte("freeze\x00"), c.change(nil)))
		}
		for key, sealed := bucket.Cursor().First(); key != nil; key, sealed = bucket.Cursor().Seek(append(key, 0)) {
			if !c.key(key) {
				continue
			}
			key = bytes.Clone(key)
			if c.change == nil {
				return bucket.Delete(key)
			}
			return bucket.Put(key, fsmtest.SealRow(c.bucket, key, c.change(bytes.Clone(sealed[:len(sealed)-4]))))
		}
		return fmt.Errorf("%s has no such row", c.bucket)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// verifyDir verifies in this process, as the program does, with the salt of the
// directory.
func verifyDir(t testing.TB, dir string) (code int, report VerifyReport) {
	t.Helper()
	var out bytes.Buffer
	code, err := VerifyCommand(t.Context(), VerifyFlags{DataDir: dir, JSON: true, Out: &out}, func(string) (string, bool) { return "", false })
	if err != nil {
		return code, report
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatalf("verify printed %s: %v", &out, err)
	}
	if report.ExitCode != code {
		t.Errorf("verify printed exit code %d and returned %d", report.ExitCode, code)
	}
	checkOutput(t, out.String())
	return code, report
}

// TestVerifyNamesWhatWasChanged changes rows of a good directory behind the back
// of all checksums. Verify must see each change, and say which kind it is.
func TestVerifyNamesWhatWasChanged(t *testing.T) {
	t.Parallel()
	image, wallet := grown(t)
	good := t.TempDir()
	image.write(t, good)
	if code, report := verifyDir(t, good); code != VerifyOK || report.Entries != 301 {
		t.Fatalf("a good directory: exit code %d, %+v", code, report)
	}
	for _, c := range tamperings(wallet) {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			image.write(t, dir)
			c.tamper(t, dir)
			code, report := verifyDir(t, dir)
			if code != c.code {
				t.Errorf("exit code %d, want %d: %+v", code, c.code, report.Checks)
			}
			for _, done := range report.Checks {
				if done.OK {
					continue
				}
				if done.Name != c.check || !strings.Contains(strings.Join(done.Problems, "\n"), c.says) {
					t.Errorf("%s found first: %v, want %s to say %q", done.Name, done.Problems, c.check, c.says)
				}
				break
			}
			if again, _ := verifyFiles(t, dir); again != code {
				t.Errorf("the program exits with %d, not with %d", again, code)
			}
		})
	}
}

// TestVerifyLooksAtEveryInvariant counts what the check of invariants does.
func TestVerifyLooksAtEveryInvariant(t *testing.T) {
	t.Parallel()
	image, _ := grown(t)
	dir := t.TempDir()
	image.write(t, dir)
	_, report := verifyDir(t, dir)
	want := uint64(0)
	for _, module := range fsm.WithSystem(modules.All()) {
		want += uint64(len(module.Invariants))
	}
	for _, done := range report.Checks {
		if done.Name == "invariants" && done.Rows != want-1 { // balances does one of them
			t.Errorf("%d invariants were checked of %d", done.Rows, want)
		}
	}
}

// TestVerifyShowsProgress follows what a bar is told.
func TestVerifyShowsProgress(t *testing.T) {
	t.Parallel()
	image, _ := grown(t)
	dir := t.TempDir()
	image.write(t, dir)
	type step struct{ done, total uint64 }
	shown := map[string][]step{}
	_, err := Verify(t.Context(), Verification{DataDir: dir, Progress: func(check string, done, total uint64) {
		shown[check] = append(shown[check], step{done, total})
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range CheckNames() {
		steps := shown[name]
		if len(steps) == 0 || steps[0] != (step{}) {
			t.Errorf("%s was not announced: %v", name, steps)
			continue
		}
		for i := range steps[1:] {
			if steps[i+1].done < steps[i].done {
				t.Errorf("%s goes back: %v", name, steps)
			}
		}
		if last := steps[len(steps)-1]; name != "pages" && name != "tree" && last.done == 0 {
			t.Errorf("%s made no progress: %v", name, steps)
		}
	}
}

// TestTheBarMovesByItself draws a check that has nothing to tell.
func TestTheBarMovesByItself(t *testing.T) {
	b := &bar{check: "pages"}
	first, second := b.line(time.Second), b.line(2*time.Second)
	if first == second || !strings.HasPrefix(second, "pages") {
		t.Errorf("%q, then %q", first, second)
	}
}
