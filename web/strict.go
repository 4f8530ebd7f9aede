package web

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// A request whose header proxies and servers may read in two ways could be one request for the one and two for
// the other. fasthttp is lenient about some of it, so this looks at what came: RFC 9112, sections 2.2, 3.2, 5, 6.3.

// ambiguous returns what is wrong with a request's header, "" when nothing is.
func ambiguous(h *fasthttp.RequestHeader) string {
	if v := string(h.Protocol()); v != "HTTP/1.1" && v != "HTTP/1.0" {
		return "it is neither HTTP/1.1 nor HTTP/1.0"
	}
	seen := map[string]int{}
	chunked := false
	for rest := h.RawHeaders(); len(rest) > 0; {
		line, more, ended := bytes.Cut(rest, []byte("\r\n"))
		rest = more
		switch {
		case !ended || bytes.ContainsFunc(line, control):
			return "a line of the header holds a control character, or ends otherwise than it should"
		case len(line) == 0:
			continue // the end
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || bytes.ContainsFunc(name, notToken) {
			return "a line of the header is not a name, a colon and a value"
		}
		key := single[string(bytes.ToLower(name))]
		if seen[key]++; key != "" && seen[key] > 1 {
			return "the header has " + key + " more than once"
		}
		value = bytes.TrimSpace(value)
		switch {
		case key == "Content-Length" && (len(value) == 0 || bytes.ContainsFunc(value, func(r rune) bool { return r < '0' || r > '9' })):
			return "Content-Length is no number"
		case key == "Transfer-Encoding" && !bytes.EqualFold(value, []byte("chunked")):
			return "Transfer-Encoding is not chunked"
		case key == "Transfer-Encoding":
			chunked = true
		case key == "Host" && bytes.ContainsAny(value, "/?#@\\, "):
			return "Host is not a host"
		}
	}
	switch {
	case chunked && (seen["Content-Length"] > 0 || !h.IsHTTP11()):
		return "Transfer-Encoding stands beside Content-Length, or in HTTP/1.0"
	case seen["Host"] == 0 && h.IsHTTP11():
		return "there is no Host"
	}
	return ""
}

// single are the fields that must not come twice, by their names in lower case.
var single = map[string]string{
	"content-length": "Content-Length", "transfer-encoding": "Transfer-Encoding", "host": "Host", "authorization": "Authorization",
	"origin": "Origin", "content-type": "Content-Type", "content-encoding": "Content-Encoding", "if-match": "If-Match",
	"idempotency-key": "Idempotency-Key", "upgrade": "Upgrade", "expect": "Expect",
}

func control(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// notToken reports whether a name of the header cannot hold r (RFC 9110, section 5.6.2).
func notToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || bytes.ContainsRune([]byte(`"(),/:;<=>?@[\]{}`), r)
}
