package ledgerchain

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func sortedKeys(object map[string]any) (keys []string) {
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func decodeJSON(t *testing.T, text []byte) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("encoding/json refuses %q: %v", text, err)
	}
	return value
}

// largeAsStrings gives numbers the form in which a payload holds them.
func largeAsStrings(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			v[key] = largeAsStrings(v[key])
		}
	case []any:
		for i := range v {
			v[i] = largeAsStrings(v[i])
		}
	case json.Number:
		n, err := strconv.ParseInt(v.String(), 10, 64)
		if err != nil {
			return err
		}
		if n > MaxInteger || n < -MaxInteger {
			return strconv.FormatInt(n, 10)
		}
		return json.Number(strconv.FormatInt(n, 10))
	}
	return value
}

func TestCheckCanonical(t *testing.T) {
	for _, payload := range append(vectorPayloads[:], `{}`, `{"":""}`, `{"a":[],"b":{},"c":true,"d":false,"e":0,"f":-1}`,
		`{"a":9007199254740991,"b":-9007199254740991}`, `{"a":"\u0000\u001f\b\t\n\f\r\"\\/`+"\x7f\u2028"+`"}`,
		`{"\u0001":1,"\n":1,"\u001f":1," ":1,"!":1,"\"":1,"#":1,"[":1,"\\":1,"]":1,"aa":1,"b":1}`,
		`{"a":`+strings.Repeat("[", 15)+strings.Repeat("]", 15)+`}`) {
		if err := CheckCanonical([]byte(payload)); err != nil {
			t.Errorf("%s: %v", payload, err)
		}
	}
	for _, payload := range []string{
		``, `1`, `[]`, `"a"`, `true`, ` {}`, `{} `, `{ }`, `{}{}`, `{`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a":[`, `{"a":[1`, `{"a":[1,`, `{"a":[1,]}`,
		`{"a": 1}`, `{"a" :1}`, `{"a":1, "b":1}`, `{"b":1,"a":1}`, `{"a":1,"a":1}`, `{"aa":1,"a":1}`, `{"é":1}`, `{1:1}`, `{"a":null}`,
		`{"a":1.0}`, `{"a":1e1}`, `{"a":01}`, `{"a":-0}`, `{"a":-}`, `{"a":+1}`, `{"a":9007199254740992}`, `{"a":-9007199254740992}`, `{"a":99999999999999999999}`, `{"a":00000000000000000001}`,
		`{"a":"\/"}`, `{"a":"\u0041"}`, `{"a":"\u000a"}`, `{"a":"\u001F"}`, `{"a":"\u0022"}`, `{"a":"\u20"}`, `{"a":"\x"}`, `{"a":"\`, `{"a":"` + "\n" + `"}`, `{"a":"` + "\xc3" + `"}`, `{"a":"` + "\xed\xa0\x80" + `"}`,
		`{"\\":1,"[":1}`, `{"#":1,"\"":1}`, `{"\n":1,"\u0001":1}`, `{"a":tru}`, `{"a":truefalse}`, `{"a":1]`, `{"a":[1}`,
		`{"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, strings.Repeat(`{"a":`, 100000), `{"a":"` + strings.Repeat("x", MaxPayload) + `"}`,
	} {
		if CheckCanonical([]byte(payload)) == nil {
			t.Errorf("%.80q was accepted", payload)
		}
	}
}

func TestCheckCanonicalDoesNotAllocate(t *testing.T) {
	payload := []byte(vectorPayloads[1])
	if n := testing.AllocsPerRun(100, func() { _ = CheckCanonical(payload) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzCheckCanonical: what is accepted is JSON, the encoder writes the same bytes, and no other spelling is accepted.
func FuzzCheckCanonical(f *testing.F) {
	for _, seed := range append(vectorPayloads[:], `{}`, `{"a":"\u001f\n","b":[1,-2,true,{}]}`, `{"\"":1,"\\":2}`, `{"a": 1}`, `{"a":"\u00e9"}`) {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if CheckCanonical(payload) != nil {
			for range Members(payload) { // must not panic either
			}
			ParseString(payload)
			ParseInt(payload)
			return
		}
		var e Encoder
		encodeTree(&e, decodeJSON(t, payload))
		encoded, err := e.Bytes()
		if err != nil || !bytes.Equal(encoded, payload) {
			t.Fatalf("accepted %q, encoder writes %q, %v", payload, encoded, err)
		}
	})
}

func TestMembers(t *testing.T) {
	object := []byte(`{"a":1,"b":{"a":2},"meta":"x\n\"","z":[1,{"q":[]}]}`)
	var got []string
	for name, value := range Members(object) {
		got = append(got, string(name)+"="+string(value))
	}
	equal(t, "members", strings.Join(got, " "), `a=1 b={"a":2} meta="x\n\"" z=[1,{"q":[]}]`)
	if _, ok := Member(object, "q"); ok {
		t.Error("a nested member was found")
	}
	if value, ok := Member(object, "z"); !ok || string(value) != `[1,{"q":[]}]` {
		t.Errorf("z is %s, %v", value, ok)
	}
	for _, empty := range []string{``, `{}`, `[]`, `{x`, `{"a"`, `{"a":}`} {
		for name := range Members([]byte(empty)) {
			t.Errorf("%s has member %s", empty, name)
		}
	}
}

func TestSetMember(t *testing.T) {
	for _, c := range []struct{ object, name, want string }{
		{`{}`, "b", `{"b":0}`},
		{`{"a":1,"c":3}`, "b", `{"a":1,"b":0,"c":3}`},
		{`{"a":1,"b":2,"c":3}`, "b", `{"a":1,"b":0,"c":3}`},
		{`{"c":3}`, "b", `{"b":0,"c":3}`},
		{`{"a":1}`, "b", `{"a":1,"b":0}`},
		{`{"b":1}`, "b", `{"b":0}`},
		{`{"\n":1,"\\":2}`, "b", `{"\n":1,"\\":2,"b":0}`},
	} {
		got := SetMember(nil, []byte(c.object), c.name, []byte("0"))
		equal(t, c.object, string(got), c.want)
		if err := CheckCanonical(got); err != nil {
			t.Error(err)
		}
	}
}

func TestParseString(t *testing.T) {
	for _, other := range []string{``, `"`, `a`, `1`, `"a" `, `"\x"`, `["a"]`, `"a""b"`} {
		if s, ok := ParseString([]byte(other)); ok {
			t.Errorf("%s was read as %q", other, s)
		}
	}
}
