package web

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http/httputil"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"quire/session"
	"quire/web/api"
)

// Requests with large bodies, or bodies of a length that is not known, are few beside the
// others. fasthttp could hand all bodies on as streams, but then keeps a read buffer for
// each connection, also of the many that became WebSockets. So these take their
// connection over instead: the limit is the one of their address, a slow body is cut off,
// only so many are held at once, and a bundle passes without being held at all. The connection
// ends with the answer.

const (
	// largeAtOnce is how many large bodies are read or held at once.
	largeAtOnce = 16
	// patience is how long a body may take beside what its length allows, at
	// slowestBody bytes a second.
	patience    = 15 * time.Second
	slowestBody = 16 << 10
	// lengthHeader keeps the length of a body that fasthttp is not to read: -1 when it is chunked.
	lengthHeader = "Quire-Internal-Length"
)

// large handles requests with large bodies.
type large struct {
	server  *Server
	places  chan struct{}
	running sync.WaitGroup
}

// wait waits until the requests that there are have ended, or ctx has. It is called when
// no more come.
func (l *large) wait(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		l.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// received decides on a request when its header is there: one with a large body has it
// left unread.
func (l *large) received(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	h.Del(lengthHeader)
	n := h.ContentLength()
	if n > l.server.opt.MaxMessage || n == -1 {
		h.SetContentLength(0)
		h.Set(lengthHeader, strconv.Itoa(n))
	}
	return fasthttp.RequestConfig{}
}

// expected refuses, before it is sent, a body that is past its limit.
func (l *large) expected(ctx *fasthttp.RequestCtx) int {
	n, ok := l.length(ctx)
	if !ok {
		return fasthttp.StatusContinue
	}
	limit, name, _ := l.server.api.Limit(&ctx.Request.Header, string(ctx.URI().PathOriginal()))
	if n <= limit {
		return fasthttp.StatusContinue
	}
	secure(ctx)
	api.Refuse(ctx, api.BodyTooLarge(limit, name))
	return ctx.Response.StatusCode()
}

// length returns the length of the body that was left unread, -1 when it is not known.
func (l *large) length(ctx *fasthttp.RequestCtx) (n int, ok bool) {
	v := ctx.Request.Header.Peek(lengthHeader)
	if v == nil {
		return 0, false
	}
	n, err := strconv.Atoi(string(v))
	return n, err == nil
}

// takeOver has a request with a large body answered on a connection of its own, and
// reports whether it is one.
func (l *large) takeOver(ctx *fasthttp.RequestCtx) bool {
	n, ok := l.length(ctx)
	if !ok {
		return false
	}
	req := fasthttp.AcquireRequest()
	ctx.Request.CopyTo(req)
	req.Header.Del(lengthHeader)
	ctx.HijackSetNoResponse(true)
	l.running.Add(1)
	ctx.Hijack(func(c net.Conn) {
		defer l.running.Done()
		defer func() {
			if p := recover(); p != nil {
				l.server.opt.Logger.Error("panic in a request", "path", string(req.URI().Path()), "panic", p, "stack", string(debug.Stack()))
			}
		}()
		l.serve(c, req, n)
		fasthttp.ReleaseRequest(req)
	})
	return true
}

// serve reads the body, has the request answered as any other, and sends the answer.
func (l *large) serve(c net.Conn, req *fasthttp.Request, n int) {
	var ctx fasthttp.RequestCtx
	ctx.Init2(c, quiet{l.server.opt.Logger}, true)
	req.CopyTo(&ctx.Request)
	body := &slowReader{conn: c, left: n, patience: patience}
	whole := l.read(&ctx, body)
	ctx.Response.Header.SetConnectionClose()
	ctx.Response.Header.SetServer("quire")
	w := bufio.NewWriter(c)
	_ = c.SetWriteDeadline(time.Now().Add(30 * time.Second))
	if err := ctx.Response.Write(w); err != nil || w.Flush() != nil {
		return
	}
	if !whole {
		body.linger()
	}
}

// read has the request answered into ctx.Response, and reports whether all of the body
// was read.
func (l *large) read(ctx *fasthttp.RequestCtx, in *slowReader) (whole bool) {
	defer secure(ctx)
	limit, name, streamed := l.server.api.Limit(&ctx.Request.Header, string(ctx.URI().PathOriginal()))
	if in.left > limit {
		api.Refuse(ctx, api.BodyTooLarge(limit, name))
		return false
	}
	if ctx.IsGet() || ctx.IsHead() { // its answer might be a stream, on a connection that is taken
		api.Problem(ctx, fasthttp.StatusBadRequest, "unwanted_body", "This request has no body.")
		return false
	}
	select {
	case l.places <- struct{}{}:
		defer func() { <-l.places }()
	default:
		api.Refuse(ctx, session.Errorf(session.CodeBusy, "the server reads %d large requests already, the most at once", largeAtOnce))
		return false
	}
	body := io.LimitReader(in, int64(in.left))
	if in.left < 0 {
		body = httputil.NewChunkedReader(in)
	}
	if streamed {
		ctx.Request.SetBodyStream(body, -1)
		l.server.handle(ctx)
		n, err := io.CopyN(io.Discard, body, 1)
		return n == 0 && errors.Is(err, io.EOF)
	}
	data, err := io.ReadAll(io.LimitReader(body, int64(limit)+1))
	switch {
	case len(data) > limit:
		api.Refuse(ctx, api.BodyTooLarge(limit, name))
		return false
	case err != nil || in.left > len(data):
		l.server.broken(ctx, err)
		return false
	}
	ctx.Request.SetBodyRaw(data)
	l.server.handle(ctx)
	return true
}

// slowReader reads a connection at the pace that a body has to have.
type slowReader struct {
	conn     net.Conn
	left     int           // of the body at first; -1 when not known
	patience time.Duration // beside what its length allows
	waited   time.Duration // for the peer
	got      int
}

// Read implements io.Reader.
func (r *slowReader) Read(p []byte) (int, error) {
	now := time.Now()
	allowed := r.patience + time.Duration(r.got/slowestBody)*time.Second
	if err := r.conn.SetReadDeadline(now.Add(allowed - r.waited)); err != nil {
		return 0, err
	}
	n, err := r.conn.Read(p)
	r.waited += time.Since(now)
	r.got += n
	return n, err
}

// linger reads on for a moment what a peer still sends that was answered before its end:
// closing at once could take the answer from it.
func (r *slowReader) linger() {
	if c, ok := r.conn.(interface{ UnsafeConn() net.Conn }); ok { // fasthttp's wrapping
		if c, ok := c.UnsafeConn().(interface{ CloseWrite() error }); ok {
			_ = c.CloseWrite()
		}
	}
	_ = r.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.Copy(io.Discard, r.conn)
}
