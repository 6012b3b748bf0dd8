package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bberrors "go.etcd.io/bbolt/errors"
)

// ErrInUse is returned when another process holds the file.
var ErrInUse = errors.New("the state file is in use by another process")

// ErrStamp is returned for a state file of another data directory.
var ErrStamp = errors.New("the state file belongs to another data directory")

// A file is mapped once with room to grow: to map it anew, nobody may read it.
const defaultMapFloor = 1 << (30 + 6*(^uint(0)>>63)) // 64 GiB, on 32-bit machines 1 GiB

func (o *Options) mappedBytes() int {
	info, err := os.Stat(o.Path)
	if err != nil {
		return o.mapFloor
	}
	return max(o.mapFloor, 4*int(info.Size()))
}

// openState opens the file for writing, after it has been opened for reading
// and verified as far as that is quick. Nothing of bbolt follows a page before.
func openState(o Options, mapped int) (*stateFile, error) {
	if _, err := os.Stat(o.Path); errors.Is(err, os.ErrNotExist) {
		if err := createFile(o); err != nil {
			return nil, fmt.Errorf("create %s: %w", o.Path, err)
		}
	}
	examined, err := examine(o)
	if err != nil {
		return nil, err
	}
	file, err := openWritable(o.Path, mapped)
	if err != nil {
		return nil, err
	}
	file.sound.Store(examined.sound)
	if err := createBuckets(file.bolt, examined.missing); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", o.Path, err), file.bolt.Close())
	}
	return file, nil
}

// openWritable opens a file that was verified, with so much of it mapped.
func openWritable(path string, mapped int) (*stateFile, error) {
	return openBolt(path, &bbolt.Options{
		Timeout:         time.Second,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: mapped,
		MaxSize:         mapped - 1, // at mapped, bbolt maps the file anew, which waits for all its readers
	})
}

// openReadable opens an existing file for reading only. It refuses one that is
// cut off or not meant for this directory, and one whose buckets or free list
// bbolt could not follow.
func openReadable(o Options) (*stateFile, error) {
	file, err := openBolt(o.Path, &bbolt.Options{Timeout: time.Second, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	if err := file.check(o); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", o.Path, err), file.bolt.Close())
	}
	return file, nil
}

// openBolt opens a file that exists. bbolt maps it, and asserts what it finds
// there, so reading a damaged one may fault or panic.
func openBolt(path string, options *bbolt.Options) (file *stateFile, err error) {
	file = &stateFile{sound: new(atomic.Bool)}
	options.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		opened, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
		if err != nil {
			return nil, err
		}
		if err := refuseEmpty(opened); err != nil {
			return nil, err
		}
		file.bytes = opened
		return opened, nil
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = errors.Join(fmt.Errorf("open %s: the file is damaged: %v", path, fault), file.bytes.Close())
		}
	}()
	file.bolt, err = bbolt.Open(path, 0o600, options)
	if errors.Is(err, bberrors.ErrTimeout) {
		err = ErrInUse
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return file, nil
}

// refuseEmpty keeps bbolt from making a new database of an empty file.
func refuseEmpty(file *os.File) error {
	info, err := file.Stat()
	if err == nil && info.Size() == 0 {
		err = errors.New("the file is empty")
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	return nil
}

// check reads what a file says about itself.
func (file *stateFile) check(o Options) error {
	return file.bolt.View(func(tx *bbolt.Tx) (err error) {
		defer onCorruption(func(damage Corruption) { err = damage })
		info, err := file.bytes.Stat()
		if err != nil {
			return err
		}
		if info.Size() < tx.Size() {
			return fmt.Errorf("the file is cut off: %d of %d bytes", info.Size(), tx.Size())
		}
		p, err := openPages(file, tx)
		if err != nil {
			return err
		}
		p.verifyBuckets(o.Schema, panicOn)
		if _, err := p.freePages(); err != nil {
			return err
		}
		return checkMeta(tx, o.Stamp)
	})
}

func createBuckets(file *bbolt.DB, names []string) error {
	if len(names) == 0 {
		return nil
	}
	return file.Update(func(tx *bbolt.Tx) error {
		for _, name := range names {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return fmt.Errorf("create bucket %s: %w", name, err)
			}
		}
		return nil
	})
}

// createFile builds an empty file aside and moves it into place, so that a
// crash leaves either no file or a whole one.
func createFile(o Options) error {
	temporary := o.Path + ".new"
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	file, err := bbolt.Open(temporary, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	if err := file.Update(func(tx *bbolt.Tx) error { return initialise(tx, o) }); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(temporary, o.Path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(o.Path))
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
