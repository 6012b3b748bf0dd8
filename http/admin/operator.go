package admin

import (
	"net/http"
	"unicode"
	"unicode/utf8"

	"coffer/fsm"
	"coffer/http/api"
)

const (
	headerOperator = "Coffer-Operator"
	headerReason   = api.HeaderReason
	longestName    = 100 // bytes
	longestReason  = 500 // bytes
)

// ErrOperator refuses a name or a reason that cannot be recorded.
var ErrOperator = fsm.Reject(fsm.Invalid, "invalid_operator")

// Identify is whoever opened the socket, under the name they give themselves. A
// name or a reason that nobody could read is refused with a *api.Problem.
func (d Deps) Identify(r *http.Request) (fsm.Actor, error) {
	who := fsm.Actor{Kind: fsm.Operator, ID: "operator"}
	if d.User != nil {
		who.Agent = d.User(r.Context())
	}
	for header, longest := range map[string]int{headerOperator: longestName, headerReason: longestReason} {
		values := r.Header.Values(header)
		if len(values) == 0 {
			continue
		}
		if reason := unfit(values, longest); reason != "" {
			return fsm.Actor{}, &api.Problem{Kind: fsm.Invalid, Code: ErrOperator.Code, Fields: []api.Field{
				{Name: "field", Value: header}, {Name: "reason", Value: reason},
			}}
		}
		if header == headerOperator {
			who.ID = values[0]
		}
	}
	return who, nil
}

// unfit says why a header cannot be recorded, or nothing.
func unfit(values []string, longest int) string {
	switch value := values[0]; {
	case len(values) > 1:
		return "must be there once"
	case value == "":
		return "must not be empty"
	case len(value) > longest:
		return "is too long"
	case !utf8.ValidString(value):
		return "must be UTF-8"
	default:
		for _, r := range value {
			if !unicode.IsPrint(r) {
				return "must be printable"
			}
		}
	}
	return ""
}
