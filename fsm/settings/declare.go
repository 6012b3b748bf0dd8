package settings

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"coffer/store"
)

// declared lists all settings in the order of values.go. It is filled while
// the package's variables are initialised and never changed later.
var declared []*Setting

// All lists every setting.
func All() []*Setting { return slices.Clone(declared) }

// Find returns the setting of a name.
func Find(name string) (*Setting, bool) {
	at := slices.IndexFunc(declared, func(s *Setting) bool { return s.Name == name })
	if at < 0 {
		return nil, false
	}
	return declared[at], true
}

func declare(s Setting) *Setting {
	if _, taken := Find(s.Name); taken {
		panic("settings: " + s.Name + " is declared twice")
	}
	for _, text := range []string{s.development, s.production} {
		if err := s.Check(text); err != nil {
			panic("settings: default of " + s.Name + ": " + err.Error())
		}
	}
	declared = append(declared, &s)
	return &s
}

func integer(name string, value, low, high int64, doc string) Int {
	inRange := between(low, high)
	text := strconv.FormatInt(value, 10)
	return Int{declare(Setting{Name: name, Doc: doc, development: text, production: text, check: func(text string) error {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return errors.New("is not a whole number")
		}
		return inRange(n)
	}})}
}

// boolean declares a switch with its defaults in development and production.
func boolean(name string, development, production bool, doc string) Bool {
	return Bool{declare(Setting{Name: name, Doc: doc, development: digit(development), production: digit(production),
		check: func(text string) error {
			if text != "0" && text != "1" {
				return errors.New("is neither 0 nor 1")
			}
			return nil
		}})}
}

func digit(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

func wordList(name, value, doc string) Words {
	return Words{declare(Setting{Name: name, Doc: doc, development: value, production: value, check: printable})}
}

func oneOf(name, value, doc string, allowed ...string) String {
	return String{declare(Setting{Name: name, Doc: doc, development: value, production: value, check: func(text string) error {
		if !slices.Contains(allowed, text) {
			return fmt.Errorf("is none of %s", strings.Join(allowed, ", "))
		}
		return nil
	}})}
}

func freeText(name, value, doc string) String {
	return String{declare(Setting{Name: name, Doc: doc, development: value, production: value, check: printable})}
}

func printable(text string) error {
	for _, letter := range text {
		if letter < ' ' || letter == 0x7f {
			return errors.New("holds a control character")
		}
	}
	return nil
}

func duration(name, value, doc string) Duration { return durationFrom(0, name, value, doc) }

// durationFrom declares a duration of at least so many microseconds.
func durationFrom(least int64, name, value, doc string) Duration {
	return Duration{declare(Setting{Name: name, Doc: doc, development: value, production: value, check: func(text string) error {
		d, err := parseDuration(text)
		if err == nil && d < least {
			err = fmt.Errorf("must be at least %d seconds", least/store.Second)
		}
		return err
	}})}
}

// pairList declares name:number items; extra may refuse a list as a whole.
func pairList(name, value, doc string, extra func([]Pair) error) Pairs {
	declared := declare(Setting{Name: name, Doc: doc, development: value, production: value, check: func(text string) error {
		pairs, err := parsePairs(text)
		if err != nil {
			return err
		}
		return extra(pairs)
	}})
	return Pairs{Setting: declared, parsed: new(atomic.Pointer[parsedPairs])}
}

func positive(pairs []Pair) error {
	for _, p := range pairs {
		if p.Number < 1 {
			return fmt.Errorf("%s:%d is not positive", p.Name, p.Number)
		}
	}
	return nil
}

// ladder accepts ranks whose bounds start at 0 and rise.
func ladder(pairs []Pair) error {
	if len(pairs) == 0 || pairs[0].Number != 0 {
		return errors.New("the first bound is not 0")
	}
	for i := range pairs[1:] {
		if pairs[i+1].Number <= pairs[i].Number {
			return errors.New("the bounds do not rise")
		}
	}
	return nil
}
