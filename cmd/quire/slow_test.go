package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"quire/web/certs/certstest"
)

// TestSlowPeers cuts off peers that are too slow in each phase of a connection, without TLS and with it.
func TestSlowPeers(t *testing.T) {
	slow := []string{"--max-header-time", "700ms", "--body-timeout", "700ms", "--write-timeout", "700ms", "--keep-alive", "700ms", "--handshake-timeout", "2s"}
	pair := certstest.New(t)
	cert, key := pair.Write(t, t.TempDir())
	for name, trust := range map[string]*tls.Config{"plain": nil, "tls": {RootCAs: pair.Pool}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"--data", t.TempDir()}, slow...)
			if trust != nil {
				args = append(args, "--tls-cert", cert, "--tls-key", key)
			}
			_, url, _ := start(t, args...)
			c := &http.Client{Transport: &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true}}
			resp, err := c.Post(url+"api/docs", "text/plain", nil)
			if err == nil {
				resp.Body.Close()
			}
			large := `{"id":"large","content":"` + strings.Repeat("large ", 1<<20) + `"}`
			prompt(t, "a large document is made", func() (bool, string) {
				resp, err := c.Post(url+"api/docs", jsonType, strings.NewReader(large))
				if err != nil {
					return false, err.Error()
				}
				resp.Body.Close()
				return resp.StatusCode == http.StatusCreated || resp.StatusCode == http.StatusConflict, resp.Status
			})
			_, addr, _ := strings.Cut(strings.TrimSuffix(url, "/"), "://")
			t.Run("peers", func(t *testing.T) { slowPeers(t, addr, trust) }) // until all of them are over
			prompt(t, "somebody edits after all that", func() (bool, string) {
				err := roundTripOver(url, "after", trust)
				return err == nil, fmt.Sprint(err)
			})
		})
	}
}

// prompt tries something that is in time for every limit again when it fails: limits of less than a second are over
// at once on a machine that does something else for so long.
func prompt(t *testing.T, what string, try func() (ok bool, saw string)) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		ok, saw := try()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Errorf("for a minute it did not come about that %s: %s", what, saw)
			return
		}
		t.Logf("again: %s: %.200s", what, saw)
	}
}

func slowPeers(t *testing.T, addr string, trust *tls.Config) {
	dial := func() net.Conn {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_ = c.(*net.TCPConn).SetReadBuffer(64 << 10)
		if trust != nil {
			trust := trust.Clone()
			trust.ServerName = "localhost"
			c = tls.Client(c, trust)
		}
		return c
	}
	for _, p := range []struct{ name, begin, drip, answer string }{
		{"says nothing", "", "", ""},
		{"half a header", "GET / HTTP/1.1\r\nHost: localhost\r\n", "", " 408 "},
		{"a header by the byte", "GET / HTTP/1.1\r\nHost: localhost\r\nX: ", "x", ""},
		{"half an upgrade", "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", "", " 408 "},
		{"half a body", "POST /api/docs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{", "", " 408 "},
		{"a body by the byte", "POST /api/docs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{", "x", ""},
		{"half a large body", "POST /api/docs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n{", "", " 408 "},
		{"a large body by the byte", "POST /api/docs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n{", "x", ""},
		{"half a chunk", "POST /api/docs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n{", "", " 408 "},
		{"one request and no other", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", "", " 200 "},
	} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			prompt(t, "it is cut off with"+p.answer, func() (bool, string) {
				c := dial()
				defer c.Close()
				_, err := io.WriteString(c, p.begin)
				if err == nil && p.drip != "" {
					stop := make(chan struct{})
					defer close(stop)
					go drip(c, p.drip, stop)
				}
				answer, err := io.ReadAll(c)
				if e, ok := err.(net.Error); ok && e.Timeout() {
					t.Fatalf("it is not cut off; it got %q", answer)
				}
				return strings.Contains(string(answer), p.answer), fmt.Sprintf("%q, %v", answer, err)
			})
		})
	}
	for name, request := range map[string]string{
		"takes no answer":  "GET /api/docs/large HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"takes no events":  "GET /api/docs/large/events?from=-1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"takes no answers": strings.Repeat("GET /assets/app.js HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial()
			if _, err := io.WriteString(c, request); err != nil {
				t.Fatal(err)
			}
			// That the server closed the connection shows when something is sent to it.
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
				if time.Now().After(deadline) {
					t.Fatal("it is not cut off")
				}
			}
		})
	}
	t.Run("no handshake", func(t *testing.T) {
		t.Parallel()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if answer, err := io.ReadAll(c); err != nil {
			t.Errorf("it is not cut off: %q, %v", answer, err)
		}
	})
}

// drip sends a piece again and again, each long before a timeout.
func drip(c net.Conn, piece string, stop <-chan struct{}) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if _, err := io.WriteString(c, piece); err != nil {
			return
		}
	}
}

// TestSlowloris has 2,000 connections that never end their request's header: others do not notice, and
// in the end they are cut off.
func TestSlowloris(t *testing.T) {
	const headerTime = 2 * time.Second
	_, url, _ := start(t, "--data", t.TempDir(), "--max-header-time", headerTime.String(), "--max-address-http", "0")
	addr := strings.Trim(strings.TrimPrefix(url, "http://"), "/")
	const peers = 2000
	// Who asks beside them is answered, unless the machine held them up for so long themselves that they were cut off rightly.
	beside := func(ask func() error) {
		t.Helper()
		for {
			began := time.Now()
			err := ask()
			if err == nil {
				return
			}
			if time.Since(began) < headerTime {
				t.Fatal(err)
			}
		}
	}
	var wg sync.WaitGroup
	for n := range peers {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET /?%d HTTP/1.1\r\nHost: localhost\r\nX-", n)
		wg.Go(func() {
			defer c.Close()
			_ = c.SetReadDeadline(time.Now().Add(time.Minute))
			if _, err := io.Copy(io.Discard, bufio.NewReader(c)); err != nil {
				if e, ok := err.(net.Error); ok && e.Timeout() {
					t.Error("a slow peer is not cut off")
				}
			}
		})
		if n%400 == 399 {
			beside(func() error { return roundTrip(url, fmt.Sprintf("beside-%d", n)) })
			beside(func() error {
				resp, err := http.Get(url + "api/docs")
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					return errors.New(resp.Status)
				}
				return nil
			})
		}
	}
	wg.Wait()
}

// TestTLS serves the page, edits and the redirect by TLS, and takes another certificate while it runs.
func TestTLS(t *testing.T) {
	folder := t.TempDir()
	first, second := certstest.New(t), certstest.New(t)
	cert, key := first.Write(t, folder)
	plain := freeAddr(t)
	log := &syncBuffer{}
	m, url, _ := startLogging(t, log, "--data", t.TempDir(), "--tls-cert", cert, "--tls-key", key, "--http-redirect", plain)
	if !strings.HasPrefix(url, "https://") {
		t.Fatalf("it says that it is at %s", url)
	}
	both := x509.NewCertPool()
	both.AddCert(first.TLS.Leaf)
	both.AddCert(second.TLS.Leaf)
	trust := &tls.Config{RootCAs: both}
	if err := roundTripOver(url, "by-tls", trust); err != nil {
		t.Error(err)
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true}}
	get := func(url string) *http.Response {
		t.Helper()
		resp, err := c.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp
	}
	resp := get("http://" + plain + "/d/some%2Fdocument?q=1") // it follows
	if resp.StatusCode != http.StatusOK || resp.Request.URL.String() != url+"d/some%2Fdocument?q=1" {
		t.Errorf("%s at %s", resp.Status, resp.Request.URL)
	}
	if resp, err := c.Post("http://"+plain+"/api/docs", jsonType, strings.NewReader("{}")); err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("posted without TLS: %v, %v", resp, err)
	}
	shown := func() []byte { return get(url + "healthz").TLS.PeerCertificates[0].Raw }
	if !bytes.Equal(shown(), first.TLS.Certificate[0]) {
		t.Error("not the first certificate")
	}
	second.Write(t, folder)
	m.Reload()
	for deadline := time.Now().Add(time.Minute); !bytes.Equal(shown(), second.TLS.Certificate[0]); {
		if time.Now().After(deadline) {
			t.Fatalf("not the second certificate:\n%s", log)
		}
	}
}

// TestTLSSettings refuses what cannot work.
func TestTLSSettings(t *testing.T) {
	none := t.TempDir() + "/none.pem"
	for _, c := range []struct{ args, err string }{
		{"--tls-cert a", "tls-cert and tls-key are given together"},
		{"--tls-cert a --tls-key b --acme-domain docs.example.org", "two ways to a certificate"},
		{"--http-redirect 127.0.0.1:0", "http-redirect needs https"},
		{"--acme-domain localhost", "a name such as docs.example.org"},
		{"--acme-domain *.example.org", "a name such as docs.example.org"},
		{"--acme-domain docs.example.org --acme-directory http://x", "it has to be an https URL"},
		{"--tls-cert a --tls-key b --http-redirect x", "it has to be host:port"},
		{"--body-timeout 1ms", "body-timeout is 1ms; it has to be at least 100ms"},
		{"--tls-cert " + none + " --tls-key " + none + " --listen 127.0.0.1:0", "the certificate cannot be used"},
	} {
		if _, _, errOut := cli(append(strings.Fields(c.args), "--data", t.TempDir())); !strings.Contains(errOut, c.err) {
			t.Errorf("%s: %s", c.args, errOut)
		}
	}
}
