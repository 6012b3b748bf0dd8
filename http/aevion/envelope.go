package aevion

import (
	"reflect"
	"strconv"

	"coffer/http/api"
)

// Envelope is the form of all answers: bare results, and problems with their
// code as "error" and a text for people.
type Envelope struct{}

// Result appends out itself.
func (Envelope) Result(dst []byte, _ *api.Call, out any) ([]byte, error) {
	return api.AppendJSON(dst, out)
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
