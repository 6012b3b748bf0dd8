package ledgerchain

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxLinks is the largest number of links of a row, one per leg.
const MaxLinks = 255

const linkSize = 16

// Link ties one leg of a row to the latest earlier rows of its account and of the account's owner.
// Both are heights (index + 1); 0 means there is none. Links are not hashed but recomputed by verification.
type Link struct {
	Account uint64
	Owner   uint64
}

// Row is one journal row as it is stored, split without copying.
type Row struct {
	Entry   []byte // the bytes of the entry, which ParseEntry reads
	Opening []byte // blind and payload, empty after erasure
	links   []byte
}

// AppendRow appends the journal row of an entry. An empty payload makes an erased row.
func AppendRow(dst, entry []byte, blind Blind, payload []byte, links []Link) ([]byte, error) {
	switch {
	case len(entry) < minEntry || len(entry) > maxEntry:
		return nil, fmt.Errorf("append row: entry of %d bytes", len(entry))
	case len(payload) > MaxPayload:
		return nil, fmt.Errorf("append row: payload of %d bytes, limit %d", len(payload), MaxPayload)
	case len(links) > MaxLinks:
		return nil, fmt.Errorf("append row: %d links, limit %d", len(links), MaxLinks)
	}
	dst = AppendTileEntry(dst, entry)
	if len(payload) == 0 {
		return appendLinks(AppendTileOpening(dst, nil), links), nil
	}
	return appendLinks(appendOpening(dst, blind, payload), links), nil
}

// ParseRow splits a journal row and refuses bytes that AppendRow cannot have written.
// It does not look into the entry; ParseEntry and a Run do.
func ParseRow(row []byte) (Row, error) {
	entry, rest, err := CutTileEntry(row)
	if err != nil {
		return Row{}, err
	}
	opening, rest, err := CutTileOpening(rest)
	if err != nil {
		return Row{}, err
	}
	if len(rest) < 1 || len(rest) != 1+int(rest[0])*linkSize {
		return Row{}, errRowLinks
	}
	return Row{Entry: entry, Opening: opening, links: rest[1:]}, nil
}

// Erased reports whether blind and payload have been removed.
func (r Row) Erased() bool { return len(r.Opening) == 0 }

// Blind returns the blind of the commitment, zero in an erased row.
func (r Row) Blind() Blind {
	if r.Erased() {
		return Blind{}
	}
	return Blind(r.Opening[:BlindSize])
}

// Payload returns the canonical bytes that were hashed, nil in an erased row.
func (r Row) Payload() []byte {
	if r.Erased() {
		return nil
	}
	return r.Opening[BlindSize:]
}

// Links returns how many links the row has, one per leg.
func (r Row) Links() int { return len(r.links) / linkSize }

// Link returns the link of the given leg, which must be below Links.
func (r Row) Link(leg int) Link {
	b := r.links[leg*linkSize : (leg+1)*linkSize]
	return Link{Account: binary.BigEndian.Uint64(b), Owner: binary.BigEndian.Uint64(b[8:])}
}

var (
	errRowEntry   = errors.New("parse row: entry is cut off or of impossible length")
	errRowOpening = errors.New("parse row: opening is cut off or of impossible length")
	errRowLinks   = errors.New("parse row: links do not fill the row")
)

// AppendTileEntry appends an entry as an entries tile holds it: its length and its bytes.
func AppendTileEntry(dst, entry []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(entry)))
	return append(dst, entry...)
}

// CutTileEntry splits the first entry off an entries tile.
func CutTileEntry(tile []byte) (entry, rest []byte, err error) {
	if len(tile) < 2 {
		return nil, nil, errRowEntry
	}
	end := 2 + int(binary.BigEndian.Uint16(tile))
	if end < 2+minEntry || end > 2+maxEntry || end > len(tile) {
		return nil, nil, errRowEntry
	}
	return tile[2:end:end], tile[end:], nil
}

// AppendTileOpening appends an opening as an openings tile holds it; an empty one stands for an erased payload.
func AppendTileOpening(dst, opening []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(opening)))
	return append(dst, opening...)
}

// CutTileOpening splits the first opening off an openings tile. It is empty where the payload was erased.
func CutTileOpening(tile []byte) (opening, rest []byte, err error) {
	if len(tile) < 4 {
		return nil, nil, errRowOpening
	}
	length := binary.BigEndian.Uint32(tile)
	tile = tile[4:]
	if length == 0 {
		return nil, tile, nil
	}
	if length <= BlindSize || length > maxOpening || int(length) > len(tile) {
		return nil, nil, errRowOpening
	}
	return tile[:length:length], tile[length:], nil
}

func appendOpening(dst []byte, blind Blind, payload []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(BlindSize+len(payload)))
	dst = append(dst, blind[:]...)
	return append(dst, payload...)
}

func appendLinks(dst []byte, links []Link) []byte {
	dst = append(dst, byte(len(links)))
	for _, link := range links {
		dst = binary.BigEndian.AppendUint64(dst, link.Account)
		dst = binary.BigEndian.AppendUint64(dst, link.Owner)
	}
	return dst
}
