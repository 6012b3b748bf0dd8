package api

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/go-playground/validator/v10"
)

// sample has every native rule on types that the validator library knows too.
type sample struct {
	Required string   `json:"a" validate:"required"`
	ID       string   `json:"b" validate:"id"`
	MaybeID  string   `json:"c" validate:"omitempty,id"`
	Mail     string   `json:"d" validate:"omitempty,mail"`
	Bounds   string   `json:"e" validate:"min=2,max=4"`
	Length   string   `json:"f" validate:"omitempty,len=3"`
	Number   int      `json:"g" validate:"min=-2,max=4"`
	Positive int64    `json:"h" validate:"required,gte=1,lte=3"`
	Word     string   `json:"i" validate:"omitempty,oneof=red green"`
	List     []string `json:"j" validate:"omitempty,min=1,max=2,dive,max=3"`
	Without  string   `json:"k" validate:"required_without=Word,omitempty,max=3"`
	Both     string   `json:"l" validate:"required_without=Word Mail"`
	Flag     bool     `json:"m" validate:"required"`
	Foreign  string   `json:"n" validate:"omitempty,alphanum,excluded_with=Word"`
	Pointer  *string  `json:"o" validate:"omitempty,max=2"`
}

// randomSample draws values that rules often meet.
func randomSample(random *rand.Rand) sample {
	words := []string{"", "", "a", "ab", "abc", "abcd", "abcde", "пять", "red", "green", "a@b.c", "a@b", "x y", "usr_0123456789abcdef", "0123", "-"}
	word := func() string { return words[random.IntN(len(words))] }
	s := sample{
		Required: word(), ID: word(), MaybeID: word(), Mail: word(), Bounds: word(), Length: word(), Number: random.IntN(9) - 4,
		Positive: random.Int64N(5), Word: word(), Without: word(), Both: word(), Flag: random.IntN(2) == 0, Foreign: word(),
	}
	if random.IntN(2) == 0 {
		for range random.IntN(4) {
			s.List = append(s.List, word())
		}
	}
	if random.IntN(2) == 0 {
		s.Pointer = pointerText(word())
	}
	return s
}

// The native rules must agree with the library on every value.
func TestNativeRulesAgreeWithTheLibrary(t *testing.T) {
	seed := rand.Uint64()
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	random := rand.New(rand.NewPCG(seed, 1))
	compiler := newCompiler()
	p, err := compiler.plan(reflect.TypeFor[sample]())
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for range 20_000 {
		s := randomSample(random)
		for i := range p.steps {
			step := &p.steps[i]
			name := p.of.FieldByIndex(step.index).Name
			ours := step.checkValue(reflect.ValueOf(&s).Elem(), true)
			var theirs validator.ValidationErrors
			err := compiler.rules.library.StructPartial(&s, name)
			if err != nil && !errors.As(err, &theirs) {
				t.Fatal(err)
			}
			if len(theirs) > 0 && strings.Contains(theirs[0].Namespace(), "[") {
				continue // of an item, which is checked while it is read
			}
			if (ours != nil) != (err != nil) || ours != nil && ours.tag != theirs[0].Tag() {
				t.Fatalf("%s of %+v: ours %+v, theirs %v", name, s, ours, err)
			}
			if ours != nil {
				refused++
			}
		}
	}
	if refused < 1000 {
		t.Fatalf("only %d values were refused", refused)
	}
}

func TestForeignRulesNameTheirReason(t *testing.T) {
	p, err := newCompiler().plan(reflect.TypeFor[sample]())
	if err != nil {
		t.Fatal(err)
	}
	good := sample{
		Required: "x", ID: "usr_0123456789abcdef", Bounds: "abc", Positive: 1, Without: "x", Both: "x", Flag: true,
	}
	if v := p.check(reflect.ValueOf(&good).Elem(), &found{}); v != nil {
		t.Fatalf("%+v", v)
	}
	for _, c := range []struct {
		change func(*sample)
		field  string
		reason string
	}{
		{func(s *sample) { s.Foreign = "a-b" }, "n", "must be letters and digits"},
		{func(s *sample) { s.Foreign, s.Word = "ab", "red" }, "n", "must be absent"},
	} {
		s := good
		c.change(&s)
		v := p.check(reflect.ValueOf(&s).Elem(), &found{})
		if v == nil || v.Field != c.field || v.Reason != c.reason {
			t.Errorf("%+v: %+v, want %s %s", s, v, c.field, c.reason)
		}
	}
}

func TestIsID(t *testing.T) {
	for text, want := range map[string]bool{
		"usr_01234567":                         true,
		"ab_" + strings.Repeat("0", 64):        true,
		"abcde_0123456789abcdef":               true,
		"0b8f1c9e-6a35-4c8d-9e67-0123456789ab": true,
		"0B8F1C9E-6A35-4C8D-9E67-0123456789AB": true,
		"":                                     false, "usr": false, "usr_": false, "usr_0123456": false, "usr_" + strings.Repeat("0", 65): false,
		"u_01234567": false, "abcdef_01234567": false, "USR_01234567": false, "usr_0123456G": false, "usr_0123456A": false,
		"usr-01234567": false, "usr_01234567 ": false, " usr_01234567": false, "usr_01234567\x00": false,
		"0b8f1c9e-6a35-4c8d-9e67-0123456789a": false, "0b8f1c9e-6a35-4c8d-9e67-0123456789ag": false,
		"0b8f1c9e06a35-4c8d-9e67-0123456789ab": false, "{0b8f1c9e-6a35-4c8d-9e67-0123456789ab}": false,
		"usr_" + strings.Repeat("٣", 8): false,
	} {
		if got := IsID(text); got != want {
			t.Errorf("IsID(%q) is %v", text, got)
		}
	}
}

func TestIsMail(t *testing.T) {
	long := strings.Repeat("x", 250)
	for text, want := range map[string]bool{
		"a@b.c": true, "dana.o'neil+tag@example.org": true, "ü@bücher.example": true, long[:248] + "@b.cd": false, long[:249] + "@b.c": true,
		"": false, "a": false, "a@b": false, "@b.c": false, "a@": false, "a@.c": false, "a@b.": false, "a@b@c.d": false,
		"a b@c.d": false, "a@b .c": false, "a@b.c\n": false, "a@b.c\x00": false, "a\t@b.c": false,
	} {
		want := want
		if strings.HasSuffix(text, "@b.cd") {
			want = len(text) <= 254
		}
		if got := IsMail(text); got != want {
			t.Errorf("IsMail(%q) is %v", text, got)
		}
	}
}

type recursive struct {
	Next *recursive `json:"next"`
}

type nestedQuery struct {
	In struct {
		Q string `query:"q"`
	} `json:"in"`
}

// badInputs are types that no binder can be made for.
var badInputs = map[string]any{
	"no tag": struct{ A string }{},
	"two tags": struct {
		A string `json:"a" query:"a"`
	}{},
	"empty name": struct {
		A string `json:",omitempty"`
	}{},
	"string option": struct {
		A int64 `json:"a,string"`
	}{},
	"twice": reflect.Zero(reflect.StructOf([]reflect.StructField{
		{Name: "A", Type: reflect.TypeFor[string](), Tag: `json:"a"`},
		{Name: "B", Type: reflect.TypeFor[string](), Tag: `json:"a"`},
	})).Interface(),
	"float": struct {
		A float64 `json:"a"`
	}{},
	"floats": struct {
		A []float32 `json:"a" validate:"max=3"`
	}{},
	"any": struct {
		A any `json:"a"`
	}{},
	"map of any": struct {
		A map[string]any `json:"a"`
	}{},
	"unsigned": struct {
		A uint64 `json:"a"`
	}{},
	"func": struct {
		A func() `json:"a"`
	}{},
	"channel": struct {
		A chan int `json:"a"`
	}{},
	"bytes": struct {
		A []byte `json:"a" validate:"max=3"`
	}{},
	"list without limit": struct {
		A []string `json:"a"`
	}{},
	"list with bad limit": struct {
		A []string `json:"a" validate:"max=x"`
	}{},
	"recursive": recursive{},
	"unknown rule": struct {
		A string `json:"a" validate:"wibble"`
	}{},
	"unknown item rule": struct {
		A []string `json:"a" validate:"max=1,dive,wibble"`
	}{},
	"rule without number": struct {
		A string `json:"a" validate:"max=x"`
	}{},
	"bound of a bool": struct {
		A bool `json:"a" validate:"max=1"`
	}{},
	"bound of a time": struct {
		A Time `json:"a" validate:"max=1"`
	}{},
	"unknown sibling": struct {
		A string `json:"a" validate:"required_without=B"`
	}{},
	"foreign Optional": struct {
		A Optional[string] `json:"a" validate:"alphanum"`
	}{},
	"unknown modifier": struct {
		A string `json:"a" mod:"shout"`
	}{},
	"modified number": struct {
		A int `json:"a" mod:"trim"`
	}{},
	"bad code": struct {
		A string `json:"a" code:"max="`
	}{},
	"two codes": struct {
		A string `json:"a" code:"x,y"`
	}{},
	"list as parameter": struct {
		A []string `query:"a" validate:"max=1"`
	}{},
	"struct as parameter": struct {
		A inner `query:"a"`
	}{},
	"bad clamp": struct {
		A int `query:"a" clamp:"5"`
	}{},
	"clamp of text": struct {
		A string `query:"a" clamp:"1,2"`
	}{},
	"clamp upside down": struct {
		A int `query:"a" clamp:"5,2"`
	}{},
	"query inside a body": nestedQuery{},
}

// Everything a request type can get wrong is found before the first request.
func TestCompilerRefuses(t *testing.T) {
	for name, in := range badInputs {
		if _, err := newCompiler().plan(reflect.TypeOf(in)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func FuzzIsMail(f *testing.F) {
	f.Add("a@b.c")
	f.Fuzz(func(t *testing.T, text string) {
		if IsMail(text) && (strings.Count(text, "@") != 1 || len(text) > maxMail || strings.ContainsAny(text, " \t\r\n\x00")) {
			t.Fatalf("%q is an address", text)
		}
	})
}
