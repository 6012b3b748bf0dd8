package cluster

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const (
	joinLimit   = 30 * time.Second // for the whole exchange
	maxJoin     = 64 << 10         // bytes of a request or a reply
	secretSize  = 32
	tokenPrefix = "coffer-join."
)

// Token lets one node join. It carries what the node must know before it may say anything: whom to believe.
type Token struct {
	ClusterID string
	Authority [sha256.Size]byte // Fingerprint of the cluster's authority
	Secret    []byte            // 32 random bytes; the cluster keeps only a keyed hash
}

// NewToken makes a token with a new secret for the cluster of an authority.
func NewToken(clusterID string, authorityPEM []byte) (Token, error) {
	fingerprint, err := Fingerprint(authorityPEM)
	if err != nil {
		return Token{}, err
	}
	t := Token{ClusterID: clusterID, Authority: fingerprint, Secret: make([]byte, secretSize)}
	_, err = rand.Read(t.Secret)
	return t, err
}

// String returns the token as the operator copies it. It contains the secret.
func (t Token) String() string {
	raw := append(append(append([]byte{}, t.Authority[:]...), t.Secret...), t.ClusterID...)
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(raw)
}

// ParseToken reads what String returned.
func ParseToken(text string) (Token, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), tokenPrefix)
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if !ok || err != nil || len(raw) <= sha256.Size+secretSize {
		return Token{}, errors.New("read join token: it is damaged or not a token")
	}
	t := Token{Secret: raw[sha256.Size : sha256.Size+secretSize], ClusterID: string(raw[sha256.Size+secretSize:])}
	copy(t.Authority[:], raw)
	return t, checkName(t.ClusterID)
}

// JoinRequest is what a joining node tells, once it has recognised the cluster.
type JoinRequest struct {
	Secret  []byte // of the token
	NodeID  string
	Address string // host:port of its cluster port
	Request []byte // PKCS #10 request for its key
}

// JoinReply admits a node. It is a non-voter until somebody promotes it.
type JoinReply struct {
	Certificate []byte // of the node, PEM
	Authority   []byte // of the cluster, PEM
	Extra       []byte // whatever else the node needs, up to 32 KiB; only its owner knows
}

// joinAnswer is a reply or a refusal.
type joinAnswer struct {
	Reply   *JoinReply `json:",omitempty"`
	Refused string     `json:",omitempty"`
}

// ErrJoinRefused means that the cluster was reached and said no.
var ErrJoinRefused = errors.New("the cluster refused to admit this node")

// joinConfig serves a node without a certificate. The authority is sent along for it to recognise.
func joinConfig(mine *Credentials) *tls.Config {
	chain := mine.own
	chain.Certificate = [][]byte{mine.own.Leaf.Raw, mine.authority.Raw}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{chain}, SessionTicketsDisabled: true,
		NextProtos: []string{protocolJoin},
	}
}

// serveJoin answers one joining node.
func (p *Port) serveJoin(conn *portConn) {
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), joinLimit)
	defer cancel()
	defer p.untilClosed(cancel)()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var request JoinRequest
	if err := readJoin(conn, &request); err != nil {
		p.cfg.Logger.Warn("unreadable request to join", "from", conn.RemoteAddr(), "error", err)
		return
	}
	var answer joinAnswer
	reply, err := p.admit(ctx, request)
	if err != nil {
		p.cfg.Logger.Warn("refused a node that wants to join", "node", request.NodeID, "from", conn.RemoteAddr(), "error", err)
		answer.Refused = err.Error()
	} else {
		answer.Reply = &reply
	}
	if err := writeJoin(conn, answer); err != nil {
		p.cfg.Logger.Warn("cannot answer a joining node", "node", request.NodeID, "error", err)
	}
}

func (p *Port) admit(ctx context.Context, request JoinRequest) (JoinReply, error) {
	if err := checkName(request.NodeID); err != nil {
		return JoinReply{}, fmt.Errorf("node id: %w", err)
	}
	if _, _, err := net.SplitHostPort(request.Address); err != nil {
		return JoinReply{}, fmt.Errorf("address: %w", err)
	}
	if request.NodeID == p.credentials.Load().nodeID {
		return JoinReply{}, errors.New("this node has that id")
	}
	if g := p.guest.Load(); g != nil && g.removed(request.NodeID) {
		return JoinReply{}, errRemoved
	}
	return p.cfg.Join(ctx, request)
}

// Join asks the node at an address to admit this one. The secret leaves this machine only after the node has proven that
// the token's authority stands behind it. It returns the reply, from which ParseCredentials makes credentials.
func Join(ctx context.Context, token Token, peer, nodeID, advertise string, key crypto.Signer) (JoinReply, error) {
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return JoinReply{}, fmt.Errorf("join: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, joinLimit)
	defer cancel()
	raw, err := dialTCP(ctx, "", peer)
	if err != nil {
		return JoinReply{}, fmt.Errorf("join: %w", err)
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	conn := tls.Client(raw, &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{protocolJoin},
		InsecureSkipVerify: true, // VerifyConnection does it, with the token's authority
		VerifyConnection:   token.recognise,
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		return JoinReply{}, fmt.Errorf("join at %s: %w", peer, err)
	}
	if err := writeJoin(conn, JoinRequest{Secret: token.Secret, NodeID: nodeID, Address: advertise, Request: request}); err != nil {
		return JoinReply{}, fmt.Errorf("join at %s: %w", peer, err)
	}
	var answer joinAnswer
	if err := readJoin(conn, &answer); err != nil {
		return JoinReply{}, fmt.Errorf("join at %s: %w", peer, err)
	}
	if answer.Reply == nil {
		return JoinReply{}, fmt.Errorf("%w: %s", ErrJoinRefused, answer.Refused)
	}
	return *answer.Reply, nil
}

// recognise accepts a node of the token's cluster only.
func (t Token) recognise(state tls.ConnectionState) error {
	if state.NegotiatedProtocol != protocolJoin || len(state.PeerCertificates) != 2 {
		return errors.New("this is no cluster port that nodes can join at")
	}
	root := state.PeerCertificates[1]
	found := sha256.Sum256(root.Raw)
	if subtle.ConstantTimeCompare(found[:], t.Authority[:]) != 1 {
		return errors.New("this node does not belong to the cluster of the token")
	}
	known := &Credentials{clusterID: t.ClusterID, roots: x509.NewCertPool()}
	known.roots.AddCert(root)
	_, err := known.verify(state.PeerCertificates[:1], time.Now())
	return err
}

// writeJoin sends one message and its end.
func writeJoin(conn io.Writer, message any) error {
	text, err := json.Marshal(message)
	if err == nil && len(text) > maxJoin {
		err = errors.New("message is too large")
	}
	if err == nil {
		_, err = conn.Write(append(text, '\n'))
	}
	return err
}

// readJoin reads one message.
func readJoin(conn io.Reader, message any) error {
	var text bytes.Buffer
	limited := io.LimitReader(conn, maxJoin+1)
	chunk := make([]byte, 4096)
	for !bytes.HasSuffix(text.Bytes(), []byte{'\n'}) {
		n, err := limited.Read(chunk)
		text.Write(chunk[:n])
		if err != nil && n == 0 {
			return fmt.Errorf("message is cut off or too large: %w", err)
		}
	}
	decoder := json.NewDecoder(&text)
	decoder.DisallowUnknownFields()
	return decoder.Decode(message)
}
