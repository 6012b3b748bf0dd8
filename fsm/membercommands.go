package fsm

import "coffer/store"

// Rejections of the commands about members.
var (
	ErrTokenLifetime = Reject(Invalid, "token_lifetime")
	ErrTokenInvalid  = Reject(Unauthenticated, "token_invalid")
	ErrMemberRemoved = Reject(Forbidden, "member_removed")
	ErrMemberExists  = Reject(Conflict, "member_exists")
	ErrMemberUnknown = Reject(NotFound, "member_unknown")
	ErrNotNewer      = Reject(Conflict, "version_not_newer")
	ErrMemberTooOld  = Reject(Conflict, "member_too_old")
	ErrEpochExists   = Reject(Conflict, "epoch_exists")
)

// LongestToken is how long a join token may be good, in microseconds.
const LongestToken = store.Day

// TokenCreated is the input of CreateToken: the keyed hash of the secret, in
// hexadecimal, and how long the token is good.
type TokenCreated struct {
	Hash     store.ID `cbor:"1,keyasint"`
	Node     string   `cbor:"2,keyasint,omitempty"` // the only id that may use it
	Lifetime int64    `cbor:"3,keyasint"`           // microseconds
}

// CreateToken lets one more node join. Only an operator may.
var CreateToken = Command[TokenCreated, Nothing]{
	Name: "system.create_token/1", System: true, Rejects: Rejections{ErrNotPermitted, ErrTokenLifetime},
}

func createToken(ctx *Context, c TokenCreated) (Nothing, error) {
	if ctx.Actor.Kind != Operator {
		return Nothing{}, ErrNotPermitted
	}
	if c.Lifetime <= 0 || c.Lifetime > LongestToken {
		return Nothing{}, ErrTokenLifetime
	}
	forgetTokens(ctx)
	tokens.Put(ctx, joinToken{Hash: c.Hash, Node: c.Node, Expires: ctx.Now.Add(c.Lifetime), By: Signature(ctx.Actor)})
	return Nothing{}, nil
}

// forgetTokens removes those that are good no more.
func forgetTokens(ctx *Context) {
	var old []store.ID
	for _, t := range tokens.Scan(ctx, store.All{}, nil) {
		if t.Expires <= ctx.Now {
			old = append(old, t.Hash)
		}
	}
	for _, hash := range old {
		tokens.Delete(ctx, hash)
	}
}

// Admission is the input of Admit.
type Admission struct {
	Node    string   `cbor:"1,keyasint"`
	Address string   `cbor:"2,keyasint"`           // of the cluster port
	Token   store.ID `cbor:"3,keyasint,omitempty"` // keyed hash; empty for the founder
}

// Admit makes a node known. It uses up the token; the founder of a cluster needs
// none. A node that was admitted and never heard of may try again with another
// token. An id that was removed is refused for good.
var Admit = Command[Admission, Nothing]{
	Name: "system.admit/1", System: true, Audited: true,
	Rejects: Rejections{ErrNotPermitted, ErrTokenInvalid, ErrMemberRemoved, ErrMemberExists},
}

func admit(ctx *Context, c Admission) (Nothing, error) {
	if ctx.Actor.Kind != Node {
		return Nothing{}, ErrNotPermitted
	}
	m, known := MemberOf(ctx, c.Node)
	switch {
	case known && m.Removed != 0:
		return Nothing{}, ErrMemberRemoved
	case known && (m.Seen.Boots > 0 || c.Token == ""):
		return Nothing{}, ErrMemberExists
	}
	admitted := Member{ID: c.Node, Address: c.Address, Admitted: ctx.Now}
	if c.Token != "" || len(Members(ctx)) > 0 {
		t, ok := tokens.Get(ctx, c.Token)
		if !ok || !t.admits(c.Node, ctx.Now) {
			return Nothing{}, ErrTokenInvalid
		}
		admitted.AdmittedBy = t.By
		tokens.Delete(ctx, c.Token)
	}
	members.Put(ctx, admitted)
	return Nothing{}, nil
}

// Removal is the input of RemoveMember.
type Removal struct {
	Node string `cbor:"1,keyasint"`
}

// RemoveMember marks a node as gone for good. It does not change raft's
// membership; it comes before that change, so that the id cannot come back.
var RemoveMember = Command[Removal, Nothing]{
	Name: "system.remove_member/1", System: true, Audited: true, Rejects: Rejections{ErrNotPermitted, ErrMemberUnknown},
}

func removeMember(ctx *Context, c Removal) (Nothing, error) {
	if ctx.Actor.Kind != Operator && ctx.Actor.Kind != Node {
		return Nothing{}, ErrNotPermitted
	}
	m, known := MemberOf(ctx, c.Node)
	if !known {
		return Nothing{}, ErrMemberUnknown
	}
	if m.Removed == 0 {
		m.Removed = ctx.Now
		if ctx.Actor.Kind == Operator {
			m.RemovedBy = Signature(ctx.Actor)
		}
		members.Put(ctx, m)
	}
	return Nothing{}, nil
}

// Announcement is the input of Announce.
type Announcement struct {
	Node    string    `cbor:"1,keyasint"`
	Address string    `cbor:"2,keyasint"`
	Seen    Announced `cbor:"3,keyasint"`
}

// Announce records what a node says of itself. One that knows less than it has
// said before was rolled back: an alarm names it, and it must not vote.
var Announce = Command[Announcement, AnnouncementTaken]{
	Name: "system.announce/1", System: true, Rejects: Rejections{ErrNotPermitted, ErrMemberUnknown, ErrMemberRemoved},
}

// AnnouncementTaken says whether the node may be trusted with a vote.
type AnnouncementTaken struct {
	RolledBack bool `cbor:"1,keyasint,omitempty"`
}

func announce(ctx *Context, c Announcement) (AnnouncementTaken, error) {
	if ctx.Actor.Kind != Node {
		return AnnouncementTaken{}, ErrNotPermitted
	}
	m, known := MemberOf(ctx, c.Node)
	switch {
	case !known:
		return AnnouncementTaken{}, ErrMemberUnknown
	case m.Removed != 0:
		return AnnouncementTaken{}, ErrMemberRemoved
	case rolledBack(m.Seen, c.Seen):
		raise(ctx, Alarm{Kind: RolledBack, Node: c.Node, Reason: "the node knows less than it has said before"})
		return AnnouncementTaken{RolledBack: true}, nil
	}
	m.Address, m.Seen = c.Address, c.Seen
	m.Seen.At = ctx.Now
	members.Put(ctx, m)
	return AnnouncementTaken{}, nil
}

// rolledBack tells that a node's files are older than what it said last. The
// number of starts only grows, and so does the log within an epoch.
func rolledBack(before, now Announced) bool {
	return now.Boots < before.Boots || now.Epoch < before.Epoch || now.Epoch == before.Epoch && now.Index < before.Index
}

// Upgrade is the input of FinalizeUpgrade.
type Upgrade struct {
	Version uint32 `cbor:"1,keyasint"`
}

// FinalizeUpgrade puts a state-machine version in force once every member has
// said that its program can run it. There is no way back.
var FinalizeUpgrade = Command[Upgrade, Nothing]{
	Name: "system.finalize_upgrade/1", System: true, Rejects: Rejections{ErrNotPermitted, ErrNotNewer, ErrMemberTooOld},
}

func finalizeUpgrade(ctx *Context, c Upgrade) (Nothing, error) {
	if ctx.Actor.Kind != Operator {
		return Nothing{}, ErrNotPermitted
	}
	if c.Version <= ctx.Version {
		return Nothing{}, ErrNotNewer.With(Number("version", int64(ctx.Version)))
	}
	for _, m := range Members(ctx) {
		if m.Removed == 0 && m.Seen.Newest < c.Version {
			return Nothing{}, ErrMemberTooOld.With(Text("node", m.ID), Number("newest", int64(m.Seen.Newest)))
		}
	}
	ctx.activate = c.Version // a node whose program cannot run it stops here
	return Nothing{}, nil
}

// EpochReason is the input of BeginEpoch.
type EpochReason struct {
	Epoch  uint32 `cbor:"1,keyasint"`
	Reason string `cbor:"2,keyasint"`
	Node   string `cbor:"3,keyasint"`
}

// BeginEpoch records for good why a new epoch has begun.
var BeginEpoch = Command[EpochReason, Nothing]{
	Name: "system.begin_epoch/1", System: true, Audited: true, Rejects: Rejections{ErrNotPermitted, ErrEpochExists},
}

func beginEpoch(ctx *Context, c EpochReason) (Nothing, error) {
	if ctx.Actor.Kind != Node {
		return Nothing{}, ErrNotPermitted
	}
	if epochs.Has(ctx, store.Uint64(c.Epoch)) {
		return Nothing{}, ErrEpochExists
	}
	epochs.Put(ctx, EpochBegun{Epoch: c.Epoch, Reason: c.Reason, Node: c.Node, Index: ctx.Index, Time: ctx.Now})
	return Nothing{}, nil
}
