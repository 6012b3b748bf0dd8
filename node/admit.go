package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"coffer/cluster"
	"coffer/fsm"
	"coffer/fsm/settings"
	"coffer/store"
)

// What a node hears that was refused. Without a good token it hears nothing else.
var (
	errTokenInvalid = errors.New(fsm.ErrTokenInvalid.Code + ": it is not good, used up, too old or for another node")
	errCannotSign   = errors.New("this node cannot sign certificates: join at another one")
	errNotNow       = errors.New("the cluster cannot decide now: try again")
)

// admit lets a node in that brings a good token: it is remembered for good,
// receives the log without a vote, and gets a certificate. Whoever has no good
// token costs a question to the leader, and that once a second.
func (n *Node) admit(ctx context.Context, r cluster.JoinRequest) (reply cluster.JoinReply, err error) {
	done, err := n.attempts.begin(ctx, r.From)
	if err != nil {
		return reply, err
	}
	defer func() { done(errors.Is(err, errTokenInvalid)) }()
	if !n.hasOpened(ctx) {
		return reply, errNotNow
	}
	token := store.ID(n.tokenHash(r.Secret))
	if err := n.checkToken(ctx, token, r.NodeID); err != nil {
		return reply, err
	}
	if reply, err = n.welcome(r); err != nil {
		return reply, err
	}
	_, err = fsm.Admit.Submit(n.self(ctx), n, fsm.Admission{Node: r.NodeID, Address: r.Address, Token: token})
	if err != nil {
		return reply, n.joinError(r, err)
	}
	if _, err := n.cluster.AddNonvoter(ctx, 0, r.NodeID, r.Address); err != nil {
		return reply, fmt.Errorf("the token is used up, but the node was not added: %w", n.joinError(r, err))
	}
	n.logger.Info("a node has joined", "id", r.NodeID, "address", r.Address)
	return reply, nil
}

// checkToken looks a token up as the cluster knows it now.
func (n *Node) checkToken(ctx context.Context, token store.ID, nodeID string) error {
	good := false
	err := n.Read(ctx, fsm.Linearizable, func(v *store.View) error {
		good = fsm.TokenAdmits(v, token, nodeID)
		return nil
	})
	switch {
	case err != nil:
		n.logger.Warn("the token of a node that wants to join cannot be looked up", "id", nodeID, "err", err)
		return errNotNow
	case !good:
		return errTokenInvalid
	}
	return nil
}

// welcome is what a node gets that is let in.
func (n *Node) welcome(r cluster.JoinRequest) (reply cluster.JoinReply, err error) {
	files := credentialFiles{}
	files.authority, err = n.dir.readSecret(authorityFile)
	if err == nil {
		files.authorityKey, err = n.dir.readSecret(authorityKeyFile)
	}
	var authority *cluster.Authority
	if err == nil {
		authority, err = cluster.ParseAuthority(files.authority, files.authorityKey)
	}
	if err != nil {
		n.logger.Error("this node cannot let another one join", "id", r.NodeID, "err", err)
		return reply, errCannotSign
	}
	if reply.Certificate, err = authority.IssueFor(r.NodeID, r.Request, time.Now()); err != nil {
		return reply, fmt.Errorf("certificate: %w", err)
	}
	brought := dowry{LedgerID: n.dir.Identity.LedgerID, SaltID: n.salt.ID(), AuthorityKey: files.authorityKey}
	if n.config.Mode == settings.Development {
		brought.JWT, brought.Salt = string(n.config.Secrets.JWT), string(n.config.Secrets.Salt)
	}
	reply.Authority = files.authority
	reply.Extra, err = json.Marshal(brought)
	return reply, err
}

// joinError says what a node with a good token may know. Two may have brought the
// same one at once: the log decides.
func (n *Node) joinError(r cluster.JoinRequest, err error) error {
	if errors.Is(err, fsm.ErrTokenInvalid) {
		return errTokenInvalid
	}
	if _, known := fsm.AsRejection(err); known || errors.Is(err, cluster.ErrNotEligible) {
		return err
	}
	n.logger.Warn("a node could not join", "id", r.NodeID, "address", r.Address, "err", err)
	return errNotNow
}
