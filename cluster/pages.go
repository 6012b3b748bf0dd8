package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// raft.db is a bbolt file without a stored free list, so bbolt walks all its pages at open, in a goroutine of its own
// that panics on a damaged one, and faults on one beyond the end of a truncated file. Neither can be recovered.
// So the file is walked here first, reading it as bytes and trusting nothing.

// The layout of a bbolt file, version 2, in the byte order of the machine.
const (
	boltMagic    = 0xED0CDAED
	boltVersion  = 2
	noFreelist   = ^uint64(0)
	headerSize   = 16 // u64 id, u16 flags, u16 count, u32 overflow
	elementSize  = 16 // branch: u32 position, u32 key size, u64 page; leaf: u32 flags, position, key size, value size
	metaSize     = 64 // u32 magic, version, page size, flags; u64 root, sequence, free list, high-water mark, transaction, sum
	bucketSize   = 16 // u64 root page or 0 if inline, u64 sequence
	branchPage   = 0x01
	leafPage     = 0x02
	bucketLeaf   = 0x01
	maxTreeDepth = 16 // of the tree of buckets, and of a bucket below it
)

var order = binary.NativeEndian

// boltFile is a bbolt file under inspection.
type boltFile struct {
	file     io.ReaderAt
	size     int64
	pageSize int64
	root     uint64
	pages    uint64                   // high-water mark: all pages in use are below it
	seen     []uint64                 // one bit per page, set when first referenced
	damaged  bool                     // one of the two meta pages is invalid
	heads    [2 * maxTreeDepth][]byte // one page buffer per level
}

// openBoltFile finds the newer valid meta page, as bbolt does.
func openBoltFile(file io.ReaderAt, size int64) (*boltFile, error) {
	f := &boltFile{file: file, size: size}
	pageSize, err := f.findPageSize()
	if err != nil {
		return nil, err
	}
	f.pageSize = pageSize
	var newest []byte
	for i := range int64(2) {
		meta, err := f.meta(i * pageSize)
		if err != nil {
			f.damaged = true
			continue
		}
		if newest == nil || order.Uint64(meta[48:]) > order.Uint64(newest[48:]) {
			newest = meta
		}
	}
	if newest == nil {
		return nil, errors.New("both meta pages are invalid")
	}
	f.root, f.pages = order.Uint64(newest[16:]), order.Uint64(newest[40:])
	if order.Uint64(newest[32:]) != noFreelist {
		return nil, errors.New("file stores a free list, another program wrote it")
	}
	if f.pages > uint64(size/pageSize) {
		return nil, fmt.Errorf("file is truncated: %d bytes, %d pages of %d bytes are in use", size, f.pages, pageSize)
	}
	f.seen = make([]uint64, f.pages/64+1)
	return f, nil
}

// findPageSize reads it from the first meta page, or from the second, whose place depends on it.
func (f *boltFile) findPageSize() (int64, error) {
	for shift := -1; shift <= 6; shift++ {
		offset := int64(0)
		if shift >= 0 {
			offset = 1024 << shift
		}
		meta, err := f.meta(offset)
		if err != nil {
			continue
		}
		size := int64(order.Uint32(meta[8:]))
		if size < 1024 || size > 65536 || size&(size-1) != 0 || (offset > 0 && offset != size) {
			return 0, fmt.Errorf("meta page names a page size of %d bytes", size)
		}
		return size, nil
	}
	return 0, errors.New("no valid meta page, this is not a raft log")
}

// meta returns the verified meta record of the page at offset.
func (f *boltFile) meta(offset int64) ([]byte, error) {
	meta := make([]byte, metaSize)
	if _, err := f.file.ReadAt(meta, offset+headerSize); err != nil {
		return nil, err
	}
	sum := fnv.New64a()
	sum.Write(meta[:metaSize-8])
	if order.Uint32(meta) != boltMagic || order.Uint32(meta[4:]) != boltVersion || order.Uint64(meta[56:]) != sum.Sum64() {
		return nil, errors.New("invalid meta page")
	}
	return meta, nil
}

// item is one key of a leaf with the place of its value.
type item struct {
	key    []byte // valid until the visit returns
	bucket bool   // the value is a bucket
	page   *page
	start  int64 // of the value, in the page
	size   int64 // of the value
}

func (i item) value() ([]byte, error) {
	value := make([]byte, i.size)
	_, err := i.page.ReadAt(value, i.start)
	return value, err
}

// page is one page with its overflow, or the page inside an inline bucket's value.
//
// No checksum covers it, and one bit of its count hides the newest entries. But bbolt writes a page in one way only: the
// first key begins right behind the elements, each element's bytes right behind the former's, zeros fill the last page,
// and no page more is taken. So the place of the first key proves the count, and the zeros prove that nothing is missing
// at the end.
type page struct {
	io.ReaderAt
	id    uint64
	flags uint16
	count int
	size  int64
	block int64  // the size is a multiple of it
	next  int64  // where the next element's bytes must begin
	head  []byte // header, elements and what happened to be read with them
}

// tree visits every leaf item below page id in order. The first key is low, unless that is nil; all are below high.
func (f *boltFile) tree(id uint64, low, high []byte, level int, visit func(item) error) error {
	p, err := f.page(id, level)
	if err != nil {
		return err
	}
	if p.flags == leafPage {
		return p.leaf(low, high, visit)
	}
	if p.count == 0 || level%maxTreeDepth == maxTreeDepth-1 {
		return fmt.Errorf("page %d: branch without children or without end", id)
	}
	keys := make([][]byte, p.count)
	for i := range keys {
		element := p.head[headerSize+i*elementSize:]
		if keys[i], err = p.bytes(i, order.Uint32(element), order.Uint32(element[4:])); err != nil {
			return err
		}
		if err := p.inOrder(i, keys[i], low, high); err != nil {
			return err
		}
		low = keys[i]
	}
	if err := p.filled(); err != nil {
		return err
	}
	for i, key := range keys {
		bound := high
		if i+1 < len(keys) {
			bound = keys[i+1]
		}
		if err := f.tree(order.Uint64(p.head[headerSize+i*elementSize+8:]), key, bound, level+1, visit); err != nil {
			return err
		}
	}
	return nil
}

// page reads the head of page id and marks the page and its overflow as seen. The next page of that level reuses it.
func (f *boltFile) page(id uint64, level int) (*page, error) {
	if id < 2 || id >= f.pages {
		return nil, fmt.Errorf("page %d: outside of the file's %d pages", id, f.pages)
	}
	if f.heads[level] == nil {
		f.heads[level] = make([]byte, f.pageSize)
	}
	head := f.heads[level]
	offset := int64(id) * f.pageSize
	if _, err := f.file.ReadAt(head, offset); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	if order.Uint64(head) != id {
		return nil, fmt.Errorf("page %d: calls itself page %d", id, order.Uint64(head))
	}
	overflow := uint64(order.Uint32(head[12:]))
	if id+overflow >= f.pages {
		return nil, fmt.Errorf("page %d: runs beyond the file's %d pages", id, f.pages)
	}
	for i := id; i <= id+overflow; i++ {
		if f.seen[i/64]&(1<<(i%64)) != 0 {
			return nil, fmt.Errorf("page %d: referenced twice", i)
		}
		f.seen[i/64] |= 1 << (i % 64)
	}
	size := int64(overflow+1) * f.pageSize
	return newPage(io.NewSectionReader(f.file, offset, size), id, head, size, f.pageSize)
}

func newPage(content io.ReaderAt, id uint64, head []byte, size, block int64) (*page, error) {
	if size < headerSize {
		return nil, fmt.Errorf("page %d: shorter than its header", id)
	}
	p := &page{ReaderAt: content, id: id, flags: order.Uint16(head[8:]), count: int(order.Uint16(head[10:])), size: size, block: block, head: head}
	if p.flags != branchPage && p.flags != leafPage {
		return nil, fmt.Errorf("page %d: unknown type %#x", id, p.flags)
	}
	end := int64(headerSize + p.count*elementSize)
	if end > size {
		return nil, fmt.Errorf("page %d: %d elements do not fit", id, p.count)
	}
	p.next = end
	if end > int64(len(head)) {
		p.head = make([]byte, end)
		if _, err := p.ReadAt(p.head, 0); err != nil {
			return nil, fmt.Errorf("page %d: %w", id, err)
		}
	}
	return p, nil
}

// leaf visits the items of a leaf page. Only the root of a tree, which has no low key, may be empty.
func (p *page) leaf(low, high []byte, visit func(item) error) error {
	if p.count == 0 && low != nil {
		return fmt.Errorf("page %d: leaf without items", p.id)
	}
	for i := range p.count {
		element := p.head[headerSize+i*elementSize:]
		flags, position := order.Uint32(element), order.Uint32(element[4:])
		keySize, valueSize := order.Uint32(element[8:]), order.Uint32(element[12:])
		key, err := p.bytes(i, position, keySize)
		if err != nil {
			return err
		}
		if err := p.inOrder(i, key, low, high); err != nil {
			return err
		}
		start := p.next
		p.next += int64(valueSize)
		if p.next > p.size || flags&^bucketLeaf != 0 {
			return fmt.Errorf("page %d: element %d is damaged", p.id, i)
		}
		err = visit(item{key: key, bucket: flags == bucketLeaf, page: p, start: start, size: int64(valueSize)})
		if err != nil {
			return err
		}
		low = key
	}
	return p.filled()
}

// filled checks what follows the last element: zeros, to the end of the last page that the elements need.
func (p *page) filled() error {
	if p.size-p.next >= p.block {
		return fmt.Errorf("page %d: %d bytes hold %d", p.id, p.size, p.next)
	}
	rest := p.head[min(p.next, int64(len(p.head))):]
	if p.size > int64(len(p.head)) && p.size > p.next {
		rest = make([]byte, p.size-p.next)
		if _, err := p.ReadAt(rest, p.next); err != nil {
			return fmt.Errorf("page %d: %w", p.id, err)
		}
	}
	if len(bytes.TrimLeft(rest, "\x00")) > 0 {
		return fmt.Errorf("page %d: holds more than its %d elements", p.id, p.count)
	}
	return nil
}

// bytes returns the key of element i, which lies position bytes behind the element and right behind what came before.
func (p *page) bytes(i int, position, size uint32) ([]byte, error) {
	start := p.next
	p.next += int64(size)
	if size == 0 || p.next > p.size || start != int64(headerSize+i*elementSize)+int64(position) {
		return nil, fmt.Errorf("page %d: key %d is damaged", p.id, i)
	}
	if start+int64(size) <= int64(len(p.head)) {
		return p.head[start : start+int64(size)], nil
	}
	if size > 32768 {
		return nil, fmt.Errorf("page %d: key %d has %d bytes", p.id, i, size)
	}
	key := make([]byte, size)
	if _, err := p.ReadAt(key, start); err != nil {
		return nil, fmt.Errorf("page %d: %w", p.id, err)
	}
	return key, nil
}

// inOrder checks key i against its predecessor, or against the parent's key, which is the same for the first one:
// bbolt finds a page's place in its parent by that. It checks against the parent's next key, too.
func (p *page) inOrder(i int, key, low, high []byte) error {
	want := 1
	if i == 0 {
		want = 0
	}
	if low != nil && bytes.Compare(key, low) != want || high != nil && bytes.Compare(key, high) >= 0 {
		return fmt.Errorf("page %d: key %d is out of order", p.id, i)
	}
	return nil
}
