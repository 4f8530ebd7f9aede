package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"quire/session"
	"quire/storage/bolt"
	"quire/web"
	"quire/web/admin"
	"quire/web/api"
	"quire/web/audit"
	"quire/web/metrics"
	"quire/web/spans"
)

// watcher is what the server tells about itself beside its log.
type watcher struct {
	m      *Main
	audit  *audit.Log
	tracer *spans.Tracer
	side   net.Listener // for operators; nil when there is none
	hup    chan os.Signal
	done   chan struct{} // closed when nobody waits for hup any more
}

// watch opens what the settings ask for. Close it.
func (m *Main) watch() (*watcher, error) {
	w := &watcher{m: m, hup: make(chan os.Signal, 1), done: make(chan struct{})}
	err := w.open()
	go w.reopen()
	if err != nil {
		w.close(context.Background())
		return nil, err
	}
	return w, nil
}

func (w *watcher) open() (err error) {
	c := w.m.Config
	if c.AuditLog != "" {
		if w.audit, err = audit.Open(c.AuditLog, w.m.Logger); err != nil {
			return fmt.Errorf("the audit log cannot be opened: %w", err)
		}
		w.audit.Write(audit.Event{What: audit.Start, Detail: map[string]string{"version": version()}})
		signal.Notify(w.hup, syscall.SIGHUP)
	}
	if w.tracer, err = spans.New(version(), os.Getenv, w.m.Logger); err != nil {
		return err
	}
	if c.AdminListen != "" {
		if w.side, err = net.Listen("tcp", c.AdminListen); err != nil {
			return fmt.Errorf("cannot serve operators on %s: %w", c.AdminListen, err)
		}
	}
	return nil
}

// reopen opens the audit log again at each SIGHUP, until hup is closed.
func (w *watcher) reopen() {
	defer close(w.done)
	for range w.hup {
		if err := w.audit.Reopen(); err != nil {
			w.m.Logger.Error("the audit log cannot be opened again; the old file is written on", "err", err)
			continue
		}
		w.m.Logger.Info("the audit log was opened again", "file", w.m.Config.AuditLog)
	}
}

// closeWatch is close within the time that stopping may take.
func (m *Main) closeWatch(w *watcher) {
	ctx, cancel := context.WithTimeout(context.Background(), closeWatchWithin)
	defer cancel()
	w.close(ctx)
}

// closeWatchWithin bounds sending the last traces.
const closeWatchWithin = 2 * time.Second

// close ends it: what waits is sent and written as far as ctx allows.
func (w *watcher) close(ctx context.Context) {
	signal.Stop(w.hup)
	close(w.hup)
	<-w.done
	if w.side != nil {
		_ = w.side.Close() // the server closes it, too
	}
	if err := w.tracer.Shutdown(ctx); err != nil {
		w.m.Logger.Warn("some traces were not sent", "err", err)
	}
	w.audit.Write(audit.Event{What: audit.Stop})
	if err := w.audit.Close(); err != nil {
		w.m.Logger.Error("the audit log did not close in order", "err", err)
	}
}

// observer adds what is traced to what is counted.
func (w *watcher) observer(o session.Observer) session.Observer {
	w.tracer.Observe(&o)
	return o
}

// serve answers operators, when they have a listener, until the server stops. An open server's
// is for this machine alone.
func (w *watcher) serve(server *web.Server, open bool) error {
	if w.side == nil {
		return nil
	}
	addr, ok := w.side.Addr().(*net.TCPAddr)
	if open && (!ok || !addr.IP.IsLoopback()) {
		return fmt.Errorf("admin-listen is %s, which others can reach, and this server asks nobody who they are: give it a loopback address such as 127.0.0.1:8081, or set up authentication", w.side.Addr())
	}
	go func() {
		if err := server.ServeSide(w.side); err != nil {
			w.m.Logger.Error("serving operators ended", "err", err)
		}
	}()
	fmt.Fprintf(w.m.Out, "Operators are at http://%s/admin\n", w.side.Addr())
	return nil
}

// options are those of the web server that are about watching it.
func (w *watcher) options() admin.Options {
	c := w.m.Config
	o := admin.Options{Version: version(), Limits: c.bounds(), Disk: func() (admin.Disk, error) { return diskOf(c.Data) }, Backups: c.Backups}
	if o.Backups == "" {
		o.Backups = filepath.Join(c.Data, "backups")
	}
	return o
}

// ask has metrics asked from the parts of the server.
func (w *watcher) ask(met *metrics.Metrics, ready func() error) {
	met.Ask(metrics.Sources{
		Version: version(),
		Ready:   ready,
		Disk: func() (file, free, total int64, err error) {
			d, err := diskOf(w.m.Config.Data)
			return d.File, d.Free, d.Total, err
		},
		AuditFailures: w.audit.Failures,
	})
}

// backups makes copies with store, counted and traced.
func (w *watcher) backups(store *bolt.Store, met *metrics.Metrics) func(ctx context.Context) (api.Copy, error) {
	return func(ctx context.Context) (api.Copy, error) {
		ctx, done := w.tracer.Work(ctx, "backup")
		c, err := backUp(ctx, store, w.m.Logger)
		done(err)
		if err != nil {
			met.BackedUp(string(session.AsError(err).Code))
		} else {
			met.BackedUp(audit.OK)
		}
		return c, err
	}
}

// bounds are the settings that bound something, by name.
func (c *Config) bounds() map[string]string {
	out := map[string]string{}
	c.set.VisitAll(func(f *flag.Flag) {
		if strings.HasPrefix(f.Name, "max-") || f.Name == "history-keep" {
			out[f.Name] = f.Value.String()
		}
	})
	return out
}

// diskOf says what the data needs.
func diskOf(folder string) (admin.Disk, error) {
	info, err := os.Stat(filepath.Join(folder, dataFile))
	if err != nil {
		return admin.Disk{}, err
	}
	free, total, err := space(folder)
	return admin.Disk{File: info.Size(), Free: free, Total: total}, err
}
