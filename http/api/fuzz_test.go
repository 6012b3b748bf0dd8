package api

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// decodeBody is what the binder does with a body.
func decodeBody(p *plan, body []byte, v reflect.Value) (*Violation, error) {
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	d := decoding{scanner: scanner{text: string(body)}}
	d.next()
	var f found
	p.read(&d, v, &f)
	if rest := strings.TrimLeft(d.text[d.at:], " \t\r\n"); rest != "" {
		panic("the plan has left " + rest)
	}
	return p.check(v, &f), nil
}

// What the binder accepts, the library must decode to the same values.
func FuzzBindBody(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"text":"x","flag":true,"int":-7,"small":127,"amount":5}`, `{"amount":"12","at":"2026-03-04T06:06:07.0895+01:00"}`,
		`{"maybe":null,"number":3,"list":["a"],"rows":[{"a":"x","b":"1"},{}],"nested":{"b":2},"words":{"a":"b"}}`,
		`{"text":"a\"b\\\\\"c\/\b\f\n\r\té😀\\u0000","cursor":"AQID"}`, `{"u":{"v":[1,2,{"w":"]}"}]},"text":"x"}`,
		`{"text":1}`, `[]`, `{"a":1}x`, "{\"text\":\"\xff\"}", `{"text":"\ud83d\ude00\ud800"}`, `{"te\u0078t":"x"}`, ` { "text" : "y" } `,
		`{"rows":[{"a":"x","unknown":[{}]}],"pointer":"p"}`, `{"text":"a\u0000"}`, `{"list":["a","b","c","d"]}`,
	} {
		f.Add([]byte(seed))
	}
	p, err := newCompiler().plan(reflect.TypeFor[everything]())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var ours, theirs everything
		violation, err := decodeBody(p, body, reflect.ValueOf(&ours).Elem())
		theirErr := json.Unmarshal(body, &theirs)
		if err != nil {
			excused := err == errTooDeep || err == errZero || err == errNotObject
			if theirErr == nil && !excused {
				t.Fatalf("%q: ours %v, theirs none", body, err)
			}
			return
		}
		if violation != nil {
			return
		}
		if theirErr != nil {
			t.Fatalf("%q: accepted as %+v, theirs %v", body, ours, theirErr)
		}
		if diff := cmp.Diff(theirs, ours, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%q:\n%s", body, diff)
		}
	})
}

// The checks beyond grammar must agree with a reader that decodes everything.
func FuzzCheckShape(f *testing.F) {
	for _, seed := range []string{`{"a":"\u0000"}`, `{"a":"\\u0000"}`, `{"a":"\\\u0000"}`, `{"\u0000":1}`, `{"a":[[["]]"]]]}`, `{"a":"\"{{{{"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !jsontext.Value(body).IsValid() {
			return
		}
		d := jsontext.NewDecoder(bytes.NewReader(body))
		deepest, zero := 0, false
		for {
			token, err := d.ReadToken()
			if err != nil {
				break
			}
			deepest = max(deepest, d.StackDepth())
			zero = zero || token.Kind() == '"' && strings.Contains(token.String(), "\x00")
		}
		if got := depth(body); got != deepest {
			t.Fatalf("%q nests %d deep, not %d", body, deepest, got)
		}
		if got := holdsZero(body); got != zero {
			t.Fatalf("%q holds U+0000: %v, not %v", body, zero, got)
		}
	})
}

// Equal values in another order and other spelling have one fingerprint.
func FuzzCanonical(f *testing.F) {
	f.Add([]byte(`{"b":1,"a":"\u0041"}`))
	f.Add([]byte(`{"a":[1,2,{"z":null,"y":true}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		canonical, err := canonicalJSON([]byte("prefix"), body)
		if (err == nil) != (checkJSON(body) == nil) {
			t.Fatalf("%q: canonical %v, check %v", body, err, checkJSON(body))
		}
		if err != nil {
			return
		}
		if !bytes.HasPrefix(canonical, []byte("prefix")) {
			t.Fatalf("%q: the destination is lost", body)
		}
		again, err := canonicalJSON(nil, canonical[len("prefix"):])
		if err != nil || !bytes.Equal(again, canonical[len("prefix"):]) {
			t.Fatalf("%q becomes %q, then %q: %v", body, canonical, again, err)
		}
		spread := jsontext.Value(bytes.Clone(body))
		if err := spread.Indent(); err != nil {
			t.Fatal(err)
		}
		other, err := canonicalJSON(nil, spread)
		if err != nil || !bytes.Equal(other, canonical[len("prefix"):]) {
			t.Fatalf("%q and %q differ: %v", canonical, other, err)
		}
	})
}

func FuzzIdempotencyKey(f *testing.F) {
	f.Add("k1")
	f.Add(strings.Repeat("x", 255))
	f.Add("a b")
	f.Fuzz(func(t *testing.T, key string) {
		want := len(key) >= 1 && len(key) <= 255 && strings.Trim(key, visible) == ""
		if got := isKey(key); got != want {
			t.Fatalf("%q: %v", key, got)
		}
	})
}

const visible = "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

func FuzzClientIP(f *testing.F) {
	f.Add("203.0.113.7:1", "1.2.3.4, 5.6.7.8")
	f.Add("[2001:db8::1%eth0]:1", "x")
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		for _, p := range []Proxies{{}, {LastHop: true}, {Networks: nil}} {
			ip := p.Client(request(remote, forwarded))
			_ = rateAddress(ip) // must not panic whatever the client sends
			if !p.LastHop && ip != (&Proxies{}).Client(request(remote)) {
				t.Fatalf("an untrusted peer has named itself %q", ip)
			}
		}
	})
}
