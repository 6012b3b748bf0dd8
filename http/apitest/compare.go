package apitest

import (
	"fmt"
	"strconv"
	"strings"
)

// compare returns what came in the words of want: equal to want if it is right.
func (v variables) compare(want answer, came got) (answer, error) {
	merged := answer{status: came.status}
	for _, h := range want.headers {
		value := strings.Join(came.header.Values(h.name), ", ")
		fits, err := v.matches(h.value, value)
		if err != nil {
			return answer{}, err
		}
		if fits {
			value = h.value
		}
		merged.headers = append(merged.headers, field{h.name, value})
	}
	var err error
	merged.body, err = v.compareBody(want.body, came)
	return merged, err
}

// compareBody compares JSON as values and all else as text.
func (v variables) compareBody(want string, came got) (string, error) {
	if want == "<any>" {
		return want, nil
	}
	if came.body == "" || !strings.Contains(came.header.Get("Content-Type"), "json") {
		body := strings.TrimSuffix(strings.ReplaceAll(came.body, "\r\n", "\n"), "\n")
		fits, err := v.matches(want, body)
		if err != nil || fits {
			return want, err
		}
		return body, nil
	}
	value, err := parseValue(came.body)
	if err != nil {
		return "", fmt.Errorf("the body is no strict JSON: %w\n%s", err, cut(came.body))
	}
	expected, err := parseValue(want)
	if err != nil && want != "" {
		return "", fmt.Errorf("the expected body is no JSON: %w", err)
	}
	if want == "" {
		merged, err := v.merge(nil, value)
		return merged.compact(), err
	}
	merged, err := v.merge(&expected, value)
	if err != nil {
		return "", err
	}
	if merged.sorted().compact() == expected.sorted().compact() {
		return want, nil // with its own order and line breaks
	}
	return merged.compact(), nil
}

// maxLine is how long the line of a body may be, in characters.
const maxLine = 160

// text is the answer for comparison: JSON spread over lines, members sorted.
func (a answer) text() string {
	lines := append([]string{strconv.Itoa(a.status)}, a.headerLines()...)
	if v, err := parseValue(a.body); err == nil {
		return strings.Join(append(lines, v.sorted().pretty()), "\n")
	}
	return strings.Join(append(lines, a.body), "\n")
}

func (a answer) headerLines() (lines []string) {
	for _, h := range a.headers {
		lines = append(lines, h.name+": "+h.value)
	}
	return lines
}

// lines is the answer as a script has it.
func (a answer) lines() []string {
	status := strconv.Itoa(a.status)
	first, rest, _ := strings.Cut(a.body, "\n")
	if v, err := parseValue(a.body); err == nil && rest == "" && len(first) > maxLine {
		first, rest, _ = strings.Cut(v.pretty(), "\n")
	}
	_, err := parseValue(a.body)
	isText := err != nil && a.body != "<any>"
	if isText || len(a.headers) > 0 && rest != "" {
		rest, first = strings.TrimSuffix(first+"\n"+rest, "\n"), ""
	}
	if first != "" {
		status += " " + first
	}
	lines := append([]string{status}, a.headerLines()...)
	if rest != "" {
		lines = append(lines, strings.Split(rest, "\n")...)
	}
	return lines
}

// render is the script with the answers it has now.
func (s *script) render() string {
	var lines []string
	at := 0
	for i := range s.exchanges {
		e := &s.exchanges[i]
		lines = append(lines, s.lines[at:e.from]...)
		if original, err := readAnswer(s.lines[e.from:e.to]); err == nil && original.text() == e.want.text() {
			lines = append(lines, s.lines[e.from:e.to]...)
		} else {
			lines = append(lines, e.want.lines()...)
		}
		at = e.to
	}
	return strings.Join(append(lines, s.lines[at:]...), "\n") + "\n"
}
