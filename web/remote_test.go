package web

import (
	"net/netip"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestProxies(t *testing.T) {
	for _, c := range []struct {
		peer    string
		tls     bool
		headers [][2]string
		from    string
		https   bool
	}{
		// Nobody else is believed.
		{"203.0.113.9", false, [][2]string{{"X-Forwarded-For", "198.51.100.1"}, {"X-Forwarded-Proto", "https"}}, "203.0.113.9", false},
		{"203.0.113.9", true, [][2]string{{"X-Forwarded-Proto", "http"}}, "203.0.113.9", true},
		// A proxy, and two of them.
		{"10.0.0.1", false, [][2]string{{"X-Forwarded-For", "198.51.100.1"}, {"X-Forwarded-Proto", "https"}}, "198.51.100.1", true},
		{"10.0.0.1", false, [][2]string{{"X-Forwarded-For", "198.51.100.1, 10.0.0.2"}}, "198.51.100.1", false},
		{"10.0.0.1", false, [][2]string{{"X-Forwarded-For", "198.51.100.1"}, {"X-Forwarded-For", "10.0.0.2"}}, "198.51.100.1", false},
		// What a client wrote itself is to the left of what a proxy has seen.
		{"10.0.0.1", false, [][2]string{{"X-Forwarded-For", "1.1.1.1, 10.0.0.7, 198.51.100.1"}}, "198.51.100.1", false},
		{"10.0.0.1", false, [][2]string{{"X-Forwarded-For", "1.1.1.1"}, {"X-Forwarded-For", "198.51.100.1"}}, "198.51.100.1", false},
		{"10.0.0.1", false, [][2]string{{"X-Forwarded-Proto", "https, http"}, {"X-Forwarded-For", "198.51.100.1"}}, "198.51.100.1", false},
		{"10.0.0.1", false, [][2]string{{"Forwarded", "for=1.1.1.1;proto=https"}, {"X-Forwarded-For", "198.51.100.1"}}, "198.51.100.1", false},
		// Nothing, or nothing of use.
		{"10.0.0.1", false, nil, "10.0.0.1", false},
		{"10.0.0.1", true, nil, "10.0.0.1", true}, // the proxy came by TLS; of its client it says nothing
		{"10.0.0.1", false, [][2]string{{"X-Forwarded-Proto", "https"}}, "10.0.0.1", true},
		{"10.0.0.1", false, [][2]string{{"X-Forwarded-For", "unknown"}}, "10.0.0.1", false},
		{"10.0.0.1", false, [][2]string{{"X-Forwarded-For", "1.1.1.1, nonsense, 10.0.0.2"}}, "10.0.0.2", false},
		{"10.0.0.1", false, [][2]string{{"X-Forwarded-For", "1.1.1.1,"}}, "10.0.0.1", false},
		{"10.0.0.1", false, [][2]string{{"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}}, "10.0.0.3", false},
		// Ports, IPv6.
		{"10.0.0.1", false, [][2]string{{"X-Forwarded-For", "198.51.100.1:4711"}}, "198.51.100.1", false},
		{"10.0.0.1", false, [][2]string{{"X-Forwarded-For", "[2001:db8::1]:4711"}}, "2001:db8::1", false},
		{"fd00::1", false, [][2]string{{"X-Forwarded-For", "2001:db8::1"}}, "2001:db8::1", false},
		{"10.0.0.1", false, [][2]string{{"X-Forwarded-For", "::ffff:198.51.100.1"}}, "198.51.100.1", false},
		{"10.0.0.1", false, [][2]string{{"X-Forwarded-For", "1.1.1.1, ::ffff:10.0.0.2"}}, "1.1.1.1", false},
		{"10.0.0.1", false, [][2]string{{"X-Forwarded-For", "fe80::1%eth0"}}, "fe80::1", false},
	} {
		test(t, Proxies{}, c.peer, c.tls, c.headers, c.from, c.https)
	}
	for _, c := range []struct {
		forwarded string
		from      string
		https     bool
	}{
		{`for=198.51.100.1`, "198.51.100.1", false},
		{`For="198.51.100.1:80"; Proto=HTTPS`, "198.51.100.1", true},
		{`for="[2001:db8::1]:4711";proto=https`, "2001:db8::1", true},
		{`for=1.1.1.1;proto=https, for=198.51.100.1;proto=http`, "198.51.100.1", false},
		{`for=198.51.100.1;proto=https, for=10.0.0.2;proto=http`, "198.51.100.1", true},
		{`for=_hidden`, "10.0.0.1", false},
		{`for="1.1.1.1, for=198.51.100.1`, "198.51.100.1", false}, // left open by the client
		{`for=1.1.1.1;by="a, for=2.2.2.2", for=198.51.100.1`, "198.51.100.1", false},
		{``, "10.0.0.1", false},
	} {
		test(t, Proxies{Forwarded: true}, "10.0.0.1", false, [][2]string{{"Forwarded", c.forwarded}, {"X-Forwarded-For", "9.9.9.9"}, {"X-Forwarded-Proto", "https"}}, c.from, c.https)
	}
}

func test(t *testing.T, p Proxies, peer string, tls bool, headers [][2]string, from string, https bool) {
	t.Helper()
	var err error
	if p.Trusted, err = ParseProxies("10.0.0.0/8, fd00::/8"); err != nil {
		t.Fatal(err)
	}
	var h fasthttp.RequestHeader
	for _, kv := range headers {
		h.Add(kv[0], kv[1])
	}
	got, gotHTTPS := p.source(netip.MustParseAddr(peer), tls, &h)
	if got.String() != from || gotHTTPS != https {
		t.Errorf("%s (tls %v) with %v: %s, https %v; want %s, %v", peer, tls, headers, got, gotHTTPS, from, https)
	}
}

func TestParseProxies(t *testing.T) {
	for s, want := range map[string]int{"": 0, "127.0.0.1, ::1": 2, "10.1.2.3/8": 1} {
		if p, err := ParseProxies(s); err != nil || len(p) != want {
			t.Errorf("%q: %v, %v", s, p, err)
		}
	}
	for _, s := range []string{"proxy.example", "10.0.0.0/33", "fe80::1%eth0", "::ffff:10.0.0.0/104", "10.0.0.0-10.0.0.9"} {
		if p, err := ParseProxies(s); err == nil {
			t.Errorf("%q: %v", s, p)
		}
	}
}
