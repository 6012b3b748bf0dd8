package ledgerchain

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// The test vectors of the published format, byte for byte. They were computed by an independent program.
const (
	vectorSecret = "example-salt-not-for-production!"
	vectorLedger = "ledger.example.com/main"
)

var vectorPayloads = [...]string{
	`{"currency":"KZT","id":"tx_0001","postings":[["ext:stripe",-100000],["wal:alice",100000]]}`,
	`{"currency":"KZT","id":"tx_0002","memo":"Кофе \"2×\" <b>","postings":[["wal:alice",-50050],["wal:bob",50000],["fees:p2p",50]]}`,
	`{"currency":"USD","id":"chg_0001","mask":"msk_4f1a","postings":[["mask:msk_4f1a",-1200],["merchant:spotify.com",1200]],"risk":12}`,
}

var vectorDrafts = [...]Draft{
	{Kind: "deposit", Time: 1790000000000000},
	{Kind: "transfer", Time: 1790000001000000},
	{Kind: "mask-charge", Time: 1790000001500000},
}

var vectorHashes = [...]struct{ commit, chain, leaf, root string }{
	{
		"21d73fb7f61a8977549d03c3abe554eab3110f050b1f7a04809bbaa23379aa16",
		"f858524c4a2c7df3eb3d2f4458fc3e8bfbe1626d51308007a54b01af2c18412c",
		"229c32bf4ac37620abf3b939293c6e6e611ef9afccb41556d2ffc4fb3cb4968f",
		"229c32bf4ac37620abf3b939293c6e6e611ef9afccb41556d2ffc4fb3cb4968f",
	}, {
		"a463f239ccf4ef37c24eee3f32613d65d05bc171fd94066cfd5322947eee36ed",
		"620a19d1a1120440aaf160f7f2be05af6c0303f64fd0b646439bc4e5e981768e",
		"456cb20279f01b23c8d571db63fc7ba0b7989e3a9f8b4452ee221b43cea610df",
		"b52678ee19ae8f057a1502610d08c0390b97f74c9e76fa8f9f3bfc3d7f1e7c0d",
	}, {
		"5f06c897d2997add35b4e329c47fb01c7596a61bdd4a5f50ecb8f0814c53bbe2",
		"904b0c9676bbb68dc19eea6fe06ad2385eb201f9896e73bdc83fd4fb342ceafe",
		"38469b725ab6395d68d45778c57c34f748073fd6405e96b238f1a6a0e1c879e0",
		"196ccb5376b0af206d6c90ffcc063f2dc90db1825d272bad0cb238e693bd5d5c",
	},
}

const vectorNote = `ledger.example.com/main
3
GWzLU3awryBtbJD/zAY/LckNsYJdJyutDLI45pO9XVw=

— ledger.example.com/main 91lxMYQFJNmmZ/4ZezrbUlhBptMpRhchDnqiM8w0Mac5/YsWRfJ9quB40nw2PKMmXHTefnoCTOjwDaD0+myeTUXphAY=
— witness.example.org/w1 88CAtgAAAABqsTuCkzIFRfBKgbGYOGJXyFta2wAZK0wpYf3xJkq3R4k7XeIAhqiegYj2/h7pdZKGFKsz9lLMBw8auwvQBJPhjSvLAQ==
`

func mustSalt(t testing.TB, secret string) *Salt {
	t.Helper()
	salt, err := NewSalt([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return salt
}

func testBlind(i int) Blind {
	sum := sha256.Sum256(fmt.Appendf(nil, "test blind %d", i))
	return Blind(sum[:BlindSize])
}

// vectorChain seals the three entries and returns their rows.
func vectorChain(t testing.TB) (state State, rows [][]byte, sealed []Sealed) {
	t.Helper()
	salt := mustSalt(t, vectorSecret)
	state = NewState(vectorLedger)
	for i, draft := range vectorDrafts {
		draft.Blind, draft.Payload = testBlind(i), []byte(vectorPayloads[i])
		row, entry, err := state.Seal(nil, salt, &draft)
		if err != nil {
			t.Fatal(err)
		}
		rows, sealed = append(rows, row), append(sealed, entry)
	}
	return state, rows, sealed
}

func vectorKey(first byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = first + byte(i)
	}
	return ed25519.NewKeyFromSeed(seed)
}

func equal(t testing.TB, what string, got any, want string) {
	t.Helper()
	if s := fmt.Sprint(got); s != want {
		t.Errorf("%s:\n got %s\nwant %s", what, s, want)
	}
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestVectorEntries(t *testing.T) {
	equal(t, "salt id", mustSalt(t, vectorSecret).ID(), "b8291859")
	equal(t, "prev_0", Genesis(vectorLedger), "c42185ee034495482da55f7fb43c71f6a5eb7443a9864c9ff8b99dced11d53cb")
	equal(t, "blind_0", fmt.Sprintf("%x", testBlind(0)), "856af2f6213240ba7309dc03047a66f9")
	_, rows, sealed := vectorChain(t)
	var tree Tree
	for i, want := range vectorHashes {
		entry := sealed[i].Entry
		equal(t, "commit", entry.Commit, want.commit)
		equal(t, "chain", entry.Chain, want.chain)
		equal(t, "leaf", sealed[i].Leaf, want.leaf)
		tree.Append(sealed[i].Leaf)
		equal(t, "root", tree.Root(), want.root)
		if err := CheckCanonical([]byte(vectorPayloads[i])); err != nil {
			t.Error(err)
		}
		stored, err := ParseRow(rows[i])
		if err != nil {
			t.Fatal(err)
		}
		if parsed, err := ParseEntry(stored.Entry); err != nil || parsed != entry {
			t.Errorf("parsed %+v, %v; want %+v", parsed, err, entry)
		}
	}
	first, _ := ParseRow(rows[0])
	equal(t, "entry length", len(first.Entry), "128")
	equal(t, "header", hex.EncodeToString(first.Entry[:32]), "766e7831"+"0000000000000000"+"00065bfeda25e000"+"b8291859"+"07"+"6465706f736974")
}

func TestVectorTiles(t *testing.T) {
	_, rows, sealed := vectorChain(t)
	var hashes, entries, openings []byte
	for i, row := range rows {
		stored, err := ParseRow(row)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, sealed[i].Leaf[:]...)
		entries = AppendTileEntry(entries, stored.Entry)
		openings = AppendTileOpening(openings, stored.Opening)
	}
	equal(t, "tile/0/000.p/3", digest(hashes), "3794d7c15db8cd5c3c4257cce99f92cb758b07c7ee0e8531b0f484e92cd3844c")
	equal(t, "tile/entries/000.p/3", digest(entries), "3de06933d404d248ce87c8360004c553f347f72d8f0c785fe0be19adaa29b971")
	equal(t, "openings/000.p/3", digest(openings), "2932d7b685e97047322952baada0bf4573e6b159491fdbaddacced9bfed115d3")
}

func TestVectorProofs(t *testing.T) {
	_, _, sealed := vectorChain(t)
	tiles := leafTiles{sealed[0].Leaf, sealed[1].Leaf, sealed[2].Leaf}
	inclusion, err := InclusionProof(tiles, 3, 1)
	if err != nil || !slices.Equal(inclusion, []Hash{tiles[0], tiles[2]}) {
		t.Errorf("inclusion of 1 in 3: %v, %v", inclusion, err)
	}
	for older, want := range map[uint64][]Hash{1: {tiles[1], tiles[2]}, 2: {tiles[2]}} {
		if proof, err := ConsistencyProof(tiles, older, 3); err != nil || !slices.Equal(proof, want) {
			t.Errorf("consistency %d to 3: %v, %v", older, proof, err)
		}
	}
}

func TestVectorBalances(t *testing.T) {
	var sealKey [32]byte
	for i := range sealKey {
		sealKey[i] = 0x40 + byte(i)
	}
	balances := []Balance{
		{"ext:stripe", -100000, "KZT"}, {"fees:p2p", 50, "KZT"}, {"wal:alice", 49950, "KZT"}, {"wal:bob", 50000, "KZT"},
		{"mask:msk_4f1a", -1200, "USD"}, {"merchant:spotify.com", 1200, "USD"},
	}
	var tree Tree
	for _, balance := range balances {
		tree.Append(balance.Leaf(&sealKey))
	}
	equal(t, "balances root", tree.Root(), "53cabfd31327f3538813807e59f42c429490b67f1fc82c3b934abf7e636c024b")
}

func TestVectorCheckpoint(t *testing.T) {
	state, rows, sealed := vectorChain(t)
	logKey, witnessKey := vectorKey(0x00), vectorKey(0x20)
	logVerifierKey := VerifierKey(vectorLedger, logKey.Public().(ed25519.PublicKey))
	witnessVerifierKey := CosignatureVerifierKey("witness.example.org/w1", witnessKey.Public().(ed25519.PublicKey))
	equal(t, "log vkey", logVerifierKey, "ledger.example.com/main+f7597131+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4")
	equal(t, "witness vkey", witnessVerifierKey, "witness.example.org/w1+f3c080b6+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X")

	signer, err := NewSigner(vectorLedger, logKey)
	if err != nil {
		t.Fatal(err)
	}
	cosigner, err := NewCosigner("witness.example.org/w1", witnessKey)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := Checkpoint{Origin: vectorLedger, Size: state.Head.Size, Root: state.Tree.Root()}
	signed, err := checkpoint.Sign(signer, cosigner.At(1790000002))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "note", string(signed), vectorNote)
	equal(t, "note digest", digest(signed), "688bba7b937ea95b69ee1638bb754c9ae4e2373cf492c13510cd1aed79bf1f8e")

	log, witness := mustVerifier(t, logVerifierKey), mustVerifier(t, witnessVerifierKey)
	opened, err := OpenCheckpoint(signed, log, witness)
	if err != nil || opened.Checkpoint != checkpoint || len(opened.Note.Sigs) != 2 {
		t.Fatalf("opened %+v, %v", opened, err)
	}
	if seconds, err := CosignatureTime(opened.Note.Sigs[1]); err != nil || seconds != 1790000002 {
		t.Errorf("cosigned at %d, %v", seconds, err)
	}

	stored, _ := ParseRow(rows[1])
	receipt := Receipt{
		Index: 1, Entry: stored.Entry, Opening: stored.Opening,
		Proof: []Hash{sealed[0].Leaf, sealed[2].Leaf}, Checkpoint: signed,
	}
	text := receipt.Append(nil)
	equal(t, "receipt length", len(text), "822") // 818 characters
	equal(t, "receipt digest", digest(text), "fc5b69617ca9bc1dec1d0294db944ed8670d05bbd9142d2b001921ef13efd3e4")
	verified, err := receipt.Verify(log, witness)
	if err != nil || verified.Entry != sealed[1].Entry || string(verified.Payload) != vectorPayloads[1] {
		t.Errorf("verified %+v, %v", verified, err)
	}

	logOnly, err := checkpoint.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	request := AddCheckpoint{OldSize: 1, Proof: []Hash{sealed[1].Leaf, sealed[2].Leaf}, Checkpoint: logOnly}
	equal(t, "add-checkpoint", digest(request.Append(nil)), "f6766d06843a07b2c176555f33afb06dc22432960190d5f55e76da5ebafaadad")

	_, answer, _ := strings.Cut(vectorNote, "hAY=\n")
	joined, err := AddSignatures(logOnly, []byte(answer))
	if err != nil || string(joined) != vectorNote {
		t.Errorf("added signatures: %s, %v", joined, err)
	}
}

func mustVerifier(t testing.TB, vkey string) note.Verifier {
	t.Helper()
	verifier, err := NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

// leafTiles are the tiles of a tree given by its leaves.
type leafTiles []Hash

func (l leafTiles) ReadTile(level int, index uint64, width int) ([]Hash, error) {
	hashes := make([]Hash, 0, width)
	span := uint64(1) << (tileHeight * level)
	for i := range uint64(width) {
		first := (index*TileWidth + i) * span
		if first+span > uint64(len(l)) {
			return nil, fmt.Errorf("tile %d of level %d has %d hashes, %d asked", index, level, i, width)
		}
		var tree Tree
		for _, leaf := range l[first : first+span] {
			tree.Append(leaf)
		}
		hashes = append(hashes, tree.Root())
	}
	return hashes, nil
}
