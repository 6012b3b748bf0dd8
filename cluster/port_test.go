package cluster

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// talks says whether a connection to node-1 is of any use: the server refuses only after the client is content.
func talks(conn net.Conn) error {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	question := frame{kind: askTerm, number: 7}
	if _, err := conn.Write(question.appendTo(nil)); err != nil {
		return err
	}
	f, err := readFrame(conn, maxReply)
	if err == nil && (f.kind != replyDone || f.number != 7) {
		err = fmt.Errorf("answer %+v", f)
	}
	return err
}

func (g *group) asker(credentials *Credentials, edit func(*tls.Config)) error {
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{protocolCall}, InsecureSkipVerify: true,
		Certificates: []tls.Certificate{credentials.own},
	}
	if edit != nil {
		edit(cfg)
	}
	conn, err := tls.Dial("tcp", g.members[0].address, cfg)
	if err != nil {
		return err
	}
	return talks(conn)
}

// admitting makes the machine of every node say that it has admitted some nodes.
func admitting(ids ...string) func(*Config) {
	return func(cfg *Config) { cfg.Admitted = func(id string) bool { return slices.Contains(ids, id) } }
}

func TestThePortAdmitsOnlyNodesOfItsCluster(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1, admitting("node-1", "node-7", "node-8", "node-9"))
	foreign, twin := newTestAuthority(t, "another"), newTestAuthority(t, testCluster)
	if err := g.asker(testCredentials(t, g.authority, "node-7"), nil); err != nil {
		t.Fatalf("a good certificate was refused: %v", err)
	}
	expired := testCredentials(t, g.authority, "node-8")
	key, err := NewKey()
	must(t, err)
	old, err := g.authority.Issue("node-8", key.Public(), time.Now().Add(-NodeValidity-time.Hour))
	must(t, err)
	keyPEM, err := EncodeKey(key)
	must(t, err)
	expired.own, err = tls.X509KeyPair(old, keyPEM)
	must(t, err)
	good := testCredentials(t, g.authority, "node-9")
	for name, refused := range map[string]error{
		"another cluster's certificate":   g.asker(testCredentials(t, foreign, "node-7"), nil),
		"another root with the same name": g.asker(testCredentials(t, twin, "node-7"), nil),
		"a node that nobody admitted":     g.asker(testCredentials(t, g.authority, "node-6"), nil),
		"this node's own id":              g.asker(testCredentials(t, g.authority, "node-1"), nil),
		"an expired certificate":          g.asker(expired, nil),
		"no certificate":                  g.asker(good, func(c *tls.Config) { c.Certificates = nil }),
		"TLS 1.2":                         g.asker(good, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }),
		"no protocol":                     g.asker(good, func(c *tls.Config) { c.NextProtos = nil }),
		"another protocol":                g.asker(good, func(c *tls.Config) { c.NextProtos = []string{"h2"} }),
		"joining where nobody can":        g.asker(good, func(c *tls.Config) { c.NextProtos = []string{protocolJoin} }),
	} {
		if refused == nil {
			t.Errorf("%s was admitted", name)
		}
	}
}

func TestADialRefusesAnotherNode(t *testing.T) {
	t.Parallel()
	authority, foreign := newTestAuthority(t, testCluster), newTestAuthority(t, "another")
	two := testPort(t, authority, "node-2", nil)
	three := testPort(t, foreign, "node-3", nil)
	one := testPort(t, authority, "node-1", nil)
	go func() {
		for {
			if _, err := two.acceptCall(); err != nil {
				return
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := one.dial(ctx, protocolCall, "node-2", two.Addr().String()); err != nil {
		t.Errorf("node-2: %v", err)
	}
	if _, err := one.dial(ctx, protocolCall, "node-3", two.Addr().String()); !contains(err, `peer is node "node-2"`) {
		t.Errorf("node-3 at the address of node-2: %v", err)
	}
	if _, err := one.dial(ctx, protocolCall, "node-3", three.Addr().String()); err == nil {
		t.Error("a node of another cluster was accepted")
	}
}

func TestGarbageOnThePortChangesNothing(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1, admitting("node-1", "node-9"))
	n := g.members[0]
	before := n.Status()
	noise := make([]byte, 64<<10)
	rand.Read(noise)
	for name, content := range map[string][]byte{
		"noise": noise, "nothing": nil, "HTTP": []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "zeros": make([]byte, 4096),
	} {
		conn, err := net.Dial("tcp", n.address)
		must(t, err)
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		conn.Write(content) // may fail when the port has hung up already
		if len(content) > 0 {
			if _, err := io.ReadAll(io.LimitReader(conn, 1<<20)); errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: the connection stays open", name)
			}
		}
		conn.Close()
	}
	good := testCredentials(t, g.authority, "node-9")
	for _, protocol := range []string{protocolRaft, protocolSnapshot, protocolCall} {
		for _, content := range [][]byte{
			noise,
			{0, 0xc6, 0xff, 0xff, 0xff, 0xff}, // a raft call that announces four gigabytes
			{3, 0xdf, 0xff, 0xff, 0xff, 0xff}, // a map of four billion members
			binary.BigEndian.AppendUint32(nil, 1<<31),
			binary.BigEndian.AppendUint32(nil, 1),
		} {
			conn, err := tls.Dial("tcp", n.address, &tls.Config{
				NextProtos: []string{protocol}, InsecureSkipVerify: true, Certificates: []tls.Certificate{good.own},
			})
			must(t, err)
			conn.Write(content)
			conn.CloseWrite()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.ReadAll(conn); err != nil && contains(err, "timeout") {
				t.Errorf("%s: %x keeps the connection open", protocol, content[:4])
			}
			conn.Close()
		}
	}
	n.propose(t, "still here")
	if after := n.Status(); after.Term != before.Term || after.State != "Leader" {
		t.Errorf("garbage changed the node from %+v to %+v", before, after)
	}
}

func TestACallInAnotherNodesNameIsCut(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1, admitting("node-1", "node-9"))
	n := g.members[0]
	term := n.Status().Term
	thief := testPort(t, g.authority, "node-9", nil)
	network := raft.NewNetworkTransport(thief, 1, 5*time.Second, io.Discard)
	defer network.Close()
	target := nameTarget("node-1", raft.ServerAddress(n.address))
	for _, id := range []string{"node-2", "", "node-1"} {
		forged := &raft.RequestVoteRequest{
			RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte(id), Addr: []byte("x")}, Term: term + 10, LeadershipTransfer: true,
		}
		var response raft.RequestVoteResponse
		if err := network.RequestVote("node-1", target, forged, &response); err == nil {
			t.Errorf("a vote in the name of %q was answered with %+v", id, response)
		}
	}
	if got := n.Status().Term; got != term {
		t.Errorf("term rose from %d to %d", term, got)
	}
	honest := &raft.RequestVoteRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte("node-9"), Addr: []byte("x")}, Term: 1}
	must(t, network.RequestVote("node-1", target, honest, &raft.RequestVoteResponse{}))
}

// While the authority changes, nodes trust the old and the new one. Once a node trusts the new one alone, certificates of
// the old one are worth nothing, neither for new connections nor for those that are open.
func TestTheAuthorityIsReplacedWhileRunning(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	next := newTestAuthority(t, testCluster)
	both := append(slices.Clone(g.authority.Certificate()), next.Certificate()...)
	rotate := func(signer *Authority, trusted []byte) {
		for _, m := range g.members {
			key, err := NewKey()
			must(t, err)
			encoded, err := EncodeKey(key)
			must(t, err)
			certificate, err := signer.Issue(m.id, key.Public(), time.Now())
			must(t, err)
			credentials, err := ParseCredentials(certificate, encoded, time.Now(), trusted)
			must(t, err)
			must(t, m.stream.(*Port).Rotate(credentials))
			m.propose(t, "once at "+m.id)
		}
		g.agree()
	}
	first := g.members[0]
	old := testCredentials(t, g.authority, g.members[1].id) // whoever kept the key can make these
	open := func() (*tls.Conn, error) {
		return tls.Dial("tcp", first.address, &tls.Config{
			NextProtos: []string{protocolRaft}, InsecureSkipVerify: true, Certificates: []tls.Certificate{old.own},
		})
	}
	token, err := NewToken(testCluster, both)
	must(t, err)
	recognised := func(phase string) {
		mine := first.stream.(*Port).credentials.Load()
		shown := tls.ConnectionState{NegotiatedProtocol: protocolJoin, PeerCertificates: []*x509.Certificate{mine.own.Leaf, mine.authority}}
		if err := token.recognise(shown); err != nil {
			t.Errorf("%s: a token of both authorities: %v", phase, err)
		}
	}
	rotate(g.authority, both)
	recognised("both are trusted, the old one signs")
	conn, err := open()
	must(t, err)
	defer conn.Close()
	rotate(next, both)
	recognised("both are trusted, the new one signs")
	rotate(next, next.Certificate())
	recognised("the new one alone is trusted")
	must(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection under the old authority stays open: %v", err)
	}
	late, err := open()
	if err == nil { // the server judges last in TLS 1.3
		defer late.Close()
		must(t, late.SetReadDeadline(time.Now().Add(20*time.Second)))
		_, err = late.Read(make([]byte, 1))
	}
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a certificate of the old authority was accepted: %v", err)
	}
}

func TestCertificatesAreRotatedWhileRunning(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	for _, m := range g.members {
		before := m.stream.(*Port).Expiry()
		fresh := testCredentials(t, g.authority, m.id)
		port := m.stream.(*Port)
		must(t, port.Rotate(fresh))
		if err := port.Rotate(testCredentials(t, g.authority, "node-9")); err == nil {
			t.Error("another node's certificate was taken")
		}
		if port.Expiry().Before(before) {
			t.Error("the old certificate is still in use")
		}
		for _, other := range g.members {
			port.cut(other.id)
		}
	}
	conn, err := tls.Dial("tcp", g.members[0].address, &tls.Config{
		NextProtos: []string{protocolCall}, InsecureSkipVerify: true, Certificates: []tls.Certificate{testCredentials(t, g.authority, "node-9").own},
	})
	must(t, err)
	defer conn.Close()
	if shown := conn.ConnectionState().PeerCertificates[0]; !shown.Equal(g.members[0].stream.(*Port).credentials.Load().own.Leaf) {
		t.Error("the node does not show its new certificate")
	}
	for _, m := range g.members {
		m.propose(t, "once after rotation at "+m.id)
	}
	g.agree()
}

func TestANodeJoinsWithAToken(t *testing.T) {
	t.Parallel()
	authority := newTestAuthority(t, testCluster)
	token, err := NewToken(testCluster, authority.Certificate())
	must(t, err)
	var asked atomic.Int64
	port := testPort(t, authority, "node-1", func(cfg *PortConfig) {
		cfg.Join = func(_ context.Context, r JoinRequest) (JoinReply, error) {
			asked.Add(1)
			if string(r.Secret) != string(token.Secret) {
				return JoinReply{}, errors.New("unknown token")
			}
			certificate, err := authority.IssueFor(r.NodeID, r.Request, time.Now())
			return JoinReply{Certificate: certificate, Authority: authority.Certificate(), Extra: []byte(r.Address)}, err
		}
	})
	key, err := NewKey()
	must(t, err)
	reply, err := Join(t.Context(), token, port.Addr().String(), "node-2", "127.0.0.1:7002", key)
	must(t, err)
	keyPEM, err := EncodeKey(key)
	must(t, err)
	credentials, err := ParseCredentials(reply.Certificate, keyPEM, time.Now(), reply.Authority)
	must(t, err)
	if credentials.NodeID() != "node-2" || string(reply.Extra) != "127.0.0.1:7002" {
		t.Errorf("joined as %q with %q", credentials.NodeID(), reply.Extra)
	}

	wrong := token
	wrong.Secret = []byte(strings.Repeat("x", secretSize))
	if _, err := Join(t.Context(), wrong, port.Addr().String(), "node-3", "127.0.0.1:7003", key); !errors.Is(err, ErrJoinRefused) {
		t.Errorf("a wrong secret: %v", err)
	}
	if _, err := Join(t.Context(), token, port.Addr().String(), "node-1", "127.0.0.1:7003", key); !errors.Is(err, ErrJoinRefused) {
		t.Errorf("the id of the node itself: %v", err)
	}
	before := asked.Load()
	impostor := newTestAuthority(t, testCluster)
	other := testPort(t, impostor, "node-1", func(cfg *PortConfig) {
		cfg.Join = func(context.Context, JoinRequest) (JoinReply, error) {
			t.Error("the secret was told to an impostor")
			return JoinReply{}, nil
		}
	})
	if _, err := Join(t.Context(), token, other.Addr().String(), "node-3", "127.0.0.1:7003", key); err == nil || errors.Is(err, ErrJoinRefused) {
		t.Errorf("an impostor: %v", err)
	}
	if asked.Load() != before {
		t.Error("the real cluster was asked")
	}
}

func TestAJoiningNodeCannotDoAnythingElse(t *testing.T) {
	t.Parallel()
	authority := newTestAuthority(t, testCluster)
	port := testPort(t, authority, "node-1", func(cfg *PortConfig) {
		cfg.Join = func(context.Context, JoinRequest) (JoinReply, error) { return JoinReply{}, errors.New("no") }
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.Certificate())
	conn, err := tls.Dial("tcp", port.Addr().String(), &tls.Config{
		NextProtos: []string{protocolCall, protocolJoin}, InsecureSkipVerify: true, RootCAs: roots,
	})
	must(t, err)
	defer conn.Close()
	if got := conn.ConnectionState().NegotiatedProtocol; got != protocolJoin {
		t.Errorf("a node without a certificate speaks %q", got)
	}
}
