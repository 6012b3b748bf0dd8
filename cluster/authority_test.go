package cluster

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// newTestAuthority creates a cluster's root.
func newTestAuthority(t testing.TB, clusterID string) *Authority {
	t.Helper()
	authority, err := NewAuthority(clusterID, time.Now())
	must(t, err)
	return authority
}

// testCredentials issues a certificate to a node.
func testCredentials(t testing.TB, authority *Authority, nodeID string) *Credentials {
	t.Helper()
	key, err := NewKey()
	must(t, err)
	keyPEM, err := EncodeKey(key)
	must(t, err)
	certificate, err := authority.Issue(nodeID, key.Public(), time.Now())
	must(t, err)
	credentials, err := ParseCredentials(certificate, keyPEM, time.Now(), authority.Certificate())
	must(t, err)
	return credentials
}

// testPort opens a port on loopback.
func testPort(t testing.TB, authority *Authority, nodeID string, edit func(*PortConfig)) *Port {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	cfg := PortConfig{Listener: listener, Credentials: testCredentials(t, authority, nodeID), Logger: testLogger()}
	if edit != nil {
		edit(&cfg)
	}
	port, err := Listen(cfg)
	must(t, err)
	t.Cleanup(func() { port.Close() })
	return port
}

func TestAnAuthoritySurvivesItsEncoding(t *testing.T) {
	authority := newTestAuthority(t, "alpha")
	key, err := authority.Key()
	must(t, err)
	again, err := ParseAuthority(authority.Certificate(), key)
	must(t, err)
	if got := testCredentials(t, again, "node-1"); got.ClusterID() != "alpha" || got.NodeID() != "node-1" {
		t.Errorf("credentials of %q in %q", got.NodeID(), got.ClusterID())
	}
	if validity := time.Until(again.Expiry()); validity < AuthorityValidity-time.Hour {
		t.Errorf("authority ends in %s", validity)
	}
	other, err := newTestAuthority(t, "alpha").Key()
	must(t, err)
	if _, err := ParseAuthority(authority.Certificate(), other); err == nil {
		t.Error("a foreign key was accepted")
	}
}

func TestCredentialsThatDoNotFitAreRefused(t *testing.T) {
	alpha, beta := newTestAuthority(t, "alpha"), newTestAuthority(t, "beta")
	twin := newTestAuthority(t, "alpha")
	key, err := NewKey()
	must(t, err)
	keyPEM, err := EncodeKey(key)
	must(t, err)
	certificate, err := alpha.Issue("node-1", key.Public(), time.Now())
	must(t, err)
	early, err := alpha.Issue("node-1", key.Public(), time.Now().Add(48*time.Hour))
	must(t, err)
	otherKey, err := NewKey()
	must(t, err)
	otherPEM, err := EncodeKey(otherKey)
	must(t, err)
	for name, c := range map[string]struct {
		certificate, key, authority []byte
		now                         time.Time
	}{
		"another key":               {certificate, otherPEM, alpha.Certificate(), time.Now()},
		"another cluster":           {certificate, keyPEM, beta.Certificate(), time.Now()},
		"another root of that name": {certificate, keyPEM, twin.Certificate(), time.Now()},
		"not yet valid":             {early, keyPEM, alpha.Certificate(), time.Now()},
		"expired":                   {certificate, keyPEM, alpha.Certificate(), time.Now().Add(NodeValidity + time.Hour)},
		"the root itself":           {alpha.Certificate(), keyPEM, alpha.Certificate(), time.Now()},
		"a node for the root":       {certificate, keyPEM, certificate, time.Now()},
		"garbage for the root":      {certificate, keyPEM, []byte("garbage"), time.Now()},
		"garbage for a certificate": {[]byte("garbage"), keyPEM, alpha.Certificate(), time.Now()},
	} {
		if _, err := ParseCredentials(c.certificate, c.key, c.now, c.authority); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := ParseCredentials(certificate, keyPEM, time.Now(), alpha.Certificate()); err != nil {
		t.Errorf("good ones were refused: %v", err)
	}
}

func TestNamesAreChecked(t *testing.T) {
	authority := newTestAuthority(t, "alpha")
	key, err := NewKey()
	must(t, err)
	for _, name := range []string{"", "a/b", "a b", "a%2fb", "ä", "../x", "a\x00b", strings.Repeat("x", 65)} {
		if _, err := authority.Issue(name, key.Public(), time.Now()); err == nil {
			t.Errorf("node id %q was accepted", name)
		}
		if _, err := NewAuthority(name, time.Now()); err == nil {
			t.Errorf("cluster id %q was accepted", name)
		}
	}
}

func TestATokenSurvivesItsText(t *testing.T) {
	one, next := newTestAuthority(t, "alpha").Certificate(), newTestAuthority(t, "alpha").Certificate()
	token, err := NewToken("alpha", one)
	must(t, err)
	both, err := NewToken("alpha", append(slices.Clone(one), next...))
	must(t, err)
	for _, made := range []Token{token, both} {
		again, err := ParseToken(" " + made.String() + "\n")
		must(t, err)
		if again.ClusterID != "alpha" || !slices.Equal(again.Authorities, made.Authorities) || string(again.Secret) != string(made.Secret) {
			t.Errorf("token became %+v", again)
		}
	}
	if !token.Names(one) || token.Names(next) || !both.Names(one) || !both.Names(next) || both.Names([]byte("garbage")) {
		t.Error("a token names other authorities than its own")
	}
	for _, text := range []string{"", "coffer-join.", "coffer-join.AAAA", token.String()[1:], token.String()[:60], both.String()[:len(both.String())-4]} {
		if _, err := ParseToken(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}
