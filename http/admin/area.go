// Package admin is what operators ask a running node for. It is served on a
// Unix socket in the data directory: whoever may open it is an operator.
package admin

import (
	"context"
	"log/slog"
	"maps"
	"net/http"

	"coffer/fsm"
	"coffer/fsm/settings"
	"coffer/http/api"
	"coffer/store"
)

// Deps is what the area needs from the node.
type Deps struct {
	Proposer fsm.Proposer
	Status   func() Status
	Cluster  Cluster
	// User names the user behind a connection as the system knows them; may be nil.
	User func(ctx context.Context) string
	// Describe shows the input of a command as JSON.
	Describe func(command string, input []byte) ([]byte, error)
	Logger   *slog.Logger
}

// Status is a picture of the node and its part in the cluster.
type Status struct {
	NodeID    string   `json:"nodeId"`
	ClusterID string   `json:"clusterId"`
	LedgerID  string   `json:"ledgerId"`
	Version   string   `json:"version"`
	Mode      string   `json:"mode"`
	State     string   `json:"state" doc:"Follower, Candidate, Leader or Shutdown"`
	Leader    string   `json:"leader"`
	Term      uint64   `json:"term"`
	Commit    uint64   `json:"commitIndex"`
	Applied   uint64   `json:"appliedIndex"`
	Flushed   uint64   `json:"flushedIndex"`
	LogFirst  uint64   `json:"logFirst"`
	LogLast   uint64   `json:"logLast"`
	LogBytes  int64    `json:"logBytes"`
	Reasons   []string `json:"notReady" doc:"Why the node is not ready; empty when it is"`
}

// area answers /admin/v1.
type area struct{ Deps }

// Operator is the scheme of the socket.
const operator = "operatorSocket"

// Surface is the admin API as a surface of its own.
func Surface(deps Deps) api.Surface {
	a := &area{deps}
	return api.Surface{
		Name:    "admin",
		Schemes: []api.Scheme{{Name: operator, Identify: deps.Identify, Description: "Access to the admin socket."}},
		Areas: []api.Area{{
			Name: "admin", Prefix: "/admin/v1", Tag: "Admin", StrictFields: true,
			Envelope: api.ProblemDetails{}, ProblemMedia: api.ProblemDetailsMedia,
			Codes: codes(),
			Routes: append(a.clusterRoutes(),
				a.auditRoute(),
				api.Get("/status", a.status, api.Spec{Summary: "This node and its part in the cluster", Auth: api.Require(operator), Read: fsm.Stale}),
				api.Get("/settings", a.list, api.Spec{Summary: "All settings with default and origin", Auth: api.Require(operator)}),
				api.Post("/settings", a.update, api.Spec{
					Summary: "Change settings, all or none", Auth: api.Require(operator), Rejections: settings.UpdateSettings.Rejects,
				}),
			),
		}},
	}
}

func codes() api.Codes {
	all := api.Codes{
		"unknown_setting":  {Status: http.StatusNotFound, Message: "There is no such setting."},
		"invalid_setting":  {Status: http.StatusUnprocessableEntity, Message: "The setting does not take this value."},
		"invalid_operator": {Status: http.StatusBadRequest, Message: "The name of the operator, or the reason, cannot be recorded."},
		"not_permitted":    {Status: http.StatusForbidden, Message: "Only operators may do this."},
	}
	maps.Copy(all, clusterCodes)
	return all
}

func (a *area) status(*api.Call, api.Empty) (Status, error) { return a.Deps.Status(), nil }

// Setting is a setting as it stands.
type Setting struct {
	Name    string   `json:"name"`
	Value   string   `json:"value"`
	Default string   `json:"default"`
	Origin  string   `json:"origin" doc:"default, or who set it"`
	SetAt   api.Time `json:"setAt"`
	Doc     string   `json:"doc"`
}

// Settings is the answer of the list.
type Settings struct {
	Settings []Setting `json:"settings"`
}

func (a *area) list(c *api.Call, _ api.Empty) (out Settings, err error) {
	err = c.Read(func(v *store.View) error {
		mode := settings.Mode.Of(v)
		for _, s := range settings.List(v) {
			out.Settings = append(out.Settings, Setting{
				Name: s.Setting.Name, Value: s.Text, Default: s.Setting.Default(mode), Origin: s.Origin,
				SetAt: api.Time(s.At), Doc: s.Setting.Doc,
			})
		}
		return nil
	})
	return out, err
}

// Update is a change of settings.
type Update struct {
	Changes []Change `json:"changes" validate:"required,min=1,max=100"`
}

// Change is one value, or null for the default.
type Change struct {
	Name  string  `json:"name" validate:"required,max=100"`
	Value *string `json:"value" doc:"null goes back to the default"`
}

// Updated is the answer to a change.
type Updated struct {
	Changed int64 `json:"changed" doc:"Values that differ from before"`
}

func (a *area) update(c *api.Call, in Update) (Updated, error) {
	command := settings.Update{By: c.Actor().ID}
	for _, change := range in.Changes {
		wanted := settings.Change{Name: change.Name, Reset: change.Value == nil}
		if change.Value != nil {
			wanted.Text = *change.Value
		}
		command.Changes = append(command.Changes, wanted)
	}
	done, err := settings.UpdateSettings.Submit(c, a.Proposer, command)
	return Updated{Changed: done.Count}, err
}
