package auth

import (
	"encoding/binary"

	"github.com/go-json-experiment/json/jsontext"

	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

func (a *Area) sessionRoutes() []api.Route {
	return []api.Route{
		api.Get("/sessions", a.sessions, api.Spec{Summary: "Own sessions, newest first", Auth: api.Bearer}),
		api.Delete("/sessions/{id}", a.revoke, api.Spec{
			Summary: "Revoke one own session", Auth: api.Bearer,
			Rejections: identity.RevokeSession.Rejects, NotFound: identity.ErrNoSession,
		}),
		// The session that asks is open, so there is nothing else to refuse.
		api.Post("/logout", a.logout, api.Spec{Summary: "Revoke the current session", Auth: api.Bearer}),
		api.Post("/logout-all", a.logoutAll, api.Spec{
			Summary: "Revoke all other sessions", Auth: api.Bearer, Rejections: identity.RevokeOthers.Rejects,
		}),
		api.Get("/whoami-strict", a.whoami, api.Spec{Summary: "Server-confirmed session check", Auth: api.Bearer}),
		api.Get("/me/audit", a.audit, api.Spec{Summary: "Own security audit trail", Auth: api.Bearer}),
	}
}

// maxSessions is how many sessions the list shows.
const maxSessions = 100

type sessionView struct {
	ID           store.ID `json:"id"`
	CreatedAt    api.Time `json:"createdAt"`
	LastActiveAt api.Time `json:"lastActiveAt"`
	IP           string   `json:"ip"`
	UserAgent    string   `json:"userAgent"`
	RevokedAt    api.Time `json:"revokedAt" nullable:"true"`
	IsCurrent    bool     `json:"isCurrent"`
}

type sessionsResponse struct {
	Current string        `json:"currentSessionId"`
	Items   []sessionView `json:"items"`
}

func (a *Area) sessions(c *api.Call, _ api.Empty) (sessionsResponse, error) {
	out := sessionsResponse{Current: c.Actor().Session, Items: []sessionView{}}
	err := c.Read(func(v *store.View) error {
		for s := range identity.Sessions(v, identity.AEVION, store.ID(c.Actor().ID)) {
			if len(out.Items) == maxSessions {
				break
			}
			out.Items = append(out.Items, sessionView{
				ID: s.ID, CreatedAt: api.Time(s.CreatedAt), LastActiveAt: api.Time(s.LastActive),
				IP: s.IP, UserAgent: s.Agent, RevokedAt: api.Time(s.RevokedAt), IsCurrent: string(s.ID) == out.Current,
			})
		}
		return nil
	})
	c.SetHeader("Cache-Control", "no-store")
	return out, err
}

type sessionRequest struct {
	ID store.ID `path:"id" validate:"id"`
}

type revokeResponse struct {
	ID      store.ID `json:"id"`
	Revoked bool     `json:"revoked"`
}

func (a *Area) revoke(c *api.Call, in sessionRequest) (revokeResponse, error) {
	_, err := identity.RevokeSession.Submit(c, a.Proposer, identity.EndSession{Session: in.ID, Action: "session.revoke"})
	return revokeResponse{ID: in.ID, Revoked: true}, err
}

type okResponse struct {
	OK bool `json:"ok"`
}

func (a *Area) logout(c *api.Call, _ api.Empty) (okResponse, error) {
	current := store.ID(c.Actor().Session)
	_, err := identity.RevokeSession.Submit(c, a.Proposer, identity.EndSession{Session: current, Action: "logout"})
	return okResponse{OK: true}, err
}

type logoutAllResponse struct {
	OK      bool  `json:"ok"`
	Revoked int64 `json:"revokedCount"`
}

func (a *Area) logoutAll(c *api.Call, _ api.Empty) (logoutAllResponse, error) {
	done, err := identity.RevokeOthers.Submit(c, a.Proposer, identity.EndSessions{Surface: identity.AEVION})
	return logoutAllResponse{OK: true, Revoked: done.Count}, err
}

type whoamiResponse struct {
	Subject string `json:"sub"`
	Email   string `json:"email"`
	Role    string `json:"role"`
	Session string `json:"sid"`
	Legacy  bool   `json:"legacy"`
}

func (a *Area) whoami(c *api.Call, _ api.Empty) (out whoamiResponse, err error) {
	err = c.Read(func(v *store.View) error {
		u, _ := identity.Get(v, store.ID(c.Actor().ID))
		out = whoamiResponse{Subject: c.Actor().ID, Email: u.Email, Role: u.Role, Session: c.Actor().Session}
		return nil
	})
	return out, err
}

type auditView struct {
	ID        store.ID       `json:"id"`
	Action    string         `json:"action"`
	IP        string         `json:"ip"`
	UserAgent string         `json:"userAgent"`
	Metadata  jsontext.Value `json:"metadata" validate:"object"`
	At        api.Time       `json:"at"`
}

type auditResponse struct {
	Total int64       `json:"total"`
	Items []auditView `json:"items"`
	Next  api.Cursor  `json:"nextCursor,omitzero"`
}

func (a *Area) audit(c *api.Call, in aevion.Page) (auditResponse, error) {
	behind, err := auditCursor(in.After())
	if err != nil {
		return auditResponse{}, err
	}
	out := auditResponse{Items: []auditView{}}
	err = c.Read(func(v *store.View) error {
		user := store.ID(c.Actor().ID)
		out.Total = int64(identity.AuditCount(v, identity.AuthTrail, user))
		var last uint64
		for number, row := range identity.AuditOf(v, identity.AuthTrail, user, behind) {
			if len(out.Items) == in.Limit {
				out.Next = binary.BigEndian.AppendUint64(nil, last)
				break
			}
			last = number
			metadata, err := api.AppendJSON(nil, aevion.Members(row.Details))
			if err != nil {
				return err
			}
			out.Items = append(out.Items, auditView{
				ID: row.ID, Action: row.Action, IP: row.IP, UserAgent: row.Agent, Metadata: metadata, At: api.Time(row.At),
			})
		}
		return nil
	})
	return out, err
}

// auditCursor is the number of the last row of the page before, 0 for none.
func auditCursor(cursor store.Cursor) (uint64, error) {
	if len(cursor) == 0 {
		return 0, nil
	}
	if len(cursor) != 8 {
		return 0, store.ErrCursor
	}
	return binary.BigEndian.Uint64(cursor), nil
}

func healthRoutes() []api.Route {
	return []api.Route{
		api.Get("/health", health, api.Spec{
			Summary: "Liveness of the auth module", Description: aevion.HealthNote, Auth: api.Public, Read: fsm.Stale,
		}),
	}
}

func health(c *api.Call, _ api.Empty) (aevion.Health, error) {
	h, err := aevion.Alive(c, "auth", aevion.Readable)
	return h.Health, err
}
