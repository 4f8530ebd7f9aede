package bolt

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	bbolt "go.etcd.io/bbolt"
)

// ErrBackingUp: a backup is under way; there is one at a time, since each needs as much
// disk as the data file.
var ErrBackingUp = errors.New("bolt: another backup is under way")

// ErrNoSpace: the disk has no room for a copy of the data file.
var ErrNoSpace = errors.New("bolt: too little free disk for a copy of the data file")

// diskReserve is how much disk a copy leaves free, in bytes: appends must go on.
const diskReserve = 64 << 20

// Copy is a consistent copy of the data file, in an unnamed or temporary file beside it.
// Read it from beginning to end and close it, which lets the next backup begin. Not safe
// for concurrent use.
type Copy struct {
	// Size is its size in bytes.
	Size int64
	// Sum is its SHA-256.
	Sum [sha256.Size]byte

	file *os.File
	done func()
}

// Read implements io.Reader.
func (c *Copy) Read(p []byte) (int, error) { return c.file.Read(p) }

// Close removes the copy. Closing twice is not an error.
func (c *Copy) Close() error {
	if c.file == nil {
		return nil
	}
	err := c.file.Close()
	_ = os.Remove(c.file.Name()) // where it could not be done before
	c.file = nil
	c.done()
	return err
}

// Backup writes a consistent copy of the data file to w, while appends go on: a file that
// Check, Restore and Open take. Everything that was acknowledged before the call is in
// it, and nothing of an append that is not whole. A slow w holds up nothing but other
// backups; see Copy, which it is made by.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	c, err := s.Copy(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.Copy(w, withContext{ctx, c}); err != nil {
		return fmt.Errorf("bolt: backup: %w", err)
	}
	return nil
}

// Copy copies the data file as Backup does, to where it is read from at leisure. It
// takes as long as the disk needs for that; the data file grows meanwhile, by what is
// appended, as no page of it is used again. ErrBackingUp, ErrNoSpace.
func (s *Store) Copy(ctx context.Context) (*Copy, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if !s.copying.CompareAndSwap(false, true) {
		return nil, ErrBackingUp
	}
	c := &Copy{done: func() { s.copying.Store(false) }}
	err := s.spool(ctx, c)
	if err != nil {
		if c.file == nil {
			c.done()
		}
		_ = c.Close()
		return nil, fmt.Errorf("bolt: backup: %w", err)
	}
	return c, nil
}

// spool makes the copy and verifies its pages.
func (s *Store) spool(ctx context.Context, c *Copy) (err error) {
	dir := filepath.Dir(s.opts.Path)
	if c.file, err = os.CreateTemp(dir, filepath.Base(s.opts.Path)+".backup-"); err != nil {
		return err
	}
	_ = os.Remove(c.file.Name()) // it goes with the process; Close removes it where that does not work
	sum := &digest{check: func() error { return s.usable(ctx) }, w: c.file, Hash: sha256.New()}
	err = s.read(func(tx *bbolt.Tx) error {
		if err := hasRoom(dir, tx.Size()); err != nil {
			return err
		}
		var err error
		c.Size, err = tx.WriteTo(sum)
		return err
	})
	if err != nil {
		return err
	}
	// Damage is noticed now, not when the backup is needed.
	if err := verifyFile(c.file, false); err != nil {
		return err
	}
	sum.Sum(c.Sum[:0])
	_, err = c.file.Seek(0, io.SeekStart)
	return err
}

// hasRoom returns ErrNoSpace unless a folder's disk has room for so many bytes more.
func hasRoom(dir string, size int64) error {
	free, ok := freeDisk(dir)
	if ok && free < size+diskReserve {
		return fmt.Errorf("%w: it takes %d bytes, %d are free, %d of them have to stay so", ErrNoSpace, size, free, diskReserve)
	}
	return nil
}

// digest writes to w and sums what it wrote, for as long as check returns nil.
type digest struct {
	check func() error
	w     io.Writer
	hash.Hash
}

// Write implements io.Writer.
func (d *digest) Write(p []byte) (int, error) {
	if err := d.check(); err != nil {
		return 0, err
	}
	n, err := d.w.Write(p)
	d.Hash.Write(p[:n])
	return n, err
}

// withContext reads from r until ctx ends.
type withContext struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (r withContext) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
