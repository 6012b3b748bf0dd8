package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

const (
	endName  = "raft.end"
	endTitle = "coffer raft end\n"
	endSize  = len(endTitle) + 16 + checksumSize
)

// logEnd is an entry that a log had durably. By raft's log matching, a log with an entry of that index and term has all
// that came before it. Term 0 stands for any.
type logEnd struct{ index, term uint64 }

// endMark notes beside raft.db how far its log reaches. bbolt checks nothing but its meta pages: a page number that lost a
// bit can make a log end early without a trace, or show an older one; so does a copy from before. The mark is never ahead
// of what is durable in the log, so a log that does not reach it has lost entries. It is not synced when it rises: a power
// cut may leave an older one, which shows less and never too much.
type endMark struct{ file *os.File }

func openEnd(dir string) (*endMark, error) {
	file, err := os.OpenFile(filepath.Join(dir, endName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the mark of the log's end: %w", err)
	}
	return &endMark{file}, nil
}

// readEnd returns what was noted, the zero end for nothing or for a mark that cannot be read.
func readEnd(dir string) (end logEnd, err error) {
	file, err := os.Open(filepath.Join(dir, endName))
	if errors.Is(err, os.ErrNotExist) {
		return logEnd{}, nil
	}
	if err != nil {
		return logEnd{}, fmt.Errorf("read the mark of the log's end: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	mark := make([]byte, endSize)
	if _, err := io.ReadFull(file, mark); err == io.EOF || err == io.ErrUnexpectedEOF {
		return logEnd{}, nil
	} else if err != nil {
		return logEnd{}, fmt.Errorf("read the mark of the log's end: %w", err)
	}
	body, sum := mark[:endSize-checksumSize], mark[endSize-checksumSize:]
	if string(body[:len(endTitle)]) != endTitle || binary.BigEndian.Uint32(sum) != crc32.Checksum(body, castagnoli) {
		return logEnd{}, nil
	}
	numbers := body[len(endTitle):]
	return logEnd{binary.BigEndian.Uint64(numbers), binary.BigEndian.Uint64(numbers[8:])}, nil
}

// rise notes the newest entry once it is durable. Without a file it does nothing.
func (m *endMark) rise(end logEnd) error {
	if m == nil {
		return nil
	}
	mark := binary.BigEndian.AppendUint64(append(make([]byte, 0, endSize), endTitle...), end.index)
	mark = binary.BigEndian.AppendUint64(mark, end.term)
	mark = binary.BigEndian.AppendUint32(mark, crc32.Checksum(mark, castagnoli))
	if _, err := m.file.WriteAt(mark, 0); err != nil {
		return fmt.Errorf("note the end of the raft log: %w", err)
	}
	return nil
}

// lower notes, durably, that entries behind last may be deleted from now on; 0 means all of them.
func (m *endMark) lower(last uint64) error {
	if m == nil {
		return nil
	}
	if err := m.rise(logEnd{index: last}); err != nil {
		return err
	}
	if err := m.file.Sync(); err != nil {
		return fmt.Errorf("note the end of the raft log: %w", err)
	}
	return nil
}

func (m *endMark) close() error {
	if m == nil {
		return nil
	}
	return m.file.Close()
}
