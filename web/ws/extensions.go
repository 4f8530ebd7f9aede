package ws

import (
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"
)

// extensions is the header in which peers offer compression.
const extensions = "Sec-WebSocket-Extensions"

// agree finds out whether a peer offers compression as it is done here, and has the upgrade see that and no other offer:
// the library says yes to each that begins with its name, whatever it asks for.
func agree(h *fasthttp.RequestHeader) (deflates bool) {
	for _, line := range h.PeekAll(extensions) {
		for offer := range strings.SplitSeq(string(line), ",") {
			deflates = deflates || takes(offer)
		}
	}
	h.Del(extensions)
	if deflates {
		h.Set(extensions, "permessage-deflate")
	}
	return deflates
}

// takes reports whether an offer can be answered by permessage-deflate in which neither side keeps a context from message
// to message (RFC 7692 section 7.1). It cannot when a window is asked for that is smaller than what is compressed here.
func takes(offer string) bool {
	params := strings.Split(offer, ";")
	for i := range params {
		params[i] = strings.TrimSpace(params[i])
	}
	if params[0] != "permessage-deflate" {
		return false
	}
	var seen []string
	for _, p := range params[1:] {
		name, value, valued := strings.Cut(p, "=")
		if name = strings.TrimSpace(name); slices.Contains(seen, name) {
			return false
		}
		seen = append(seen, name)
		switch name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if valued {
				return false
			}
		case "client_max_window_bits":
			n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`))
			if valued && (err != nil || n < 8 || n > 15) {
				return false
			}
		default:
			return false
		}
	}
	return true
}
