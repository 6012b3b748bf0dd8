package api

import "reflect"

// found is what reading has found out about the members of one struct.
type found struct {
	seen    uint64     // members that had a value, by step
	at      int        // step of the violation
	first   *Violation // of the earliest member, in declaration order, that could not be read
	unknown *Violation // an unknown member, where those are refused
}

// note keeps the violation of the earliest member.
func (f *found) note(step int, v *Violation) {
	if f.first == nil || step < f.at {
		f.at, f.first = step, v
	}
}

// read fills the body members of v from the next object. A member that cannot
// be read is noted, and reading goes on.
func (p *plan) read(d *decoding, v reflect.Value, f *found) {
	d.take()
	for guess := 0; d.next() != '}'; guess++ {
		name := d.string()
		step, known := p.find(name, guess)
		if !known {
			d.next()
			d.value()
			if d.strict && f.unknown == nil {
				f.unknown = &Violation{Field: name, Reason: "is not known", Code: CodeUnknownField}
			}
			continue
		}
		guess = step
		p.readMember(d, v, f, step)
	}
	d.take()
}

// find returns the step of a body member. Members mostly come in the order of
// their declaration, so the guess is tried first.
func (p *plan) find(name string, guess int) (step int, known bool) {
	if guess < len(p.steps) && p.steps[guess].name == name && p.steps[guess].source == fromBody && !p.steps[guess].check {
		return guess, true
	}
	step, known = p.byName[name]
	return step, known
}

func (p *plan) readMember(d *decoding, v reflect.Value, f *found, step int) {
	m := &p.steps[step].member
	first := d.next()
	if first == 'n' && !m.shape.nulls {
		d.literal()
		return
	}
	start := d.at
	value := at(v, m.index)
	violation := m.shape.read(d, value)
	f.seen |= 1 << step
	if violation != nil {
		d.at = start
		d.value()
		f.note(step, violation)
		return
	}
	if m.modify != nil {
		m.apply(value)
	}
}

// named completes a violation with the name and the code of its member.
func (m *member) named(v *Violation) *Violation {
	switch {
	case v.Field == "":
		v.Field = m.name
	case !v.Indexed:
		v.Field = m.name + "." + v.Field
	}
	if v.Code == "" {
		code, own := m.codes[v.tag]
		if !own {
			code = m.codes[""]
		}
		v.Code = code
	}
	v.tag = ""
	return v
}

// at is the field of v that an index leads to.
func at(v reflect.Value, index []int) reflect.Value {
	for _, i := range index {
		v = v.Field(i)
	}
	return v
}

// pointerTo is a pointer to v, also when v is embedded under a private name.
func pointerTo(v reflect.Value) any {
	return reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Interface()
}

// check looks at all members in declaration order and returns the first
// violation, complete with the name and the code of its member.
func (p *plan) check(v reflect.Value, f *found) *Violation {
	violation, _ := p.checkSteps(v, f)
	return violation
}

func (p *plan) checkSteps(v reflect.Value, f *found) (*Violation, source) {
	if f.unknown != nil {
		return f.unknown, fromBody
	}
	for i := range p.steps {
		s := &p.steps[i]
		if s.check {
			checker := pointerTo(at(v, s.index)).(Checker)
			if violation := checker.Check(); violation != nil {
				return violation, fromBody
			}
			continue
		}
		if f.first != nil && f.at == i {
			return s.named(f.first), s.source
		}
		if violation := s.checkValue(v, f.seen&(1<<i) != 0); violation != nil {
			return s.named(violation), s.source
		}
	}
	return nil, fromBody
}

// checkValue runs the rules of a member. A nested struct that was read has been
// checked then; one that is absent is checked as it is, empty.
func (m *member) checkValue(v reflect.Value, seen bool) *Violation {
	value := at(v, m.index)
	violation, ended := run(m.rules, value, v, m)
	if violation != nil || ended {
		return violation
	}
	if m.shape.plan != nil && !seen {
		return m.shape.plan.check(value, &found{})
	}
	return nil
}

// run applies rules in the order of their tag. Ended tells that a rule has
// excused the value from what follows.
func run(rules []rule, value, part reflect.Value, m *member) (v *Violation, ended bool) {
	for i := range rules {
		switch rules[i].holds(value, part, m) {
		case broken:
			return &Violation{Reason: rules[i].reason, tag: rules[i].tag}, true
		case done:
			return nil, true
		}
	}
	return nil, false
}
