package node

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"coffer/cluster"
)

// credentialed makes the directory of a node that may have peers.
func credentialed(t *testing.T) *dataDir {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	id, err := Init(InitFlags{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return &dataDir{path: dir, Identity: id}
}

// shown is the node's certificate, which must hold.
func (d *dataDir) shown(t *testing.T) *cluster.Credentials {
	t.Helper()
	f, err := d.readCredentials()
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.credentials(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A crash between any two steps of a renewal leaves a node that starts, and that
// can be renewed again.
func TestARenewalMayEndBehindAnyStep(t *testing.T) {
	for ends := range 5 {
		d := credentialed(t)
		authority, err := d.readAuthority()
		if err != nil {
			t.Fatal(err)
		}
		before, err := d.readSecret(authorityFile)
		if err != nil {
			t.Fatal(err)
		}
		for again := range 5 { // the next one may be interrupted, too
			f := credentialFiles{authority: before}
			if err := f.issue(authority, d.Identity.NodeID, time.Now()); err != nil {
				t.Fatal(err)
			}
			steps := d.renewal(f)
			for i, step := range steps[:min(ends, len(steps))] {
				if err := step(); err != nil {
					t.Fatalf("step %d: %v", i, err)
				}
				d.shown(t)
			}
			for i, step := range steps[:min(again, len(steps))] {
				if err := step(); err != nil {
					t.Fatalf("step %d behind %d: %v", i, ends, err)
				}
				d.shown(t)
			}
			if _, err := Renew(d.path); err != nil {
				t.Fatalf("a renewal behind %d and %d steps: %v", ends, again, err)
			}
			d.shown(t)
			if d.has(secretFile(nextKeyFile)) {
				t.Errorf("behind %d and %d steps, a renewal leaves a key behind", ends, again)
			}
		}
		after, err := d.readSecret(authorityFile)
		if err != nil || string(after) != string(before) {
			t.Errorf("a renewal changed the authority: %v", err)
		}
	}
}

func TestANodeWithoutTheAuthoritysKeyStartsAndSignsNothing(t *testing.T) {
	d := credentialed(t)
	if err := os.Remove(d.file(secretFile(authorityKeyFile))); err != nil {
		t.Fatal(err)
	}
	d.shown(t)
	var no *RefusedError
	if _, err := Renew(d.path); !errors.As(err, &no) {
		t.Errorf("a renewal without the key: %v", err)
	}
}

// The authority changes in three steps; in between a node trusts both, and no
// step can be taken too early.
func TestAnAuthorityIsReplacedStepByStep(t *testing.T) {
	d := credentialed(t)
	file := filepath.Join(t.TempDir(), "next")
	refusal := func(what string, err error) {
		t.Helper()
		var no *RefusedError
		if !errors.As(err, &no) {
			t.Errorf("%s: %v", what, err)
		}
		d.shown(t)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		d.shown(t)
	}
	old, err := d.trusted()
	must(err)
	must(MakeAuthority(d.path, file))
	refusal("to make it where one is", MakeAuthority(d.path, file))
	refusal("to drop the only one", DropAuthority(d.path))
	refusal("to keep the only one", KeepAuthority(d.path))
	_, err = UseAuthority(d.path, file)
	refusal("to use what is not trusted", err)

	must(TrustAuthority(d.path, file))
	must(TrustAuthority(d.path, file)) // again changes nothing
	refusal("to drop what is in use", DropAuthority(d.path))
	other := filepath.Join(t.TempDir(), "other")
	must(MakeAuthority(d.path, other))
	refusal("a third one", TrustAuthority(d.path, other))
	must(KeepAuthority(d.path))
	if now, err := d.trusted(); err != nil || len(now) != 1 || string(now[0]) != string(old[0]) {
		t.Errorf("behind a change that was given up, %d are trusted: %v", len(now), err)
	}

	must(TrustAuthority(d.path, file))
	_, err = UseAuthority(d.path, file)
	must(err)
	refusal("to give up a change that is made", KeepAuthority(d.path))
	must(DropAuthority(d.path))
	now, err := d.trusted()
	must(err)
	if len(now) != 1 || string(now[0]) == string(old[0]) || !d.shown(t).SignedBy(now[0]) {
		t.Errorf("%d authorities are trusted in the end", len(now))
	}
	_, err = Renew(d.path) // the key belongs to the new one
	must(err)
	if !d.shown(t).SignedBy(now[0]) {
		t.Error("a renewal goes back to the old authority")
	}
}

func TestTheAuthorityOfAnotherClusterIsRefused(t *testing.T) {
	d, other := credentialed(t), credentialed(t)
	file := filepath.Join(t.TempDir(), "next")
	if err := MakeAuthority(other.path, file); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"another cluster's": file,
		"a certificate":     d.file(secretFile(certificateFile)),
		"a key alone":       d.file(secretFile(authorityKeyFile)),
		"a backup":          d.file(identityFile),
	} {
		var no *RefusedError
		if err := TrustAuthority(d.path, path); !errors.As(err, &no) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d.shown(t)
}
