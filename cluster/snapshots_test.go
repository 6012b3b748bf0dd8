package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/hashicorp/raft"
)

// testSnapshots is the virtual snapshot store over a state file.
type testSnapshots struct{ file *stateFile }

// testImage is a snapshot on the wire.
type testImage struct {
	Indexes  []uint64
	Requests []string
}

// testSink takes what a peer sends; a local snapshot writes nothing.
type testSink struct {
	file    *stateFile
	meta    raft.SnapshotMeta
	content bytes.Buffer
}

func (s *testSink) Write(b []byte) (int, error) { return s.content.Write(b) }
func (s *testSink) Cancel() error               { return nil }

func (s *testSink) ID() string {
	if s.content.Len() > 0 {
		return "incoming"
	}
	return "state"
}

func (s *testSink) Close() error {
	if s.content.Len() > 0 {
		s.file.mu.Lock()
		defer s.file.mu.Unlock()
		s.file.incoming = s
	}
	return nil
}

func (s testSnapshots) Create(version raft.SnapshotVersion, index, term uint64, config raft.Configuration, at uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	return &testSink{file: s.file, meta: raft.SnapshotMeta{
		Version: version, ID: "incoming", Index: index, Term: term, Configuration: config, ConfigurationIndex: at,
	}}, nil
}

func (s testSnapshots) List() ([]*raft.SnapshotMeta, error) {
	s.file.mu.Lock()
	defer s.file.mu.Unlock()
	if s.file.state.Index == 0 {
		return nil, nil
	}
	return []*raft.SnapshotMeta{{
		Version: 1, ID: "state", Index: s.file.state.Index, Term: s.file.state.Term,
		Configuration: s.file.config, ConfigurationIndex: s.file.configAt,
	}}, nil
}

func (s testSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.file.mu.Lock()
	if id == "incoming" {
		defer s.file.mu.Unlock()
		meta := s.file.incoming.meta
		return &meta, io.NopCloser(bytes.NewReader(s.file.incoming.content.Bytes())), nil
	}
	var image testImage
	for _, r := range s.file.rows {
		image.Indexes, image.Requests = append(image.Indexes, r.index), append(image.Requests, r.request)
	}
	s.file.mu.Unlock()
	list, err := s.List()
	if err != nil || len(list) == 0 {
		return nil, nil, errors.Join(errors.New("no state to send"), err)
	}
	content, err := json.Marshal(image)
	list[0].Size = int64(len(content))
	return list[0], io.NopCloser(bytes.NewReader(content)), err
}
