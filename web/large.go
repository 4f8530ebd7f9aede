package web

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http/httputil"
	"net/netip"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"quire/session"
	"quire/session/limits"
	"quire/web/api"
	"quire/web/auth"
)

// Requests with large bodies, or bodies of a length that is not known, are few beside the
// others. fasthttp could hand all bodies on as streams, but then keeps a read buffer for
// each connection, also of the many that became WebSockets. So these take their
// connection over instead: the limit is the one of their address, a slow body is cut off,
// only so many are held at once, few of one sender, and a bundle passes without being held at all. Nothing is
// read for who may not do what they ask. The connection ends with the answer.

const (
	// largeAtOnce is how many large bodies are read or held at once, largeEach how many of them of one
	// sender.
	largeAtOnce = 16
	largeEach   = 4
	// slowestBody is how many bytes a second a body has to have, beside Timeouts.Body.
	slowestBody = 16 << 10
	// lengthHeader keeps the length of a body that fasthttp is not to read: -1 when it is chunked.
	lengthHeader = "Quire-Internal-Length"
	// wrongHeader keeps why a request is not to be believed.
	wrongHeader = "Quire-Internal-Wrong"
)

// large handles requests with large bodies.
type large struct {
	server  *Server
	running sync.WaitGroup

	mu     sync.Mutex
	places int            // taken; guarded by mu
	each   map[sender]int // by whom; guarded by mu
}

// sender is whom the places are counted for: somebody who said who they are, or an address.
type sender struct {
	author, namespace string
	network           netip.Addr
}

func (l *large) sender(ctx *fasthttp.RequestCtx) sender {
	if i := auth.Of(ctx).Identity(); i.Kind != auth.Open && i.Author != "" {
		return sender{author: i.Author, namespace: i.Namespace}
	}
	return sender{network: limits.Network(l.server.remote(ctx))}
}

// enter takes a place, unless there is none.
func (l *large) enter(who sender) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.places >= largeAtOnce:
		return session.Errorf(session.CodeBusy, "the server reads %d large requests already, the most at once", largeAtOnce)
	case l.each[who] >= largeEach:
		return session.Errorf(session.CodeBusy, "the server reads %d large requests of yours already, the most at once", largeEach)
	}
	l.places++
	l.each[who]++
	return nil
}

func (l *large) leave(who sender) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.places--
	if l.each[who]--; l.each[who] == 0 {
		delete(l.each, who)
	}
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
// left unread, and one that is not to be believed is not read on.
func (l *large) received(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	h.Del(lengthHeader)
	h.Del(wrongHeader)
	n := h.ContentLength()
	if why := ambiguous(h); why != "" {
		h.SetContentLength(0)
		h.SetConnectionClose()
		h.Set(wrongHeader, why)
	} else if n > l.server.opt.MaxMessage || n == -1 {
		h.SetContentLength(0)
		h.Set(lengthHeader, strconv.Itoa(n))
	}
	return fasthttp.RequestConfig{ReadTimeout: l.server.opt.Timeouts.Body}
}

// expected refuses, before it is sent, a body that is past its limit, or of who may not do
// what they ask.
func (l *large) expected(ctx *fasthttp.RequestCtx) int {
	n, ok := l.length(ctx)
	if !ok {
		return fasthttp.StatusContinue
	}
	welcome := false
	l.server.guard(ctx, func() {
		l.server.route(ctx, func() bool {
			welcome = !l.tooLarge(ctx, n)
			return false
		})
	})
	if !welcome {
		return ctx.Response.StatusCode()
	}
	return fasthttp.StatusContinue
}

// tooLarge refuses a body of a length that is past its limit.
func (l *large) tooLarge(ctx *fasthttp.RequestCtx, n int) bool {
	limit, name, _ := l.limit(ctx)
	if n > limit {
		api.Refuse(ctx, api.BodyTooLarge(limit, name))
	}
	return n > limit
}

func (l *large) limit(ctx *fasthttp.RequestCtx) (limit int, name string, streamed bool) {
	return l.server.api.Limit(&ctx.Request.Header, string(ctx.URI().PathOriginal()))
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
	if why := ctx.Request.Header.Peek(wrongHeader); why != nil {
		l.server.guard(ctx, func() {
			api.Problem(ctx, fasthttp.StatusBadRequest, "bad_request", "This request could be read in more than one way: "+string(why)+".")
		})
		ctx.Response.Header.SetConnectionClose()
		return true
	}
	n, ok := l.length(ctx)
	if !ok {
		return false
	}
	req := fasthttp.AcquireRequest()
	ctx.Request.CopyTo(req)
	req.Header.Del(lengthHeader)
	conn, side := ctx.Conn(), ctx.UserValue(sideKey)
	ctx.HijackSetNoResponse(true)
	l.running.Add(1)
	ctx.Hijack(func(c net.Conn) {
		defer l.running.Done()
		defer func() {
			if p := recover(); p != nil {
				l.server.opt.Logger.Error("panic in a request", "path", string(req.URI().Path()), "panic", p, "stack", string(debug.Stack()))
			}
		}()
		l.serve(conn, c, req, n, side)
		fasthttp.ReleaseRequest(req)
	})
	return true
}

// serve has the request answered as any other, and sends the answer. conn is the connection, in what is
// read of it: more may have been read than the header. side is what the request has under sideKey.
func (l *large) serve(conn, in net.Conn, req *fasthttp.Request, n int, side any) {
	var ctx fasthttp.RequestCtx
	ctx.Init2(conn, quiet{l.server.opt.Logger}, true)
	req.CopyTo(&ctx.Request)
	ctx.SetUserValue(sideKey, side)
	u := &upload{l: l, ctx: &ctx, in: &slowReader{conn: in, left: n, patience: l.server.opt.Timeouts.Body}}
	if ctx.IsGet() || ctx.IsHead() { // its answer might be a stream, on a connection that is taken
		l.server.guard(&ctx, func() {
			api.Problem(&ctx, fasthttp.StatusBadRequest, "unwanted_body", "This request has no body.")
		})
	} else {
		l.server.answer(&ctx, u.read)
	}
	whole := u.end()
	ctx.Response.Header.SetConnectionClose()
	ctx.Response.Header.SetServer("quire")
	w := bufio.NewWriter(in)
	_ = in.SetWriteDeadline(time.Now().Add(l.server.opt.Timeouts.Write))
	if err := ctx.Response.Write(w); err != nil || w.Flush() != nil {
		return
	}
	if !whole {
		u.in.linger()
	}
}

// upload is a large body on its way.
type upload struct {
	l     *large
	ctx   *fasthttp.RequestCtx
	in    *slowReader
	leave func()    // gives the place back; nil: it has none
	rest  io.Reader // what is handed on as a stream
	whole bool      // all of it was read
}

// read fetches the body, or refuses it.
func (u *upload) read() bool {
	limit, name, streamed := u.l.limit(u.ctx)
	if u.l.tooLarge(u.ctx, u.in.left) {
		return false
	}
	who := u.l.sender(u.ctx)
	if err := u.l.enter(who); err != nil {
		api.Refuse(u.ctx, err)
		return false
	}
	u.leave = func() { u.l.leave(who) }
	body := io.LimitReader(u.in, int64(u.in.left))
	if u.in.left < 0 {
		body = httputil.NewChunkedReader(u.in)
	}
	if streamed {
		u.rest = body
		u.ctx.Request.SetBodyStream(body, -1)
		return true
	}
	data, err := io.ReadAll(io.LimitReader(body, int64(limit)+1))
	switch {
	case len(data) > limit:
		api.Refuse(u.ctx, api.BodyTooLarge(limit, name))
		return false
	case err != nil || u.in.left > len(data):
		u.l.server.broken(u.ctx, err)
		return false
	}
	u.whole = true
	u.ctx.Request.SetBodyRaw(data)
	return true
}

// end gives the place back, and reports whether all of the body was read.
func (u *upload) end() (whole bool) {
	if u.leave != nil {
		defer u.leave()
	}
	if u.rest != nil {
		n, err := io.CopyN(io.Discard, u.rest, 1)
		return n == 0 && errors.Is(err, io.EOF)
	}
	return u.whole
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
