package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/fnv"
)

// The layout of a bbolt file, version 2 of its format. bbolt keeps checksums of
// its two meta pages only and follows all others blindly, so everything it
// would follow is verified here first.
const (
	pageHeader   = 16 // u64 id, u16 kind, u16 count, u32 overflow
	elementSize  = 16 // branch: u32 position, key size, u64 page; leaf: u32 flags, position, key size, value size
	bucketHeader = 16 // u64 root page, 0 when inline; u64 sequence
	headSize     = 64 // u32 magic, version, page size, flags; u64 root, sequence, free list, high, transaction, sum

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10

	rowElement    = 0 // flags of a leaf element
	bucketElement = 1

	longFreelist = 0xffff // count of a free list whose length stands in its first element
	maxHeight    = 24     // of a tree
)

var (
	errHead     = errors.New("the meta page is damaged")
	errRange    = errors.New("the page lies outside the file")
	errIdentity = errors.New("the page calls itself another")
	errKind     = errors.New("the page is of the wrong kind")
	errLayout   = errors.New("the elements of the page do not fill it as written")
	errKeyOrder = errors.New("keys are out of order")
	errHeight   = errors.New("the tree does not end")
	errElement  = errors.New("an element is of the wrong kind")
)

var fileOrder = binary.NativeEndian

// fileHead is what a meta page says about the file.
type fileHead struct {
	root, freelist uint64 // pages
	high           uint64 // every page in use is below
	transaction    uint64
}

// parseHead reads a meta page behind its page header.
func parseHead(page []byte) (fileHead, error) {
	m := page[pageHeader : pageHeader+headSize]
	sum := fnv.New64a()
	sum.Write(m[:headSize-8])
	if fileOrder.Uint64(m[56:]) != sum.Sum64() {
		return fileHead{}, errHead
	}
	return fileHead{
		root: fileOrder.Uint64(m[16:]), freelist: fileOrder.Uint64(m[32:]),
		high: fileOrder.Uint64(m[40:]), transaction: fileOrder.Uint64(m[48:]),
	}, nil
}

// filePage is a branch or leaf page with its overflow, or the page inside an
// inline bucket.
type filePage []byte

func (p filePage) id() uint64       { return fileOrder.Uint64(p) }
func (p filePage) kind() uint16     { return fileOrder.Uint16(p[8:]) }
func (p filePage) count() int       { return int(fileOrder.Uint16(p[10:])) }
func (p filePage) overflow() uint64 { return uint64(fileOrder.Uint32(p[12:])) }

// end verifies that the elements are packed one after the other, as bbolt
// writes them, and returns where the last one ends. So a wrong count, position
// or size shows even where every key looks right. It looks at the header and
// the elements only, which p must hold.
func (p filePage) end() (uint64, error) {
	kind, count := p.kind(), p.count()
	next := uint64(pageHeader + elementSize*count)
	if next > uint64(len(p)) {
		return 0, errLayout
	}
	for i := range count {
		at := pageHeader + elementSize*i
		element := p[at : at+elementSize]
		position, key, value := fileOrder.Uint32(element), fileOrder.Uint32(element[4:]), uint32(0)
		if kind == leafPage {
			position, key, value = fileOrder.Uint32(element[4:]), fileOrder.Uint32(element[8:]), fileOrder.Uint32(element[12:])
		}
		if uint64(at)+uint64(position) != next || key == 0 {
			return 0, errLayout
		}
		next += uint64(key) + uint64(value)
	}
	return next, nil
}

// branch returns one element of a verified branch page.
func (p filePage) branch(i int) (key []byte, child uint64) {
	at := pageHeader + elementSize*i
	start := at + int(fileOrder.Uint32(p[at:]))
	return p[start : start+int(fileOrder.Uint32(p[at+4:]))], fileOrder.Uint64(p[at+8:])
}

// leaf returns one element of a verified leaf page.
func (p filePage) leaf(i int) (flags uint32, key, value []byte) {
	at := pageHeader + elementSize*i
	start := at + int(fileOrder.Uint32(p[at+4:]))
	split := start + int(fileOrder.Uint32(p[at+8:]))
	return fileOrder.Uint32(p[at:]), p[start:split], p[split : split+int(fileOrder.Uint32(p[at+12:]))]
}

func (p filePage) key(i int) []byte {
	if p.kind() == leafPage {
		_, key, _ := p.leaf(i)
		return key
	}
	key, _ := p.branch(i)
	return key
}

// verifyKeys makes sure that keys ascend, from low up to, but not including,
// high, where nil is no bound.
func (p filePage) verifyKeys(low, high []byte) error {
	for i := range p.count() {
		key := p.key(i)
		if order := bytes.Compare(key, low); order < 0 || order == 0 && i > 0 {
			return errKeyOrder
		}
		low = key
	}
	if high != nil && bytes.Compare(low, high) >= 0 {
		return errKeyOrder
	}
	return nil
}
