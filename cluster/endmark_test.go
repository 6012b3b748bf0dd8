package cluster

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// markedLog is a used raft.db and the mark of its end.
func markedLog(t *testing.T) (content, mark []byte) {
	t.Helper()
	dir, content := usedFile(t, 200, 300) // from entry 21 to 194
	mark, err := os.ReadFile(filepath.Join(dir, endName))
	must(t, err)
	return content, mark
}

// marked is the bytes of a mark.
func marked(t *testing.T, end logEnd) []byte {
	t.Helper()
	dir := t.TempDir()
	m, err := openEnd(dir)
	must(t, err)
	must(t, m.rise(end))
	must(t, m.close())
	mark, err := os.ReadFile(filepath.Join(dir, endName))
	must(t, err)
	return mark
}

func TestALogThatDoesNotReachItsMarkIsRefused(t *testing.T) {
	content, mark := markedLog(t)
	if !bytes.Equal(mark, marked(t, logEnd{index: 194})) {
		t.Errorf("after a deletion the mark is %x", mark)
	}
	for _, c := range []struct {
		mark    logEnd
		refused bool
	}{
		{logEnd{194, 2}, false},
		{logEnd{100, 2}, false}, // an older mark, as after a power cut
		{logEnd{10, 7}, false},  // of an entry that is truncated
		{logEnd{195, 0}, true},
		{logEnd{1 << 40, 2}, true},
		{logEnd{194, 1}, true}, // the log of before another leader's
		{logEnd{100, 3}, true},
	} {
		files, err := tryOpenMarked(t, content, marked(t, c.mark), 30)
		var refusal *Refused
		if errors.As(err, &refusal) != c.refused || (err != nil) != c.refused {
			t.Errorf("a mark of entry %d, term %d: %v", c.mark.index, c.mark.term, err)
		}
		if err == nil {
			must(t, files.close())
		}
	}
}

// TestAMarkThatCannotBeReadShowsNothing: it is a second witness, and no node
// stops for want of it.
func TestAMarkThatCannotBeReadShowsNothing(t *testing.T) {
	content, mark := markedLog(t)
	for _, damaged := range [][]byte{nil, {}, mark[:20], append([]byte("x"), mark[1:]...), append(bytes.Clone(mark[:20]), make([]byte, 20)...)} {
		files, err := tryOpenMarked(t, content, damaged, 30)
		if err != nil {
			t.Errorf("mark %q: %v", damaged, err)
			continue
		}
		must(t, files.logs.StoreLogs(testLogs(195, 3, 2, 10)))
		end, err := readEnd(filepath.Dir(files.logs.end.file.Name()))
		must(t, err)
		if end != (logEnd{197, 2}) {
			t.Errorf("after an append the mark is %+v", end)
		}
		must(t, files.close())
	}
}

func FuzzReadEnd(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte(endTitle))
	f.Fuzz(func(t *testing.T, mark []byte) {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, endName), mark, 0o600))
		end, err := readEnd(dir)
		must(t, err)
		if end != (logEnd{}) && !bytes.Equal(marked(t, end), mark[:endSize]) {
			t.Errorf("%x was read as %+v", mark, end)
		}
	})
}
