package apitest

// merge returns what came, with the placeholders and variables of want where
// they fit. So an answer is right if merging it with want gives want.
func (v variables) merge(want *value, got value) (value, error) {
	if want != nil && want.kind == text && isTemplate(want.text) {
		fits, err := v.fits(want.text, got)
		if err != nil || fits {
			return *want, err
		}
	}
	var err error
	switch got.kind {
	case text:
		if want == nil || want.kind != text || want.text != got.text {
			got.text = v.generalize(got.text)
		}
	case array:
		for i := range got.items {
			var inner *value
			if want != nil && want.kind == array && i < len(want.items) {
				inner = &want.items[i]
			}
			if got.items[i], err = v.merge(inner, got.items[i]); err != nil {
				return value{}, err
			}
		}
	case object:
		for i := range got.members {
			var inner *value
			if want != nil {
				if m, ok := want.member(got.members[i].name); ok {
					inner = &m
				}
			}
			if got.members[i].value, err = v.merge(inner, got.members[i].value); err != nil {
				return value{}, err
			}
		}
	}
	return got, nil
}

// fits tells whether a template stands for a value. Only <any> stands for
// objects and arrays, and only <number>, <bool> and <any> for what is no string;
// alone, <number> and <bool> are no strings.
func (v variables) fits(template string, got value) (bool, error) {
	found := placeholderForm.FindStringSubmatch(template)
	alone := ""
	if found != nil && found[0] == template {
		alone = found[1]
	}
	var allowed bool
	switch got.kind {
	case text:
		allowed = alone != "number" && alone != "bool"
	case number:
		allowed = alone == "any" || alone == "number"
	case literal:
		allowed = alone == "any" || alone == "bool"
	default:
		allowed = alone == "any"
	}
	if !allowed {
		return false, nil
	}
	if got.kind == text {
		return v.matches(template, got.text)
	}
	return v.matches(template, got.compact())
}
