package web

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"quire/session"
	"quire/session/limits"
)

// TestLargeAnswersTakeTurns: large HTTP answers wait for others of their address, not for those of another behind the same
// proxy; small ones do not; what was taken, by whomever and however it ended, is given back.
func TestLargeAnswersTakeTurns(t *testing.T) {
	const most = 4 * 4 * 80_000 // one document's answer for each address
	var opt Options
	opt.Proxies.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	opt.MaxSending = most
	s := newSite(t, opt)
	for id, n := range map[string]int{"c/large": 80_000, "c/small": 10} {
		if _, err := s.m.Create(t.Context(), id, "text", []byte(`"`+strings.Repeat("x", n)+`"`), session.User{}); err != nil {
			t.Fatal(err)
		}
	}
	token := s.operator()
	get := func(method, doc, from string, status int, header ...string) string {
		resp, _ := s.want(status, "", method, "/api/docs/"+doc, "", append(append(bearer(token), "X-Forwarded-For", from), header...)...)
		return resp.Header.Get("ETag")
	}
	ours := netip.MustParseAddr("198.51.100.1")
	others, err := s.server.answers.Take(t.Context(), ours, most)
	if err != nil {
		t.Fatal(err)
	}
	get("GET", "c%2Fsmall", "198.51.100.1", http.StatusOK)
	tag := get("GET", "c%2Flarge", "198.51.100.2", http.StatusOK)

	over, cancel := context.WithCancel(t.Context())
	cancel()
	var request fasthttp.RequestCtx
	request.Init(&fasthttp.Request{}, nil, nil)
	request.Request.Header.Set("X-Forwarded-For", "198.51.100.1")
	request.SetRemoteAddr(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	_, err = s.server.answerRoom(&request, over, most)
	if e := session.AsError(err); e == nil || e.Code != session.CodeBusy || !strings.Contains(e.Message, string(limits.Sending)) {
		t.Errorf("without room: %v", err)
	}

	answered := make(chan struct{}, 8)
	for range cap(answered) {
		go func() {
			get("GET", "c%2Flarge", "198.51.100.1", http.StatusOK)
			answered <- struct{}{}
		}()
	}
	select {
	case <-answered:
		t.Error("an answer did not wait for room")
	default:
	}
	others()
	for range cap(answered) {
		<-answered
	}
	for range 8 {
		get("HEAD", "c%2Flarge", "198.51.100.1", http.StatusOK)
		get("GET", "c%2Flarge", "198.51.100.1", http.StatusNotModified, "If-None-Match", tag)
		get("GET", "c%2Flarge", "198.51.100.1", http.StatusNotAcceptable, "Accept", "image/png")
	}
	all, err := s.server.answers.Take(t.Context(), ours, most)
	if err != nil {
		t.Fatal(err)
	}
	all()
}
