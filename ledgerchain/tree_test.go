package ledgerchain

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// rfcRoot is the definition of RFC 6962 section 2.1, word for word.
func rfcRoot(leaves []Hash) Hash {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	default:
		k := 1
		for k*2 < n {
			k *= 2
		}
		left, right := rfcRoot(leaves[:k]), rfcRoot(leaves[k:])
		return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
	}
}

func testLeaves(n int) []Hash {
	leaves := make([]Hash, n)
	for i := range leaves {
		leaves[i] = sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
	}
	return leaves
}

func TestTreeEqualsTheDefinition(t *testing.T) {
	leaves := testLeaves(600)
	var tree Tree
	for n := range leaves {
		if root := tree.Root(); tree.Size() != uint64(n) || root != rfcRoot(leaves[:n]) {
			t.Fatalf("size %d: root %s", n, root)
		}
		b := tree.AppendBytes(nil)
		parsed, err := ParseTree(b)
		if err != nil || parsed.Root() != tree.Root() || !bytes.Equal(parsed.AppendBytes(nil), b) {
			t.Fatalf("size %d: parsed %v, %v", n, parsed, err)
		}
		if _, err := ParseTree(append(b, 0)); err == nil {
			t.Fatalf("size %d: one byte more was accepted", n)
		}
		tree = parsed // go on with the parsed one
		tree.Append(leaves[n])
		for level := 0; (n+1)%(1<<level) == 0; level++ {
			if tree.Completed(level) != rfcRoot(leaves[n+1-1<<level:n+1]) {
				t.Fatalf("size %d: wrong completed subtree of level %d", n+1, level)
			}
		}
	}
}

func TestParseTreeRefusesSizesBeyondTheLimit(t *testing.T) {
	if _, err := ParseTree(append(binary.BigEndian.AppendUint64(nil, 1<<57), make([]byte, HashSize)...)); err == nil {
		t.Error("size 2^57 was accepted")
	}
	if _, err := ParseTree(append(binary.BigEndian.AppendUint64(nil, MaxSize), make([]byte, HashSize)...)); err != nil {
		t.Error(err)
	}
}

// TestRangesJoin cuts trees at random places, hashes the parts apart and joins them in random order.
func TestRangesJoin(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	leaves := testLeaves(2000)
	for range 200 {
		n := random.IntN(len(leaves))
		cuts := []int{0, n}
		for range random.IntN(6) {
			cuts = append(cuts, random.IntN(n+1))
		}
		slices.Sort(cuts)
		var parts []*Range
		for i := range cuts[1:] {
			part := NewRange(uint64(cuts[i]))
			for _, leaf := range leaves[cuts[i]:cuts[i+1]] {
				part.Append(leaf)
			}
			parts = append(parts, part)
		}
		for len(parts) > 1 {
			i := random.IntN(len(parts) - 1)
			if err := parts[i].AppendRange(parts[i+1]); err != nil {
				t.Fatal(err)
			}
			parts = slices.Delete(parts, i+1, i+2)
		}
		var tree Tree
		if err := tree.AppendRange(parts[0]); err != nil {
			t.Fatal(err)
		}
		if tree.Size() != uint64(n) || parts[0].End() != uint64(n) || tree.Root() != rfcRoot(leaves[:n]) {
			t.Fatalf("cuts %v: size %d, root %s", cuts, tree.Size(), tree.Root())
		}
		tree.Append(leaves[n])
		if tree.Root() != rfcRoot(leaves[:n+1]) {
			t.Fatalf("cuts %v: wrong root after one more leaf", cuts)
		}
	}
	var tree Tree
	if tree.AppendRange(NewRange(1)) == nil || NewRange(0).AppendRange(NewRange(1)) == nil {
		t.Error("ranges that do not touch were joined")
	}
}

func TestProofsAtEverySize(t *testing.T) {
	const sizes = 70
	leaves := testLeaves(sizes)
	for n := 1; n <= sizes; n++ {
		tiles, root := leafTiles(leaves[:n]), rfcRoot(leaves[:n])
		for i := range n {
			proof, err := InclusionProof(tiles, uint64(n), uint64(i))
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckInclusion(proof, uint64(n), root, uint64(i), leaves[i]); err != nil {
				t.Error(err)
			}
			if err := CheckInclusion(proof, uint64(n), root, uint64(i), Hash{}); !errors.Is(err, ErrProof) {
				t.Errorf("another leaf: %v", err)
			}
		}
		for older := range n + 1 {
			proof, err := ConsistencyProof(tiles, uint64(older), uint64(n))
			if err != nil {
				t.Fatal(err)
			}
			oldRoot := rfcRoot(leaves[:older])
			if err := CheckConsistency(proof, uint64(n), root, uint64(older), oldRoot); err != nil {
				t.Error(err)
			}
			if err := CheckConsistency(proof, uint64(n), root, uint64(older), Hash{}); !errors.Is(err, ErrProof) {
				t.Errorf("another old root: %v", err)
			}
		}
	}
}

// TestProofsOverTiles proves in trees with several levels of tiles.
func TestProofsOverTiles(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	leaves := testLeaves(TileWidth*TileWidth + 3*TileWidth + 5)
	for _, n := range []int{TileWidth - 1, TileWidth, TileWidth + 1, 5 * TileWidth, TileWidth*TileWidth + 1, len(leaves)} {
		tiles, size := cachedTiles{leaves[:n], map[string][]Hash{}}, uint64(n)
		var tree Tree
		for _, leaf := range leaves[:n] {
			tree.Append(leaf)
		}
		for range 20 {
			i, older := random.Uint64N(size), random.Uint64N(size)
			proof, err := InclusionProof(tiles, size, i)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckInclusion(proof, size, tree.Root(), i, leaves[i]); err != nil {
				t.Error(err)
			}
			var old Tree
			for _, leaf := range leaves[:older] {
				old.Append(leaf)
			}
			if proof, err = ConsistencyProof(tiles, older, size); err != nil {
				t.Fatal(err)
			}
			if err := CheckConsistency(proof, size, tree.Root(), older, old.Root()); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestProofsRefuseImpossibleQuestions(t *testing.T) {
	leaves := testLeaves(3)
	tiles := leafTiles(leaves)
	if _, err := InclusionProof(tiles, 3, 3); err == nil {
		t.Error("leaf 3 of 3 has a proof")
	}
	if _, err := InclusionProof(tiles, MaxSize+1, 0); err == nil {
		t.Error("a tree beyond the limit has a proof")
	}
	if _, err := InclusionProof(tiles, 4, 0); err == nil {
		t.Error("a missing leaf went unnoticed")
	}
	if _, err := InclusionProof(shortTiles{}, 4, 0); err == nil {
		t.Error("a short tile went unnoticed")
	}
	if _, err := ConsistencyProof(tiles, 4, 3); err == nil {
		t.Error("the older tree is larger")
	}
	root, empty := rfcRoot(leaves), rfcRoot(nil)
	for name, err := range map[string]error{
		"index beyond":      CheckInclusion(nil, 3, root, 3, leaves[0]),
		"size beyond":       CheckInclusion(nil, 1<<63, root, 0, leaves[0]),
		"older is larger":   CheckConsistency(nil, 3, root, 4, root),
		"size beyond limit": CheckConsistency(nil, 1<<63, root, 1, root),
		"proof from empty":  CheckConsistency(leaves[:1], 3, root, 0, empty),
		"empty with a root": CheckConsistency(nil, 3, root, 0, root),
		"two empty trees":   CheckConsistency(nil, 0, root, 0, empty),
	} {
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if err := errors.Join(CheckConsistency(nil, 3, root, 0, empty), CheckConsistency(nil, 0, empty, 0, empty), CheckConsistency(nil, 3, root, 3, root)); err != nil {
		t.Error(err)
	}
}

type shortTiles struct{}

func (shortTiles) ReadTile(int, uint64, int) ([]Hash, error) { return nil, nil }

// FuzzCheckProofs: no proof, size or index makes the checks panic or hang, and no changed proof is accepted.
func FuzzCheckProofs(f *testing.F) {
	f.Add([]byte("proof"), uint64(3), uint64(1))
	f.Add(make([]byte, 64), uint64(1<<62), uint64(1<<61))
	f.Fuzz(func(t *testing.T, raw []byte, size, index uint64) {
		var proof []Hash
		for ; len(raw) >= HashSize; raw = raw[HashSize:] {
			proof = append(proof, Hash(raw[:HashSize]))
		}
		if CheckInclusion(proof, size, Hash{1}, index, Hash{2}) == nil || CheckConsistency(proof, size, Hash{1}, index, Hash{2}) == nil {
			t.Fatal("a proof of nothing was accepted")
		}
	})
}

func TestTilePaths(t *testing.T) {
	for path, tile := range map[string]Tile{
		"tile/0/x001/x234/067":        {HashTile, 0, 1234067, TileWidth},
		"tile/0/000.p/3":              {HashTile, 0, 0, 3},
		"tile/6/999.p/255":            {HashTile, 6, 999, 255},
		"tile/1/x001/000":             {HashTile, 1, 1000, TileWidth},
		"tile/entries/x123/456.p/1":   {EntriesTile, 0, 123456, 1},
		"openings/000":                {OpeningTile, 0, 0, TileWidth},
		"openings/x999/x999/999.p/12": {OpeningTile, 0, 999999999, 12},
	} {
		equal(t, "path", tile.Path(), path)
		if parsed, err := ParseTile(path); err != nil || parsed != tile {
			t.Errorf("%s is %+v, %v", path, parsed, err)
		}
	}
	for _, path := range []string{
		"", "tile/", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/00/000", "tile/8/000", "tile/-1/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/03", "tile/0/000.p/", "tile/0/000.p",
		"tile/0/x000/001", "tile/0/001/002", "tile/0/x001/x234/67", "tile/0/x001x234/067", "tile/0/x01/234/067", "tile/entries/0/000", "tile/entries/", "openings/0", "/tile/0/000", "tile/0/000/", "tile/0/../000", "tile/0/x999/x999/x999/x999/x999/x999/x999/999", "tile/0/+01", "tile/0/1e1",
	} {
		if tile, err := ParseTile(path); err == nil {
			t.Errorf("%q was accepted as %+v", path, tile)
		}
	}
}

func FuzzParseTile(f *testing.F) {
	for _, seed := range []string{"tile/0/x001/x234/067", "tile/entries/000.p/3", "openings/x001/000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if tile, err := ParseTile(path); err == nil && tile.Path() != path {
			t.Fatalf("%q is %+v with path %q", path, tile, tile.Path())
		}
	})
}
