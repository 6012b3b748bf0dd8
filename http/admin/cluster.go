package admin

import (
	"context"
	"net/http"
	"strings"
	"time"

	"coffer/fsm"
	"coffer/http/api"
	"coffer/store"
)

// Cluster is what a node offers operators about its peers. Refusals of a change
// are the rejections below, with a text that says why.
type Cluster interface {
	Peers(ctx context.Context) Members
	Change(caller fsm.Caller, change MemberChange) (index uint64, err error)
	Transfer(caller fsm.Caller, nodeID string) error
	NewToken(caller fsm.Caller, nodeID string, lifetime time.Duration) (string, error)
}

// Why a membership stays as it is.
var (
	ErrMembershipChanged = fsm.Reject(fsm.Conflict, "membership_changed")
	ErrUnsafeChange      = fsm.Reject(fsm.Conflict, "unsafe_change")
	ErrNotEligible       = fsm.Reject(fsm.Conflict, "not_eligible")
	ErrNoPort            = fsm.Reject(fsm.Conflict, "no_cluster_port")
)

// Why a backup is not made.
var (
	ErrBackupBusy = fsm.Reject(fsm.Conflict, "backup_busy")
	ErrBackupRoom = fsm.Reject(fsm.Conflict, "no_room_for_backup")
	ErrRecipient  = fsm.Reject(fsm.Invalid, "invalid_recipient")
)

var changeRejections = fsm.Rejections{ErrMembershipChanged, ErrUnsafeChange, ErrNotEligible}

var clusterCodes = api.Codes{
	ErrMembershipChanged.Code: {Status: http.StatusConflict, Message: "The membership is no longer the one you saw."},
	ErrUnsafeChange.Code:      {Status: http.StatusConflict, Message: "Too few healthy voters would remain."},
	ErrNotEligible.Code:       {Status: http.StatusConflict, Message: "The node is not eligible."},
	ErrNoPort.Code:            {Status: http.StatusConflict, Message: "This node takes no peers: make it a cluster with coffer init."},
	fsm.ErrTokenLifetime.Code: {Status: http.StatusUnprocessableEntity, Message: "A token is good for up to 24 hours."},
	fsm.ErrAlarmNotFound.Code: {Status: http.StatusNotFound, Message: "There is no such alarm."},
	fsm.ErrNotNewer.Code:      {Status: http.StatusConflict, Message: "A version only goes up."},
	fsm.ErrMemberTooOld.Code:  {Status: http.StatusConflict, Message: "A member cannot run this version."},
}

func (a *area) clusterRoutes() []api.Route {
	auth := api.Require(operator)
	change := func(verb, summary string) api.Route {
		return api.Post("/cluster/"+verb, a.change(verb), api.Spec{Summary: summary, Auth: auth, Rejections: changeRejections})
	}
	return []api.Route{
		api.Get("/cluster", a.members, api.Spec{Summary: "All members and what they say of themselves", Auth: auth, Read: fsm.Stale}),
		change("promote", "Give non-voters a vote, back to back"),
		change("demote", "Take a node's vote away"),
		change("remove", "Remove a node for good"),
		api.Post("/cluster/transfer", a.transfer, api.Spec{Summary: "Let another voter lead", Auth: auth, Rejections: changeRejections}),
		api.Post("/cluster/finalize-upgrade", a.finalize, api.Spec{
			Summary: "Put a state-machine version in force for good", Auth: auth, Rejections: fsm.FinalizeUpgrade.Rejects,
		}),
		api.Post("/tokens", a.token, api.Spec{
			Summary: "Let one more node join", Auth: auth, Rejections: fsm.CreateToken.Rejects.And(ErrNoPort),
		}),
		api.Get("/alarms", a.alarms, api.Spec{Summary: "What is raised", Auth: auth, Read: fsm.Stale}),
		api.Post("/alarms/disarm", a.disarm, api.Spec{Summary: "End an alarm", Auth: auth, Rejections: fsm.DisarmAlarm.Rejects}),
	}
}

// Members is the membership with what every member says of itself.
type Members struct {
	Index   uint64   `json:"index" doc:"Log entry that made this membership"`
	Leader  string   `json:"leader"`
	Members []Member `json:"members"`
}

// Member is one node as the asked node sees it.
type Member struct {
	ID        string   `json:"id"`
	Address   string   `json:"address"`
	Voter     bool     `json:"voter"`
	Reachable bool     `json:"reachable"`
	Problem   string   `json:"problem,omitempty"`
	State     string   `json:"state,omitempty"`
	Term      uint64   `json:"term,omitzero"`
	LastIndex uint64   `json:"lastIndex,omitzero"`
	Applied   uint64   `json:"appliedIndex,omitzero"`
	Digest    string   `json:"digest,omitempty"`
	DigestAt  uint64   `json:"digestIndex,omitzero"`
	Version   string   `json:"version,omitempty"`
	Machine   string   `json:"machineVersions,omitempty"`
	RoundTrip float64  `json:"roundTripMs,omitzero"`
	Offset    float64  `json:"clockOffsetMs,omitzero"`
	DiskFree  int64    `json:"diskFreeBytes,omitzero"`
	Healthy   float64  `json:"healthySeconds,omitzero" doc:"Known to the leader only"`
	Alarms    []string `json:"alarms,omitempty"`
}

func (a *area) members(c *api.Call, _ api.Empty) (Members, error) { return a.Cluster.Peers(c), nil }

// MemberChange is a change of the membership.
type MemberChange struct {
	Verb  string   `json:"-"`
	Nodes []string `json:"nodes" validate:"required,min=1,max=16"`
	// PrevIndex makes the change happen only to that membership.
	PrevIndex int64 `json:"prevIndex,omitempty" validate:"min=0"`
}

// MemberChanged is the answer to a change.
type MemberChanged struct {
	Index uint64 `json:"index" doc:"Log entry of the new membership"`
}

func (a *area) change(verb string) func(*api.Call, MemberChange) (MemberChanged, error) {
	return func(c *api.Call, in MemberChange) (MemberChanged, error) {
		in.Verb = verb
		index, err := a.Cluster.Change(c, in)
		a.note(c, verb, strings.Join(in.Nodes, " "), err)
		return MemberChanged{index}, err
	}
}

// Transfer names the next leader, or lets the cluster choose.
type Transfer struct {
	Node string `json:"node,omitempty" validate:"max=100"`
}

func (a *area) transfer(c *api.Call, in Transfer) (api.Empty, error) {
	err := a.Cluster.Transfer(c, in.Node)
	a.note(c, "transfer", in.Node, err)
	return api.Empty{}, err
}

// Finalize names a state-machine version.
type Finalize struct {
	Version int64 `json:"version" validate:"min=1,max=4294967295"`
}

func (a *area) finalize(c *api.Call, in Finalize) (api.Empty, error) {
	_, err := fsm.FinalizeUpgrade.Submit(c, a.Proposer, fsm.Upgrade{Version: uint32(in.Version)})
	return api.Empty{}, err
}

// TokenWanted asks for a join token.
type TokenWanted struct {
	Node    string `json:"node,omitempty" validate:"max=100" doc:"The only id that may use it"`
	Seconds int64  `json:"seconds" validate:"min=1,max=86400"`
}

// TokenMade is a join token. It is shown once.
type TokenMade struct {
	Token string `json:"token"`
}

func (a *area) token(c *api.Call, in TokenWanted) (TokenMade, error) {
	token, err := a.Cluster.NewToken(c, in.Node, time.Duration(in.Seconds)*time.Second)
	return TokenMade{token}, err
}

// Alarm is one alarm as it stands.
type Alarm struct {
	Kind   string   `json:"kind"`
	Node   string   `json:"node"`
	Reason string   `json:"reason,omitempty"`
	Raised api.Time `json:"raisedAt,omitzero"`
}

// Alarms lists what is raised.
type Alarms struct {
	Alarms []Alarm `json:"alarms"`
}

func (a *area) alarms(c *api.Call, _ api.Empty) (out Alarms, err error) {
	out.Alarms = []Alarm{}
	err = c.Read(func(v *store.View) error {
		for _, alarm := range fsm.Alarms(v) {
			out.Alarms = append(out.Alarms, Alarm{alarm.Kind, alarm.Node, alarm.Reason, api.Time(alarm.Raised)})
		}
		return nil
	})
	return out, err
}

// Disarm names an alarm.
type Disarm struct {
	Kind string `json:"kind" validate:"required,max=40"`
	Node string `json:"node" validate:"max=100"`
}

func (a *area) disarm(c *api.Call, in Disarm) (api.Empty, error) {
	_, err := fsm.DisarmAlarm.Submit(c, a.Proposer, fsm.AlarmChange{Kind: in.Kind, Node: in.Node})
	return api.Empty{}, err
}
