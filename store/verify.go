package store

import (
	"bytes"
	"fmt"
)

// newWalk readies a walk over everything from the first leaf on.
func newWalk(p *pages) *walk {
	w := walks.Get().(*walk)
	*w = walk{pages: p, leaves: allLeaves, buffers: w.buffers}
	return w
}

// run verifies the tree below root and ends the walk. It returns the first key
// not covered, nil at the end.
func (w *walk) run(root uint64) (next []byte) {
	w.visit(0, root, nil, nil)
	next = w.next
	*w = walk{buffers: w.buffers}
	walks.Put(w)
	return next
}

// reportTo turns findings of a walk into Problems of one bucket.
func reportTo(report func(Problem), bucket string, prefix []byte) func([]byte, error) {
	return func(key []byte, err error) {
		report(Problem{Bucket: bucket, Key: append(bytes.Clone(prefix), key...), Err: err})
	}
}

// verifyBuckets verifies the tree of buckets and the meta rows. It returns the
// buckets with a tree of their own.
func (p *pages) verifyBuckets(schema *Schema, report func(Problem)) (found []place) {
	w := newWalk(p)
	w.report = reportTo(report, rootName, nil)
	w.inner = func(name []byte) (*bucket, []byte, error) {
		if b := schema.named(name); b != nil {
			return b, nil, nil
		}
		return nil, nil, fmt.Errorf("unknown bucket %q: written by a newer program?", name)
	}
	w.found = func(name []byte, root uint64) { found = append(found, place{bytes.Clone(name), root}) }
	w.run(p.head.root)
	for _, b := range found {
		if string(b.name) == metaBucket {
			p.verifyRows(metaRows, nil, b.root, report)
		}
	}
	return found
}

// rootName stands for the tree of buckets in findings.
const rootName = "state.db"

// verifyRows verifies one tree of rows; prefix is the hour of a partition.
func (p *pages) verifyRows(b *bucket, prefix []byte, root uint64, report func(Problem)) {
	w := newWalk(p)
	w.bucket, w.prefix, w.report = b, prefix, reportTo(report, b.name, prefix)
	w.run(root)
}

// verifyPartitions verifies the partitions of one bucket.
func (p *pages) verifyPartitions(b *bucket, root uint64, report func(Problem)) {
	var found []place
	w := newWalk(p)
	w.report = reportTo(report, b.name, nil)
	w.inner = func(name []byte) (*bucket, []byte, error) { return b, name, checkHour(name) }
	w.found = func(name []byte, root uint64) { found = append(found, place{bytes.Clone(name), root}) }
	w.run(root)
	for _, hour := range found {
		p.verifyRows(b, hour.name, hour.root, report)
	}
}

// verifyBucket verifies one bucket with a tree of its own.
func (p *pages) verifyBucket(b *bucket, root uint64, report func(Problem)) {
	if b.kind == partitionBucket {
		p.verifyPartitions(b, root, report)
		return
	}
	p.verifyRows(b, nil, root, report)
}

// verifyAll verifies every page and every row: afterwards no read of this file
// can go wrong in silence.
func (p *pages) verifyAll(schema *Schema, report func(Problem)) {
	for _, found := range p.verifyBuckets(schema, report) {
		if b := schema.named(found.name); b != nil && b != metaRows {
			p.verifyBucket(b, found.root, report)
		}
	}
	accountPages(p, schema, func(err error) { report(Problem{Bucket: rootName, Err: err}) })
}
