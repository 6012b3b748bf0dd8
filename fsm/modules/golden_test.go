package modules_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/hashicorp/raft"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/store"
)

var updateGolden = flag.Bool("update", false, "write testdata/wire anew")

// wire is where released encodings are kept. A line that changes is a log or a
// state that no longer reads.
const wire = "../../testdata/wire"

// golden compares text with a file, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join(wire, name)
	if *updateGolden {
		if err := os.MkdirAll(wire, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) == got {
		return
	}
	was, is := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range max(len(was), len(is)) {
		if i >= len(was) || i >= len(is) || was[i] != is[i] {
			t.Fatalf("%s, line %d: got %q, want %q", name, i+1, at(is, i), at(was, i))
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "nothing"
}

// handlers are all commands by name.
func handlers(t *testing.T) map[string]fsm.Handler {
	return bank.New(t, fsmtest.Options{Unchecked: true}).Machine.Machine().Handlers()
}

// fill gives every field of an input a value that shows its place.
func fill(v reflect.Value, name string, number *int64) {
	*number++
	switch v.Kind() {
	case reflect.String:
		v.SetString(name)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64, reflect.Int:
		v.SetInt(*number * 1000)
	case reflect.Uint64, reflect.Uint32, reflect.Uint8:
		v.SetUint(uint64(*number))
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(*number))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), name, number)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), v.Type().Field(i).Name, number)
		}
	default:
		panic(fmt.Sprintf("%s is a %v: such types do not travel", name, v.Kind()))
	}
}

// example is a filled input of a command.
func example(h fsm.Handler) any {
	in := h.Input()
	fill(reflect.ValueOf(in).Elem(), "", new(int64))
	return in
}

// line is an encoding in hexadecimal, and below it how it reads.
func line(encoded []byte) string {
	return hex.EncodeToString(encoded) + "\n# " + diagnose(encoded) + "\n"
}

func TestWireFormsOfCommands(t *testing.T) {
	kept := map[string]bool{"rejections.txt": true, "history.txt": true, "rows.txt": true, "envelopes.txt": true}
	all := handlers(t)
	for _, name := range sortedKeys(all) {
		in := example(all[name])
		encoded := store.Encode(in)
		file := strings.ReplaceAll(name, "/", ".") + ".hex"
		kept[file] = true
		golden(t, file, line(encoded))

		back := all[name].Input()
		if err := store.Decode(encoded, back); err != nil || !reflect.DeepEqual(back, in) {
			t.Errorf("%s does not decode as it was encoded: %v", name, err)
		}
		widened := append([]byte{encoded[0] + 1}, encoded[1:]...)
		widened = append(widened, 0x18, 0xff, 0x00) // one field more, numbered 255
		if encoded[0]&0x1f < 23 && store.Decode(widened, all[name].Input()) == nil {
			t.Errorf("%s takes a field it does not know", name)
		}
	}
	files, err := os.ReadDir(wire)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !kept[f.Name()] {
			t.Errorf("%s is the form of a command that is gone: released commands stay", f.Name())
		}
	}
}

// The forms that every command travels in.
func TestWireFormsOfEnvelopes(t *testing.T) {
	var text strings.Builder
	form := func(name string, encoded []byte) { text.WriteString(name + "\n" + line(encoded)) }
	number := new(int64)
	var actor fsm.Actor
	fill(reflect.ValueOf(&actor).Elem(), "", number)
	request := fsm.Request{Command: "domain.verb/1", Actor: actor, RequestID: fsm.RequestID{1, 15: 16}, BodyHash: [32]byte{1, 31: 32}, KeepRejection: true, Payload: store.Raw{0xa0}}
	form("request", store.Encode(&request))
	form("request of nobody", store.Encode(&fsm.Request{Command: "domain.verb/1", Payload: store.Raw{0xa0}}))
	entry := fsm.Entry{SaltID: [4]byte{1, 2, 3, 4}, Time: 1_790_000_000_000_000, Seed: [16]byte{1, 15: 16}, Requests: []store.Raw{{0xa0}, {0xa0}}}
	sealed := fsm.Seal(entry)
	form("entry", sealed[:len(sealed)-4])
	text.WriteString("seal\n" + hex.EncodeToString(sealed[len(sealed)-4:]) + "\n")
	rejection := fsm.Reject(fsm.Conflict, "some_code").With(fsm.Text("a", "text"), fsm.Text("b", ""), fsm.Number("c", -5), fsm.Number("d", 0))
	form("outcome with a result", fsm.EncodeOutcome(fsm.Outcome{Index: 7, Result: cbor.RawMessage{0xa0}, Replayed: true}))
	form("outcome with a rejection", fsm.EncodeOutcome(fsm.Outcome{Index: 7, Rejection: rejection}))
	golden(t, "envelopes.txt", text.String())
}

// Codes and kinds of rejections are permanent: clients and logs know them.
func TestRejectionsArePermanent(t *testing.T) {
	b := bank.New(t, fsmtest.Options{Unchecked: true})
	machine := b.Machine.Machine()
	var text strings.Builder
	list := func(name string, rs fsm.Rejections) {
		var lines []string
		for _, r := range rs {
			lines = append(lines, fmt.Sprintf("%s %d %s\n", name, r.Kind, r.Code))
			if strings.Trim(r.Code, "abcdefghijklmnopqrstuvwxyz_") != "" || r.Kind < fsm.Invalid || r.Kind > fsm.Internal {
				t.Errorf("%s: %q of kind %d is no rejection of ours", name, r.Code, r.Kind)
			}
		}
		slices.Sort(lines)
		if len(slices.Compact(slices.Clone(lines))) != len(lines) {
			t.Errorf("%s declares a rejection twice", name)
		}
		text.WriteString(strings.Join(lines, ""))
	}
	list("*", machine.Refusals())
	kinds := map[string]fsm.Kind{}
	for _, name := range sortedKeys(machine.Handlers()) {
		rejects := machine.Handlers()[name].Rejects()
		list(name, rejects)
		for _, r := range rejects {
			if kind, seen := kinds[r.Code]; seen && kind != r.Kind {
				t.Errorf("%s is of kind %d and of kind %d", r.Code, kind, r.Kind)
			}
			kinds[r.Code] = r.Kind
		}
	}
	golden(t, "rejections.txt", text.String())
}

// TestAnOldLogGivesTheSameState applies the log entries of testdata and wants
// the rows and the digest they gave when they were written.
func TestAnOldLogGivesTheSameState(t *testing.T) {
	if *updateGolden {
		writeHistory(t)
	}
	content, err := os.ReadFile(filepath.Join(wire, "history.txt"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	b := bank.New(t, fsmtest.Options{})
	for i, want := range lines[1:] {
		entry, err := hex.DecodeString(want)
		if err != nil {
			t.Fatal(err)
		}
		if i < 2 { // every machine begins with these
			if !bytes.Equal(b.History()[i].Data, entry) {
				t.Fatalf("entry %d: the first entries of a machine are others now", i+1)
			}
			continue
		}
		b.Deliver(b.Log(raft.LogCommand, entry))
	}
	if digest := b.Digest(); hex.EncodeToString(digest[:]) != lines[0] {
		t.Errorf("digest %x, want %s", digest, lines[0])
	}
	golden(t, "rows.txt", strings.Join(readable(b.Dump()), "\n")+"\n")
}

func writeHistory(t *testing.T) {
	b := bank.New(t, fsmtest.Options{Unchecked: true})
	everything(b)
	digest := b.Digest()
	lines := []string{hex.EncodeToString(digest[:])}
	for _, log := range b.History() {
		lines = append(lines, hex.EncodeToString(log.Data))
	}
	golden(t, "history.txt", strings.Join(lines, "\n")+"\n")
}

// readable shows rows as text: keys that are printable, values that are CBOR.
func readable(dump []string) (rows []string) {
	for _, row := range dump {
		bucket, rest, _ := strings.Cut(row, " ")
		if bucket == "store.meta" {
			continue // what the file says about itself is not ours
		}
		key, value, _ := strings.Cut(rest, " = ")
		plain, stored := decodeHex(key), decodeHex(value)
		if text := strings.ReplaceAll(string(plain), "\x00", "|"); text[0] != '|' && strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0 {
			key = fmt.Sprintf("%q", text)
		}
		if len(stored) >= 4 {
			stored = stored[:len(stored)-4] // without the checksum, which follows from the rest
		}
		value = hex.EncodeToString(stored)
		if cbor.Wellformed(stored) == nil && bucket != "ledgerchain.entries" {
			value = diagnose(stored)
		}
		rows = append(rows, bucket+" "+key+" = "+value)
	}
	return rows
}

func decodeHex(text string) []byte {
	decoded, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return decoded
}
