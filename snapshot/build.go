package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"coffer/store"
)

// plan is how a stream becomes a state file.
type plan struct {
	options store.Options // path of the new file, schema and stamp
	source  Source        // its cluster id does not count
	newest  uint32        // state-machine version this program can run
	// admit refuses a state by its header, or says what the file will record.
	admit    func(Header) (store.Applied, error)
	progress func(bytes int64)     // may be nil
	check    func(*store.DB) error // of the finished file; may be nil
}

// ErrNewer is returned for a state that only a newer program can go on with.
var ErrNewer = errors.New("the state needs a newer program")

// build reads a stream to its end and makes a durable, verified file of it. On
// any error there is no file.
func (p *plan) build(from io.Reader) (Summary, error) {
	r, err := NewReader(from)
	if err != nil {
		return Summary{}, err
	}
	if h := r.Header(); h.Version > p.newest {
		return Summary{}, fmt.Errorf("%w: it has version %d, this program knows up to %d", ErrNewer, h.Version, p.newest)
	}
	applied, err := p.admit(r.Header())
	if err != nil {
		return Summary{}, err
	}
	file, err := store.Build(p.options)
	if err != nil {
		return Summary{}, err
	}
	if err := p.fill(file, r); err != nil {
		return Summary{}, errors.Join(err, file.Discard())
	}
	if err := file.Finish(applied); err != nil {
		return Summary{}, err
	}
	if err := p.verify(r.Summary(), applied); err != nil {
		return Summary{}, errors.Join(err, file.Discard())
	}
	return r.Summary(), nil
}

// fill copies rows until the stream has ended as it must.
func (p *plan) fill(file *store.Builder, r *Reader) error {
	told := int64(0)
	for {
		row, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := file.Add(row); err != nil {
			return err
		}
		if p.progress != nil && r.frames.offset != told {
			told = r.frames.offset
			p.progress(told)
		}
	}
}

// verify opens the finished file and compares it with what the stream said.
func (p *plan) verify(said Summary, applied store.Applied) (err error) {
	db, err := store.Inspect(p.options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	v := db.Latest()
	defer v.Close()
	if found := v.Applied(); !bytes.Equal(store.Encode(&found), store.Encode(&applied)) {
		return fmt.Errorf("the new state file records entry %d, not %d", found.Index, applied.Index)
	}
	err = guarded(func() error { return p.compare(said, v) })
	if err == nil && p.check != nil {
		err = p.check(db)
	}
	return err
}

func (p *plan) compare(said Summary, v *store.View) error {
	var findings []error
	v.CheckPages(func(finding error) { findings = append(findings, finding) })
	if len(findings) > 0 {
		return fmt.Errorf("check the new state file: %w", errors.Join(findings...))
	}
	chain, err := chainOf(v)
	if err != nil {
		return err
	}
	if chain != said.Header.Chain {
		return fmt.Errorf("the header names the chain %+v, the rows end with %+v", said.Header.Chain, chain)
	}
	if p.source.Sums == nil {
		return nil
	}
	sums, err := p.source.Sums(v)
	if err != nil {
		return fmt.Errorf("add up the books: %w", err)
	}
	if !slices.Equal(sums, said.Footer.Sums) {
		return fmt.Errorf("the footer has the sums %+v, the rows give %+v", said.Footer.Sums, sums)
	}
	return nil
}
