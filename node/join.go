package node

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"coffer/cluster"
	"coffer/fsm"
	"coffer/http/admin"
	"coffer/ledgerchain"
	"coffer/store"
)

// InitFlags are those of `coffer init`.
type InitFlags struct {
	DataDir  string
	LedgerID string // name of the ledger for good; made up when empty
}

// Init makes the directory of the first node of a cluster, or lets a stopped
// sole node take peers: it makes the authority that signs node certificates.
func Init(f InitFlags) (Identity, error) { return initAs(f, "") }

// initAs makes a node with a name of its own.
func initAs(f InitFlags, nodeID string) (Identity, error) {
	if f.LedgerID != "" && !ledgerName.MatchString(f.LedgerID) {
		return Identity{}, Usage{fmt.Errorf("the name %q: 1 to 200 printable characters without space and +", f.LedgerID)}
	}
	d, err := openDataDir(f.DataDir, f.LedgerID)
	if err != nil {
		return Identity{}, err
	}
	if nodeID != "" && !d.Identity.Started {
		d.Identity.NodeID = nodeID
		if err := d.save(); err != nil {
			return Identity{}, errors.Join(err, d.close())
		}
	}
	if d.hasCredentials() {
		return d.Identity, errors.Join(refused("%s %v", f.DataDir, errMember), d.close())
	}
	files, err := newAuthority(d.Identity, time.Now())
	if err == nil {
		err = d.saveCredentials(files)
	}
	err = errors.Join(err, d.close())
	return d.Identity, err
}

// JoinFlags are those of `coffer join`.
type JoinFlags struct {
	DataDir   string
	Token     string
	Peer      string // host:port of a member's cluster port
	Advertise string // host:port under which the members reach this node's
	NodeID    string // made up when empty
	Secrets   Secrets
}

// dowry is what a joining node needs besides a certificate.
type dowry struct {
	LedgerID     string
	SaltID       ledgerchain.SaltID
	AuthorityKey []byte
	// What development has made up; production brings its own.
	JWT, Salt string `json:",omitempty"`
}

// Join makes the directory of a further node. It asks a member to admit it; the
// node enters without a vote once it is started.
func Join(ctx context.Context, f JoinFlags) (Identity, error) {
	token, err := cluster.ParseToken(f.Token)
	if err != nil {
		return Identity{}, Usage{fmt.Errorf("--token: %w", err)}
	}
	if _, _, err := net.SplitHostPort(f.Advertise); err != nil {
		return Identity{}, Usage{fmt.Errorf("--cluster-addr %q is not HOST:PORT", f.Advertise)}
	}
	d, err := emptyDataDir(f.DataDir, f.NodeID)
	if err != nil {
		return Identity{}, err
	}
	f.NodeID = d.Identity.NodeID
	err = d.join(ctx, f, token)
	var refusal *RefusedError
	if errors.As(err, &refusal) {
		err = errors.Join(err, d.clear())
	}
	err = errors.Join(err, d.close())
	return d.Identity, err
}

func (d *dataDir) join(ctx context.Context, f JoinFlags, token cluster.Token) error {
	key, err := cluster.NewKey()
	if err != nil {
		return err
	}
	encoded, err := cluster.EncodeKey(key)
	if err != nil {
		return err
	}
	reply, err := cluster.Join(ctx, token, f.Peer, f.NodeID, f.Advertise, key)
	switch {
	case errors.Is(err, cluster.ErrJoinRefused):
		return refused("%v", err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	var brought dowry
	if err := json.Unmarshal(reply.Extra, &brought); err != nil {
		return fmt.Errorf("read the reply of %s: %w", f.Peer, err)
	}
	if err := f.Secrets.fit(brought); err != nil {
		return err
	}
	if err := d.keepSecrets(brought); err != nil {
		return err
	}
	files := credentialFiles{authority: reply.Authority, authorityKey: brought.AuthorityKey, key: encoded, certificate: reply.Certificate}
	if err := files.check(token); err != nil {
		return fmt.Errorf("the reply of %s: %w", f.Peer, err)
	}
	if err := d.saveCredentials(files); err != nil {
		return err
	}
	// Last: with it, the directory is a node's.
	d.Identity = Identity{NodeID: f.NodeID, ClusterID: token.ClusterID, LedgerID: brought.LedgerID, Joined: true}
	return d.finish()
}

// check makes sure that the credentials hold and are of the cluster that the
// token names.
func (f credentialFiles) check(token cluster.Token) error {
	if !token.Names(f.authority) {
		return errors.New("another authority than the token's")
	}
	_, err := f.credentials(time.Now())
	return err
}

// fit refuses a salt that is not the cluster's before anything is replicated.
func (s Secrets) fit(brought dowry) error {
	if s.Salt == "" {
		return nil
	}
	salt, err := ledgerchain.NewSalt([]byte(s.Salt))
	if err != nil {
		return err
	}
	if salt.ID() != brought.SaltID {
		return refused("VEILNETX_SALT is %s, the cluster has %s", salt.ID(), brought.SaltID)
	}
	return nil
}

// tokenHash is how the state knows the secret of a join token.
func (n *Node) tokenHash(secret []byte) string {
	sum := n.salt.BodyHash(append([]byte("coffer join token\n"), secret...))
	return hex.EncodeToString(sum[:])
}

// NewToken makes a token that lets one node join, within a lifetime. Only who
// holds the token can read it: the state keeps a keyed hash.
func (n *Node) NewToken(caller fsm.Caller, nodeID string, lifetime time.Duration) (string, error) {
	if n.port == nil {
		return "", admin.ErrNoPort
	}
	trusted, err := n.dir.readSecret(authorityFile)
	if err != nil {
		return "", err
	}
	token, err := cluster.NewToken(n.dir.Identity.ClusterID, trusted)
	if err != nil {
		return "", err
	}
	by := askerOf(caller)
	_, err = fsm.CreateToken.Submit(by.caller(), n, fsm.TokenCreated{
		Hash: store.ID(n.tokenHash(token.Secret)), Node: nodeID, Lifetime: lifetime.Microseconds(),
	})
	n.report(by, "token create", []string{nodeID}, err)
	if err != nil {
		return "", err
	}
	return token.String(), nil
}
