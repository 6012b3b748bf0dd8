package store

import (
	"bytes"
	"errors"
	"fmt"
)

var (
	errShared = errors.New("the page is used twice")
	errLost   = errors.New("the page is neither used nor free")
	errSpill  = errors.New("the page does not go as far as the pages left to it")
)

// accounting finds out whether every page of the file has exactly one use: in a
// tree or in the free list. It reads no leaf that holds rows, so it is quick on
// a large file, and it is all that a write must know of pages it does not
// touch: a page that is in use must not be free.
type accounting struct {
	pages  *pages
	spent  pageSet // every page seen
	leaves pageSet // first pages of leaves that were not read
	report func(error)

	buffers [maxHeight][]byte
}

// pageSet has one bit for each page.
type pageSet []uint64

func newPageSet(high uint64) pageSet { return make(pageSet, high/64+1) }

func (s pageSet) has(id uint64) bool { return s[id/64]&(1<<(id%64)) != 0 }
func (s pageSet) add(id uint64)      { s[id/64] |= 1 << (id % 64) }

// accountPages reports every page without exactly one use.
func accountPages(p *pages, schema *Schema, report func(error)) {
	a := &accounting{pages: p, report: report}
	a.spent, a.leaves = newPageSet(p.head.high), newPageSet(p.head.high)
	a.spent.add(0)
	a.spent.add(1)
	a.spendFree()
	for _, b := range a.spendTree(p.head.root, true) {
		declared := schema.named(b.name)
		partitioned := declared != nil && declared.kind == partitionBucket
		for _, partition := range a.spendTree(b.root, partitioned) {
			a.spendTree(partition.root, false)
		}
	}
	a.settle()
}

// spend notes the use of pages; false if one was used before.
func (a *accounting) spend(id, length uint64) bool {
	high := a.pages.head.high
	if id >= high || length > high-id {
		a.report(fmt.Errorf("page %d: %w", id, errRange))
		return false
	}
	for page := id; page < id+length; page++ {
		if a.spent.has(page) {
			a.report(fmt.Errorf("page %d: %w", page, errShared))
			return false
		}
		a.spent.add(page)
	}
	return true
}

func (a *accounting) spendFree() {
	free, err := a.pages.freePages()
	if err != nil {
		a.report(err)
		return
	}
	for _, id := range free {
		a.spend(id, 1)
	}
	page, err := a.pages.readFirst(&a.buffers[0], a.pages.head.freelist)
	if err != nil {
		a.report(err)
		return
	}
	a.spend(page.id(), page.overflow()+1)
}

// place is where a bucket within a tree of buckets has its own tree.
type place struct {
	name []byte
	root uint64
}

// spendTree notes the pages of one tree. A tree of buckets is read to the end
// for the trees in it, of one of rows the leaves are not.
func (a *accounting) spendTree(root uint64, buckets bool) (inner []place) {
	height, err := a.height(root)
	if err != nil {
		a.report(err)
		return nil
	}
	a.spendBelow(root, 0, height, buckets, &inner)
	return inner
}

// height counts the levels of a tree above its leaves: it is the same on every
// way down.
func (a *accounting) height(id uint64) (int, error) {
	for height := range maxHeight {
		page, err := a.pages.read(&a.buffers[0], id)
		if err != nil {
			return 0, err
		}
		if page.kind() == leafPage {
			return height, nil
		}
		_, id = page.branch(0)
	}
	return 0, fmt.Errorf("page %d: %w", id, errHeight)
}

func (a *accounting) spendBelow(id uint64, depth, height int, buckets bool, inner *[]place) {
	if depth == height && !buckets {
		if a.spend(id, 1) {
			a.leaves.add(id)
		}
		return
	}
	page, err := a.pages.read(&a.buffers[depth], id)
	if err != nil {
		a.report(err)
		return
	}
	if (page.kind() == leafPage) != (depth == height) {
		a.report(fmt.Errorf("page %d: %w", id, errKind))
		return
	}
	if !a.spend(id, page.overflow()+1) {
		return
	}
	for i := range page.count() {
		if depth < height {
			_, child := page.branch(i)
			a.spendBelow(child, depth+1, height, buckets, inner)
			continue
		}
		flags, name, value := page.leaf(i)
		if flags != bucketElement || len(value) < bucketHeader {
			a.report(fmt.Errorf("page %d: %w", id, errElement))
		} else if root := fileOrder.Uint64(value); root != 0 {
			*inner = append(*inner, place{name: bytes.Clone(name), root: root})
		}
	}
}

// settle looks for pages without a use. A run of them must be what the leaf
// before it spills into.
func (a *accounting) settle() {
	high := a.pages.head.high
	for id := uint64(2); id < high; id++ {
		if a.spent.has(id) {
			continue
		}
		end := id
		for end < high && !a.spent.has(end) {
			end++
		}
		if !a.leaves.has(id - 1) {
			a.report(fmt.Errorf("page %d: %w", id, errLost))
		} else if leaf, err := a.pages.readFirst(&a.buffers[0], id-1); err != nil {
			a.report(err)
		} else if leaf.overflow() != end-id {
			a.report(fmt.Errorf("page %d: %w", id-1, errSpill))
		}
		id = end
	}
}
