package api

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"coffer/fsm"
)

// Answers lists what a route may answer besides its result, as its area puts it
// on the wire, by status and code. Documents and tests of coverage read it.
func (a *Area) Answers(r Route) ([]Answer, error) {
	problems, err := a.problems(r)
	if err != nil {
		return nil, err
	}
	var answers []Answer
	for _, p := range problems {
		answers = append(answers, a.Codes.Answer(p))
	}
	slices.SortFunc(answers, func(x, y Answer) int {
		return cmp.Or(cmp.Compare(x.Status, y.Status), strings.Compare(x.Code, y.Code))
	})
	return slices.CompactFunc(answers, func(x, y Answer) bool { return x.Status == y.Status && x.Code == y.Code }), nil
}

// problems are those of the road and those of the route.
func (a *Area) problems(r Route) ([]*Problem, error) {
	problems := []*Problem{{Kind: fsm.Internal, Code: CodeInternal}, {Kind: fsm.Limited, Code: CodeRateLimit}}
	add := func(kind fsm.Kind, codes ...string) {
		for _, code := range codes {
			problems = append(problems, &Problem{Kind: kind, Code: code})
		}
	}
	for _, rejection := range r.Spec.Rejections {
		add(rejection.Kind, rejection.Code)
	}
	for _, rejection := range a.Rejections {
		if _, ofRoad := standard[rejection.Code]; !ofRoad { // those depend on the route, see below
			add(rejection.Kind, rejection.Code)
		}
	}
	if !r.Spec.Auth.Public() {
		add(fsm.Unauthenticated, CodeAuthRequired)
	}
	if r.raw == nil { // it reads: see Call.Read
		add(fsm.Invalid, CodeValidation)
		add(fsm.Unavailable, CodeUnavailable)
	}
	if r.Spec.Role != "" {
		add(fsm.Forbidden, CodeForbidden)
	}
	add(fsm.Invalid, r.Spec.Codes...)
	if r.Writes() {
		add(fsm.Invalid, CodePayloadTooLarge, CodeMediaType)
		add(fsm.Unavailable, CodeOutcomeUnknown, CodeWritesFrozen, CodeNoSpace)
		if a.StrictFields {
			add(fsm.Invalid, CodeUnknownField)
		}
	}
	if r.Spec.Idempotent {
		add(fsm.Conflict, CodeKeyReused)
	}
	if r.raw != nil {
		return problems, nil
	}
	ofInput, err := a.inputProblems(r)
	return append(problems, ofInput...), err
}

// inputProblems are those of the members of the input.
func (a *Area) inputProblems(r Route) (problems []*Problem, err error) {
	p, err := newCompiler().plan(r.In)
	if err != nil {
		return nil, err
	}
	add := func(kind fsm.Kind, code string) { problems = append(problems, &Problem{Kind: kind, Code: code}) }
	known := map[string]bool{}
	p.codes(known)
	for code := range known {
		add(fsm.Invalid, code)
	}
	for _, f := range reflect.VisibleFields(r.In) {
		switch _, fromPath := f.Tag.Lookup("path"); {
		case fromPath && r.Spec.NotFound != nil:
			add(r.Spec.NotFound.Kind, r.Spec.NotFound.Code)
		case fromPath:
			add(fsm.NotFound, CodeNotFound)
		case f.Type == cursorType:
			add(fsm.Invalid, CodeInvalidCursor)
		}
	}
	return problems, nil
}
