package node

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"coffer/fsm"
	"coffer/http/apitest"
	"coffer/store"
)

// releases hold the log that a release has written, one file for each version of
// the state machine, named after it. A released file is never written again:
// every later program must come to the same state from it.
const releases = "../testdata/releases"

// recording is the log of a release and the state that it led to.
type recording struct {
	salt    Secret
	logs    []*raft.Log
	outcome outcome
}

// TestGoldenReleases applies the log of every release and wants the digest, the
// chain and the tree it led to then. With -update it records that of the newest
// version anew if it leads elsewhere now, which is right only before that version
// is released.
func TestGoldenReleases(t *testing.T) {
	t.Parallel()
	newest := filepath.Join(releases, fmt.Sprintf("version-%d.log", fsm.NewestVersion))
	if apitest.Update() && !stands(t, newest) {
		recordRelease(t).write(t, newest)
	}
	if _, err := os.Stat(newest); err != nil {
		t.Fatalf("the newest version has no recorded log: %v", err)
	}
	paths, err := filepath.Glob(filepath.Join(releases, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			r := readRecording(t, path)
			for _, batch := range []int{1, 7, len(r.logs)} {
				if got, err := applyLog(t, r.salt, r.logs, batch); err != nil || !got.equal(r.outcome) {
					t.Errorf("in batches of %d the log leads to %s, it led to %s; %v", batch, got, r.outcome, err)
				}
			}
		})
	}
}

// stands tells whether a recorded log still leads where it led.
func stands(t *testing.T, path string) bool {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		return false
	}
	r := readRecording(t, path)
	got, err := applyLog(t, r.salt, r.logs, len(r.logs))
	return err == nil && got.equal(r.outcome)
}

// recordRelease lets the API write a history and reads the log of it.
func recordRelease(t *testing.T) recording {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	n := mustHost(t, dir)
	c := newClient(n.URL())
	l := newLoad(t, c, 1, 3, 1)
	for i, who := range l.customers { // at once, so that some entries hold many requests
		for j := range 4 {
			l.workers.Go(func() {
				random := rand.New(rand.NewPCG(uint64(i), uint64(j)))
				for n := range 5 {
					l.send(c, l.next(random, who, fmt.Sprintf("recorded-%d-%d-%d", i, j, n)))
				}
			})
		}
	}
	l.workers.Wait()
	live(t, c, l.customers[0], l.customers[1])
	c.close()
	n.end(t)
	r := recording{logs: delivered(t, dir)}
	var err error
	if r.salt, err = storedSecret(filepath.Join(dir, secretsDir, saltFile)); err != nil {
		t.Fatal(err)
	}
	inspected(t, dir, func(v *store.View) { r.outcome = outcomeOf(t, v) })
	return r
}

// live does once what customers do besides moving money.
func live(t *testing.T, c *client, ann, bob *customer) {
	t.Helper()
	opened := must[struct{ ID string }](t, c, "POST", "/api/qpaynet/wallets", ann.token, `{"currency":"KZT","name":"spare"}`)
	for _, call := range []struct{ method, path, token, body string }{
		{"PATCH", "/api/auth/me", ann.token, `{"name":"Ann \u00e9"}`},
		{"PATCH", "/api/qpaynet/wallets/" + opened.ID, ann.token, `{"name":"purse","metadata":{"a":1},"merchantCharges":"deny"}`},
		{"POST", "/api/qpaynet/wallets/" + opened.ID + "/close", ann.token, `{}`},
		{"POST", "/api/qpaynet/kyc/submit", ann.token, `{"fullName":"Ann Smith","iin":"123456789012"}`},
		{"POST", "/api/ztide/me/login-streak", ann.token, `{}`},
		{"POST", "/api/veilnetx-ledger/entries", ann.token, `{"module":"external","kind":"mint","fromIdentifier":"a","toIdentifier":"b","amountCents":5,"currency":"EUR","meta":{"n":[1,"x",true]}}`},
		{"POST", "/api/auth/password/change", bob.token, `{"currentPassword":"` + password + `","newPassword":"another password"}`},
		{"POST", "/api/auth/logout-all", bob.token, `{}`},
	} {
		must[any](t, c, call.method, call.path, call.token, call.body)
	}
}

// String is how an outcome stands in a file.
func (o outcome) String() string {
	return fmt.Sprintf("index %d digest %x head %s root %s", o.applied.Index, o.applied.Digest, o.head, o.root)
}

// write makes the file: the salt, the state, then the entries of the log.
func (r recording) write(t *testing.T, path string) {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "salt %s\ntime %d\n%s\n", string(r.salt), r.outcome.applied.Time, r.outcome)
	for _, log := range r.logs {
		fmt.Fprintf(&text, "entry %d %d %d %x\n", log.Index, log.Term, log.Type, log.Data)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readRecording(t *testing.T, path string) (r recording) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }() // nothing was written
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		if err := r.read(strings.Fields(lines.Text())); err != nil {
			t.Fatalf("%s: %q: %v", path, lines.Text(), err)
		}
	}
	if err := lines.Err(); err != nil || len(r.logs) == 0 || r.outcome.head == "" {
		t.Fatalf("%s: %d entries, %v", path, len(r.logs), err)
	}
	return r
}

// read takes one line of a recording.
func (r *recording) read(words []string) (err error) {
	number := func(at int) (n uint64) {
		if err == nil {
			n, err = strconv.ParseUint(words[at], 10, 64)
		}
		return n
	}
	switch {
	case words[0] == "salt" && len(words) == 2:
		r.salt = Secret(words[1])
	case words[0] == "time" && len(words) == 2:
		r.outcome.applied.Time = store.Time(number(1))
	case words[0] == "index" && len(words) == 8:
		r.outcome.applied.Index = number(1)
		var digest []byte
		digest, err = hex.DecodeString(words[3])
		copy(r.outcome.applied.Digest[:], digest)
		r.outcome.head, r.outcome.root = words[5], words[7]
	case words[0] == "entry" && len(words) == 5:
		log := &raft.Log{Index: number(1), Term: number(2), Type: raft.LogType(number(3))}
		if err == nil {
			log.Data, err = hex.DecodeString(words[4])
		}
		r.logs = append(r.logs, log)
	default:
		err = fmt.Errorf("what is %s?", words[0])
	}
	return err
}
