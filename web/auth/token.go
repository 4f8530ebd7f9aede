package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json" // refuses members that come twice, and those in another case
	"github.com/golang-jwt/jwt/v5"

	"quire/session"
	"quire/storage"
)

// Bounds of what a token says.
const (
	maxToken  = 8 << 10
	maxJTI    = 255
	maxAuthor = 64
	maxGrants = 100
)

// Claims are what a token says, RFC 7519, and grants; docs/auth.md describes them.
type Claims struct {
	jwt.RegisteredClaims
	Name      string  `json:"name,omitempty"`
	Namespace string  `json:"ns,omitempty"`
	Grants    []Grant `json:"grants,omitempty"`
}

// Sign makes a token with a key whose private part is known.
func Sign(k Key, c Claims) (string, error) {
	if k.private == nil {
		return "", errors.New("this key is public; tokens are signed with the private one")
	}
	if _, err := identityOf(&c); err != nil {
		return "", err
	}
	t := jwt.NewWithClaims(jwt.GetSigningMethod(k.Alg), c)
	if k.ID != "" {
		t.Header["kid"] = k.ID
	}
	return t.SignedString(k.private)
}

// identityOf checks what a token or an application says of somebody.
func identityOf(c *Claims) (*Identity, error) {
	id := &Identity{Author: c.Subject, Name: shortened(c.Name), Namespace: c.Namespace, Grants: c.Grants, Kind: Token, ID: c.ID}
	if c.IssuedAt != nil {
		id.Issued = c.IssuedAt.Time
	}
	if c.ExpiresAt != nil {
		id.Expires = c.ExpiresAt.Time
	}
	for _, f := range []struct{ claim, v string }{{"sub", c.Subject}, {"name", c.Name}, {"ns", c.Namespace}, {"jti", c.ID}} {
		most := maxAuthor
		switch f.claim {
		case "jti":
			most = maxJTI
		case "name":
			most = maxToken // it is shortened
		}
		if len(f.v) > most || !utf8.ValidString(f.v) || strings.ContainsFunc(f.v, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }) {
			return nil, fmt.Errorf("%s has more than %d bytes, or a control character", f.claim, most)
		}
	}
	switch {
	case c.Subject == "":
		return nil, errors.New("sub is missing: the author")
	case strings.Contains(c.Namespace, "/"):
		return nil, errors.New("ns has a slash; a namespace is the first segment of ids")
	case len(c.Grants) > maxGrants:
		return nil, fmt.Errorf("there are %d grants, the limit is %d", len(c.Grants), maxGrants)
	}
	for _, g := range c.Grants {
		if g.Docs == "" || len(g.Docs) > storage.MaxDocID+1 || !utf8.ValidString(string(g.Docs)) {
			return nil, errors.New("a grant names no documents: docs is an id, or how ids begin and *")
		}
		if g.Role == None || g.Role > Admin {
			return nil, errors.New("a grant gives no role: role is read, write or admin")
		}
	}
	return id, nil
}

// shortened is a name of at most maxAuthor bytes: nobody is kept out because theirs is longer.
func shortened(name string) string {
	if len(name) <= maxAuthor {
		return name
	}
	const more = "…"
	return strings.ToValidUTF8(name[:maxAuthor-len(more)], "") + more
}

// verify checks a token and returns who it is. ours says whether it is signed by one of our
// keys; when it is not, somebody else may know it.
func (a *Authority) verify(ctx context.Context, token string) (id *Identity, ours bool, refusal *session.Error) {
	if len(token) > maxToken {
		return nil, true, session.Errorf(session.CodeUnauthenticated, "the token has more than %d bytes", maxToken)
	}
	var fetching *session.Error
	var fitting []Key // of which the first so many are our own
	var own int
	keys := func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		if _, critical := t.Header["crit"]; critical {
			return nil, errors.New("its header has critical parameters") // RFC 7515 section 4.1.11
		}
		set := jwt.VerificationKeySet{}
		fitting, own = a.fitting(ctx, t.Method.Alg(), kid, &fetching)
		for _, k := range fitting {
			set.Keys = append(set.Keys, k.public)
		}
		if len(set.Keys) == 0 {
			return nil, errNoKey
		}
		return set, nil
	}
	opts := []jwt.ParserOption{
		jwt.WithValidMethods(algorithms), jwt.WithStrictDecoding(), jwt.WithTimeFunc(a.opt.Now), jwt.WithLeeway(a.opt.Leeway),
		jwt.WithIssuedAt(), // or a revocation would not reach it
	}
	if !a.opt.Endless {
		opts = append(opts, jwt.WithExpirationRequired())
	}
	if a.opt.Issuer != "" {
		opts = append(opts, jwt.WithIssuer(a.opt.Issuer))
	}
	if a.opt.Audience != "" {
		opts = append(opts, jwt.WithAudience(a.opt.Audience))
	}
	var c tokenClaims
	t, err := jwt.NewParser(opts...).ParseWithClaims(token, &c, keys)
	if err != nil {
		if fetching != nil && errors.Is(err, jwt.ErrTokenUnverifiable) {
			return nil, false, fetching
		}
		ours := !errors.Is(err, jwt.ErrTokenMalformed) && !errors.Is(err, jwt.ErrTokenUnverifiable) && !errors.Is(err, jwt.ErrTokenSignatureInvalid)
		return nil, ours, session.Errorf(session.CodeUnauthenticated, "%s", whyNot(err))
	}
	if a.opt.Audience == "" && len(c.Audience) > 0 {
		return nil, true, session.Errorf(session.CodeUnauthenticated, "the token is for somebody else: it has an audience, and this server's setting auth-audience is empty")
	}
	if id, err = identityOf((*Claims)(&c)); err != nil {
		return nil, true, session.Errorf(session.CodeUnauthenticated, "the token cannot be used: %v", err)
	}
	if end := a.opt.Now().Add(a.opt.MaxLife); !a.opt.Endless && id.Expires.After(end) {
		return nil, true, session.Errorf(session.CodeUnauthenticated, "the token is good for more than %d days, which is the limit", int(a.opt.MaxLife.Hours()/24))
	}
	i := signer(t, fitting)
	if id.Key = fitting[i].print; i >= own {
		id.Key = fetchedKey + id.Key
	}
	return id, true, nil
}

// signer returns which one of the keys signed a token that one of them did sign.
func signer(t *jwt.Token, keys []Key) int {
	signed, last := t.Raw[:strings.LastIndexByte(t.Raw, '.')], len(keys)-1
	for i, k := range keys[:last] {
		if t.Method.Verify(signed, t.Signature, k.public) == nil {
			return i
		}
	}
	return last
}

var errNoKey = errors.New("no key fits")

// fitting returns the keys that may verify a token with such a header, first so many of the Authority's own.
func (a *Authority) fitting(ctx context.Context, alg, kid string, fetching **session.Error) (out []Key, own int) {
	a.mu.Lock()
	keys := a.keys
	a.mu.Unlock()
	for _, k := range keys {
		if k.fits(alg, kid) {
			out = append(out, k)
		}
	}
	own = len(out)
	if a.remote != nil && alg != HS256 { // a secret that is published is none
		keys, refusal := a.remote.fitting(ctx, alg, kid)
		*fetching = refusal
		out = append(out, keys...)
	}
	return out, own
}

// whyNot says why a token was refused, without what is in it.
func whyNot(err error) string {
	for _, w := range []struct {
		err error
		why string
	}{
		{jwt.ErrTokenMalformed, "this is not a token"},
		{errNoKey, "no key of this server fits the token"},
		{jwt.ErrTokenUnverifiable, "no key of this server fits the token"},
		{jwt.ErrTokenSignatureInvalid, "the token's signature is not by a key of this server"},
		{jwt.ErrTokenExpired, "the token ran out"},
		{jwt.ErrTokenNotValidYet, "the token is not good yet"},
		{jwt.ErrTokenUsedBeforeIssued, "the token was made in the future"},
		{jwt.ErrTokenInvalidAudience, "the token is for somebody else: its aud is not this server's auth-audience"},
		{jwt.ErrTokenInvalidIssuer, "the token is by somebody else: its iss is not this server's auth-issuer"},
		{jwt.ErrTokenRequiredClaimMissing, "the token lacks exp, or iss or aud that this server asks for"},
	} {
		if errors.Is(err, w.err) {
			return w.why
		}
	}
	return "the token cannot be used"
}

// tokenClaims are Claims that are read with more care: names count as they are written, and a
// member that comes twice, which could mean one thing to who signed the token and another here,
// is refused.
type tokenClaims Claims

// UnmarshalJSON implements json.Unmarshaler.
func (c *tokenClaims) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, (*Claims)(c)) }

func (c *tokenClaims) GetExpirationTime() (*jwt.NumericDate, error) { return c.ExpiresAt, nil }
func (c *tokenClaims) GetNotBefore() (*jwt.NumericDate, error)      { return c.NotBefore, nil }
func (c *tokenClaims) GetIssuedAt() (*jwt.NumericDate, error)       { return c.IssuedAt, nil }
func (c *tokenClaims) GetAudience() (jwt.ClaimStrings, error)       { return c.Audience, nil }
func (c *tokenClaims) GetIssuer() (string, error)                   { return c.Issuer, nil }
func (c *tokenClaims) GetSubject() (string, error)                  { return c.Subject, nil }
