package settings

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"coffer/store"
)

// Setting is one business value of any type.
type Setting struct {
	Name        string // also the environment variable that wishes for it
	Doc         string
	development string
	production  string
	check       func(text string) error
}

// Default is the value while nobody has set it; some depend on the mode.
func (s *Setting) Default(mode string) string {
	if mode == Production {
		return s.production
	}
	return s.development
}

// Check tells whether a text is a value of this setting.
func (s *Setting) Check(text string) error {
	if len(text) > maxText {
		return fmt.Errorf("is longer than %d bytes", maxText)
	}
	return s.check(text)
}

const maxText = 4096

// Text returns the value in force as text.
func (s *Setting) Text(r store.Reader) string {
	if row, ok := values.Get(r, store.ID(s.Name)); ok {
		return row.Text
	}
	if s.development == s.production {
		return s.development
	}
	return s.Default(Mode.Of(r))
}

// IsSet tells whether somebody has set a value, be it the default.
func (s *Setting) IsSet(r store.Reader) bool { return values.Has(r, store.ID(s.Name)) }

// Int is a whole number.
type Int struct{ *Setting }

// Of returns the value in force.
func (s Int) Of(r store.Reader) int64 {
	n, err := strconv.ParseInt(s.Text(r), 10, 64)
	mustParse(s.Setting, err)
	return n
}

// Bool is on ("1") or off ("0").
type Bool struct{ *Setting }

// Of returns the value in force.
func (s Bool) Of(r store.Reader) bool { return s.Text(r) == "1" }

// Words is a list of words separated by commas; spaces and empty items do not
// count.
type Words struct{ *Setting }

// Of returns the value in force.
func (s Words) Of(r store.Reader) []string { return words(s.Text(r)) }

// Has tells whether the list holds a word, whatever the letter case.
func (s Words) Has(r store.Reader, word string) bool {
	rest := s.Text(r)
	for rest != "" {
		var item string
		item, rest, _ = strings.Cut(rest, ",")
		if item = strings.TrimSpace(item); item != "" && strings.EqualFold(item, word) {
			return true
		}
	}
	return false
}

// String is free text.
type String struct{ *Setting }

// Of returns the value in force.
func (s String) Of(r store.Reader) string { return s.Text(r) }

// Duration is a length of time, such as "7d" or "90m".
type Duration struct{ *Setting }

// Of returns the value in force in microseconds.
func (s Duration) Of(r store.Reader) int64 {
	d, err := parseDuration(s.Text(r))
	mustParse(s.Setting, err)
	return d
}

// Pairs is a list of name:number items.
type Pairs struct {
	*Setting
	parsed *atomic.Pointer[parsedPairs]
}

// Pair is one item of Pairs.
type Pair struct {
	Name   string
	Number int64
}

// parsedPairs is the latest text with what it means: a memory of a pure
// function, no state.
type parsedPairs struct {
	text  string
	pairs []Pair
}

// Of returns the value in force, in the order given. It belongs to the setting.
func (s Pairs) Of(r store.Reader) []Pair {
	text := s.Text(r)
	if latest := s.parsed.Load(); latest != nil && latest.text == text {
		return latest.pairs
	}
	pairs, err := parsePairs(text)
	mustParse(s.Setting, err)
	s.parsed.Store(&parsedPairs{text, pairs})
	return pairs
}

// Number returns the number of a name.
func (s Pairs) Number(r store.Reader, name string) (int64, bool) {
	pairs := s.Of(r)
	at := slices.IndexFunc(pairs, func(p Pair) bool { return p.Name == name })
	if at < 0 {
		return 0, false
	}
	return pairs[at].Number, true
}

// mustParse fails on a stored text that Check would refuse: no update lets one
// in, so the row is damaged.
func mustParse(s *Setting, err error) {
	if err != nil {
		store.Corrupt("settings.values", []byte(s.Name), err)
	}
}

func words(text string) []string {
	list := []string{}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

func parsePairs(text string) ([]Pair, error) {
	pairs := []Pair{}
	for _, item := range words(text) {
		at := strings.LastIndexByte(item, ':')
		if at < 1 {
			return nil, fmt.Errorf("%q is not name:number", item)
		}
		n, err := strconv.ParseInt(item[at+1:], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not name:number", item)
		}
		pairs = append(pairs, Pair{Name: item[:at], Number: n})
	}
	return pairs, nil
}

// parseDuration reads Go durations and whole days ("7d"), in microseconds.
func parseDuration(text string) (int64, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 32)
		if err != nil || n < 0 || n > maxDays {
			return 0, fmt.Errorf("%q is not a duration", text)
		}
		return n * store.Day, nil
	}
	if text == "0" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d.Microseconds() > maxDays*store.Day {
		return 0, fmt.Errorf("%q is not a duration", text)
	}
	return d.Microseconds(), nil
}

// maxDays bounds durations, a hundred years, far from where times overflow.
const maxDays = 36_500

func between[T cmp.Ordered](low, high T) func(T) error {
	return func(n T) error {
		if n < low || n > high {
			return fmt.Errorf("must be between %v and %v", low, high)
		}
		return nil
	}
}
