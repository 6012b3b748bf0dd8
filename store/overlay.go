package store

import (
	"slices"

	"github.com/tidwall/btree"
)

// overlay holds the index entries an entry of the log has changed, under ranked
// keys. A key that was put and removed again within the entry leaves nothing.
type overlay struct {
	tree *btree.BTreeG[overlaid]
	undo []overlayUndo
}

// overlaid is one changed index entry. A nil value is a removed one; existed
// tells that the layers below hold the key.
type overlaid struct {
	key     string
	value   []byte
	existed bool
}

type overlayUndo struct {
	before overlaid
	absent bool
}

func newOverlay() *overlay {
	return &overlay{tree: btree.NewBTreeGOptions(func(a, b overlaid) bool { return a.key < b.key },
		btree.Options{NoLocks: true, Degree: treeDegree})}
}

func (o *overlay) get(ranked string) (value []byte, found bool) {
	e, found := o.tree.Get(overlaid{key: ranked})
	return e.value, found
}

// put adds an entry that is not there: entries are put when a row gets them.
func (o *overlay) put(ranked string, value []byte) {
	before, found := o.tree.Get(overlaid{key: ranked})
	o.save(before, found, ranked)
	o.tree.Set(overlaid{key: ranked, value: value, existed: found && before.existed})
}

// remove takes an entry away.
func (o *overlay) remove(ranked string) {
	before, found := o.tree.Get(overlaid{key: ranked})
	o.save(before, found, ranked)
	if found && !before.existed {
		o.tree.Delete(overlaid{key: ranked})
		return
	}
	o.tree.Set(overlaid{key: ranked, existed: true})
}

func (o *overlay) save(before overlaid, found bool, ranked string) {
	if !found {
		before.key = ranked
	}
	o.undo = append(o.undo, overlayUndo{before: before, absent: !found})
}

func (o *overlay) keep() { o.undo = o.undo[:0] }

func (o *overlay) restore() {
	for _, u := range slices.Backward(o.undo) {
		if u.absent {
			o.tree.Delete(u.before)
		} else {
			o.tree.Set(u.before)
		}
	}
	o.keep()
}

func (o *overlay) reset() {
	if o.tree.Len() > 0 {
		o.tree.Clear()
	}
	clear(o.undo)
	o.undo = o.undo[:0]
}

// ranks adds the rank of every index with changes.
func (o *overlay) ranks(order []rank) []rank {
	last := -1
	o.tree.Scan(func(e overlaid) bool {
		if r := rankOf(e.key); int(r) != last {
			order, last = append(order, r), int(r)
		}
		return true
	})
	return order
}

// each visits the changes below a ranked prefix, in order.
func (o *overlay) each(prefix string, visit func(key string, value []byte)) {
	o.tree.Ascend(overlaid{key: prefix}, func(e overlaid) bool {
		if len(e.key) < len(prefix) || e.key[:len(prefix)] != prefix {
			return false
		}
		visit(e.key, e.value)
		return true
	})
}

func (b *Batch) writeIndex(r rank, declared *bucket) {
	b.index.each(string(appendRank(nil, r)), func(ranked string, value []byte) {
		key := []byte(ranked[rankLength:])
		if value == nil {
			b.remove(r, declared, key)
			return
		}
		b.set(r, declared, key, value)
	})
}

func rankOf(key string) rank { return rank(key[0])<<8 | rank(key[1]) }
