package store

import (
	"fmt"
	"io"
)

// pages are the pages of the file as one transaction sees them. They are read
// as bytes and verified on the way, where bbolt would follow them through its
// mapping and crash, loop or miss a row in silence.
type pages struct {
	file io.ReaderAt
	size int // of one page
	head fileHead
}

// read returns a branch or leaf page, verified but for its keys and rows. The
// page is in buffer, which grows as needed.
func (p *pages) read(buffer *[]byte, id uint64) (filePage, error) {
	first, err := p.readFirst(buffer, id)
	if err != nil {
		return nil, err
	}
	if kind := first.kind(); kind != branchPage && kind != leafPage || first.count() == 0 {
		return nil, fmt.Errorf("page %d: %w", id, errKind)
	}
	end, err := first.end()
	if err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	length := (end + uint64(p.size) - 1) / uint64(p.size)
	if length != first.overflow()+1 {
		return nil, fmt.Errorf("page %d: %w", id, errLayout)
	}
	if length == 1 {
		return first, nil
	}
	return p.readWhole(buffer, id, length)
}

// readFirst reads one page of any kind, without its overflow.
func (p *pages) readFirst(buffer *[]byte, id uint64) (filePage, error) {
	if id < 2 || id >= p.head.high {
		return nil, fmt.Errorf("page %d: %w", id, errRange)
	}
	page, err := p.readWhole(buffer, id, 1)
	if err != nil {
		return nil, err
	}
	if page.id() != id {
		return nil, fmt.Errorf("page %d: %w", id, errIdentity)
	}
	return page, nil
}

func (p *pages) readWhole(buffer *[]byte, id, length uint64) (filePage, error) {
	if length > p.head.high || id+length > p.head.high {
		return nil, fmt.Errorf("page %d: %w", id, errRange)
	}
	if bytes := int(length) * p.size; cap(*buffer) < bytes {
		*buffer = make([]byte, bytes)
	}
	page := (*buffer)[:int(length)*p.size]
	if _, err := p.file.ReadAt(page, int64(id)*int64(p.size)); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return page, nil
}

// freePages reads the free list and makes sure that it can be one.
func (p *pages) freePages() ([]uint64, error) {
	var buffer []byte
	id := p.head.freelist
	page, err := p.readFirst(&buffer, id)
	if err != nil {
		return nil, err
	}
	if page.kind() != freelistPage {
		return nil, fmt.Errorf("page %d: %w", id, errKind)
	}
	if page, err = p.readWhole(&buffer, id, page.overflow()+1); err != nil {
		return nil, err
	}
	list, count := page[pageHeader:], uint64(page.count())
	if count == longFreelist {
		count, list = fileOrder.Uint64(list), list[8:]
	}
	if count > uint64(len(list)/8) {
		return nil, fmt.Errorf("page %d: %w", id, errLayout)
	}
	free := make([]uint64, count)
	before := uint64(1) // pages 0 and 1 are never free
	for i := range free {
		free[i] = fileOrder.Uint64(list[8*i:])
		if free[i] <= before || free[i] >= p.head.high {
			return nil, fmt.Errorf("page %d: %w", id, errKeyOrder)
		}
		before = free[i]
	}
	return free, nil
}
