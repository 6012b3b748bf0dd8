package ledgerchain

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// TileReader reads hashes of stored tiles; the caller backs it with the state, a directory or a server.
type TileReader interface {
	// ReadTile returns the first width hashes of tile index at the given level of tiles.
	ReadTile(level int, index uint64, width int) ([]Hash, error)
}

// InclusionProof returns the audit path of the leaf at index in the tree of the given size, the leaf's sibling first.
func InclusionProof(tiles TileReader, size, index uint64) ([]Hash, error) {
	if size > MaxSize || index >= size {
		return nil, fmt.Errorf("inclusion proof: no leaf %d in a tree of size %d", index, size)
	}
	proof, err := tlog.ProveRecord(int64(size), int64(index), &tileHashes{tiles: tiles, size: size})
	if err != nil {
		return nil, fmt.Errorf("inclusion proof: %w", err)
	}
	return fromTlog(proof), nil
}

// ConsistencyProof returns the proof that the tree of size older is a prefix of the tree of size newer.
// It is empty for an empty older tree, which is a prefix of every tree.
func ConsistencyProof(tiles TileReader, older, newer uint64) ([]Hash, error) {
	if newer > MaxSize || older > newer {
		return nil, fmt.Errorf("consistency proof: no tree of size %d in one of size %d", older, newer)
	}
	if older == 0 {
		return []Hash{}, nil
	}
	proof, err := tlog.ProveTree(int64(newer), int64(older), &tileHashes{tiles: tiles, size: newer})
	if err != nil {
		return nil, fmt.Errorf("consistency proof: %w", err)
	}
	return fromTlog(proof), nil
}

// ErrProof is wrapped by the refusal of a proof that does not lead to the given root.
var ErrProof = errors.New("proof does not fit the root")

// CheckInclusion verifies that the tree of the given size and root has the given leaf at index.
func CheckInclusion(proof []Hash, size uint64, root Hash, index uint64, leaf Hash) error {
	if size > MaxSize || index >= size {
		return fmt.Errorf("check inclusion: no leaf %d in a tree of size %d", index, size)
	}
	if tlog.CheckRecord(toTlog(proof), int64(size), tlog.Hash(root), int64(index), tlog.Hash(leaf)) != nil {
		return fmt.Errorf("check inclusion of leaf %d in size %d: %w", index, size, ErrProof)
	}
	return nil
}

// CheckConsistency verifies that the older tree is a prefix of the newer one.
func CheckConsistency(proof []Hash, newer uint64, newRoot Hash, older uint64, oldRoot Hash) error {
	if newer > MaxSize || older > newer {
		return fmt.Errorf("check consistency: no tree of size %d in one of size %d", older, newer)
	}
	if older == 0 {
		var empty Tree
		if len(proof) != 0 || oldRoot != empty.Root() || newer == 0 && newRoot != oldRoot {
			return fmt.Errorf("check consistency of size 0 with %d: %w", newer, ErrProof)
		}
		return nil
	}
	if tlog.CheckTree(toTlog(proof), int64(newer), tlog.Hash(newRoot), int64(older), tlog.Hash(oldRoot)) != nil {
		return fmt.Errorf("check consistency of size %d with %d: %w", older, newer, ErrProof)
	}
	return nil
}

// tileHashes gives tlog the hashes of one tree out of tiles. It reads each tile once.
type tileHashes struct {
	tiles TileReader
	size  uint64
	read  []readTile
}

type readTile struct {
	level  int
	index  uint64
	hashes []Hash
}

// ReadHashes implements tlog.HashReader.
func (t *tileHashes) ReadHashes(places []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, 0, len(places))
	for _, place := range places {
		level, n := tlog.SplitStoredHashIndex(place)
		hash, err := t.node(level, uint64(n))
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, tlog.Hash(hash))
	}
	return hashes, nil
}

// node returns the root of the n-th perfect subtree of 2^level leaves, which lies inside the tree.
func (t *tileHashes) node(level int, n uint64) (Hash, error) {
	height := level % tileHeight
	first := n << height
	hashes, err := t.tile(level/tileHeight, first/TileWidth)
	if err != nil {
		return Hash{}, err
	}
	var subtree Tree
	for _, hash := range hashes[first%TileWidth:][:1<<height] {
		subtree.Append(hash)
	}
	return subtree.Root(), nil
}

func (t *tileHashes) tile(level int, index uint64) ([]Hash, error) {
	for i := range t.read {
		if t.read[i].level == level && t.read[i].index == index {
			return t.read[i].hashes, nil
		}
	}
	width := int(min(TileWidth, t.size>>(tileHeight*level)-index*TileWidth))
	hashes, err := t.tiles.ReadTile(level, index, width)
	if err != nil {
		return nil, fmt.Errorf("read tile %d of level %d: %w", index, level, err)
	}
	if len(hashes) < width {
		return nil, fmt.Errorf("read tile %d of level %d: %d hashes, want %d", index, level, len(hashes), width)
	}
	t.read = append(t.read, readTile{level, index, hashes[:width]})
	return hashes[:width], nil
}

func fromTlog(proof []tlog.Hash) []Hash {
	hashes := make([]Hash, len(proof))
	for i := range proof {
		hashes[i] = Hash(proof[i])
	}
	return hashes
}

func toTlog(proof []Hash) []tlog.Hash {
	hashes := make([]tlog.Hash, len(proof))
	for i := range proof {
		hashes[i] = tlog.Hash(proof[i])
	}
	return hashes
}
