package ledgerchain

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestAppendString(t *testing.T) {
	for in, want := range map[string]string{
		"":                        `""`,
		"plain":                   `"plain"`,
		`"\`:                      `"\"\\"`,
		"\b\t\n\f\r":              `"\b\t\n\f\r"`,
		"\x00\x0b\x1f\x7f":        `"\u0000\u000b\u001f` + "\x7f\"",
		"<>&\u2028\u2029/'":       "\"<>&\u2028\u2029/'\"",
		"Кофе 2× 😀":               `"Кофе 2× 😀"`,
		"12345678901234\n6":       `"12345678901234\n6"`,
		"broken \xff\xfe\xc3 end": "\"broken \ufffd\ufffd\ufffd end\"",
	} {
		equal(t, in, string(AppendString(nil, in)), want)
	}
}

func TestAppendInt(t *testing.T) {
	for in, want := range map[int64]string{
		0: "0", -1: "-1", MaxInteger: "9007199254740991", -MaxInteger: "-9007199254740991",
		MaxInteger + 1: `"9007199254740992"`, math.MinInt64: `"-9223372036854775808"`, math.MaxInt64: `"9223372036854775807"`,
	} {
		equal(t, "integer", string(AppendInt(nil, in)), want)
		if n, ok := ParseInt(AppendInt(nil, in)); !ok || n != in {
			t.Errorf("ParseInt of %s gives %d, %v", want, n, ok)
		}
	}
	for _, other := range []string{"", `"1"`, "01", "-0", "+1", `"9007199254740991"`, "9007199254740992", `""`, "1 ", "true"} {
		if n, ok := ParseInt([]byte(other)); ok {
			t.Errorf("ParseInt accepts %s as %d", other, n)
		}
	}
}

// TestPlainEnd compares the search in words with one byte by byte.
func TestPlainEnd(t *testing.T) {
	for _, special := range []byte{0, 0x1f, '"', '\\', 0x80, 0xff} {
		for length := range 40 {
			for at := range length {
				for _, neighbour := range []byte{' ', '!', '#', '[', ']', 0x7f, '"', 0x00, 0x80} {
					b := []byte(strings.Repeat("a", length))
					b[at] = special
					if at+1 < length {
						b[at+1] = neighbour
					}
					if got := plainEnd(b, 0); got != at {
						t.Fatalf("plainEnd(%q) = %d, want %d", b, got, at)
					}
				}
			}
		}
	}
}

func TestEncoderWritesTheVectorPayload(t *testing.T) {
	var e Encoder
	e.Reset([]byte("before"))
	e.BeginObject()
	e.Key("currency").String("KZT")
	e.Key("id").String("tx_0002")
	e.Key("memo").String(`Кофе "2×" <b>`)
	e.Key("postings").BeginArray()
	for _, leg := range []struct {
		account string
		amount  int64
	}{{"wal:alice", -50050}, {"wal:bob", 50000}, {"fees:p2p", 50}} {
		e.BeginArray()
		e.String(leg.account)
		e.Int(leg.amount)
		e.EndArray()
	}
	e.EndArray()
	e.EndObject()
	payload, err := e.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "payload", string(payload), "before"+vectorPayloads[1])
}

func TestEncoderRefusesMistakes(t *testing.T) {
	deep := func(e *Encoder) {
		for range MaxDepth + 1 {
			e.BeginArray()
		}
	}
	for name, write := range map[string]func(e *Encoder){
		"keys out of order":       func(e *Encoder) { e.Key("b").Int(1); e.Key("a").Int(1) },
		"a key twice":             func(e *Encoder) { e.Key("a").Int(1); e.Key("a").Int(1) },
		"a key that is not ASCII": func(e *Encoder) { e.Key("ä").Int(1) },
		"value without key":       func(e *Encoder) { e.Int(1) },
		"key without value":       func(e *Encoder) { e.Key("a") },
		"two keys in a row":       func(e *Encoder) { e.Key("a").Key("b").Int(1) },
		"two values":              func(e *Encoder) { e.Key("a").Int(1); e.Int(2) },
		"wrong bracket":           func(e *Encoder) { e.Key("a").BeginArray(); e.EndObject() },
		"key in an array":         func(e *Encoder) { e.Key("a").BeginArray(); e.Key("b"); e.EndArray() },
		"unfinished":              func(e *Encoder) { e.Key("a").BeginArray() },
		"too deep":                func(e *Encoder) { e.Key("a"); deep(e) },
		"too large":               func(e *Encoder) { e.Key("a").String(strings.Repeat("x", MaxPayload)) },
		"raw null":                func(e *Encoder) { e.Key("a").Raw([]byte("null")) },
		"raw with space":          func(e *Encoder) { e.Key("a").Raw([]byte("1 ")) },
		"raw nothing":             func(e *Encoder) { e.Key("a").Raw(nil) },
		"raw too deep":            func(e *Encoder) { e.Key("a").Raw([]byte(strings.Repeat("[", 16) + strings.Repeat("]", 16))) },
		"end too often":           func(e *Encoder) { e.EndObject(); e.EndObject(); e.BeginObject() },
		"second object":           func(e *Encoder) { e.EndObject(); e.BeginObject() },
	} {
		var e Encoder
		e.Reset(nil)
		e.BeginObject()
		write(&e)
		e.EndObject()
		if payload, err := e.Bytes(); err == nil {
			t.Errorf("%s: wrote %s", name, payload)
		}
		e.Reset(nil)
		e.BeginObject()
		e.EndObject()
		if payload, err := e.Bytes(); err != nil || string(payload) != "{}" {
			t.Errorf("%s: after Reset %s, %v", name, payload, err)
		}
	}
	var e Encoder
	if _, err := e.Bytes(); err == nil {
		t.Error("nothing is a payload")
	}
	e.BeginArray()
	if e.EndArray(); e.err == nil {
		t.Error("an array is a payload")
	}
}

// encodeTree writes any tree of values that encoding/json decodes; it is the model of the fuzz test.
func encodeTree(e *Encoder, value any) {
	switch v := value.(type) {
	case map[string]any:
		e.BeginObject()
		for _, key := range sortedKeys(v) {
			e.Key(key)
			encodeTree(e, v[key])
		}
		e.EndObject()
	case []any:
		e.BeginArray()
		for _, item := range v {
			encodeTree(e, item)
		}
		e.EndArray()
	case string:
		e.String(v)
	case bool:
		e.Bool(v)
	case json.Number:
		n, err := v.Int64()
		if err != nil {
			e.fail(err)
		}
		e.Int(n)
	default:
		e.fail(errRowEntry)
	}
}

// FuzzCanonicalize feeds any JSON to Canonicalize and to the Encoder: both must agree, be canonical, and mean the same.
func FuzzCanonicalize(f *testing.F) {
	for _, seed := range append(vectorPayloads[:], `{}`, ` { "b" : [ true , -0, "\u00e9\ud83d\ude00\/" ] , "a":{"x":9007199254740993}} `,
		`{"a":null}`, `{"a":1.5}`, `{"a":1,"a":2}`, `{"ä":1}`, `{"a":"\ud800"}`, `{"a":[[[[]]]]}`, `{"\u0000":"\u0001","!":1,"\"":2,"\\":3}`) {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		canonical, err := Canonicalize(text)
		if err != nil {
			return
		}
		if err := CheckCanonical(canonical); err != nil {
			t.Fatalf("%s: %v", canonical, err)
		}
		again, err := Canonicalize(canonical)
		if err != nil || string(again) != string(canonical) {
			t.Fatalf("again: %s, %v; was %s", again, err, canonical)
		}
		model := decodeJSON(t, text)
		var e Encoder
		encodeTree(&e, model)
		if encoded, err := e.Bytes(); err != nil || string(encoded) != string(canonical) {
			t.Fatalf("encoder writes %s, %v; Canonicalize %s", encoded, err, canonical)
		}
		if diff := cmp.Diff(largeAsStrings(model), decodeJSON(t, canonical)); diff != "" {
			t.Fatalf("%s means something else (-text +canonical):\n%s", canonical, diff)
		}
	})
}

func TestCanonicalizeRefuses(t *testing.T) {
	for _, text := range []string{
		``, ` `, `1`, `"a"`, `[]`, `null`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,}`, `{,}`, `{"a" 1}`, `{"a":1 "b":2}`, `{} {}`, `{"a":1}x`,
		`{"a":null}`, `{"a":[null]}`, `{"a":1.0}`, `{"a":1e3}`, `{"a":1E3}`, `{"a":01}`, `{"a":-}`, `{"a":+1}`, `{"a":9223372036854775808}`,
		`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"é":1}`, `{"\u00e9":1}`, `{"a":"` + "\xff" + `"}`, `{"a":"` + "\n" + `"}`, `{"a":"\x"}`, `{"a":"\u12"}`,
		`{"a":"\ud800"}`, `{"a":"\ud800\u0041"}`, `{"a":"\udc00"}`, `{"a":"\ud800\ud800"}`, `{"a":"`, `{"a":"\`, `{"a":tru}`, `{a:1}`, `{'a':1}`, `{"a":[1 2]}`, `{"a":[1,]}`,
		`{"a":` + strings.Repeat("[", 100000), `{"a":` + strings.Repeat("[", 14) + strings.Repeat("]", 14) + `}`, `{"a":"` + strings.Repeat("x", MaxPayload) + `"}`,
		"\ufeff{}", "{}\x00",
	} {
		if canonical, err := Canonicalize([]byte(text)); err == nil {
			t.Errorf("%.60q was accepted as %s", text, canonical)
		}
	}
	deepest := `{"a":` + strings.Repeat("[", 13) + strings.Repeat("]", 13) + `}`
	canonical, err := Canonicalize([]byte(deepest))
	if err != nil {
		t.Fatal(err)
	}
	var e Encoder // the deepest accepted object fits into the meta member of a payload, and one object deeper
	e.BeginObject()
	e.Key("meta").BeginObject()
	e.Key("a").Raw(canonical)
	e.EndObject()
	e.EndObject()
	if _, err := e.Bytes(); err != nil {
		t.Error(err)
	}
}

func FuzzAppendString(f *testing.F) {
	f.Add("plain", int64(1))
	f.Add("\"\\\x00\x1f\u2028😀\xff", int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, s string, n int64) {
		var e Encoder
		e.BeginObject()
		e.Key("n").Int(n)
		e.Key("s").String(s)
		e.EndObject()
		payload, err := e.Bytes()
		if len(s) < MaxPayload/8 && err != nil {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		if err := CheckCanonical(payload); err != nil {
			t.Fatalf("%s: %v", payload, err)
		}
		want := s
		if !utf8.ValidString(s) {
			want = string([]rune(s))
		}
		var decoded struct{ S string }
		if err := json.Unmarshal(payload, &decoded); err != nil || decoded.S != want {
			t.Fatalf("encoding/json reads %q, %v; want %q", decoded.S, err, want)
		}
		value, _ := Member(payload, "s")
		if got, ok := ParseString(value); !ok || got != want {
			t.Fatalf("ParseString gives %q, %v; want %q", got, ok, want)
		}
		number, _ := Member(payload, "n")
		if got, ok := ParseInt(number); !ok || got != n {
			t.Fatalf("ParseInt gives %d, %v; want %d", got, ok, n)
		}
	})
}
