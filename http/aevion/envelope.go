package aevion

import (
	"reflect"
	"strconv"

	"coffer/http/api"
)

// Envelope is the form of all answers: bare results, and problems with their
// code as "error" and a text for people.
type Envelope struct {
	legacy func() bool // answers carry the older spellings too
	prefix string      // of the area
}

// Result appends out itself, for older clients with its older spellings.
func (e Envelope) Result(dst []byte, c *api.Call, out any) ([]byte, error) {
	if e.legacy == nil || !e.legacy() {
		return api.AppendJSON(dst, out)
	}
	route := c.Route()
	return appendOlder(dst, out, dialects[route.Method+" "+e.prefix+route.Pattern].answer)
}

// Problem appends error, message and the members of the problem.
func (Envelope) Problem(dst []byte, answer api.Answer, p *api.Problem) []byte {
	dst = append(dst, `{"error":`...)
	dst = appendText(dst, answer.Code)
	dst = append(dst, `,"message":`...)
	dst = appendText(dst, answer.Message)
	return append(p.AppendFields(dst), '}')
}

func appendText(dst []byte, text string) []byte {
	appended, err := api.AppendJSON(dst, text)
	if err != nil {
		return strconv.AppendQuote(dst, "")
	}
	return appended
}

// ResultSchema is out itself.
func (Envelope) ResultSchema(out reflect.Type) reflect.Type { return out }

// ProblemSchema has the members every problem has.
func (Envelope) ProblemSchema() reflect.Type { return reflect.TypeFor[Error]() }

// Error is the body of every refusal. Codes are stable, messages are not.
type Error struct {
	Error   string `json:"error" doc:"Stable code"`
	Message string `json:"message" doc:"Text for people"`
	Field   string `json:"field,omitempty" doc:"Member that is not valid"`
	Reason  string `json:"reason,omitempty" doc:"Why it is not"`
}
