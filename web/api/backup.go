package api

import (
	"context"
	"encoding/base64"
	"io"
	"net"
	"time"
)

// Copy is a consistent copy of all data, to be read once and closed.
type Copy struct {
	io.ReadCloser
	// Size is its length in bytes, Sum its SHA-256.
	Size int64
	Sum  [32]byte
}

// Backups makes what /api/backup serves. Safe for concurrent use.
type Backups struct {
	// Copy makes a consistent copy of all data as it is now. Its errors are shown: *session.Error.
	// Required.
	Copy func(ctx context.Context) (Copy, error)
}

const (
	// copyWithin bounds making the copy.
	copyWithin = time.Hour
	// stallAfter is how long a client may take nothing, and slowest the bytes a second it has
	// to take at least over the whole: one backup at a time is kept on disk for it.
	stallAfter = 30 * time.Second
	slowest    = 128 << 10
)

// backup serves GET /api/backup: the data file, with Content-Length and its SHA-256 in
// Content-Digest (RFC 9530).
func (a *API) backup(r *request) error {
	ctx := r.ctx
	if ctx.IsHead() { // a copy is not made for that
		ctx.SetContentType("application/octet-stream")
		return nil
	}
	c, cancel := context.WithTimeout(a.opt.Streams.Context(), copyWithin)
	defer cancel()
	data, err := a.opt.Backups.Copy(c)
	if err != nil {
		return err
	}
	h := &ctx.Response.Header
	h.SetContentType("application/octet-stream")
	h.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(data.Sum[:])+":")
	h.Set("Content-Disposition", `attachment; filename="quire-`+time.Now().UTC().Format("20060102T150405Z")+`.db"`)
	h.Set("Cache-Control", "no-store")
	end := time.Now().Add(2*stallAfter + time.Duration(data.Size/slowest)*time.Second)
	ctx.SetBodyStream(&paced{Copy: data, conn: ctx.Conn(), end: end}, int(data.Size))
	return nil
}

// paced is a copy on its way to a client, who has more time as long as it keeps reading.
type paced struct {
	Copy
	conn net.Conn
	end  time.Time
}

// Read implements io.Reader.
func (p *paced) Read(b []byte) (int, error) {
	until := time.Now().Add(stallAfter)
	if until.After(p.end) {
		until = p.end
	}
	if err := p.conn.SetWriteDeadline(until); err != nil {
		return 0, err
	}
	return p.Copy.Read(b)
}
