package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/diff"
	"quire/ot/json0"
	"quire/ot/ottypes"
	"quire/ot/text"
	"quire/ot/text0"
	"quire/ot/textunicode"
	"quire/session"
	"quire/storage"
	"quire/storage/bolt"
	"quire/web"
	"quire/web/api"
	"quire/web/auth"
	"quire/web/hooks"
	"quire/web/metrics"
	"quire/web/page"
	"quire/web/reread"
	"quire/web/sharedb"
)

// types are the document types on offer.
func types() []ot.Type {
	return []ot.Type{text.Type{}, delta.Type{}, json0.Type{}, text0.Type{}, textunicode.Type{}}
}

// packers are the types whose operations the data file keeps in columns.
func packers() map[string]bolt.Packer {
	out := make(map[string]bolt.Packer)
	for _, t := range types() {
		if p, ok := t.(ot.Packer); ok {
			out[t.Name()] = p
		}
	}
	return out
}

// dialects are the types as ShareDB's clients know them.
func dialects() []sharedb.Dialect {
	var out []sharedb.Dialect
	for _, t := range ottypes.All() {
		out = append(out, t)
	}
	return out
}

// dataFile is the bbolt file in the data folder.
const dataFile = bolt.FileName

// Main is the whole server. Make one, call Run; Close may be called from anywhere.
type Main struct {
	// Config is how to run. Required.
	Config *Config
	// Out is where the first lines for people go. Required.
	Out io.Writer
	// Logger is where the log goes. Required.
	Logger *slog.Logger
	// Ready is called with the URL once the server answers. May be nil.
	Ready func(url string)
	// Private says that only this process can connect: nobody is asked who they are.
	Private bool
	// Listener is where to serve instead of Config.Listen; Run closes it. May be nil.
	Listener net.Listener

	// Program is the file to start when it hands over; empty: it cannot.
	Program string

	passed  *passed // what the process was given; may be nil
	watcher *watcher
	keys    atomic.Pointer[reread.Files] // of tokens; nil: none in files
	obtain  func()                       // sees that there are certificates; may be nil
	once    sync.Once
	stop    chan struct{}
	wanted  chan struct{} // a handover
	reload  chan struct{}
}

// NewMain makes a Main.
func NewMain(c *Config, out io.Writer, log *slog.Logger) *Main {
	return &Main{Config: c, Out: out, Logger: log, stop: make(chan struct{}), wanted: make(chan struct{}, 1), reload: make(chan struct{}, 1)}
}

// Close makes Run stop as a signal would; it does not wait for it.
func (m *Main) Close() { m.once.Do(func() { close(m.stop) }) }

// Run serves until ctx ends or Close is called. Then it stops accepting, tells
// clients to come back, saves what is under way and closes the data, all within
// Config.StopWithin. The error is nil after an orderly stop, also when the store did not
// take everything: that was never acknowledged. When the disk failed so that the store can
// take no more writes, Run stops by itself with an error, for whoever starts it again.
func (m *Main) Run(ctx context.Context) error {
	f, err := m.openFront()
	if err != nil {
		return err
	}
	defer f.close()
	if names := m.passed.rest(); len(names) > 0 {
		m.Logger.Warn("sockets that were passed have no use with these settings; they are closed", "sockets", names)
	}
	if err := os.MkdirAll(m.Config.Data, 0o700); err != nil {
		return fmt.Errorf("the data folder cannot be made: %w", err)
	}
	if m.watcher, err = m.watch(); err != nil {
		return err
	}
	defer m.watcher.close()
	beside, stop := context.WithCancel(context.Background())
	defer stop()
	go m.reloads(beside, f)
	go watchdog(beside, m.passed)
	m.passed.say(heirReady)
	for {
		h, err := m.live(ctx, f)
		if h == nil || m.inherited(ctx, h) {
			return err
		}
		m.passed = nil // what is to come is no longer its predecessor's concern
	}
}

// live serves from opening the data to closing it. It returns the process that the data is
// closed for, if there is one.
func (m *Main) live(ctx context.Context, f *front) (*heir, error) {
	c := m.Config
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var met *metrics.Metrics
	var manager *session.Manager
	var server *web.Server
	met = metrics.New(
		func() session.Stats { return manager.Stats() },
		func() int { return server.Conns() },
		func() int { return server.Streams() })
	disk := newDiskState()
	store, err := openStore(c, met, disk, m.Logger)
	if err != nil {
		return nil, err
	}
	authority, err := m.authority(ctx, store)
	if err != nil {
		return nil, err
	}
	defer authority.Close()
	manager = session.New(session.Options{
		Store:     following{store, authority},
		Types:     types(),
		Limits:    c.sessions(),
		Keep:      session.Keep(c.HistoryKeep),
		Diff:      diff.Between,
		IdleAfter: c.IdleAfter,
		Logger:    m.Logger,
		Observer:  m.watcher.observer(met.Observer()),
	})
	if err := manager.CleanUp(ctx); err != nil && ctx.Err() == nil {
		m.Logger.Error("cannot remove what imports left that did not end; they stay hidden", "err", err)
	}
	webhooks, err := hooks.New(hooks.Options{
		Manager:     manager,
		Store:       store,
		Private:     c.HookPrivate,
		GiveUp:      c.HookGiveUp,
		OwnerWithin: c.HookOwner,
		Names:       authority.NamesOf,
		Revoked:     authority.Revocations(auth.Anybody()),
		Name:        "quire " + version(),
		Observer:    hooks.Observer{Delivered: met.HookDelivered, Failed: met.HookFailed, Dead: met.HookDead},
		Logger:      m.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("the webhooks cannot be read: %w", err)
	}
	ln, err := f.main.listen()
	if err != nil {
		return nil, fmt.Errorf("cannot serve on %s: %w", c.Listen, err)
	}
	able := func() error { return disk.ready(manager.Stats(), store.Stats(), time.Now()) }
	server, err = web.New(web.Options{
		Auth:      authority,
		Manager:   manager,
		Metrics:   met,
		Page:      page.Files(),
		Dialects:  dialects(),
		Name:      "quire " + version(),
		Origins:   splitList(c.Origins),
		Hosts:     c.hosts(ln.Addr().String()),
		Formats:   documentFormats{},
		Unified:   diff.Unified,
		Limits:    c.limitConfig.web(),
		PingEvery: c.PingEvery,
		ComeBack:  c.ComeBack,
		Hooks:     webhooks,
		Backup:    m.watcher.backups(store, met),
		Ready:     able,
		Logger:    m.Logger,
		TLS:       f.tls,
		Timeouts:  c.timeouts(),
		AccessLog: c.AccessLog,
		Audit:     m.watcher.audit,
		Tracer:    m.watcher.tracer,
		Admin:     m.watcher.options(),
	})
	if err != nil {
		_ = ln.Close()
		return nil, err
	}
	m.watcher.ask(met, able)
	if err := m.watcher.serve(server, f); err != nil {
		m.shutDown(server, webhooks, manager, authority, store)
		return nil, err
	}
	served := make(chan error, 1)
	m.note(f, ln.Addr())
	go func() { served <- server.Serve(ln) }()
	m.welcome(f, ln.Addr())
	ready := make(chan *heir)
	go m.heirs(ctx, f, ready)
	tidied := make(chan struct{})
	defer close(tidied)
	go tidy(func() uint64 { return met.Messages() + uint64(server.Conns()) }, tidied)

	var next *heir
	select {
	case <-ctx.Done():
	case <-m.stop:
	case next = <-ready:
	case err = <-served:
		err = fmt.Errorf("serving ended: %w", err)
	case <-disk.failed:
		err = errDiskFailed
	}
	if next == nil && m.passed.speaks() {
		notify(daemon.SdNotifyStopping)
	}
	if closed := m.shutDown(server, webhooks, manager, authority, store); !closed && next != nil {
		next.alone() // only the end of this process lets go of the data
		next = nil
	}
	return next, err
}

// tidy gives memory back to the system when things have become quiet: the collector
// runs by itself only as new memory is asked for. What active returns changes until they are.
func tidy(active func() uint64, done <-chan struct{}) {
	const every = 3 * time.Second
	tick := time.NewTicker(every)
	defer tick.Stop()
	last, busy := uint64(0), true
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		now := active()
		if now != last {
			last, busy = now, true
		} else if busy {
			busy = false
			debug.FreeOSMemory()
		}
	}
}

// addressName is the file in the data folder that says where its server is.
const addressName = "quire.url"

// addressFile is where a server says for commands on the same machine how to reach it,
// while it has the data folder. What a killed one left there stays until the next one starts.
func (m *Main) addressFile() string { return filepath.Join(m.Config.Data, addressName) }

// note writes that file, before the first request is answered.
func (m *Main) note(f *front, addr net.Addr) {
	_ = os.Remove(m.addressFile())
	if m.Listener != nil {
		return
	}
	url, _ := reached(f.scheme(), addr.String())
	if err := os.WriteFile(m.addressFile(), []byte(url+"/\n"), 0o600); err != nil {
		m.Logger.Warn("the server's address is not noted in the data folder", "err", err)
	}
}

func (m *Main) welcome(f *front, addr net.Addr) {
	url, every := reached(f.scheme(), addr.String())
	url += "/"
	fmt.Fprintf(m.Out, "Quire is at %s\n", url)
	if every {
		fmt.Fprintln(m.Out, "It serves on every address of this machine.")
	}
	fmt.Fprintf(m.Out, "Documents are kept in %s; an edit is acknowledged when it is synced to disk.\n", filepath.Join(m.Config.Data, dataFile))
	if isTerminal(m.Out) {
		fmt.Fprintln(m.Out, "Stop with Ctrl-C.")
	}
	m.passed.say(heirServing)
	if m.passed.speaks() {
		notify(daemon.SdNotifyReady)
	}
	if m.obtain != nil {
		go m.obtain()
		m.obtain = nil
	}
	if m.Ready != nil {
		m.Ready(url)
	}
}

// shutDown ends everything in order, within the time allowed, and reports whether the data
// file was closed.
func (m *Main) shutDown(server *web.Server, webhooks *hooks.Hooks, manager *session.Manager, authority *auth.Authority, store *bolt.Store) (done bool) {
	m.Logger.Info("stopping", "within", m.Config.StopWithin)
	_ = os.Remove(m.addressFile()) // before another server can have the folder
	deadline := time.Now().Add(m.Config.StopWithin)
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	// Clients get half of the time to say goodbye, saving most of the rest, closing the file what is left.
	half, cancelHalf := context.WithTimeout(ctx, m.Config.StopWithin/2)
	defer cancelHalf()
	saving, cancelSaving := context.WithTimeout(ctx, m.Config.StopWithin-m.Config.StopWithin/10)
	defer cancelSaving()
	save := func(ctx context.Context) {
		if err := manager.Close(ctx); err != nil {
			m.Logger.Error("some edits could not be saved; they were not acknowledged and their clients still have them", "err", err)
		}
	}
	failed := store.Stats().Failed != nil
	if failed { // nothing more can be saved: whoever waits for that is told first
		none, giveUp := context.WithCancel(ctx)
		giveUp()
		save(none)
	}
	if err := server.Shutdown(half); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		m.Logger.Warn("the server did not stop in order", "err", err)
	}
	if err := webhooks.Close(half); err != nil {
		m.Logger.Warn("how far webhooks were delivered could not be saved; some are delivered again", "err", err)
	}
	if !failed {
		save(saving)
	}
	authority.Close() // which writes, too
	// What is left is a tenth at least, also when the process stood still meanwhile: closing takes a moment.
	closing, cancelClosing := context.WithTimeout(context.Background(), max(time.Until(deadline), m.Config.StopWithin/10))
	defer cancelClosing()
	closed := make(chan error, 1)
	go func() { closed <- store.Close() }()
	select {
	case err := <-closed:
		done = true
		if err != nil {
			m.Logger.Error("the data file did not close in order", "err", err)
		}
	case <-closing.Done():
		m.Logger.Error("the data file did not close in time; what was acknowledged is on disk")
	}
	m.Logger.Info("stopped")
	return done
}

// openStore opens the data file, with sentences for what people get wrong.
func openStore(c *Config, met *metrics.Metrics, disk *diskState, log *slog.Logger) (*bolt.Store, error) {
	store, err := bolt.Open(bolt.Options{
		Path:        filepath.Join(c.Data, dataFile),
		LockTimeout: c.LockTimeout,
		Packers:     packers(),
		Logger:      log,
		OnCommit: func(s bolt.CommitStats) {
			disk.commit(s)
			if s.Appends > 0 && s.Err == nil { // else it is work in the background, or did not happen
				met.Commit(s.Appends, s.Records, s.Sync)
			}
		},
	})
	if errors.Is(err, bolt.ErrLocked) {
		return nil, lockedError(c.Data)
	}
	if errors.Is(err, storage.ErrCorrupt) {
		return nil, fmt.Errorf("the data cannot be opened: %w; %s", err, repairHint(c.Data))
	}
	if err != nil {
		return nil, fmt.Errorf("the data cannot be opened: %w", err)
	}
	return store, nil
}

// lockedError is a data folder that another process has.
type lockedError string

func (e lockedError) Error() string {
	return "another Quire uses the data folder " + string(e) + ": stop it first, or choose another with --data"
}

func (lockedError) Unwrap() error { return bolt.ErrLocked }

// backUp makes a copy of the data for GET /api/backup.
func backUp(ctx context.Context, store *bolt.Store, log *slog.Logger) (api.Copy, error) {
	c, err := store.Copy(ctx)
	switch {
	case errors.Is(err, bolt.ErrBackingUp):
		return api.Copy{}, session.Errorf(session.CodeBusy, "another backup is under way; there is one at a time")
	case err != nil:
		log.Error("cannot make a backup", "err", err)
		if errors.Is(err, bolt.ErrNoSpace) {
			return api.Copy{}, session.Errorf(session.CodeUnavailable, "the disk has no room for a copy of the data")
		}
		return api.Copy{}, session.Errorf(session.CodeUnavailable, "the data cannot be copied now; the log says why")
	}
	return api.Copy{ReadCloser: c, Size: c.Size, Sum: c.Sum}, nil
}

func splitList(s string) []string {
	var out []string
	for f := range strings.SplitSeq(s, ",") {
		if f = strings.TrimSpace(f); f != "" {
			out = append(out, f)
		}
	}
	return out
}
