package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"quire/web/certs/certstest"
)

// TestACME obtains certificates from Pebble, by each kind of proof, and keeps them.
func TestACME(t *testing.T) {
	pebble := external(t, "pebble")
	program := buildProgram(t, t.TempDir())
	for _, c := range []struct{ name, tlsPort, httpPort string }{
		{"tls-alpn-01", portOf(freeAddr(t)), portOf(freeAddr(t))},
		{"http-01", portOf(freeAddr(t)), portOf(freeAddr(t))},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := t.TempDir()
			own := certstest.New(t)
			cert, key := own.Write(t, folder)
			directory, management := freeAddr(t), freeAddr(t)
			args := []string{"--listen", "127.0.0.1:" + c.tlsPort, "--data", filepath.Join(folder, "data"), "--acme-domain", "docs.example.org",
				"--acme-directory", "https://" + directory + "/dir", "--acme-email", "ops@example.org"}
			validated := c.tlsPort
			if c.name == "http-01" {
				validated = portOf(freeAddr(t)) // where nobody is
				args = append(args, "--http-redirect", "127.0.0.1:"+c.httpPort)
			}
			config := fmt.Sprintf(`{"pebble":{"listenAddress":%q,"managementListenAddress":%q,"certificate":%q,"privateKey":%q,"httpPort":%s,"tlsPort":%s}}`, directory, management, cert, key, c.httpPort, validated)
			name := filepath.Join(folder, "pebble.json")
			if err := os.WriteFile(name, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(pebble, "-config", name, "-strict", "-dnsserver", names(t))
			cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0")
			runBeside(t, directory, cmd)

			trust := []string{"SSL_CERT_FILE=" + cert}
			l := found(t, trust, program, args...)
			l.wait("certificate obtained")
			roots := x509.NewCertPool()
			c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: own.Pool}}}
			resp, err := c.Get("https://" + management + "/roots/0")
			if err != nil {
				t.Fatal(err)
			}
			root, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if !roots.AppendCertsFromPEM(root) {
				t.Fatalf("no root: %s", root)
			}
			first := shownBy(t, l.url, "docs.example.org", roots)
			if _, err := tls.Dial("tcp", hostOf(l.url), &tls.Config{ServerName: "other.example.org", RootCAs: roots}); err == nil {
				t.Error("there is a certificate for a name that nobody asked for")
			}
			l.signal(syscall.SIGTERM)
			l.ended()

			_ = cmd.Process.Kill() // what was obtained is kept
			l = found(t, trust, program, args...)
			if again := shownBy(t, l.url, "docs.example.org", roots); !bytes.Equal(first, again) {
				t.Error("the certificate was not kept")
			}
			if info, err := os.Stat(filepath.Join(folder, "data", "acme")); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("the folder with keys: %v, %v", info, err)
			}
		})
	}
}

func hostOf(url string) string {
	_, rest, _ := strings.Cut(strings.TrimRight(url, "/"), "://")
	return rest
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// shownBy returns the certificate that a server shows for a name.
func shownBy(t *testing.T, url, name string, roots *x509.CertPool) []byte {
	t.Helper()
	c, err := tls.Dial("tcp", hostOf(url), &tls.Config{ServerName: name, RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Raw
}

// names answers questions for names over TCP, as Pebble asks: each is 127.0.0.1. It returns its
// address.
func names(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() { ln.Close(); running.Wait() })
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				for answerName(c) == nil {
				}
			})
		}
	})
	return ln.Addr().String()
}

func answerName(c net.Conn) error {
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return err
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, buf); err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(buf); err != nil {
		return err
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	for _, q := range m.Questions {
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
				Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			})
		}
	}
	packed, err := m.Pack()
	if err == nil {
		_, err = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...))
	}
	return err
}
