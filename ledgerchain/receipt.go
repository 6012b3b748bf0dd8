package ledgerchain

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/mod/sumdb/note"
)

const (
	receiptHeader = "c2sp.org/tlog-proof@v1"
	maxProof      = 63 // hashes of the longest proof, as C2SP tlog-witness limits it
)

// Receipt proves to its holder that an entry is in the log: C2SP tlog-proof, self-contained.
// Nothing in it may be believed before Verify has accepted it.
type Receipt struct {
	Index      uint64
	Entry      []byte // the bytes of the entry
	Opening    []byte // blind and payload
	Proof      []Hash // the leaf's sibling first
	Checkpoint []byte // the signed note
}

// Append appends the receipt as text, the content of a .tlog-proof file.
func (r *Receipt) Append(dst []byte) []byte {
	dst = append(dst, receiptHeader+"\nextra "...)
	extra := append(append([]byte(nil), r.Entry...), r.Opening...)
	dst = base64.StdEncoding.AppendEncode(dst, extra)
	dst = append(dst, "\nindex "...)
	dst = strconv.AppendUint(dst, r.Index, 10)
	dst = append(dst, '\n')
	dst = appendHashLines(dst, r.Proof)
	dst = append(dst, '\n')
	return append(dst, r.Checkpoint...)
}

// ParseReceipt reads the text that Append writes and refuses every other. It verifies nothing.
func ParseReceipt(text []byte) (Receipt, error) {
	rest, ok := bytes.CutPrefix(text, []byte(receiptHeader+"\nextra "))
	if !ok {
		return Receipt{}, errors.New("parse receipt: not a proof of version 1 with an extra line")
	}
	line, rest, _ := bytes.Cut(rest, []byte("\n"))
	extra, ok := decodeBase64(string(line))
	if !ok {
		return Receipt{}, errors.New("parse receipt: extra line is not base64")
	}
	var r Receipt
	var err error
	if r.Entry, r.Opening, err = splitExtra(extra); err != nil {
		return Receipt{}, fmt.Errorf("parse receipt: %w", err)
	}
	line, rest, _ = bytes.Cut(rest, []byte("\n"))
	digits, ok := bytes.CutPrefix(line, []byte("index "))
	if !ok {
		return Receipt{}, errors.New("parse receipt: no index line")
	}
	if r.Index, ok = parseDecimal(string(digits)); !ok || r.Index >= MaxSize {
		return Receipt{}, fmt.Errorf("parse receipt: index %q", digits)
	}
	if r.Proof, r.Checkpoint, err = cutHashLines(rest); err != nil {
		return Receipt{}, fmt.Errorf("parse receipt: %w", err)
	}
	return r, nil
}

// splitExtra finds the end of the entry by the length of its kind.
func splitExtra(extra []byte) (entry, opening []byte, err error) {
	if len(extra) < minEntry {
		return nil, nil, errors.New("extra line is too short")
	}
	end := entryFixed + int(extra[kindLengthAt])
	if len(extra) <= end+BlindSize || len(extra) > end+maxOpening {
		return nil, nil, errors.New("extra line holds no entry with its opening")
	}
	return extra[:end], extra[end:], checkEntry(extra[:end])
}

// VerifiedReceipt is what an accepted receipt proves.
type VerifiedReceipt struct {
	Entry      Entry
	Payload    []byte
	Checkpoint SignedCheckpoint
}

// Verify checks the whole receipt: commitment, leaf, path, and the log's signature on the checkpoint.
// Whether enough witnesses signed is for the caller's policy.
func (r *Receipt) Verify(log note.Verifier, witnesses ...note.Verifier) (VerifiedReceipt, error) {
	entry, err := ParseEntry(r.Entry)
	if err != nil {
		return VerifiedReceipt{}, fmt.Errorf("verify receipt: %w", err)
	}
	if len(r.Opening) <= BlindSize {
		return VerifiedReceipt{}, errors.New("verify receipt: no payload")
	}
	if entry.Index != r.Index {
		return VerifiedReceipt{}, fmt.Errorf("verify receipt: entry %d under index %d", entry.Index, r.Index)
	}
	payload := r.Opening[BlindSize:]
	if Commitment(Blind(r.Opening[:BlindSize]), payload) != entry.Commit {
		return VerifiedReceipt{}, errors.New("verify receipt: payload does not fit the entry's commitment")
	}
	checkpoint, err := OpenCheckpoint(r.Checkpoint, log, witnesses...)
	if err != nil {
		return VerifiedReceipt{}, fmt.Errorf("verify receipt: %w", err)
	}
	if err := CheckInclusion(r.Proof, checkpoint.Size, checkpoint.Root, r.Index, Leaf(r.Entry)); err != nil {
		return VerifiedReceipt{}, fmt.Errorf("verify receipt: %w", err)
	}
	return VerifiedReceipt{Entry: entry, Payload: payload, Checkpoint: checkpoint}, nil
}

func appendHashLines(dst []byte, hashes []Hash) []byte {
	for i := range hashes {
		dst = base64.StdEncoding.AppendEncode(dst, hashes[i][:])
		dst = append(dst, '\n')
	}
	return dst
}

// cutHashLines reads lines of hashes up to an empty line and returns what follows it.
func cutHashLines(text []byte) (hashes []Hash, rest []byte, err error) {
	for {
		line, rest, found := bytes.Cut(text, []byte("\n"))
		if !found {
			return nil, nil, errors.New("hashes end without an empty line")
		}
		if len(line) == 0 {
			return hashes, rest, nil
		}
		hash, ok := parseBase64Hash(string(line))
		if !ok || len(hashes) == maxProof {
			return nil, nil, fmt.Errorf("line %d of the proof is not one of at most %d hashes", len(hashes)+1, maxProof)
		}
		hashes, text = append(hashes, hash), rest
	}
}
