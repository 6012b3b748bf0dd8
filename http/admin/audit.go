package admin

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"coffer/fsm"
	"coffer/http/api"
	"coffer/store"
)

// AuditRecord is one thing that an operator has asked of the cluster, or that
// changed who belongs to it.
type AuditRecord struct {
	Number   uint64         `json:"number" doc:"From 1 on, without a gap"`
	Index    uint64         `json:"index" doc:"Log entry that holds it"`
	Time     api.Time       `json:"time"`
	Actor    string         `json:"actor" doc:"The name that the operator gives, or the id of the node"`
	User     string         `json:"user,omitempty" doc:"Who opened the socket, as the system says"`
	Reason   string         `json:"reason,omitempty"`
	Command  string         `json:"command"`
	Input    jsontext.Value `json:"input"`
	Refused  string         `json:"refused,omitempty" doc:"Code of the refusal"`
	Previous string         `json:"previous" doc:"Hash of the record before, zeros for the first"`
	Hash     string         `json:"hash"`
}

// Audit is a part of the record, oldest first.
type Audit struct {
	Length  uint64        `json:"length" doc:"Records there are"`
	Last    string        `json:"last" doc:"Hash of the last one"`
	Records []AuditRecord `json:"records"`
}

// AuditPage says which part.
type AuditPage struct {
	After int64 `query:"after" validate:"min=0" doc:"Number of the last record that is known"`
	Limit int   `query:"limit" clamp:"100,1000"`
}

func (a *area) auditRoute() api.Route {
	return api.Get("/audit", a.audit, api.Spec{Summary: "What operators have asked", Auth: api.Require(operator)})
}

func (a *area) audit(c *api.Call, in AuditPage) (out Audit, err error) {
	out.Records = []AuditRecord{}
	err = c.Read(func(v *store.View) error {
		length, last := fsm.AuditLength(v)
		out.Length, out.Last = length, hex.EncodeToString(last[:])
		for i, r := range fsm.Audit(v, uint64(in.After), in.Limit) {
			shown, err := a.show(uint64(in.After)+uint64(i)+1, r)
			if err != nil {
				return err
			}
			out.Records = append(out.Records, shown)
		}
		return nil
	})
	return out, err
}

func (a *area) show(number uint64, r fsm.AuditRecord) (AuditRecord, error) {
	input, err := a.Describe(r.Command, r.Input)
	if err != nil {
		return AuditRecord{}, fmt.Errorf("audit record %d: %w", number, err)
	}
	hash := r.Hash()
	return AuditRecord{
		Number: number, Index: r.Index, Time: api.Time(r.Time), Actor: r.Actor.ID, User: r.Actor.Agent, Reason: r.Reason,
		Command: r.Command, Input: input, Refused: r.Refused,
		Previous: hex.EncodeToString(r.Previous[:]), Hash: hex.EncodeToString(hash[:]),
	}, nil
}

const (
	noteLimit  = 2 * time.Second // how long an action waits to get on the record
	notePause  = 20 * time.Millisecond
	longestFor = 900 // bytes of what a note is about
)

// Note puts on the record what an operator has done that is no command, or was
// refused. If nobody leads, the log of this node alone says who it was: then an
// operator may have to act all the same.
func (d Deps) Note(ctx context.Context, who fsm.Actor, reason, action, about string, failed error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteLimit)
	defer cancel()
	note := fsm.Note{Action: action, About: strings.ToValidUTF8(about[:min(len(about), longestFor)], "")}
	if refusal, known := fsm.AsRejection(failed); known {
		note.About += " refused: " + refusal.Code
	} else if failed != nil {
		note.About += " failed"
	}
	// The same request id, however often it takes: it is one action.
	caller := recorder{ctx, fsm.Origin{Actor: who, RequestID: fsm.NewRequestID(), Reason: reason}}
	for {
		_, err := fsm.RecordAction.Submit(caller, d.Proposer, note)
		if err == nil {
			return
		}
		_, refused := fsm.AsRejection(err)
		select {
		case <-time.After(notePause):
		case <-ctx.Done():
			refused = true
		}
		if refused {
			d.Logger.Error("an operator's action is not on the record", "by", who.ID, "user", who.Agent, "reason", reason,
				"action", note.Action, "about", note.About, "err", err)
			return
		}
	}
}

// recorder is an operator as a caller beside the call itself.
type recorder struct {
	context.Context
	origin fsm.Origin
}

func (r recorder) Origin() fsm.Origin  { return r.origin }
func (r recorder) Settled(fsm.Outcome) {}

// note puts a change on the record, or that it was refused.
func (a *area) note(c *api.Call, action, about string, failed error) {
	a.Note(c, c.Actor(), c.Header(headerReason), action, about, failed)
}
