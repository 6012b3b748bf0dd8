package store

import (
	"bytes"
	"fmt"
	"sort"
	"sync"
)

// walk verifies one tree of the file leaf by leaf: the layout of every page on
// the way, the order of all keys and the checksum of every row.
type walk struct {
	pages  *pages
	bucket *bucket // whose rows the leaves hold; nil for a tree of buckets
	prefix []byte  // of every key, as checksums see it: the hour of a partition

	// inner tells whose rows a bucket in a tree of buckets holds, found is told
	// of those with a tree of their own.
	inner func(name []byte) (rows *bucket, prefix []byte, err error)
	found func(name []byte, root uint64)

	from   []byte // where to start: the leaf that covers this key
	wide   bool   // the leaf before it, too
	leaves int    // how many more may be visited, from that leaf on
	next   []byte // afterwards, the first key not covered; nil at the end
	report func(key []byte, err error)

	buffers [maxHeight][]byte
}

const allLeaves = -1

var walks = sync.Pool{New: func() any { return new(walk) }}

// visit verifies the pages below id, whose keys lie from low up to, but not
// including, high. It reports what is wrong and goes on beside it.
func (w *walk) visit(depth int, id uint64, low, high []byte) {
	if depth == maxHeight {
		w.report(low, fmt.Errorf("page %d: %w", id, errHeight))
		return
	}
	page, err := w.pages.read(&w.buffers[depth], id)
	if err != nil {
		w.report(low, err)
		return
	}
	if err := page.verifyKeys(low, high); err != nil {
		w.report(low, fmt.Errorf("page %d: %w", id, err))
		return
	}
	if page.kind() == leafPage {
		w.visitLeaf(page, high)
		return
	}
	for i := w.start(page); i < page.count() && w.leaves != 0; i++ {
		key, child := page.branch(i)
		bound := high
		if i+1 < page.count() {
			bound = page.key(i + 1)
		}
		w.visit(depth+1, child, key, bound)
	}
}

// start is the child that covers from, or the one before it.
func (w *walk) start(page filePage) int {
	after := sort.Search(page.count(), func(i int) bool { return bytes.Compare(page.key(i), w.from) > 0 })
	if w.wide {
		after--
	}
	return max(0, after-1)
}

func (w *walk) visitLeaf(page filePage, high []byte) {
	if w.bucket != nil {
		w.verifyRows(page, w.bucket, w.prefix)
	} else {
		w.verifyBuckets(page)
	}
	if w.leaves > 0 && (high == nil || bytes.Compare(w.from, high) < 0) {
		w.leaves--
	}
	w.next = bytes.Clone(high)
}

func (w *walk) verifyRows(page filePage, b *bucket, prefix []byte) {
	for i := range page.count() {
		flags, key, sealed := page.leaf(i)
		if flags != rowElement {
			w.report(key, errElement)
		} else if err := b.verify(prefix, key, sealed); err != nil {
			w.report(key, err)
		}
	}
}

func (w *walk) verifyBuckets(page filePage) {
	for i := range page.count() {
		flags, name, value := page.leaf(i)
		if flags != bucketElement || len(value) < bucketHeader {
			w.report(name, errElement)
			continue
		}
		rows, prefix, err := w.inner(name)
		if err != nil {
			w.report(name, err)
			continue
		}
		if root := fileOrder.Uint64(value); root != 0 {
			if w.found != nil {
				w.found(name, root)
			}
			continue
		}
		inline := filePage(value[bucketHeader:])
		if err := inline.verifyInline(); err != nil {
			w.report(name, err)
			continue
		}
		w.verifyRows(inline, rows, prefix)
	}
}

// verifyInline verifies the page inside the value of a small bucket.
func (p filePage) verifyInline() error {
	if len(p) < pageHeader || p.kind() != leafPage {
		return errKind
	}
	if end, err := p.end(); err != nil || end != uint64(len(p)) {
		return errLayout
	}
	return p.verifyKeys(nil, nil)
}
