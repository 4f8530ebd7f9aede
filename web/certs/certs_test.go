package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"quire/storage/storagetest/overdue"
	"quire/web/certs/certstest"
	"quire/web/reread"
)

// TestVersions refuses what is older than TLS 1.2, and HTTP/2.
func TestVersions(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pair := certstest.New(t)
	server := &http.Server{Handler: http.NotFoundHandler()}
	done := make(chan error, 1)
	go func() {
		done <- server.Serve(tls.NewListener(ln, Config(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair.TLS, nil })))
	}()
	for version, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		c, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: pair.Pool, MinVersion: version, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"}})
		if (err == nil) != ok {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			if got := c.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
				t.Errorf("%s: %q was agreed on", tls.VersionName(version), got)
			}
			c.Close()
		}
	}
	if c, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: pair.Pool, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}); err == nil {
		c.Close()
		t.Error("a cipher that is not wanted was agreed on")
	}
	server.Close()
	<-done
}

// lines hands on each line of a log.
type lines struct {
	mu   sync.Mutex
	line chan string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line <- string(p)
	return len(p), nil
}

// TestReload reads pairs as they change, also in two steps, and keeps the one before where the new one
// cannot be used.
func TestReload(t *testing.T) {
	overdue.Watch(t)
	folder := t.TempDir()
	first, second := certstest.New(t), certstest.New(t)
	cert, key := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	// Pairs have the same sizes: each has a time of its own, also where the clock of files is coarse.
	at := time.Now().Add(-time.Hour)
	stamp := func() {
		t.Helper()
		at = at.Add(time.Minute)
		if err := errors.Join(os.Chtimes(cert, at, at), os.Chtimes(key, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	write := func(p *certstest.Pair) {
		t.Helper()
		p.Write(t, folder)
		stamp()
	}
	write(first)
	log := &lines{line: make(chan string, 100)}
	f, err := Open(cert, key, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	has := func(what string, p *certstest.Pair) {
		t.Helper()
		if got, _ := f.Get(nil); string(got.Certificate[0]) != string(p.TLS.Certificate[0]) {
			t.Errorf("%s: another certificate", what)
		}
	}
	has("first", first)
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() { f.Watch(ctx, time.Millisecond); close(stopped) }()
	says := func(want string) {
		t.Helper()
		for line := range log.line {
			if strings.Contains(line, want) {
				return
			}
		}
	}
	if err := os.WriteFile(cert, second.Cert, 0o600); err != nil {
		t.Fatal(err)
	}
	stamp()
	says("cannot be used; the one before it stays")
	has("half replaced", first)
	write(second)
	says("certificate read")
	has("replaced", second)
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	says("cannot be used")
	has("gone", second)
	write(first)
	says("certificate read")
	has("back", first)
	stop()
	<-stopped
	write(second)
	f.Reload()
	says("certificate read")
	has("on demand", second)
}

// TestBadPairs are refused at the start.
func TestBadPairs(t *testing.T) {
	folder := t.TempDir()
	one, other := certstest.New(t), certstest.New(t)
	cert, key := one.Write(t, folder)
	strange := filepath.Join(folder, "strange.pem")
	if err := os.WriteFile(strange, other.Key, 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(folder, "large.pem")
	if err := os.WriteFile(large, make([]byte, reread.MaxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][3]string{
		{cert, strange, "does not match"},
		{key, key, "failed to find certificate"},
		{cert, filepath.Join(folder, "none"), "no such file"},
		{large, key, "is not a file of at most"},
		{folder, key, "is not a file of at most"},
	} {
		if _, err := Open(c[0], c[1], slog.Default()); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s, %s: %v, want %q", c[0], c[1], err, c[2])
		}
	}
}
