package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
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
	audit  *audit.Log    // nil: there is none
	tracer *spans.Tracer // nil: nobody traces
}

// watch opens what the settings and the environment ask for. Close it.
func (m *Main) watch() (*watcher, error) {
	w := &watcher{m: m}
	var err error
	if w.tracer, err = spans.New(version(), os.Getenv, m.Logger); err != nil {
		return nil, err
	}
	if file := m.Config.AuditLog; file != "" {
		if w.audit, err = audit.Open(file, m.Logger); err != nil {
			w.close()
			return nil, fmt.Errorf("the audit log cannot be opened: %w", err)
		}
		w.audit.Write(audit.Event{What: audit.Start, Detail: map[string]string{"version": version()}})
	}
	return w, nil
}

// reopen opens the audit log again, which another program may have renamed.
func (w *watcher) reopen() {
	file := w.m.Config.AuditLog
	if file == "" {
		return
	}
	if err := w.audit.Reopen(); err != nil {
		w.m.Logger.Error("the audit log cannot be opened again; the old file is written on", "file", file, "err", err)
		return
	}
	w.m.Logger.Info("the audit log was opened again", "file", file)
}

// closeWithin bounds sending the last traces.
const closeWithin = 2 * time.Second

// close ends it: what waits is sent and written.
func (w *watcher) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
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

// serve answers operators, when they have a listener, until the server stops. One that others
// reach speaks TLS if the server does.
func (w *watcher) serve(server *web.Server, f *front) error {
	if f.admin == nil {
		return nil
	}
	addr, ok := f.admin.ln.Addr().(*net.TCPAddr)
	local := ok && addr.IP.IsLoopback()
	ln, err := f.admin.listen()
	if err != nil {
		return fmt.Errorf("cannot serve operators on %s: %w", w.m.Config.AdminListen, err)
	}
	scheme := "http"
	if !local {
		scheme = f.scheme()
	}
	go func() {
		if err := server.ServeSide(ln, !local); err != nil {
			w.m.Logger.Error("serving operators ended", "err", err)
		}
	}()
	url, _ := reached(scheme, f.admin.ln.Addr().String())
	fmt.Fprintf(w.m.Out, "Operators are at %s/admin\n", url)
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

// plainURL returns of an address what may be logged: not its query or its password, which may be
// secrets.
func plainURL(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
