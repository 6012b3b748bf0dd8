package apitest

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// script is a file of exchanges.
type script struct {
	lines     []string
	exchanges []exchange
}

// exchange is one request and the answer it must get.
type exchange struct {
	line    int // of the request, from 1
	method  string
	path    string
	as      string
	headers []field // of the request
	times   int
	body    string // with variables, unless raw
	raw     bool
	want    answer
	from    int // lines of the answer, as indexes
	to      int
}

type field struct{ name, value string }

// answer is what comes back, or what must.
type answer struct {
	status  int
	headers []field
	body    string
}

var (
	requestForm = regexp.MustCompile(`^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE) (\S+)(.*)$`)
	headerForm  = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*): ?(.*)$`)
	statusForm  = regexp.MustCompile(`^([0-9]{3})(?: (.*))?$`)
)

// parse reads a script.
func parse(source string) (*script, error) {
	s := &script{lines: strings.Split(strings.TrimSuffix(source, "\n"), "\n")}
	for at := 0; at < len(s.lines); {
		if line := s.lines[at]; strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			at++
			continue
		}
		e, next, err := s.exchange(at)
		if err != nil {
			return nil, err
		}
		s.exchanges = append(s.exchanges, e)
		at = next
	}
	return s, nil
}

// exchange reads the exchange that begins at a line and tells where the next
// may begin.
func (s *script) exchange(at int) (e exchange, next int, err error) {
	fail := func(format string, args ...any) (exchange, int, error) {
		return exchange{}, 0, fmt.Errorf("line %d: "+format, append([]any{at + 1}, args...)...)
	}
	parts := requestForm.FindStringSubmatch(s.lines[at])
	if parts == nil {
		return fail("%q is no request", s.lines[at])
	}
	e = exchange{line: at + 1, method: parts[1], path: parts[2], times: 1}
	if err := e.attributes(parts[3]); err != nil {
		return fail("%w", err)
	}
	body := at + 1
	for at++; at < len(s.lines) && s.lines[at] != "--"; at++ {
	}
	if at == len(s.lines) {
		return fail("the request of line %d has no line --", e.line)
	}
	if e.body, e.raw, err = readBody(s.lines[body:at]); err != nil {
		return fail("%w", err)
	}
	at++
	e.from = at
	for at < len(s.lines) && s.lines[at] != "" {
		at++
	}
	e.to = at
	if e.want, err = readAnswer(s.lines[e.from:e.to]); err != nil {
		return fail("%w", err)
	}
	return e, at, nil
}

// attributes reads what follows the path of a request line.
func (e *exchange) attributes(text string) error {
	words, err := splitWords(text)
	if err != nil {
		return err
	}
	for _, word := range words {
		name, value, split := strings.Cut(word, "=")
		header, isHeader := strings.CutPrefix(name, "header:")
		switch {
		case !split:
			return fmt.Errorf("attribute %q has no value", word)
		case name == "as":
			e.as = value
		case name == "idempotency-key":
			e.headers = append(e.headers, field{"Idempotency-Key", value})
		case name == "times":
			if e.times, err = strconv.Atoi(value); err != nil || e.times < 1 {
				return fmt.Errorf("times=%s is no positive number", value)
			}
		case isHeader && header != "":
			e.headers = append(e.headers, field{header, value})
		default:
			return fmt.Errorf("attribute %q is unknown", word)
		}
	}
	return nil
}

// splitWords splits at spaces; a value may be quoted as in Go.
func splitWords(text string) (words []string, err error) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		end := strings.IndexByte(text, ' ')
		if end < 0 {
			end = len(text)
		}
		name, _, split := strings.Cut(text[:end], `="`)
		if !split {
			words, text = append(words, text[:end]), text[end:]
			continue
		}
		quoted, err := strconv.QuotedPrefix(text[len(name)+1:])
		if err != nil {
			return nil, fmt.Errorf("value of %s: %w", name, err)
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("value of %s: %w", name, err)
		}
		words, text = append(words, name+"="+value), text[len(name)+1+len(quoted):]
	}
	return words, nil
}

// readBody reads the lines of a request body.
func readBody(lines []string) (body string, raw bool, err error) {
	if len(lines) == 0 || !isRaw(lines[0]) {
		return strings.Join(lines, "\n"), false, nil
	}
	var b strings.Builder
	for _, line := range lines {
		part, err := readRaw(line)
		if err != nil {
			return "", false, fmt.Errorf("body line %q: %w", line, err)
		}
		b.WriteString(part)
	}
	return b.String(), true, nil
}

func isRaw(line string) bool {
	return strings.HasPrefix(line, `raw "`) || strings.HasPrefix(line, "hex ")
}

// readRaw reads raw "text", raw "text"*N or hex digits.
func readRaw(line string) (string, error) {
	if digits, ok := strings.CutPrefix(line, "hex "); ok {
		bits, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		return string(bits), err
	}
	rest, ok := strings.CutPrefix(line, "raw ")
	if !ok {
		return "", fmt.Errorf("neither raw nor hex")
	}
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return "", err
	}
	text, err := strconv.Unquote(quoted)
	if err != nil {
		return "", err
	}
	rest = rest[len(quoted):]
	if rest == "" {
		return text, nil
	}
	count, err := strconv.Atoi(strings.TrimPrefix(rest, "*"))
	if err != nil || count < 0 || rest[0] != '*' {
		return "", fmt.Errorf("%q is no *N", rest)
	}
	return strings.Repeat(text, count), nil
}

// readAnswer reads the lines of an answer.
func readAnswer(lines []string) (a answer, err error) {
	if len(lines) == 0 {
		return a, fmt.Errorf("there is no answer")
	}
	parts := statusForm.FindStringSubmatch(lines[0])
	if parts == nil {
		return a, fmt.Errorf("%q is no status and body", lines[0])
	}
	if a.status, err = strconv.Atoi(parts[1]); err != nil {
		return a, err
	}
	body := []string{parts[2]}
	if parts[2] == "" {
		body = nil
	}
	rest := lines[1:]
	for len(rest) > 0 {
		header := headerForm.FindStringSubmatch(rest[0])
		if header == nil {
			break
		}
		a.headers = append(a.headers, field{header[1], header[2]})
		rest = rest[1:]
	}
	a.body = strings.Join(append(body, rest...), "\n")
	return a, nil
}
