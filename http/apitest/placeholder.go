package apitest

import (
	"fmt"
	"regexp"
	"strings"
)

// variables are the values that placeholders have kept.
type variables map[string]string

var (
	placeholderForm = regexp.MustCompile(`<([a-z]+)(?:=([a-zA-Z][a-zA-Z0-9]*))?>`)
	variableForm    = regexp.MustCompile(`\$(\$|[a-zA-Z][a-zA-Z0-9]*)`)
)

// kinds are the placeholders that are no prefix of an id.
var kinds = map[string]string{
	"any":    `[\s\S]*`,
	"text":   `[\s\S]+`,
	"number": `-?[0-9]+(?:\.[0-9]+)?`,
	"bool":   `true|false`,
	"time":   `[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z`,
	"id":     `[a-z]{2,5}_[0-9a-f]{8,64}`,
	"uuid":   `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`,
	"hash":   `[0-9a-f]{64}`,
	"hex":    `[0-9a-f]+`,
	"token":  `[A-Za-z0-9_.~-]{16,}`,
}

// pattern is the expression of a kind.
func pattern(kind string) string {
	if expression, ok := kinds[kind]; ok {
		return expression
	}
	return kind + `_[0-9a-f]{8,64}`
}

// expand puts the values of variables into text.
func (v variables) expand(text string) (string, error) {
	var unknown []string
	expanded := variableForm.ReplaceAllStringFunc(text, func(reference string) string {
		if reference == "$$" {
			return "$"
		}
		value, known := v[reference[1:]]
		if !known {
			unknown = append(unknown, reference)
		}
		return value
	})
	if len(unknown) > 0 {
		return "", fmt.Errorf("no placeholder before has kept %s", strings.Join(unknown, ", "))
	}
	return expanded, nil
}

// matches tells whether got is what a template with placeholders and variables
// says, and keeps what the template names.
func (v variables) matches(template, got string) (bool, error) {
	expression, names, err := v.compile(template)
	if err != nil {
		return false, err
	}
	found := expression.FindStringSubmatch(got)
	if found == nil {
		return false, nil
	}
	for i, name := range names {
		if name != "" {
			v[name] = found[i+1]
		}
	}
	return true, nil
}

// compile turns a template into an expression with one group per placeholder.
func (v variables) compile(template string) (*regexp.Regexp, []string, error) {
	var expression strings.Builder
	var names []string
	expression.WriteString("^")
	plain := func(text string) error {
		expanded, err := v.expand(text)
		expression.WriteString(regexp.QuoteMeta(expanded))
		return err
	}
	rest := template
	for {
		at := placeholderForm.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		if err := plain(rest[:at[0]]); err != nil {
			return nil, nil, err
		}
		name := ""
		if at[4] >= 0 {
			name = rest[at[4]:at[5]]
		}
		names = append(names, name)
		fmt.Fprintf(&expression, "(%s)", pattern(rest[at[2]:at[3]]))
		rest = rest[at[1]:]
	}
	if err := plain(rest); err != nil {
		return nil, nil, err
	}
	compiled, err := regexp.Compile(expression.String() + "$")
	return compiled, names, err
}

// isTemplate tells whether text stands for something else than itself.
func isTemplate(text string) bool {
	return placeholderForm.MatchString(text) || variableForm.MatchString(text)
}

// generalize makes a template of a new value: a variable that has it, or the
// placeholder of its kind.
func (v variables) generalize(got string) string {
	best := ""
	for name, value := range v {
		if value == got && (best == "" || name < best) {
			best = name
		}
	}
	switch {
	case best != "" && len(got) >= 8:
		return "$" + best
	case isKind("time", got):
		return "<time>"
	case isKind("id", got):
		return "<" + got[:strings.IndexByte(got, '_')] + ">"
	case isKind("hash", got):
		return "<hash>"
	case strings.HasPrefix(got, "eyJ") && strings.Count(got, ".") == 2:
		return "<token>"
	}
	return embeddedID.ReplaceAllStringFunc(strings.ReplaceAll(got, "$", "$$"), func(id string) string {
		return v.generalize(id)
	})
}

// embeddedID is an id as part of a text, such as the last part of an address.
var embeddedID = regexp.MustCompile(`\b[a-z]{2,5}_[0-9a-f]{32}\b`)

func isKind(kind, got string) bool {
	return regexp.MustCompile("^(?:" + kinds[kind] + ")$").MatchString(got)
}
