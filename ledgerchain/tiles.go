package ledgerchain

import (
	"fmt"
	"iter"

	"coffer/store"
)

// CheckTiles compares every stored tile with the rows and tiles below it, and
// reports what is missing, wrong or too much.
func CheckTiles(v *store.View) error {
	want := make([]uint64, maxTile+1) // full tiles of each level
	for level, full := 0, Size(v)/TileWidth; full > 0; level, full = level+1, full/TileWidth {
		want[level] = full
	}
	have := make([]uint64, maxTile+1)
	for _, tile := range tiles.Scan(v, store.All{}, nil) {
		if tile.Level > maxTile || tile.Number != have[tile.Level] || tile.Number >= want[tile.Level] {
			return fmt.Errorf("tile %d/%d should not be there", tile.Level, tile.Number)
		}
		have[tile.Level]++
		if err := checkTile(v, &tile); err != nil {
			return err
		}
	}
	for level := range want {
		if have[level] != want[level] {
			return fmt.Errorf("level %d has %d full tiles, %d are stored", level, want[level], have[level])
		}
	}
	return nil
}

func checkTile(v *store.View, tile *storedTile) error {
	if len(tile.Hashes) != TileWidth*HashSize {
		return fmt.Errorf("tile %d/%d has %d bytes", tile.Level, tile.Number, len(tile.Hashes))
	}
	i := 0
	for hash := range hashesBelow(v, tile.Level, tile.Number) {
		if hash != Hash(tile.Hashes[i*HashSize:]) {
			return fmt.Errorf("tile %d/%d: hash %d is not the one of what is below", tile.Level, tile.Number, i)
		}
		i++
	}
	return nil
}

// hashesBelow are the hashes a full tile has to hold.
func hashesBelow(v *store.View, level, number uint64) iter.Seq[Hash] {
	return func(yield func(Hash) bool) {
		first := number * TileWidth
		if level > 0 {
			for below := first; below < first+TileWidth; below++ {
				if !yield(tileRoot(v, level-1, below)) {
					return
				}
			}
			return
		}
		for _, row := range rows.Scan(v, first, first+TileWidth) {
			parsed, err := ParseRow(row.Bytes)
			if row.Err != nil || err != nil || !yield(Leaf(parsed.Entry)) {
				return
			}
		}
	}
}
