package ledgerchain

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// AddCheckpoint is the body of a request to a witness: C2SP tlog-witness add-checkpoint.
type AddCheckpoint struct {
	OldSize    uint64 // the size the witness signed last, 0 for none
	Proof      []Hash // consistency from OldSize to the checkpoint
	Checkpoint []byte // the signed note
}

// Append appends the body of the request.
func (a *AddCheckpoint) Append(dst []byte) []byte {
	dst = append(dst, "old "...)
	dst = strconv.AppendUint(dst, a.OldSize, 10)
	dst = append(dst, '\n')
	dst = appendHashLines(dst, a.Proof)
	dst = append(dst, '\n')
	return append(dst, a.Checkpoint...)
}

// ParseAddCheckpoint reads the body that Append writes and refuses every other. It verifies nothing.
func ParseAddCheckpoint(body []byte) (AddCheckpoint, error) {
	line, rest, _ := bytes.Cut(body, []byte("\n"))
	digits, ok := bytes.CutPrefix(line, []byte("old "))
	if !ok {
		return AddCheckpoint{}, errors.New("parse add-checkpoint: no line with the old size")
	}
	var a AddCheckpoint
	if a.OldSize, ok = parseDecimal(string(digits)); !ok || a.OldSize > MaxSize {
		return AddCheckpoint{}, fmt.Errorf("parse add-checkpoint: old size %q", digits)
	}
	var err error
	if a.Proof, a.Checkpoint, err = cutHashLines(rest); err != nil {
		return AddCheckpoint{}, fmt.Errorf("parse add-checkpoint: %w", err)
	}
	if a.OldSize == 0 && len(a.Proof) != 0 {
		return AddCheckpoint{}, errors.New("parse add-checkpoint: a proof from size 0 is empty")
	}
	return a, nil
}
