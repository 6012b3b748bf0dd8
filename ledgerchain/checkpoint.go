package ledgerchain

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Checkpoint states which tree the log had: C2SP tlog-checkpoint without extension lines.
type Checkpoint struct {
	Origin string // ledger id, with the epoch behind it after the first
	Size   uint64
	Root   Hash
}

// Text returns the three lines that are signed.
func (c Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
}

// ParseCheckpoint reads the text that Text writes and refuses every other.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.SplitN(text, "\n", 5)
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, errors.New("parse checkpoint: want three lines")
	}
	if err := CheckLedgerID(lines[0]); err != nil {
		return Checkpoint{}, fmt.Errorf("parse checkpoint: origin: %w", err)
	}
	c := Checkpoint{Origin: lines[0]}
	size, ok := parseDecimal(lines[1])
	if !ok || size > MaxSize {
		return Checkpoint{}, fmt.Errorf("parse checkpoint: size %q", lines[1])
	}
	c.Size = size
	if c.Root, ok = parseBase64Hash(lines[2]); !ok {
		return Checkpoint{}, fmt.Errorf("parse checkpoint: root %q", lines[2])
	}
	if c.Size == 0 && c.Root != new(Tree).Root() {
		return Checkpoint{}, errors.New("parse checkpoint: size 0 with the root of another tree")
	}
	return c, nil
}

// Sign returns the signed note of the checkpoint. The log's own signer has the origin as its name.
func (c Checkpoint) Sign(signers ...note.Signer) ([]byte, error) {
	if _, err := ParseCheckpoint(c.Text()); err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	signed, err := note.Sign(&note.Note{Text: c.Text()}, signers...)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return signed, nil
}

// SignedCheckpoint is a checkpoint whose log signature has been verified.
type SignedCheckpoint struct {
	Checkpoint
	Note *note.Note // its Sigs are the verified signatures, of the log and of known witnesses
}

// OpenCheckpoint verifies a signed note: the log must have signed it, under the origin as its name.
// A wrong signature of a given witness is refused too; whether there are enough of them is for the caller's policy.
func OpenCheckpoint(signed []byte, log note.Verifier, witnesses ...note.Verifier) (SignedCheckpoint, error) {
	known := append([]note.Verifier{log}, witnesses...)
	opened, err := note.Open(signed, note.VerifierList(known...))
	if err != nil {
		return SignedCheckpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	c, err := ParseCheckpoint(opened.Text)
	if err != nil {
		return SignedCheckpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	if c.Origin != log.Name() {
		return SignedCheckpoint{}, fmt.Errorf("open checkpoint: origin %q, want %q", c.Origin, log.Name())
	}
	for _, signature := range opened.Sigs {
		if signature.Name == log.Name() && signature.Hash == log.KeyHash() {
			return SignedCheckpoint{Checkpoint: c, Note: opened}, nil
		}
	}
	return SignedCheckpoint{}, fmt.Errorf("open checkpoint: not signed by %s", log.Name())
}

// AddSignatures returns the signed note with the signature lines of a witness's answer behind its own.
// It checks their form only; OpenCheckpoint verifies them.
func AddSignatures(signed, lines []byte) ([]byte, error) {
	before, err := parseNote(signed)
	if err != nil {
		return nil, fmt.Errorf("add signatures: %w", err)
	}
	joined := append(append([]byte(nil), signed...), lines...)
	after, err := parseNote(joined)
	if err != nil {
		return nil, fmt.Errorf("add signatures: %w", err)
	}
	if after.Text != before.Text { // an empty line among them would make signatures part of the text
		return nil, errors.New("add signatures: not signature lines")
	}
	return joined, nil
}

// parseNote reads a note without verifying any signature.
func parseNote(signed []byte) (*note.Note, error) {
	_, err := note.Open(signed, nil)
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		return nil, err
	}
	return unverified.Note, nil
}

func parseBase64Hash(s string) (Hash, bool) {
	raw, ok := decodeBase64(s)
	if !ok || len(raw) != HashSize {
		return Hash{}, false
	}
	return Hash(raw), true
}
