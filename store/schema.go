package store

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// Shape is a declared bucket or family of buckets: a table with its indexes, a
// journal or a partitioned table.
type Shape interface {
	buckets() []*bucket
	check(v *View, report func(Problem)) (rows uint64)
}

type bucketKind uint8

const (
	rowBucket bucketKind = iota
	indexBucket
	journalBucket
	partitionBucket
)

// bucket is one named bbolt bucket and what is known about it in memory.
type bucket struct {
	name string
	kind bucketKind
	seed uint32       // checksum of the name, where every row checksum starts
	slot atomic.Int32 // its rank in the schema used last: a hint, always verified
}

func newBucket(name string, kind bucketKind) *bucket {
	if name == "" || strings.HasPrefix(name, metaBucket) {
		panic("store: bucket name " + name + " is reserved")
	}
	return &bucket{name: name, kind: kind, seed: checksumSeed(name)}
}

// Schema is the set of all shapes of one database, ranked by bucket name.
type Schema struct {
	shapes []Shape
	ranked []*bucket
	ranks  map[*bucket]rank
	names  map[string]*bucket // the meta bucket is one of them
}

// rank is the place of a bucket among all of its schema, in name order.
type rank uint16

// NewSchema collects shapes; two of one name are refused.
func NewSchema(shapes ...Shape) (*Schema, error) {
	s := &Schema{shapes: shapes, ranks: map[*bucket]rank{}, names: map[string]*bucket{metaBucket: metaRows}}
	for _, shape := range shapes {
		s.ranked = append(s.ranked, shape.buckets()...)
	}
	slices.SortFunc(s.ranked, func(a, b *bucket) int { return strings.Compare(a.name, b.name) })
	for i, b := range s.ranked {
		if i > 0 && s.ranked[i-1].name == b.name {
			return nil, fmt.Errorf("bucket %s is declared twice", b.name)
		}
		s.ranks[b], s.names[b.name] = rank(i), b
		b.slot.Store(int32(i))
	}
	return s, nil
}

// rank finds a bucket's place without a map lookup in all but odd cases: two
// schemas in one process may share buckets at different places.
func (s *Schema) rank(b *bucket) rank {
	if slot := int(b.slot.Load()); slot < len(s.ranked) && s.ranked[slot] == b {
		return rank(slot)
	}
	r, ok := s.ranks[b]
	if !ok {
		panic("store: bucket " + b.name + " is not part of this database")
	}
	return r
}

// named finds a bucket by its name in the file; nil if there is none.
func (s *Schema) named(name []byte) *bucket { return s.names[string(name)] }
