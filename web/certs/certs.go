// Package certs has the certificates by which the server shows who it is: from files that
// are read again when they change, or from an authority that speaks ACME (RFC 8555).
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"quire/web/reread"
)

// Config returns how the server does TLS: 1.2 or newer, with ciphers that keep what was
// said secret when the key is lost later. get chooses the certificate, from several
// goroutines.
func Config(get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{
		GetCertificate: get,
		MinVersion:     tls.VersionTLS12,
		CipherSuites: []uint16{ // of TLS 1.2; those of 1.3 are all good
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		// WebSockets need HTTP/1.1, and the server speaks nothing else.
		NextProtos: []string{"http/1.1"},
		// What is sent in one write has to be few records.
		DynamicRecordSizingDisabled: true,
	}
}

// Files is a certificate with its key in two files. Safe for concurrent use.
type Files struct {
	cert, key string
	log       *slog.Logger
	current   atomic.Pointer[tls.Certificate]
	files     *reread.Files
}

// Open reads a certificate, with those that lead to its authority after it, and its key,
// both in PEM. log is told of what is read later.
func Open(cert, key string, log *slog.Logger) (*Files, error) {
	f := &Files{cert: cert, key: key, log: log}
	f.files = reread.New([]string{cert, key}, f.reload)
	pair, err := f.read()
	if err != nil {
		return nil, err
	}
	f.current.Store(pair)
	return f, nil
}

// Get returns the certificate, for tls.Config.GetCertificate.
func (f *Files) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.current.Load(), nil }

// Reload reads the files again. When they cannot be used the log says why and what
// there was stays.
func (f *Files) Reload() { f.files.Reload() }

// Watch reads the files again when they have changed, looking every so often, until ctx ends.
func (f *Files) Watch(ctx context.Context, every time.Duration) { f.files.Watch(ctx, every) }

// reload reads the files, once at a time.
func (f *Files) reload() {
	pair, err := f.read()
	if err != nil {
		f.log.Error("the certificate cannot be used; the one before it stays", "err", err, "until", f.current.Load().Leaf.NotAfter)
		return
	}
	f.current.Store(pair)
	f.log.Info("certificate read", "names", names(pair.Leaf), "until", pair.Leaf.NotAfter)
}

// read reads the pair and sees whether it can be used now.
func (f *Files) read() (*tls.Certificate, error) {
	var pem [2][]byte
	for i, name := range []string{f.cert, f.key} {
		var err error
		if pem[i], err = reread.Read(name); err != nil {
			return nil, err
		}
	}
	pair, err := tls.X509KeyPair(pem[0], pem[1])
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", f.cert, f.key, err)
	}
	return &pair, usable(pair.Leaf)
}

// names returns whom a certificate is for.
func names(leaf *x509.Certificate) string {
	all := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		all = append(all, ip.String())
	}
	return strings.Join(all, ",")
}

// usable returns why clients would refuse a certificate whoever signed it.
func usable(leaf *x509.Certificate) error {
	switch now := time.Now(); {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate ran out on %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate begins on %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	case len(leaf.DNSNames) == 0 && len(leaf.IPAddresses) == 0:
		return errors.New("the certificate names no host (subjectAltName)")
	}
	return nil
}
