package api

import (
	"cmp"
	"mime"
	"slices"
	"strconv"
	"strings"
)

// preference is one member of an Accept header.
type preference struct {
	kind, sub string // "*" for any
	q         float64
}

// maxAccept is how many members of an Accept header are looked at.
const maxAccept = 64

// preferences reads an Accept header; what is malformed in it is left out.
func preferences(header string) []preference {
	var out []preference
	for part := range strings.SplitSeq(header, ",") {
		media, params, err := mime.ParseMediaType(part)
		kind, sub, ok := strings.Cut(media, "/")
		if err != nil || !ok || len(out) == maxAccept {
			continue
		}
		out = append(out, preference{kind, sub, quality(params["q"])})
	}
	return out
}

// quality reads a q value; without one it is 1.
func quality(s string) float64 {
	if s == "" {
		return 1
	}
	q, err := strconv.ParseFloat(s, 64)
	if err != nil || !(q >= 0) {
		return 0
	}
	return min(q, 1)
}

// acceptable returns the offers, media types, that a header accepts, the most wanted
// first, else in the order given (RFC 9110, section 12.5.1). An empty header accepts all.
func acceptable(header string, offers []string) []string {
	if strings.TrimSpace(header) == "" {
		return offers
	}
	prefs := preferences(header)
	wanted := map[string]float64{}
	var out []string
	for _, offer := range offers {
		kind, sub, _ := strings.Cut(offer, "/")
		q, best := 0.0, -1
		for _, p := range prefs {
			fit := -1
			switch {
			case p.kind == kind && p.sub == sub:
				fit = 2
			case p.kind == kind && p.sub == "*":
				fit = 1
			case p.kind == "*" && p.sub == "*":
				fit = 0
			}
			if fit > best {
				q, best = p.q, fit
			}
		}
		if wanted[offer] = q; q > 0 {
			out = append(out, offer)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(wanted[b], wanted[a]) })
	return out
}

// acceptsGzip reports whether an Accept-Encoding header asks for gzip.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, rest, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			_, q, _ := strings.Cut(rest, "=")
			return quality(strings.TrimSpace(q)) > 0
		}
	}
	return false
}
