package ledgerchain

import (
	"fmt"
	"slices"

	"coffer/store"
)

// Appender adds entries to the chain within one command. Open it, append, close
// it: then the head is stored with the rows. It may be opened again.
type Appender struct {
	w      store.Writer
	end    end
	state  State // of end, while appending
	salt   *Salt
	row    []byte
	copied bool // the list of open tiles is our own
}

// Open starts appending under a salt.
func (a *Appender) Open(w store.Writer, salt *Salt) error {
	e, ok := ends.Get(w, "end")
	if !ok {
		return ErrNotFounded
	}
	if e.open == nil {
		e.open = openTiles(w, e.State.Head.Size)
	}
	*a = Appender{w: w, end: e, state: *e.State, salt: salt, row: a.row}
	return nil
}

// openTiles reads the hashes of the unfinished tiles back, after a restart:
// leaves of stored rows, above them the roots of stored tiles.
func openTiles(r store.Reader, size uint64) [][]Hash {
	open := [][]Hash{make([]Hash, 0, TileWidth)}
	for index := size / TileWidth * TileWidth; index < size; index++ {
		open[0] = append(open[0], Leaf(RowAt(r, index).Entry))
	}
	for level, full := uint64(0), size/TileWidth; full > 0; level, full = level+1, full/TileWidth {
		hashes := make([]Hash, 0, TileWidth)
		for number := full / TileWidth * TileWidth; number < full; number++ {
			hashes = append(hashes, tileRoot(r, level, number))
		}
		open = append(open, hashes)
	}
	return open
}

// Next is the index of the next entry.
func (a *Appender) Next() uint64 { return a.state.Head.Size }

// Append seals a draft and stores its row.
func (a *Appender) Append(draft *Draft) (Sealed, error) {
	row, sealed, err := a.state.Seal(a.row[:0], a.salt, draft)
	if err != nil {
		return Sealed{}, err
	}
	a.row = row
	if sequence := rows.Append(a.w, row); sequence != sealed.Entry.Index {
		return Sealed{}, fmt.Errorf("entry %d would become row %d", sealed.Entry.Index, sequence)
	}
	a.extendTile(0, sealed.Entry.Index, sealed.Leaf)
	return sealed, nil
}

// extendTile adds a hash to the unfinished tile of its level. A tile that is
// full is stored once, and its root goes on to the level above.
func (a *Appender) extendTile(level int, index uint64, hash Hash) {
	if level == len(a.end.open) {
		a.end.open = append(a.end.open[:level:level], make([]Hash, 0, TileWidth))
	}
	hashes := append(a.end.open[level], hash)
	if len(hashes) < TileWidth {
		a.setOpen(level, hashes)
		return
	}
	tile := storedTile{Level: uint64(level), Number: index / TileWidth, Hashes: make([]byte, 0, TileWidth*HashSize)}
	for i := range hashes {
		tile.Hashes = append(tile.Hashes, hashes[i][:]...)
	}
	tiles.Put(a.w, tile)
	a.setOpen(level, make([]Hash, 0, TileWidth))
	a.extendTile(level+1, tile.Number, a.state.Tree.Completed(tileHeight*(level+1)))
}

// setOpen replaces one list; the lists of the batch before stay as they are,
// because this one may be dropped.
func (a *Appender) setOpen(level int, hashes []Hash) {
	if !a.copied {
		a.end.open, a.copied = slices.Clone(a.end.open), true
	}
	a.end.open[level] = hashes
}

// tileRoot is the root of the subtree that a stored full tile covers.
func tileRoot(r store.Reader, level, number uint64) Hash {
	tile, ok := tiles.Get(r, store.PairOf(store.Uint64(level), store.Uint64(number)))
	if !ok || len(tile.Hashes) != TileWidth*HashSize {
		store.Corrupt("ledgerchain.tiles", nil, fmt.Errorf("tile %d/%d is missing or cut", level, number))
	}
	var tree Tree
	for i := range TileWidth {
		tree.Append(Hash(tile.Hashes[i*HashSize:]))
	}
	return tree.Root()
}

// Close stores the new head.
func (a *Appender) Close() {
	state := a.state
	a.end.State = &state
	ends.Put(a.w, a.end)
	a.w, a.end = nil, end{}
}
