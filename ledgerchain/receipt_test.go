package ledgerchain

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

func vectorReceipt(t testing.TB) (text []byte, log, witness note.Verifier) {
	t.Helper()
	_, rows, sealed := vectorChain(t)
	log, witness, _, _ = signedVector(t)
	stored, err := ParseRow(rows[1])
	if err != nil {
		t.Fatal(err)
	}
	receipt := Receipt{
		Index: 1, Entry: stored.Entry, Opening: stored.Opening,
		Proof: []Hash{sealed[0].Leaf, sealed[2].Leaf}, Checkpoint: []byte(vectorNote),
	}
	return receipt.Append(nil), log, witness
}

// TestEveryFlippedByteOfAReceiptIsRefused changes each byte in turn.
// Only a line of an unknown key may differ, because verifiers ignore those.
func TestEveryFlippedByteOfAReceiptIsRefused(t *testing.T) {
	text, log, witness := vectorReceipt(t)
	for i := range text {
		for _, mask := range []byte{0x01, 0x20, 0x80} {
			changed := bytes.Clone(text)
			changed[i] ^= mask
			receipt, err := ParseReceipt(changed)
			if err != nil {
				continue
			}
			verified, err := receipt.Verify(log, witness)
			if err == nil && len(verified.Checkpoint.Note.Sigs) == 2 {
				t.Errorf("byte %d (%q) xor %#x went unnoticed", i, text[i], mask)
			}
		}
	}
}

func TestVerifyReceiptRefusesOtherParts(t *testing.T) {
	text, log, witness := vectorReceipt(t)
	_, rows, sealed := vectorChain(t)
	first, _ := ParseRow(rows[0])
	for name, edit := range map[string]func(r *Receipt){
		"index":         func(r *Receipt) { r.Index = 2 },
		"entry":         func(r *Receipt) { r.Entry = first.Entry },
		"opening":       func(r *Receipt) { r.Opening = first.Opening },
		"no payload":    func(r *Receipt) { r.Opening = r.Opening[:BlindSize] },
		"no opening":    func(r *Receipt) { r.Opening = nil },
		"both":          func(r *Receipt) { r.Entry, r.Opening = first.Entry, first.Opening },
		"all of 0":      func(r *Receipt) { r.Entry, r.Opening, r.Index = first.Entry, first.Opening, 0 },
		"short proof":   func(r *Receipt) { r.Proof = r.Proof[:1] },
		"long proof":    func(r *Receipt) { r.Proof = append(r.Proof, Hash{}) },
		"swapped proof": func(r *Receipt) { r.Proof[0], r.Proof[1] = r.Proof[1], r.Proof[0] },
		"no entry":      func(r *Receipt) { r.Entry = nil },
		"no checkpoint": func(r *Receipt) { r.Checkpoint = nil },
	} {
		receipt, err := ParseReceipt(text)
		if err != nil {
			t.Fatal(err)
		}
		edit(&receipt)
		if verified, err := receipt.Verify(log, witness); err == nil {
			t.Errorf("%s was accepted: %+v", name, verified)
		}
	}
	good := Receipt{Index: 0, Entry: first.Entry, Opening: first.Opening, Checkpoint: []byte(vectorNote)}
	good.Proof = []Hash{sealed[1].Leaf, sealed[2].Leaf}
	if _, err := good.Verify(log); err != nil {
		t.Error(err)
	}
}

func TestParseReceiptRefuses(t *testing.T) {
	text, _, _ := vectorReceipt(t)
	s := string(text)
	short := base64.StdEncoding.EncodeToString(make([]byte, 100))
	extra, _, _ := strings.Cut(strings.SplitN(s, "\nextra ", 2)[1], "\n")
	for name, bad := range map[string]string{
		"nothing":          "",
		"header":           strings.Replace(s, "@v1", "@v2", 1),
		"no extra":         strings.Replace(s, "extra "+extra+"\n", "", 1),
		"extra not base64": strings.Replace(s, extra, "!", 1),
		"extra too short":  strings.Replace(s, extra, short, 1),
		"no index":         strings.Replace(s, "index 1\n", "", 1),
		"index 01":         strings.Replace(s, "index 1", "index 01", 1),
		"huge index":       strings.Replace(s, "index 1", "index 72057594037927936", 1),
		"no empty line":    s[:strings.Index(s, "\n\n")+1],
		"many hashes":      strings.Replace(s, "\n\n", "\n"+strings.Repeat(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n", 64)+"\n", 1),
	} {
		if receipt, err := ParseReceipt([]byte(bad)); err == nil {
			t.Errorf("%s was accepted as %+v", name, receipt)
		}
	}
}

func FuzzParseReceipt(f *testing.F) {
	text, log, witness := vectorReceipt(f)
	f.Add(text)
	f.Fuzz(func(t *testing.T, b []byte) {
		receipt, err := ParseReceipt(b)
		if err != nil {
			return
		}
		if again := receipt.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%q became %q", b, again)
		}
		if verified, err := receipt.Verify(log, witness); err == nil && string(verified.Payload) != vectorPayloads[1] {
			t.Fatalf("%q was accepted with payload %s", b, verified.Payload)
		}
	})
}

func FuzzParseAddCheckpoint(f *testing.F) {
	for _, request := range []AddCheckpoint{{OldSize: 1, Proof: make([]Hash, 2), Checkpoint: []byte(vectorNote)}, {Checkpoint: []byte(vectorNote)}} {
		f.Add(request.Append(nil))
	}
	f.Add([]byte("old 0\nAAAA\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		request, err := ParseAddCheckpoint(b)
		if err != nil {
			return
		}
		if again := request.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%q became %q", b, again)
		}
	})
}

func TestParseAddCheckpointRefuses(t *testing.T) {
	hash := base64.StdEncoding.EncodeToString(make([]byte, HashSize)) + "\n"
	for _, body := range []string{
		"", "old", "old 1", "old 1\n", "old 01\n\n", "old -1\n\n", "old 72057594037927937\n\n", "new 1\n\n", "old 0\n" + hash + "\n",
		"old 1\n" + strings.Repeat(hash, 64) + "\n", "old 1\n" + hash, "old 1\nAAAA\n\n", "old 1\n" + hash[:43] + "\n\n",
	} {
		if request, err := ParseAddCheckpoint([]byte(body)); err == nil {
			t.Errorf("%q was accepted as %+v", body, request)
		}
	}
}
