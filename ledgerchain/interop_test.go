package ledgerchain

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/formats/proof"
)

// The tests of this file ask an independent implementation of the C2SP formats.

func TestCheckpointInteroperates(t *testing.T) {
	verifier, witness, logSigner, cosigner := signedVector(t)
	ours := Checkpoint{Origin: vectorLedger, Size: 1<<40 + 3, Root: Hash{1, 2, 3}}
	theirs := log.Checkpoint{Origin: ours.Origin, Size: ours.Size, Hash: ours.Root[:]}
	equal(t, "text", ours.Text(), string(theirs.Marshal()))

	signed, err := ours.Sign(logSigner, cosigner.At(1790000002))
	if err != nil {
		t.Fatal(err)
	}
	parsed, rest, opened, err := log.ParseCheckpoint(signed, vectorLedger, verifier, witness)
	if err != nil || len(rest) != 0 || len(opened.Sigs) != 2 {
		t.Fatalf("parsed %+v, rest %q, %v", parsed, rest, err)
	}
	if diff := cmp.Diff(theirs, *parsed); diff != "" {
		t.Errorf("checkpoint (-want +got):\n%s", diff)
	}
}

func TestReceiptInteroperates(t *testing.T) {
	text, _, _ := vectorReceipt(t)
	var theirs proof.TLogProof
	if err := theirs.Unmarshal(text); err != nil {
		t.Fatal(err)
	}
	if again := theirs.Marshal(); !bytes.Equal(again, text) {
		t.Errorf("they write %q, we %q", again, text)
	}
	ours, err := ParseReceipt(text)
	if err != nil {
		t.Fatal(err)
	}
	hashes := make([][HashSize]byte, len(ours.Proof))
	for i := range hashes {
		hashes[i] = ours.Proof[i]
	}
	want := proof.TLogProof{Index: ours.Index, Hashes: hashes, Checkpoint: ours.Checkpoint, ExtraData: append(ours.Entry, ours.Opening...)}
	if diff := cmp.Diff(want, theirs); diff != "" {
		t.Errorf("receipt (-ours +theirs):\n%s", diff)
	}
}

// TestLargestReceiptInteroperates makes sure that the longest line stays below the limit of the other reader.
func TestLargestReceiptInteroperates(t *testing.T) {
	entry := Entry{Kind: "transfer", Index: MaxSize - 1}
	receipt := Receipt{Index: entry.Index, Entry: entry.Append(nil), Opening: make([]byte, maxOpening), Proof: make([]Hash, maxProof), Checkpoint: []byte(vectorNote)}
	text := receipt.Append(nil)
	var theirs proof.TLogProof
	if err := theirs.Unmarshal(text); err != nil {
		t.Fatal(err)
	}
	if again := theirs.Marshal(); !bytes.Equal(again, text) {
		t.Error("they write something else")
	}
	if _, err := ParseReceipt(text); err != nil {
		t.Error(err)
	}
}
