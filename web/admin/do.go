package admin

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"quire/session"
	"quire/web/api"
	"quire/web/audit"
	"quire/web/trail"
)

// release ends a document's session; its clients open the document again.
func (a *API) release(c *call) (int, any, error) {
	trail.SetDoc(c.ctx, c.arg)
	if err := a.opt.Manager.Release(c.arg); err != nil {
		return 0, nil, err
	}
	a.opt.Logger.InfoContext(c.c, "an operator had a document leave memory", "doc", c.arg)
	return fasthttp.StatusNoContent, nil, nil
}

// disconnect closes a connection; its client is told to come back.
func (a *API) disconnect(c *call) (int, any, error) {
	audit.Note(c.ctx, "connection", c.arg)
	if !a.opt.Sockets.Dismiss(c.arg) {
		return 0, nil, api.Errorf(fasthttp.StatusNotFound, string(session.CodeNotFound), "There is no such connection.")
	}
	a.opt.Logger.InfoContext(c.c, "an operator closed a connection", "connection", c.arg)
	return fasthttp.StatusNoContent, nil, nil
}

// Squashed says what is left of a document's past.
type Squashed struct {
	// Oldest is the first revision that is kept, -1 when all are.
	Oldest session.Revision `json:"oldest"`
}

// squash drops the old part of a document's past.
func (a *API) squash(c *call) (int, any, error) {
	trail.SetDoc(c.ctx, c.arg)
	var revisions, seconds *int64
	if err := api.ReadObject(c.ctx, map[string]any{"revisions": &revisions, "seconds": &seconds}); err != nil {
		return 0, nil, err
	}
	const most = 1 << 40
	var keep session.Keep
	for _, f := range []*int64{revisions, seconds} {
		if f != nil && (*f < 1 || *f > most) {
			return 0, nil, api.Errorf(fasthttp.StatusBadRequest, "bad_field", "revisions and seconds are numbers from 1 on.")
		}
	}
	switch {
	case revisions == nil && seconds == nil:
		return 0, nil, api.Errorf(fasthttp.StatusBadRequest, "bad_field", "Say what to keep: revisions, a number of them, or seconds, their age, or both.")
	case seconds != nil:
		keep.Age = time.Duration(min(*seconds, int64(1<<63-1)/int64(time.Second))) * time.Second
	}
	if revisions != nil {
		keep.Count = int(*revisions)
	}
	oldest, err := a.opt.Manager.Squash(c.c, c.arg, keep)
	if err != nil {
		return 0, nil, err
	}
	return fasthttp.StatusOK, Squashed{oldest}, nil
}

// Backup is a copy of all data in the folder for them.
type Backup struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
	// SHA256 is of the file, in hexadecimal; only in the answer to its making.
	SHA256 string `json:"sha256,omitempty"`
	Time   string `json:"time"`
}

// Backups are those in the folder, the newest first.
type Backups struct {
	Folder  string   `json:"folder"`
	Backups []Backup `json:"backups"`
}

const (
	backupBegins, backupEnds = "quire-", ".db"
	unfinished               = ".part"
)

var errNoBackups = api.Errorf(fasthttp.StatusNotFound, "no_such_page", "This server keeps no backups; the setting backups names a folder for them.")

func (a *API) backups(*call) (int, any, error) {
	if a.opt.Backups == "" {
		return 0, nil, errNoBackups
	}
	out := Backups{a.opt.Backups, []Backup{}}
	entries, err := os.ReadDir(a.opt.Backups)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.opt.Logger.Error("the folder for backups cannot be read", "err", err)
		return 0, nil, session.Errorf(session.CodeUnavailable, "the folder for backups cannot be read; the log says why")
	}
	for i := len(entries) - 1; i >= 0 && len(out.Backups) < maxEntries; i-- { // by name, which is by time
		name := entries[i].Name()
		info, err := entries[i].Info()
		if err == nil && strings.HasPrefix(name, backupBegins) && strings.HasSuffix(name, backupEnds) && info.Mode().IsRegular() {
			out.Backups = append(out.Backups, Backup{File: name, Bytes: info.Size(), Time: stamp(info.ModTime())})
		}
	}
	return fasthttp.StatusOK, out, nil
}

// backUp makes a copy of all data in the folder for them.
func (a *API) backUp(c *call) (int, any, error) {
	if a.opt.Backups == "" {
		return 0, nil, errNoBackups
	}
	select {
	case a.copying <- struct{}{}:
		defer func() { <-a.copying }()
	default:
		return 0, nil, session.Errorf(session.CodeBusy, "another backup is under way; there is one at a time")
	}
	data, err := a.opt.Copy(c.c)
	if err != nil {
		return 0, nil, err
	}
	defer data.Close()
	name := backupBegins + time.Now().UTC().Format("20060102T150405.000Z") + backupEnds
	if err := keep(c.c, data, a.opt.Backups, name); err != nil {
		a.opt.Logger.ErrorContext(c.c, "a backup cannot be kept", "folder", a.opt.Backups, "err", err)
		return 0, nil, session.Errorf(session.CodeUnavailable, "the backup cannot be kept; the log says why")
	}
	audit.Note(c.ctx, "file", name)
	a.opt.Logger.InfoContext(c.c, "a backup was made", "file", filepath.Join(a.opt.Backups, name), "bytes", data.Size)
	return fasthttp.StatusCreated, Backup{name, data.Size, hex.EncodeToString(data.Sum[:]), stamp(time.Now())}, nil
}

// keep writes a copy into a folder so that it is whole or not there, also after a crash.
func keep(c context.Context, data io.Reader, folder, name string) (err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	left, err := fs.Glob(os.DirFS(folder), backupBegins+"*"+unfinished) // by a server that was killed
	if err != nil {
		return err
	}
	for _, old := range left {
		_ = os.Remove(filepath.Join(folder, old))
	}
	part := filepath.Join(folder, name+unfinished)
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part)
		}
	}()
	_, err = io.Copy(f, &until{c, data})
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(part, filepath.Join(folder, name)); err != nil {
		return err
	}
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// until reads as long as a context goes on.
type until struct {
	c context.Context
	r io.Reader
}

// Read implements io.Reader.
func (u *until) Read(p []byte) (int, error) {
	if err := u.c.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}
