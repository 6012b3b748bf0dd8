package store

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type parcel struct {
	Weight   int64    `cbor:"1,keyasint"`
	Label    string   `cbor:"2,keyasint,omitempty"`
	Seal     []byte   `cbor:"3,keyasint,omitempty"`
	Stops    []int64  `cbor:"4,keyasint,omitempty"`
	Fragile  bool     `cbor:"5,keyasint,omitempty"`
	Floor    uint32   `cbor:"6,keyasint,omitempty"`
	Contents []parcel `cbor:"7,keyasint,omitempty"`
}

// TestDecodeIsStrict lists encodings that must not be read.
func TestDecodeIsStrict(t *testing.T) {
	for name, c := range map[string]struct{ encoded, says string }{
		"nothing":                {"", "EOF"},
		"half a map":             {"a201", "EOF"},
		"a duplicate key":        {"a201050106", "duplicate map key"},
		"a duplicate long key":   {"a20105180106", "duplicate map key"},
		"an unknown field":       {"a201051865" + "00", "unknown field"},
		"a field under a text":   {"a1613105", "unknown field"},
		"an indefinite map":      {"bf0105ff", "indefinite-length"},
		"an indefinite list":     {"a20105049f01ff", "indefinite-length"},
		"an indefinite text":     {"a20105027f6161ff", "indefinite-length"},
		"a tag":                  {"a101c105", "tag"},
		"a large number":         {"a101c24105", "tag"},
		"a trailing byte":        {"a1010500", "extraneous"},
		"two values":             {"a10105a10105", "extraneous"},
		"a float":                {"a101f94500", "cannot unmarshal"},
		"a text for a number":    {"a1016135", "cannot unmarshal"},
		"bytes for a text":       {"a20105024161", "cannot unmarshal"},
		"a text for bytes":       {"a20105036161", "cannot unmarshal"},
		"a number for a truth":   {"a201050501", "cannot unmarshal"},
		"a negative floor":       {"a201050620", "cannot unmarshal"},
		"a floor too high":       {"a20105061b00000001ffffffff", "cannot unmarshal"},
		"a number above 63 bits": {"a1011b8000000000000000", "cannot unmarshal"},
		"a list for a map":       {"8105", "cannot unmarshal"},
		"text that is not UTF-8": {"a201050261ff", "UTF-8"},
		"more levels than 16":    {strings.Repeat("a10781", 20) + "a10105", "nested level"},
		"a list of 2^32 rows":    {"a20105049b0000000100000000", "exceeded"},
		"a text of 2^62 bytes":   {"a20105027b4000000000000000", "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := hex.DecodeString(c.encoded)
			if err != nil {
				t.Fatal(err)
			}
			var p parcel
			if err := Decode(data, &p); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %+v and error %v, expected one with %q", p, err, c.says)
			}
		})
	}
}

// TestEncodeIsCanonical knows the bytes of a few values.
func TestEncodeIsCanonical(t *testing.T) {
	for encoded, p := range map[string]parcel{
		"a10100":                        {},
		"a10138ff":                      {Weight: -256},
		"a201190100026161":              {Weight: 256, Label: "a"},
		"a301050342ff000482" + "0118ff": {Weight: 5, Seal: []byte{0xff, 0}, Stops: []int64{1, 255}},
		"a3010005f5061affffffff":        {Fragile: true, Floor: 1<<32 - 1},
	} {
		if got := hex.EncodeToString(Encode(&p)); got != encoded {
			t.Errorf("%+v: got %s, want %s", p, got, encoded)
		}
	}
}

// FuzzDecode reads anything without a panic, and what it has read it writes in
// a form that reads as the same.
func FuzzDecode(f *testing.F) {
	f.Add(Encode(&parcel{Weight: 3, Label: "l", Seal: []byte{1}, Stops: []int64{4, -5}, Contents: []parcel{{Weight: 1}}}))
	f.Add([]byte{0xa1, 0x01, 0xf6})
	f.Add(bytes.Repeat([]byte{0xa1, 0x07, 0x81}, 30))
	f.Add([]byte{0x9b, 0, 0, 0, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var p, again parcel
		if Decode(data, &p) != nil {
			return
		}
		encoded := Encode(&p)
		if err := Decode(encoded, &again); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encoded, Encode(&again)) {
			t.Fatal(cmp.Diff(p, again))
		}
	})
}
