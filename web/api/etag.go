package api

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"quire/session"
)

// etag is what tells one state of a document from another: the revision, which incarnation of the document it
// is of, and a digest of what is shown beside that. As If-Match its beginning is enough.
type etag struct {
	rev    session.Revision
	inc    uint64 // 0: any
	digest string // in hexadecimal; "": any
}

// tagOf returns the tag of a revision of a document.
func tagOf(info session.Info, rev session.Revision) etag {
	return etag{rev: rev, inc: info.Incarnation}
}

// of adds a digest of a value of ours.
func (t etag) of(shown any) etag {
	sum := sha256.Sum256(marshal(shown))
	t.digest = fmt.Sprintf("%x", sum[:6])
	return t
}

// String returns it as the header has it.
func (t etag) String() string {
	s := strconv.FormatInt(int64(t.rev), 10)
	if t.inc != 0 {
		s += fmt.Sprintf("-%016x", t.inc)
	}
	if t.digest != "" {
		s += "-" + t.digest
	}
	return `"` + s + `"`
}

// tag reads If-Match.
func tag(match string) (t etag, err error) {
	s := strings.TrimPrefix(strings.TrimSpace(match), "W/")
	wrong := bad("bad_precondition", "If-Match is %s; it is one ETag of this document. %s", quote(match), howToPut)
	if len(s) < 3 || s[0] != '"' || s[len(s)-1] != '"' {
		return t, wrong
	}
	rev, rest, whole := strings.Cut(s[1:len(s)-1], "-")
	if t.rev, err = revision("If-Match", rev); err != nil || !whole {
		return t, err
	}
	inc, _, _ := strings.Cut(rest, "-") // the title, say, may be another meanwhile
	if t.inc, err = strconv.ParseUint(inc, 16, 64); err != nil || t.inc == 0 {
		return t, wrong
	}
	return t, nil
}

func setTag(ctx *fasthttp.RequestCtx, t etag) { ctx.Response.Header.Set("ETag", t.String()) }

// notModified answers 304 when the caller has that state already.
func notModified(ctx *fasthttp.RequestCtx, t etag) bool {
	setTag(ctx, t)
	have := string(ctx.Request.Header.Peek("If-None-Match"))
	if have == "" {
		return false
	}
	want := t.String()
	for part := range strings.SplitSeq(have, ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if part == "*" || part == want {
			ctx.SetStatusCode(fasthttp.StatusNotModified)
			return true
		}
	}
	return false
}
