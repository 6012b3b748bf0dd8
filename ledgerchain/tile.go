package ledgerchain

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	// TileWidth is the number of hashes or entries in a full tile.
	TileWidth  = 1 << tileHeight
	tileHeight = 8 // levels of the tree in one tile
	maxTile    = maxLevel / tileHeight
)

// TileKind says what a tile holds; its value is the first part of the tile's path.
type TileKind string

// The three kinds of tile. The first two are those of C2SP tlog-tiles.
const (
	HashTile    TileKind = "tile/"         // hashes of the Merkle tree
	EntriesTile TileKind = "tile/entries/" // entries, each behind its length
	OpeningTile TileKind = "openings/"     // blinds and payloads, confidential
)

// Tile names one tile of a snapshot or of the HTTP interface.
type Tile struct {
	Kind  TileKind
	Level int    // of a hash tile, 0 at the leaves; 0 for the other kinds
	Index uint64 // counted from 0 on its level
	Width int    // 1 to TileWidth; less than TileWidth makes a partial tile
}

// Path returns the C2SP path: the index in groups of three digits, and .p/width for a partial tile.
func (t Tile) Path() string {
	path := []byte(t.Kind)
	if t.Kind == HashTile {
		path = strconv.AppendInt(path, int64(t.Level), 10)
		path = append(path, '/')
	}
	path = appendTileIndex(path, t.Index)
	if t.Width < TileWidth {
		path = append(path, ".p/"...)
		path = strconv.AppendInt(path, int64(t.Width), 10)
	}
	return string(path)
}

func appendTileIndex(path []byte, index uint64) []byte {
	if index >= 1000 {
		path = appendTileIndex(path, index/1000)
		last := path[len(path)-3:]
		path = append(path[:len(path)-3], 'x', last[0], last[1], last[2], '/')
	}
	group := index % 1000
	return append(path, byte('0'+group/100), byte('0'+group/10%10), byte('0'+group%10))
}

var errTilePath = errors.New("not a tile path")

// ParseTile reads a path that Path writes and refuses every other spelling.
func ParseTile(path string) (Tile, error) {
	t, ok := parseTile(path)
	if !ok || t.Path() != path {
		return Tile{}, fmt.Errorf("parse tile %q: %w", path, errTilePath)
	}
	return t, nil
}

func parseTile(path string) (t Tile, ok bool) {
	for _, kind := range [...]TileKind{EntriesTile, OpeningTile, HashTile} { // the longer prefix first
		if rest, found := strings.CutPrefix(path, string(kind)); found {
			t.Kind, path = kind, rest
			break
		}
	}
	if t.Kind == "" || len(path) > 64 {
		return t, false
	}
	if t.Kind == HashTile {
		level, rest, _ := strings.Cut(path, "/")
		n, ok := parseDecimal(level)
		if !ok || n > maxTile {
			return t, false
		}
		t.Level, path = int(n), rest
	}
	path, width, partial := strings.Cut(path, ".p/")
	t.Width = TileWidth
	if partial {
		n, ok := parseDecimal(width)
		if !ok || n < 1 || n >= TileWidth {
			return t, false
		}
		t.Width = int(n)
	}
	index, err := strconv.ParseUint(strings.NewReplacer("x", "", "/", "").Replace(path), 10, 64)
	if err != nil || index > MaxSize/TileWidth {
		return t, false
	}
	t.Index = index
	return t, true
}

// parseDecimal reads a number without sign and leading zeros.
func parseDecimal(s string) (uint64, bool) {
	if s == "" || s[0] == '0' && s != "0" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}
