package api

import (
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"quire/session"
	"quire/web/audit"
	"quire/web/auth"
	"quire/web/trail"
)

// who is somebody, in answers.
type who struct {
	Open      bool         `json:"open,omitempty"` // nobody is asked; nothing else is told then
	Author    string       `json:"author,omitempty"`
	Name      string       `json:"name,omitempty"`
	Namespace string       `json:"namespace,omitempty"`
	Expires   string       `json:"expires,omitempty"`
	Operator  bool         `json:"operator,omitempty"`
	Grants    []auth.Grant `json:"grants,omitempty"`
	Docs      auth.Pattern `json:"docs,omitempty"`    // what the invitation is for that was taken up just now
	Invites   bool         `json:"invites,omitempty"` // admins can invite others
}

func (a *API) whoOf(i *auth.Identity) who {
	if i.Kind == auth.Open {
		return who{Open: true}
	}
	w := who{Invites: a.opt.Auth.Invites(), Author: i.Author, Name: i.Name, Namespace: i.Namespace, Operator: i.Operator(), Grants: i.Grants}
	if w.Name == "" {
		w.Name = i.Author
	}
	if !i.Expires.IsZero() {
		w.Expires = timeOf(i.Expires)
	}
	return w
}

// session serves GET /api/session: who sends the request.
func (a *API) session(r *request) error {
	answer(r.ctx, fasthttp.StatusOK, mediaJSON, a.whoOf(r.pass.Identity()))
	return nil
}

// login serves POST /api/session: a token, or an invitation and a name, for a cookie.
func (a *API) login(r *request) error {
	var in auth.LoginRequest
	if err := r.object(map[string]any{"token": &in.Token, "link": &in.Link, "name": &in.Name}); err != nil {
		return err
	}
	if a.opt.Auth.Open() {
		answer(r.ctx, fasthttp.StatusOK, mediaJSON, who{Open: true})
		return nil
	}
	l, refusal := a.opt.Auth.Login(r.c, a.opt.Credentials(r.ctx), in)
	if refusal != nil {
		return refusal
	}
	audit.SetWho(r.ctx, l.Identity.Who())
	if l.Docs != "" {
		trail.SetDoc(r.ctx, string(l.Docs))
	}
	a.setCookie(r, l.Cookie, l.Identity.Expires)
	out := a.whoOf(l.Identity)
	out.Docs = l.Docs
	answer(r.ctx, fasthttp.StatusOK, mediaJSON, out)
	return nil
}

// logout serves DELETE /api/session. Whoever is not logged in, or not any more, may do it, too.
func (a *API) logout(r *request) error {
	cookie := a.opt.Credentials(r.ctx).Session
	if cookie == "" {
		r.ctx.SetStatusCode(fasthttp.StatusNoContent)
		return nil
	}
	who, refusal := a.opt.Auth.Logout(r.c, cookie)
	if who != nil {
		audit.SetWho(r.ctx, who.Who())
	}
	if refusal != nil {
		return refusal
	}
	a.setCookie(r, "", time.Unix(1, 0))
	r.ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

// setCookie sets the cookie of a login. It is Lax so that who follows a link to here is logged in; what changes
// something is refused to pages of other sites by their Origin.
func (a *API) setCookie(r *request, value string, expires time.Time) {
	c := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(c)
	c.SetKey(auth.CookieName)
	c.SetValue(value)
	c.SetPath("/")
	c.SetHTTPOnly(true)
	c.SetSameSite(fasthttp.CookieSameSiteLaxMode)
	c.SetSecure(a.opt.HTTPS(r.ctx))
	c.SetExpire(expires)
	r.ctx.Response.Header.SetCookie(c)
}

// revoke serves POST /api/revocations.
func (a *API) revoke(r *request) error {
	var in auth.Revocation
	if err := r.object(map[string]any{"jti": &in.JTI, "author": &in.Author, "namespace": &in.Namespace}); err != nil {
		return err
	}
	if in.JTI != "" {
		audit.Note(r.ctx, "jti", in.JTI)
	}
	if in.Author != "" {
		audit.Note(r.ctx, "author", in.Author)
	}
	out, refusal := a.opt.Auth.Revoke(r.c, r.pass, in)
	if out.Namespace != nil {
		audit.Note(r.ctx, "namespace", *out.Namespace)
	}
	if refusal == nil || refusal.Code == session.CodeUnavailable { // it is so, saved or not
		a.opt.Revoked(out)
	}
	if refusal != nil {
		return refusal
	}
	answer(r.ctx, fasthttp.StatusCreated, mediaJSON, revocationOf(out))
	return nil
}

// revocation is a revocation in answers.
type revocation struct {
	auth.Revocation
	At    string `json:"at"`
	Until string `json:"until,omitempty"`
}

func revocationOf(v auth.Revocation) revocation {
	out := revocation{Revocation: v, At: timeOf(v.At)}
	if !v.Until.IsZero() {
		out.Until = timeOf(v.Until)
	}
	return out
}

// revocations serves GET /api/revocations.
func (a *API) revocations(r *request) error {
	list := a.opt.Auth.Revocations(r.pass)
	out := make([]revocation, len(list))
	for i, v := range list {
		out[i] = revocationOf(v)
	}
	answer(r.ctx, fasthttp.StatusOK, mediaJSON, map[string]any{"revocations": out})
	return nil
}

// invitation is an invitation in answers. Secret and URL are in the one that makes it alone.
type invitation struct {
	auth.LinkInfo
	Expires string `json:"expires,omitempty"`
	Created string `json:"created"`
	Secret  string `json:"secret,omitempty"`
	URL     string `json:"url,omitempty"`
}

func invitationOf(l auth.LinkInfo) invitation {
	out := invitation{LinkInfo: l, Created: timeOf(l.Created)}
	if !l.Expires.IsZero() {
		out.Expires = timeOf(l.Expires)
	}
	return out
}

// links serves GET /api/docs/{id}/links.
func (a *API) links(r *request) error {
	list, refusal := a.opt.Auth.Links(r.pass, r.id)
	if refusal != nil {
		return refusal
	}
	out := make([]invitation, len(list))
	for i, l := range list {
		out[i] = invitationOf(l)
	}
	answer(r.ctx, fasthttp.StatusOK, mediaJSON, struct {
		Links []invitation `json:"links"`
		Names names        `json:"names,omitempty"`
	}{out, a.names(r.id, each(list, func(l auth.LinkInfo) []string { return []string{l.By} }))})
	return nil
}

// invite serves POST /api/docs/{id}/links. What is invited to is under an id; it need not be there yet.
func (a *API) invite(r *request) error {
	var docs, expires, note *string
	var role auth.Role
	var uses *int
	if err := r.object(map[string]any{"docs": &docs, "role": &role, "expires": &expires, "uses": &uses, "note": &note}); err != nil {
		return err
	}
	in := auth.LinkRequest{Docs: auth.Pattern(r.id), Role: role}
	switch {
	case docs != nil && !auth.Pattern(*docs).Matches(r.id):
		return bad("bad_field", "docs are not those of this address: the document's id, or how ids begin with * after it.")
	case docs != nil:
		in.Docs = auth.Pattern(*docs)
	case strings.HasSuffix(r.id, "*"):
		return bad("bad_field", "An id that ends with * would stand for all that begin so: nobody can be invited to it alone.")
	}
	if uses != nil {
		if in.Uses = *uses; in.Uses < 1 {
			return bad("bad_field", "uses is %d; it is 1 or more, or null for as often as one likes.", in.Uses)
		}
	}
	if expires != nil {
		var err error
		if in.Expires, err = parseTime("expires", *expires); err != nil {
			return err
		}
	}
	if note != nil {
		in.Note = *note
	}
	info, secret, refusal := a.opt.Auth.CreateLink(r.c, r.pass, in)
	if refusal != nil {
		return refusal
	}
	audit.Note(r.ctx, "link", info.ID)
	audit.Note(r.ctx, "role", info.Role.String())
	out := invitationOf(info)
	out.Secret, out.URL = secret, a.origin(r)+"/join#"+secret // what is behind # is sent to no server
	answer(r.ctx, fasthttp.StatusCreated, mediaJSON, out)
	r.ctx.Response.Header.Set("Location", "/api/docs/"+url.PathEscape(r.id)+"/links/"+info.ID)
	return nil
}

// origin returns the origin by which the server was asked.
func (a *API) origin(r *request) string {
	scheme := "http://"
	if a.opt.HTTPS(r.ctx) {
		scheme = "https://"
	}
	return scheme + string(r.ctx.Host())
}

// withdraw serves DELETE /api/docs/{id}/links/{link}.
func (a *API) withdraw(r *request) error {
	audit.Note(r.ctx, "link", r.arg)
	if refusal := a.opt.Auth.WithdrawLink(r.c, r.pass, r.id, r.arg); refusal != nil {
		return refusal
	}
	r.ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}
