package ledgerchain

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

func TestParseEntryRefuses(t *testing.T) {
	valid := Entry{Index: 7, Time: 1, Kind: "transfer"}
	change := func(edit func(b []byte) []byte) []byte { return edit(valid.Append(nil)) }
	put := func(at int, value uint64) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint64(b[at:], value); return b }
	}
	for name, b := range map[string][]byte{
		"nothing":           nil,
		"one byte short":    change(func(b []byte) []byte { return b[:len(b)-1] }),
		"one byte long":     change(func(b []byte) []byte { return append(b, 0) }),
		"no kind":           (&Entry{}).Append(nil),
		"kind too long":     (&Entry{Kind: strings.Repeat("x", 65)}).Append(nil),
		"upper case kind":   (&Entry{Kind: "Transfer"}).Append(nil),
		"kind with space":   (&Entry{Kind: "a b"}).Append(nil),
		"magic":             change(func(b []byte) []byte { b[3] = '2'; return b }),
		"index of 57 bits":  change(put(4, MaxSize)),
		"negative time":     change(put(12, math.MaxInt64+1)),
		"kind length wrong": change(func(b []byte) []byte { b[kindLengthAt]++; return b }),
	} {
		if entry, err := ParseEntry(b); err == nil {
			t.Errorf("%s: accepted as %+v", name, entry)
		}
	}
	longest := Entry{Index: MaxSize - 1, Time: math.MaxInt64, Kind: strings.Repeat("-", 64)}
	if entry, err := ParseEntry(longest.Append(nil)); err != nil || entry != longest {
		t.Errorf("longest: %+v, %v", entry, err)
	}
}

func FuzzParseEntry(f *testing.F) {
	_, rows, _ := vectorChain(f)
	for _, row := range rows {
		stored, _ := ParseRow(row)
		f.Add(stored.Entry)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		entry, err := ParseEntry(b)
		if err != nil {
			return
		}
		if again := entry.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x was read as %+v, which is %x", b, entry, again)
		}
		if CheckKind(entry.Kind) != nil || !bytes.Equal(Body(b), entry.AppendBody(nil)) {
			t.Fatalf("%x: kind or body wrong", b)
		}
	})
}

func TestIDs(t *testing.T) {
	_, _, sealed := vectorChain(t)
	id := sealed[1].ID()
	equal(t, "entry id", id, "vnx_0000000000000001456cb20279f01b23")
	index, leaf, err := ParseEntryID(id)
	if err != nil || index != 1 || leaf != [8]byte(sealed[1].Leaf[:8]) {
		t.Errorf("parsed %d, %x, %v", index, leaf, err)
	}
	blind := testBlind(1)
	id = TransactionID(0x01020304050607, 0xfe, blind)
	equal(t, "transaction id", id, "tx_01020304050607fe"+digest([]byte("coffer/tx\n" + string(blind[:])))[:16])
	index, leg, tag, err := ParseTransactionID(id)
	if err != nil || index != 0x01020304050607 || leg != 0xfe || tag != TransactionTag(blind) {
		t.Errorf("parsed %x, %x, %x, %v", index, leg, tag, err)
	}
	for _, bad := range []string{
		"", "vnx_", "tx_", "vnx_0000000000000001456cb20279f01b2", "vnx_0000000000000001456cb20279f01b233", "VNX_0000000000000001456cb20279f01b23",
		"vnx_0000000000000001456CB20279f01b23", "vnx_0000000000000001456cb20279f01b2g", "tx_0000000000000001456cb20279f01b2G", "vnx_0100000000000000456cb20279f01b23",
		" vnx_0000000000000001456cb20279f01b23",
	} {
		if _, _, err := ParseEntryID(bad); err == nil {
			t.Errorf("entry id %q was accepted", bad)
		}
		if _, _, _, err := ParseTransactionID(bad); err == nil {
			t.Errorf("transaction id %q was accepted", bad)
		}
	}
}

func FuzzIDs(f *testing.F) {
	f.Add("vnx_0000000000000001456cb20279f01b23")
	f.Add("tx_01020304050607fe456cb20279f01b23")
	f.Fuzz(func(t *testing.T, id string) {
		if index, leaf, err := ParseEntryID(id); err == nil {
			var hash Hash
			copy(hash[:], leaf[:])
			equal(t, "entry id", EntryID(index, hash), id)
		}
		if index, leg, _, err := ParseTransactionID(id); err == nil && TransactionID(index, leg, Blind{})[:19] != id[:19] {
			t.Fatalf("%q is entry %d, leg %d", id, index, leg)
		}
	})
}

func TestParseHashAndSaltID(t *testing.T) {
	digits := strings.Repeat("0a", 32)
	if h, err := ParseHash(digits); err != nil || h.String() != digits {
		t.Errorf("hash %s, %v", h, err)
	}
	if id, err := ParseSaltID("b8291859"); err != nil || id.String() != "b8291859" {
		t.Errorf("salt id %s, %v", id, err)
	}
	for _, bad := range []string{"", digits[1:], strings.ToUpper(digits), digits + "00", strings.Repeat("0g", 32)} {
		if _, err := ParseHash(bad); err == nil {
			t.Errorf("hash %q was accepted", bad)
		}
		if _, err := ParseSaltID(bad); err == nil {
			t.Errorf("salt id %q was accepted", bad)
		}
	}
}

func TestCheckLedgerID(t *testing.T) {
	for _, id := range []string{"ledger.example.com/main", "coffer.local/0c52", "a", "ledger.example.com/main/e2"} {
		if err := CheckLedgerID(id); err != nil {
			t.Error(err)
		}
	}
	for _, id := range []string{"", "a b", "a+b", "a\n", "a\u2003b", "\xff", "a\x00", strings.Repeat("a", 201)} {
		if CheckLedgerID(id) == nil {
			t.Errorf("%q was accepted", id)
		}
	}
}

func TestAppendRow(t *testing.T) {
	entry := (&Entry{Kind: "transfer"}).Append(nil)
	links := make([]Link, MaxLinks)
	for i := range links {
		links[i] = Link{Account: uint64(i), Owner: uint64(i) << 40}
	}
	for _, payload := range [][]byte{nil, []byte("{}"), make([]byte, MaxPayload)} {
		for _, some := range [][]Link{nil, links[:1], links} {
			row, err := AppendRow([]byte("before"), entry, testBlind(1), payload, some)
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := ParseRow(row[len("before"):])
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(parsed.Entry, entry) || !bytes.Equal(parsed.Payload(), payload) || parsed.Links() != len(some) {
				t.Errorf("payload of %d bytes, %d links: read %+v", len(payload), len(some), parsed)
			}
			if parsed.Erased() != (payload == nil) || !parsed.Erased() && parsed.Blind() != testBlind(1) || parsed.Erased() && parsed.Blind() != (Blind{}) {
				t.Errorf("erased %v, blind %x", parsed.Erased(), parsed.Blind())
			}
			for leg, want := range some {
				if got := parsed.Link(leg); got != want {
					t.Errorf("link %d is %+v, want %+v", leg, got, want)
				}
			}
		}
	}
	if _, err := AppendRow(nil, entry, Blind{}, make([]byte, MaxPayload+1), nil); err == nil {
		t.Error("a payload over the limit was accepted")
	}
	if _, err := AppendRow(nil, entry, Blind{}, nil, make([]Link, MaxLinks+1)); err == nil {
		t.Error("too many links were accepted")
	}
	if _, err := AppendRow(nil, nil, Blind{}, nil, nil); err == nil {
		t.Error("a row without entry was accepted")
	}
}

func TestParseRowRefusesCutAndGrownRows(t *testing.T) {
	_, rows, _ := vectorChain(t)
	row, err := AppendRow(nil, rows[0][2:130], testBlind(0), []byte("{}"), []Link{{1, 2}, {3, 4}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range row {
		if _, err := ParseRow(row[:n]); err == nil {
			t.Errorf("a row cut after %d bytes was accepted", n)
		}
	}
	if _, err := ParseRow(append(row, 0)); err == nil {
		t.Error("a row with one byte more was accepted")
	}
	for _, length := range []uint32{1, BlindSize, maxOpening + 1, math.MaxUint32} {
		edited := bytes.Clone(row)
		binary.BigEndian.PutUint32(edited[130:], length)
		if _, err := ParseRow(edited); err == nil {
			t.Errorf("an opening of %d bytes was accepted", length)
		}
	}
}

func FuzzParseRow(f *testing.F) {
	_, rows, _ := vectorChain(f)
	for _, row := range rows {
		f.Add(row)
	}
	erased, _ := AppendRow(nil, (&Entry{Kind: "seal"}).Append(nil), Blind{}, nil, []Link{{1, 2}})
	f.Add(erased)
	f.Fuzz(func(t *testing.T, b []byte) {
		row, err := ParseRow(b)
		if err != nil {
			return
		}
		links := make([]Link, row.Links())
		for leg := range links {
			links[leg] = row.Link(leg)
		}
		again, err := AppendRow(nil, row.Entry, row.Blind(), row.Payload(), links)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x was read as %+v, which is %x, %v", b, row, again, err)
		}
		if _, err := HeadAfter(b); err == nil {
			if _, err := ParseEntry(row.Entry); err != nil {
				t.Fatalf("%x has a head but no entry: %v", b, err)
			}
		}
	})
}
