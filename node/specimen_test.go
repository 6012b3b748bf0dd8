package node

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// specimen is a directory as a crash leaves it: state.db holds the first part of
// a history, the log all of it.
type specimen struct {
	image     dirImage
	older     dirImage // of the same node, before state.db was flushed
	customers []*customer
	answers   map[string]string // to all questions, of the node when it was well
	report    VerifyReport      // of the image when it was well
}

// newSpecimen makes the directory of a node with a history.
func newSpecimen(t testing.TB) *specimen {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	n := mustHost(t, dir)
	c := newClient(n.URL())
	defer c.close()
	s := &specimen{}
	random := rand.New(rand.NewPCG(1, 1))
	l := newLoad(t, c, 1, 3, 2)
	s.customers = l.customers
	act := func(part string, times int) {
		for i := range times {
			who := l.customers[i%len(l.customers)]
			if !l.send(c, l.next(random, who, fmt.Sprint(part, i))) {
				t.Fatal("no answer")
			}
		}
	}
	act("first", 60)
	if err := n.db.Flush(); err != nil {
		t.Fatal(err)
	}
	s.older = imageOf(t, dir)
	act("second", 60)
	if err := n.db.Flush(); err != nil {
		t.Fatal(err)
	}
	act("third", 30)
	s.image = imageOf(t, dir)
	s.answers = s.ask(t, c)
	n.end(t)
	copied := t.TempDir()
	s.image.write(t, copied)
	var code int
	if code, s.report = verifyDir(t, copied); code != VerifyOK {
		t.Fatalf("exit code %d: %+v", code, s.report)
	}
	return s
}

// ask puts every question to a node. An answer that is an error is left out.
func (s *specimen) ask(t testing.TB, c *client) map[string]string {
	t.Helper()
	answers := map[string]string{}
	put := func(path, token string) {
		r, err := c.do("GET", path, token, "", nil)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		if r.status != http.StatusOK && r.status < 500 {
			t.Errorf("%s answered %d: %s", path, r.status, r.body)
		}
		if r.status == http.StatusOK {
			answers[path+" of "+token] = string(r.body)
		}
	}
	put("/api/veilnetx-ledger/chain/head", "")
	put("/api/veilnetx-ledger/entries?limit=200", "")
	for _, who := range s.customers {
		put("/api/qpaynet/wallets?limit=200", who.token)
		put("/api/qpaynet/transactions?limit=200", who.token)
		put("/api/ztide/me", who.token)
	}
	return answers
}

// tally counts what became of damaged directories.
type tally struct{ refused, stopped, served, rolledBack int }

// try starts a node on a damaged directory. It refuses with a reason, or stops,
// or answers as before the damage. Nothing else.
func (s *specimen) try(t *testing.T, name string, image dirImage, counts *tally) {
	t.Helper()
	dir := t.TempDir()
	image.write(t, dir)
	h, err := host(t, dir)
	defer func() {
		checkOutput(t, h.log.String())
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}()
	if err != nil {
		code := h.exitCode(err)
		if code != ExitRefused && code != ExitStorage || strings.TrimSpace(err.Error()) == "" {
			t.Errorf("%s: refused with exit code %d: %v", name, code, err)
		}
		checkOutput(t, err.Error())
		counts.refused++
		return
	}
	c := newClient(h.URL())
	answers := s.ask(t, c)
	complete := c.verifyChain(t)
	c.close()
	stopErr := h.Stop(t.Context())
	switch {
	case h.code.Load() == ExitStorage:
		counts.stopped++
	case h.code.Load() >= 0:
		t.Errorf("%s: exit code %d", name, h.code.Load())
	case stopErr != nil:
		t.Errorf("%s: stop: %v", name, stopErr)
	case len(answers) != len(s.answers) || !complete.Valid:
		t.Errorf("%s: %d questions of %d are answered, chain %+v", name, len(answers), len(s.answers), complete)
	default:
		counts.served++
	}
	for question, answer := range answers {
		if answer != s.answers[question] {
			t.Errorf("%s: %s is answered\n%s\nit was\n%s", name, question, answer, s.answers[question])
			return
		}
	}
}

// verify runs the offline check on a damaged directory: it finds the damage, or
// finds what it found when the directory was well.
func (s *specimen) verify(t *testing.T, name, dir string, counts *tally) {
	t.Helper()
	code, report := verifyDir(t, dir)
	switch code {
	case VerifyTree, VerifyChain, VerifyAccounts, VerifyDamaged:
		counts.refused++
	case VerifyOK:
		counts.served++
		if report.Index != s.report.Index || report.Entries != s.report.Entries || report.HeadHash != s.report.HeadHash || report.RootHash != s.report.RootHash {
			t.Errorf("%s: verify is content with %+v, it was %+v", name, report, s.report)
		}
	default:
		t.Errorf("%s: verify exits with %d: %+v", name, code, report)
	}
}
