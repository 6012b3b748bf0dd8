package api

import "reflect"

// Envelope is how an area wraps its bodies. Out is a pointer to what a handler
// returned. A replay must give the same bytes, so neither method may look at
// anything but its arguments.
type Envelope interface {
	// Result appends the body of a success with the status of c.
	Result(dst []byte, c *Call, out any) ([]byte, error)
	// Problem appends the body of a refusal.
	Problem(dst []byte, answer Answer, p *Problem) []byte
	// ResultSchema is the type whose schema a result of type out has.
	ResultSchema(out reflect.Type) reflect.Type
	// ProblemSchema is the type whose schema every problem has.
	ProblemSchema() reflect.Type
}

// ProblemDetails is the envelope of RFC 9457 with bare results. Requests that
// belong to no area are answered with it. Set Area.ProblemMedia to
// ProblemDetailsMedia with it.
type ProblemDetails struct{}

// ProblemDetailsMedia is the media type of RFC 9457.
const ProblemDetailsMedia = "application/problem+json"

// Result appends out itself.
func (ProblemDetails) Result(dst []byte, _ *Call, out any) ([]byte, error) {
	return AppendJSON(dst, out)
}

// Problem appends the members of RFC 9457 and those of the problem.
func (ProblemDetails) Problem(dst []byte, answer Answer, p *Problem) []byte {
	dst = append(dst, `{"type":"about:blank","status":`...)
	dst = appendValue(dst, int64(answer.Status))
	dst = append(dst, `,"code":`...)
	dst = appendText(dst, answer.Code)
	dst = append(dst, `,"title":`...)
	dst = appendText(dst, answer.Message)
	return append(p.AppendFields(dst), '}')
}

// ResultSchema is out itself.
func (ProblemDetails) ResultSchema(out reflect.Type) reflect.Type { return out }

// ProblemSchema has the members every problem has.
func (ProblemDetails) ProblemSchema() reflect.Type { return reflect.TypeFor[problemDetails]() }

type problemDetails struct {
	Type   string `json:"type"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Title  string `json:"title"`
}

// AppendFields appends the public members as `,"name":value` each, in order.
func (p *Problem) AppendFields(dst []byte) []byte {
	for _, field := range p.Fields {
		dst = append(dst, ',')
		dst = appendText(dst, field.Name)
		dst = append(dst, ':')
		dst = appendValue(dst, field.Value)
	}
	return dst
}

func appendValue(dst []byte, value any) []byte {
	appended, err := AppendJSON(dst, value)
	if err != nil {
		return append(dst, "null"...)
	}
	return appended
}
