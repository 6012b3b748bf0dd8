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
	"slices"
	"strings"
	"time"
)

const (
	joinLimit   = 30 * time.Second // for the whole exchange
	askLimit    = 5 * time.Second  // for the request to arrive
	maxJoin     = 64 << 10         // bytes of a request or a reply
	secretSize  = 32
	tokenPrefix = "coffer-join."
	endOfName   = 0 // behind the cluster's name, before further authorities
)

// Token lets one node join. It carries what the node must know before it may say anything: whom to believe.
type Token struct {
	ClusterID   string
	Authorities [][sha256.Size]byte // Fingerprint of each authority of the cluster; there are two while it changes
	Secret      []byte              // 32 random bytes; the cluster keeps only a keyed hash
}

// NewToken makes a token with a new secret for a cluster and the authorities that its nodes trust, PEM.
func NewToken(clusterID string, bundlePEM []byte) (Token, error) {
	authorities, err := fingerprints(bundlePEM)
	if err != nil {
		return Token{}, err
	}
	t := Token{ClusterID: clusterID, Authorities: authorities, Secret: make([]byte, secretSize)}
	_, err = rand.Read(t.Secret)
	return t, err
}

// Names says whether the token names one of these authorities, PEM.
func (t Token) Names(bundlePEM []byte) bool {
	shown, err := fingerprints(bundlePEM)
	return err == nil && slices.ContainsFunc(shown, t.names)
}

func (t Token) names(found [sha256.Size]byte) bool {
	return slices.ContainsFunc(t.Authorities, func(known [sha256.Size]byte) bool {
		return subtle.ConstantTimeCompare(found[:], known[:]) == 1
	})
}

// String returns the token as the operator copies it. It contains the secret.
func (t Token) String() string {
	raw := append(append(append([]byte{}, t.Authorities[0][:]...), t.Secret...), t.ClusterID...)
	if len(t.Authorities) > 1 {
		raw = append(raw, endOfName)
	}
	for _, authority := range t.Authorities[1:] {
		raw = append(raw, authority[:]...)
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(raw)
}

// ParseToken reads what String returned.
func ParseToken(text string) (Token, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), tokenPrefix)
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if !ok || err != nil || len(raw) <= sha256.Size+secretSize {
		return Token{}, errors.New("read join token: it is damaged or not a token")
	}
	name, more, _ := bytes.Cut(raw[sha256.Size+secretSize:], []byte{endOfName})
	if len(more)%sha256.Size != 0 {
		return Token{}, errors.New("read join token: it is damaged")
	}
	t := Token{Secret: raw[sha256.Size : sha256.Size+secretSize], ClusterID: string(name)}
	for authority := range slices.Chunk(append(raw[:sha256.Size:sha256.Size], more...), sha256.Size) {
		t.Authorities = append(t.Authorities, [sha256.Size]byte(authority))
	}
	return t, checkName(t.ClusterID)
}

// JoinRequest is what a joining node tells, once it has recognised the cluster.
type JoinRequest struct {
	Secret  []byte // of the token
	NodeID  string
	Address string // host:port of its cluster port
	Request []byte // PKCS #10 request for its key

	From net.Addr `json:"-"` // where the connection comes from; set by the port that serves it
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
	late := time.AfterFunc(askLimit, func() { conn.Close() })
	err := readJoin(conn, &request)
	late.Stop()
	if err != nil {
		p.warn(conn.RemoteAddr(), "unreadable request to join", "error", err)
		return
	}
	request.From = conn.RemoteAddr()
	var answer joinAnswer
	reply, err := p.admit(ctx, request)
	if err != nil {
		p.warn(conn.RemoteAddr(), "refused a node that wants to join", "node", request.NodeID, "error", err)
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
	if !t.names(sha256.Sum256(root.Raw)) {
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
