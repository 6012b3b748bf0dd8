package store

import (
	"bytes"
	"iter"
	"sort"
	"strings"

	"github.com/tidwall/btree"
)

// layer is one sorted source of a scan; keys come without their rank.
type layer interface {
	// peek returns the current row; ok is false at the end.
	peek() (key, value []byte, ok bool)
	next()
	close()
}

// scan merges all layers of one bucket below prefix, newest first, from after
// the cursor on. Keys and values are only good until the next step.
func (v *View) scan(b *bucket, prefix []byte, after Cursor, above []item) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		layers := v.openLayers(b, prefix, after, above)
		defer closeLayers(layers)
		for {
			key, value, ok := step(layers, prefix)
			if !ok {
				return
			}
			if value != nil && !yield(key, value) {
				return
			}
		}
	}
}

func (v *View) openLayers(b *bucket, prefix []byte, after Cursor, above []item) []layer {
	start := append(append([]byte(nil), prefix...), after...)
	if len(after) > 0 {
		start = append(start, 0)
	}
	r := v.db.schema.rank(b)
	layers := make([]layer, 0, 4)
	if len(above) > 0 {
		layers = append(layers, openSlice(above, start))
	}
	layers = append(layers, openTree(v.active.tree, r, start))
	if v.frozen != nil {
		layers = append(layers, openTree(v.frozen.tree, r, start))
	}
	return append(layers, v.base.rows[r].seek(start))
}

func closeLayers(layers []layer) {
	for _, l := range layers {
		l.close()
	}
}

// step takes the smallest key of all layers; the newest layer's value wins.
func step(layers []layer, prefix []byte) (key, value []byte, ok bool) {
	for _, l := range layers {
		k, val, more := l.peek()
		if !more || !bytes.HasPrefix(k, prefix) {
			continue
		}
		if !ok || bytes.Compare(k, key) < 0 {
			key, value, ok = k, val, true
		}
	}
	if !ok {
		return nil, nil, false
	}
	for _, l := range layers {
		if k, _, more := l.peek(); more && bytes.Equal(k, key) {
			l.next()
		}
	}
	return key, value, true
}

// sliceLayer is a batch's own rows.
type sliceLayer struct{ rows []item }

func openSlice(rows []item, start []byte) *sliceLayer {
	from := sort.Search(len(rows), func(i int) bool { return strings.Compare(rows[i].key, string(start)) >= 0 })
	return &sliceLayer{rows: rows[from:]}
}

func (l *sliceLayer) peek() (key, value []byte, ok bool) {
	if len(l.rows) == 0 {
		return nil, nil, false
	}
	return []byte(l.rows[0].key), l.rows[0].value, true
}

func (l *sliceLayer) next()  { l.rows = l.rows[1:] }
func (l *sliceLayer) close() {}

// treeLayer is a generation.
type treeLayer struct {
	rows btree.IterG[item]
	rank rank
	more bool
}

func openTree(tree *btree.BTreeG[item], r rank, start []byte) *treeLayer {
	l := &treeLayer{rows: tree.Iter(), rank: r}
	l.more = l.rows.Seek(item{key: string(append(appendRank(nil, r), start...))})
	return l
}

func (l *treeLayer) peek() (key, value []byte, ok bool) {
	if !l.more {
		return nil, nil, false
	}
	it := l.rows.Item()
	if rankOf(it.key) != l.rank {
		return nil, nil, false
	}
	return bytesOf(it.key[rankLength:]), it.value, true
}

func (l *treeLayer) next()  { l.more = l.rows.Next() }
func (l *treeLayer) close() { l.rows.Release() }
