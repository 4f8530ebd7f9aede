package web

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"quire/session"
	"quire/web/admin"
	"quire/web/audit"
	"quire/web/auth"
	"quire/web/hooks"
	"quire/web/trail"
	"quire/web/ws"
)

// begin gives a request its id and, when somebody traces, its span; end closes that.
func (s *Server) begin(ctx *fasthttp.RequestCtx, class string) (end func()) {
	info := trail.Attach(ctx, s.remote(ctx), s.trusted(ctx))
	c := trail.WithID(context.Background(), info.ID)
	c, end = s.opt.Tracer.Request(c, ctx, class)
	trail.SetContext(ctx, c)
	return end
}

// trusted reports whether whoever sent a request may choose its id: a proxy that is trusted.
func (s *Server) trusted(ctx *fasthttp.RequestCtx) bool { return s.opt.Proxies.trusts(peer(ctx)) }

// maxLoggedPath is how much of an address is logged, in bytes.
const maxLoggedPath = 300

// finish counts, logs and audits a request that was answered. An address is logged without
// its query, in which there may be anything.
func (s *Server) finish(ctx *fasthttp.RequestCtx, class string, start time.Time) {
	took, status := time.Since(start), ctx.Response.StatusCode()
	s.opt.Metrics.Request(class, status, took)
	s.audit(ctx, class, status)
	level := slog.LevelDebug
	if s.opt.AccessLog {
		level = slog.LevelInfo
	}
	c := trail.Context(ctx)
	if !s.opt.Logger.Enabled(c, level) {
		return
	}
	path := string(ctx.URI().PathOriginal())
	if len(path) > maxLoggedPath {
		path = path[:maxLoggedPath] + "…"
	}
	attrs := []slog.Attr{
		slog.String("method", string(ctx.Method())), slog.String("path", path), slog.Int("status", status),
		slog.Duration("took", took), slog.String("remote", trail.Of(ctx).Remote.String()),
	}
	if !ctx.Response.IsBodyStream() {
		attrs = append(attrs, slog.Int("bytes", len(ctx.Response.Body())))
	}
	attrs = append(attrs, whoAttrs(auth.WhoSent(ctx))...)
	if code := trail.Code(ctx); code != "" {
		attrs = append(attrs, slog.String("code", code))
	}
	s.opt.Logger.LogAttrs(c, level, "request", attrs...)
}

func whoAttrs(w audit.Who) (attrs []slog.Attr) {
	if w.Author != "" {
		attrs = append(attrs, slog.String("author", w.Author))
	}
	if w.Namespace != "" {
		attrs = append(attrs, slog.String("namespace", w.Namespace))
	}
	return attrs
}

// audited is what the audit log has of HTTP, by method and route.
var audited = map[string]audit.What{
	"POST /api/session":                  audit.Login,
	"DELETE /api/session":                audit.Logout,
	"POST /api/docs/{id}/links":          audit.LinkMade,
	"DELETE /api/docs/{id}/links/{link}": audit.LinkWithdrawn,
	"POST /api/revocations":              audit.Revoked,
	"POST /api/docs":                     audit.Create,
	"DELETE /api/docs/{id}":              audit.Delete,
	"PATCH /api/docs/{id}":               audit.Rename,
	"POST /api/docs/{id}/redact":         audit.Redact,
	"POST /api/docs/{id}/restore":        audit.Restore,
	"POST /api/hooks":                    audit.HookMade,
	"DELETE /api/hooks":                  audit.HookRemoved,
	"GET /api/backup":                    audit.Backup,
	"POST /api/admin/backups":            audit.Backup,
	"POST /api/admin/docs/{}/squash":     audit.Squash,
	"DELETE /api/admin/sessions/{}":      audit.Release,
	"DELETE /api/admin/connections/{}":   audit.Disconnect,
}

// audit writes down what a request did that is worth it, and what it was refused for want
// of rights.
func (s *Server) audit(ctx *fasthttp.RequestCtx, class string, status int) {
	code := trail.Code(ctx)
	if code == string(session.CodeUnauthenticated) || code == string(session.CodeForbidden) {
		s.opt.Metrics.AuthRefused(code)
	}
	what, ok := audited[string(ctx.Method())+" "+class]
	switch what {
	case audit.Rename: // the same address sets titles
		_, ok = audit.Noted(ctx)["to"]
	case audit.HookMade: // and this route has dead letters, too
		ok = string(ctx.Path()) == hooks.Prefix
	}
	if !ok {
		if code != string(session.CodeUnauthenticated) && code != string(session.CodeForbidden) {
			return
		}
		what = audit.Refused
	}
	e := audit.Request(ctx, what, trail.Doc(ctx))
	if e.Who == (audit.Who{}) {
		e.Who = auth.WhoSent(ctx)
	}
	if what == audit.Login && e.Who.Kind == "link" {
		e.What = audit.LinkJoined
	}
	switch {
	case code != "":
		e.Outcome = code
	case status >= 400:
		e.Outcome = strings.ToLower(strings.ReplaceAll(fasthttp.StatusMessage(status), " ", "_"))
	}
	s.opt.Audit.Write(e)
}

// denied has what a connection may not do counted and audited; of what a request may not
// do, what looks like something else: audit sees the rest.
func (s *Server) denied(ctx *fasthttp.RequestCtx, pass *auth.Pass, connection bool) {
	info := trail.Of(ctx)
	pass.OnDenied(func(doc string, need auth.Role, refusal *session.Error) {
		if !connection && refusal.Code != session.CodeNotFound {
			return
		}
		s.opt.Metrics.AuthRefused(string(refusal.Code))
		s.opt.Audit.Write(audit.Event{
			What: audit.Refused, Who: pass.Identity().Who(), From: info.Remote, Doc: doc, Req: info.ID,
			Outcome: string(refusal.Code), Detail: map[string]string{"needs": need.String()},
		})
	})
}

// connected is a connection's protocol and who is there; it makes of a handler an admin.Peer.
type connected struct {
	protocol string
	pass     *auth.Pass
}

// Protocol implements admin.Peer.
func (p connected) Protocol() string { return p.protocol }

// Who implements admin.Peer.
func (p connected) Who() audit.Who { return p.pass.Identity().Who() }

// Name implements admin.Peer.
func (p connected) Name() string { return p.pass.Identity().Name }

// closed logs and counts a connection that has ended.
func (s *Server) closed(c *ws.Conn, code int) {
	s.opt.Metrics.Closed(code)
	if p, ok := c.Status().Handler.(admin.Peer); ok && code == ws.CloseUnauthenticated {
		st := c.Status()
		s.opt.Audit.Write(audit.Event{What: audit.Ended, Who: p.Who(), From: st.Remote, Req: st.ID, Outcome: string(session.CodeUnauthenticated)})
	}
	level := slog.LevelDebug
	if s.opt.AccessLog {
		level = slog.LevelInfo
	}
	if !s.opt.Logger.Enabled(context.Background(), level) {
		return
	}
	st := c.Status()
	attrs := []slog.Attr{
		slog.String("req", st.ID), slog.Int("code", code), slog.Duration("took", time.Since(st.Since)), slog.String("remote", st.Remote.String()),
		slog.Int64("sent", st.Sent), slog.Int64("received", st.Received), slog.Int64("messages", st.Messages),
	}
	if p, ok := st.Handler.(admin.Peer); ok {
		attrs = append(append(attrs, slog.String("protocol", p.Protocol())), whoAttrs(p.Who())...)
	}
	s.opt.Logger.LogAttrs(context.Background(), level, "connection ended", attrs...)
}
