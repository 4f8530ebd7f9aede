package api

import (
	"strings"
	"testing"
)

func TestAcceptable(t *testing.T) {
	const offers = "application/json text/plain text/html"
	for header, want := range map[string]string{
		"":                                offers,
		"*/*":                             offers,
		"text/plain":                      "text/plain",
		"TEXT/Plain":                      "text/plain",
		"text/*":                          "text/plain text/html",
		"text/html, */*;q=0.1":            "text/html application/json text/plain",
		"text/*;q=0.3, text/html;q=0.7":   "text/html text/plain",
		"text/*, text/html;q=0":           "text/plain",
		"text/plain;q=0.5, text/html":     "text/html text/plain",
		"application/json;q=0":            "",
		"text/plain; charset=utf-8; q=.5": "text/plain",
		"image/png":                       "",
		"nonsense":                        "",
		"text/plain;q=x, text/html":       "text/html",
		"text/plain;q=-1":                 "",
		"text/plain;q=NaN":                "",
		"text/plain;q=9, text/html;q=1":   "text/plain text/html",
		",,":                              "",
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": "text/html application/json text/plain",
		strings.Repeat("a/b,", maxAccept) + "text/plain":                  "",
	} {
		if got := strings.Join(acceptable(header, strings.Fields(offers)), " "); got != want {
			t.Errorf("%.80q: %s, want %s", header, got, want)
		}
	}
	for header, want := range map[string]bool{"gzip": true, "br, GZIP;q=0.5": true, "gzip;q=0": false, "": false, "x-gzip": false, "*": false} {
		if acceptsGzip(header) != want {
			t.Errorf("%q: %v", header, !want)
		}
	}
}
