package api

import "coffer/fsm"

// Violation is the first rule a request breaks: which member, and why.
type Violation struct {
	Field   string  // as the client wrote it
	Reason  string  // for people, such as "must be id"
	Code    string  // instead of CodeValidation, when not empty
	Index   int     // of the row, from 0, when Indexed
	Indexed bool    // the member belongs to a row of a list
	Fields  []Field // further public members of the answer

	tag string // of the rule, to choose the code of a member
}

// Checker is a request, or an embedded part of one, with a rule over several
// members. It runs after the members of its type, in declaration order.
type Checker interface {
	// Check returns nil, or what is wrong.
	Check() *Violation
}

// atRow says in which row of a list it happened. The outermost list counts.
func (v *Violation) atRow(index int) *Violation {
	v.Index, v.Indexed = index, true
	return v
}

// problem is the answer to the violation.
func (v *Violation) problem() *Problem {
	p := &Problem{Kind: fsm.Invalid, Code: v.Code}
	if p.Code == "" {
		p.Code = CodeValidation
	}
	p.Fields = make([]Field, 0, 3+len(v.Fields))
	p.Fields = append(p.Fields, Field{"field", v.Field}, Field{"reason", v.Reason})
	if v.Indexed {
		p.Fields = append(p.Fields, Field{"index", int64(v.Index)})
	}
	p.Fields = append(p.Fields, v.Fields...)
	return p
}
