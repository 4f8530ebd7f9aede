// Package bolt is the storage driver for one machine: a single bbolt file.
//
// Appends from all documents go through one committer goroutine, which writes
// everything that waits into one transaction and then wakes the callers: one
// sync for hundreds of appends. They land in one log bucket, because a write there
// touches one page whatever the number of documents. While there is nothing
// else to do, or when the log grows long, the committer folds log entries into
// per-document segments in small steps.
//
// What is acknowledged survives a killed process and, as far as the disk keeps
// its word on fdatasync, a power failure. Every value has a checksum and the
// structure of the file is verified when it is opened, so damage is an error that
// says where, never an empty or a wrong document.
//
// One process may have the file open. Every document that exists costs about 200
// bytes of memory while it is.
//
// A deleted document is gone at once and its space is used again, but until then
// its bytes may still be found in unused pages of the file.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

// Errors of Open and of a store whose disk failed.
var (
	// ErrLocked: another process has the file open.
	ErrLocked = errors.New("bolt: the data file is in use by another process")
	// ErrForeign: the file is not one of ours.
	ErrForeign = errors.New("bolt: not a Quire data file")
	// ErrVersion: the file was written by a program that is newer, or so old that its
	// format is read no more.
	ErrVersion = errors.New("bolt: the data file has another format")
	// ErrFailed: the disk failed in the middle of a commit, so that what the file
	// holds can only be told by opening it again. All later writes return it.
	ErrFailed = errors.New("bolt: the store has failed and must be opened again")
)

// Options configures a Store. Only Path is needed.
type Options struct {
	// Path is the data file. Its folder must exist; the file is created unless
	// MustExist is set.
	Path string
	// MustExist makes a missing file an error (fs.ErrNotExist), for when data is
	// expected: a new store in the place of a lost one is not a recovery.
	MustExist bool
	// LockTimeout is how long Open waits for another process to let go of the
	// file before it returns ErrLocked. Default 1 s.
	LockTimeout time.Duration
	// MapSize is how much of the address space the file is mapped into at first,
	// in bytes. Growing past it waits for reads under way, so it should be larger
	// than the file will become; it costs neither memory nor disk. Default 64 GiB
	// where addresses have 64 bits, else 256 MiB; on Windows, where the file
	// would be extended to it, the file's size.
	MapSize int
	// MaxSize is the size in bytes that the file must not grow past; appends then
	// fail and everything else goes on. Default 0: no limit.
	MaxSize int
	// FoldAfter is how many log entries are left unfolded while the store is
	// idle. Default 4,096.
	FoldAfter int
	// FoldAlways is how many log entries are left unfolded in any case; folding
	// takes turns with appends beyond it. An entry costs about 50 bytes of memory,
	// and 1 µs when the store is opened. Default 32 times FoldAfter.
	FoldAlways int
	// Packers take apart, and make, sealed segments of documents by their type. Those of
	// a type that is not there are sealed without. A type that was there once has to be there
	// for good. Default none.
	Packers map[string]Packer
	// SealAfter is how many records a document has in ordinary segments before they are
	// sealed, or 16 bytes for each. Default 32,768.
	SealAfter int
	// TimeStep is what the times of records in sealed segments are rounded down to a
	// multiple of. Default 1 s.
	TimeStep time.Duration
	// CloseTimeout is how long Close waits for a commit that the disk does not
	// finish. Default 30 s.
	CloseTimeout time.Duration
	// AllowRollback lets Open use the last but one transaction when the page that
	// names the last one is damaged. What that last commit acknowledged is lost.
	AllowRollback bool
	// OnCommit is called after every transaction that the committer wrote,
	// from its goroutine: it must be quick. Default nil.
	OnCommit func(CommitStats)
	// Logger receives what no caller is told. Default slog.Default().
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.LockTimeout == 0 {
		o.LockTimeout = time.Second
	}
	if o.MapSize == 0 {
		o.MapSize = defaultMapSize()
	}
	if o.FoldAfter <= 0 {
		o.FoldAfter = 4096
	}
	if o.FoldAlways <= 0 {
		o.FoldAlways = 32 * o.FoldAfter
	}
	if o.SealAfter <= 0 {
		o.SealAfter = 1 << 15
	}
	if o.TimeStep <= 0 {
		o.TimeStep = time.Second
	}
	o.TimeStep = max(o.TimeStep, time.Millisecond)
	if o.CloseTimeout <= 0 {
		o.CloseTimeout = 30 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// CommitStats is what one transaction of the committer did.
type CommitStats struct {
	// Appends and Records are how many appends, with how many records in all,
	// went into it; both are 0 for background work.
	Appends, Records int
	// Bytes is the size of the values that were written for callers.
	Bytes int
	// Folded is how many log entries were folded.
	Folded int
	// Duration is how long the transaction took, syncing included.
	Duration time.Duration
	// Sync is the part of it that was spent writing pages and syncing them.
	Sync time.Duration
	// Err is why it was rolled back, or nil.
	Err error
}

// Stats is the size of a store at one moment.
type Stats struct {
	// Documents is how many there are.
	Documents int
	// TailEntries and TailBytes are the log entries that wait to be folded.
	TailEntries, TailBytes int
	// Stuck is how many documents could not be folded since the store was opened,
	// because what is there of them is damaged. Their log entries stay.
	Stuck int
	// Trash is how many deleted documents and dropped snapshots still have
	// data in the file.
	Trash int
	// FileBytes is the size of the file.
	FileBytes int64
	// Failed is why the store accepts no writes any more, or nil.
	Failed error
	// Busy is how long the transaction that is being written has taken so far; 0 when
	// none is.
	Busy time.Duration
}

// Store is an open data file; it satisfies storagetest.Store. A context that
// ends while an append or another write waits for its turn takes it back; once
// the committer has it, its outcome is waited for.
type Store struct {
	// static after Open
	opts     Options
	log      *slog.Logger
	db       *bbolt.DB
	file     *os.File
	updateDB func(func(*bbolt.Tx) error) error // db.Update; tests put faults here
	wake     chan struct{}                     // has room for one
	done     chan struct{}                     // closed when run has returned
	closer   func() error                      // sync.OnceValue of close

	queue    queue
	opener   opener
	sealing  sealing
	index    index
	nextNum  atomic.Uint64 // the highest number given to a document
	nextBlob atomic.Uint64 // the highest number given to a snapshot's content
	copying  atomic.Bool   // a backup is under way

	writing atomic.Pointer[time.Time] // since when a transaction is written; nil: none is

	// owned by run
	logNext  uint64 // sequence of the next log entry
	state    state
	fold     folder
	trash    []trashItem
	creating map[string]bool // ids that the batch being built creates
}

// Open opens or creates a data file. It returns ErrLocked, ErrForeign,
// ErrVersion, storage.ErrCorrupt with what is damaged and where, or the operating
// system's error. After an error nothing is held or changed.
//
// The page structure is always verified, whether or not the last run ended well:
// damage has nothing to do with that. It takes about 0.3 s a gigabyte with
// the file in the page cache, and the time to read it otherwise.
func Open(opts Options) (*Store, error) {
	opts = opts.withDefaults()
	if err := prepare(&opts); err != nil {
		return nil, err
	}
	db, file, err := openDB(opts, false)
	if err != nil {
		return nil, err
	}
	s := &Store{
		opts:     opts,
		log:      opts.Logger,
		db:       db,
		file:     file,
		updateDB: db.Update,
		wake:     make(chan struct{}, 1),
		done:     make(chan struct{}),
		creating: make(map[string]bool),
		opener:   opener{packers: opts.Packers, keep: cacheBytes},
	}
	s.closer = sync.OnceValue(s.close)
	if err := view(s.log, db, s.load); err != nil {
		closeDB(db, file)
		return nil, fmt.Errorf("bolt: open %s: %w", opts.Path, err)
	}
	removeLeft(opts.Path, opts.Logger)
	go s.run()
	return s, nil
}

// Close commits what is waiting, stops the committer and closes the file. When
// the disk does not finish a commit within CloseTimeout, Close returns an error
// and leaves the file open and locked, since closing it would not stop the disk
// either; the process should end then.
func (s *Store) Close() error { return s.closer() }

func (s *Store) close() error {
	s.queue.close()
	s.kick()
	t := time.NewTimer(s.opts.CloseTimeout)
	defer t.Stop()
	select {
	case <-s.done:
	case <-t.C:
		return fmt.Errorf("bolt: close: a commit has not ended within %v; the file stays open", s.opts.CloseTimeout)
	}
	s.sealing.stop()
	if s.queue.stuck() {
		// The transaction that failed still holds bbolt's locks.
		return releaseFile(s.file)
	}
	return s.db.Close()
}

// Stats returns the size of the store now.
func (s *Store) Stats() Stats {
	st := s.index.stats()
	st.Failed = s.queue.failure()
	if since := s.writing.Load(); since != nil {
		st.Busy = time.Since(*since)
	}
	if info, err := os.Stat(s.opts.Path); err == nil {
		st.FileBytes = info.Size()
	}
	return st
}

// find returns a document of the index, or why there is none.
func (s *Store) find(ctx context.Context, id string) (*document, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if err := storage.CheckDocID(id); err != nil {
		return nil, err
	}
	d := s.index.find(id)
	if d == nil {
		return nil, storage.ErrNotFound
	}
	return d, nil
}

// usable returns why no call can be served now, or nil.
func (s *Store) usable(ctx context.Context) error {
	if s.queue.isClosed() {
		return storage.ErrClosed
	}
	return ctx.Err()
}

// read runs fn in a read transaction. fn must be quick and copy what it keeps.
func (s *Store) read(fn func(*bbolt.Tx) error) error {
	return view(s.log, s.db, fn)
}

// defaultMapSize is Options.MapSize's default.
func defaultMapSize() int {
	switch size := int64(64 << 30); {
	case !mapIsFree:
		return 0
	case size > math.MaxInt:
		return 256 << 20
	default:
		return int(size)
	}
}
