package aevion

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"coffer/http/api"
)

// OlderRequests translates the bodies of older clients before they are decoded.
// It is the first half of AEVION_COMPAT=legacy; Envelope is the other one.
func OlderRequests(next http.Handler, legacy func() bool) http.Handler {
	routes := http.NewServeMux()
	for pattern, spoken := range dialects {
		if len(spoken.request) > 0 {
			routes.Handle(pattern, next)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if legacy() && r.Body != nil {
			if _, pattern := routes.Handler(r); pattern != "" {
				r = r.WithContext(r.Context()) // handlers do not change what they are given
				translateRequest(r, dialects[pattern].request)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// translateRequest replaces the body. What is too long, cut short or no JSON
// object stays as it is, to be refused where all requests are.
func translateRequest(r *http.Request, spellings []spelling) {
	rest := r.Body
	body, err := io.ReadAll(io.LimitReader(rest, api.BodyLimit+1))
	if translated, ok := canonical(body, spellings); ok && err == nil && len(body) <= api.BodyLimit {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(translated)), int64(len(translated))
		return
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), rest), rest}
}

// canonical renames the older members of an object. A canonical member that is
// there too wins.
func canonical(body []byte, spellings []spelling) (translated []byte, ok bool) {
	members, err := membersOf(body)
	if err != nil {
		return nil, false
	}
	given := func(name string) bool {
		return slices.ContainsFunc(members, func(m rawMember) bool { return m.name == name })
	}
	for i, m := range members {
		for _, s := range spellings {
			if m.name == s.older && !given(s.canonical) {
				members[i].name = s.canonical
			}
		}
	}
	return appendMembers(nil, members), true
}

// appendOlder appends out with the older members of its passages.
func appendOlder(dst []byte, out any, passages []passage) ([]byte, error) {
	encoded, err := api.AppendJSON(nil, out)
	if err != nil || len(passages) == 0 {
		return append(dst, encoded...), err
	}
	members, err := membersOf(encoded)
	if err != nil {
		return dst, err
	}
	for _, p := range passages {
		if p.list == "" {
			members = withOlder(members, p.spellings, false)
			continue
		}
		for i := range members {
			if members[i].name != p.list {
				continue
			}
			if members[i].value, err = olderItems(members[i].value, p.spellings); err != nil {
				return dst, err
			}
		}
	}
	if older, has := out.(Older); has {
		for _, m := range older.Older() {
			value, err := api.AppendJSON(nil, m.Value)
			if err != nil {
				return dst, err
			}
			members = append(members, rawMember{m.Name, value})
		}
	}
	return appendMembers(dst, members), nil
}

// withOlder adds older names behind the canonical ones, and names in snake_case.
func withOlder(members []rawMember, spellings []spelling, snake bool) []rawMember {
	spoken := slices.Clone(members)
	for _, m := range members {
		for _, s := range spellings {
			if m.name == s.canonical {
				spoken = append(spoken, rawMember{s.older, m.value})
			}
		}
		if twin := snakeCase(m.name); snake && twin != m.name {
			spoken = append(spoken, rawMember{twin, m.value})
		}
	}
	return spoken
}

// olderItems adds older names to each object of a list.
func olderItems(list jsontext.Value, spellings []spelling) ([]byte, error) {
	d := jsontext.NewDecoder(bytes.NewReader(list))
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	translated := []byte{'['}
	for d.PeekKind() == '{' {
		item, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		members, err := membersOf(item)
		if err != nil {
			return nil, err
		}
		if len(translated) > 1 {
			translated = append(translated, ',')
		}
		translated = appendMembers(translated, withOlder(members, spellings, true))
	}
	return append(translated, ']'), nil
}

// snakeCase makes wallet_id of walletId.
func snakeCase(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			b.WriteByte(c - 'A' + 'a')
			continue
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

// rawMember is a member of an object with its value as it came.
type rawMember struct {
	name  string
	value jsontext.Value
}

var errNoObject = errors.New("not one JSON object")

// membersOf takes one strict JSON object apart.
func membersOf(object []byte) (members []rawMember, err error) {
	if !jsontext.Value(object).IsValid() {
		return nil, errNoObject
	}
	d := jsontext.NewDecoder(bytes.NewReader(object))
	if d.PeekKind() != '{' {
		return nil, errNoObject
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		text := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		members = append(members, rawMember{text, slices.Clone(value)})
	}
	return members, nil
}

func appendMembers(dst []byte, members []rawMember) []byte {
	dst = append(dst, '{')
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, m.name), ':')
		dst = append(dst, m.value...)
	}
	return append(dst, '}')
}
