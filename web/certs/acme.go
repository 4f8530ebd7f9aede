package certs

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// ACMEOptions configures an ACME.
type ACMEOptions struct {
	// Domains are the names to have certificates for. Required.
	Domains []string
	// Email is where the authority writes to when something is wrong. May be empty.
	Email string
	// Directory is the URL of the authority's directory. Default: that of Let's Encrypt.
	Directory string
	// Cache is the folder that keeps keys and certificates. Required.
	Cache string
	// Logger is told what is obtained and what fails. Required.
	Logger *slog.Logger
}

// ACME obtains certificates from an authority, and new ones before they run out, for
// whoever accepts the authority's terms of service. Safe for concurrent use.
type ACME struct {
	opt     ACMEOptions
	manager *autocert.Manager
}

// NewACME makes an ACME and its folder.
func NewACME(opt ACMEOptions) (*ACME, error) {
	if err := os.MkdirAll(opt.Cache, 0o700); err != nil {
		return nil, fmt.Errorf("the folder for certificates cannot be made: %w", err)
	}
	if opt.Directory == "" {
		opt.Directory = acme.LetsEncryptURL
	}
	return &ACME{opt: opt, manager: &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		Cache:      autocert.DirCache(opt.Cache),
		HostPolicy: autocert.HostWhitelist(opt.Domains...),
		Email:      opt.Email,
		Client: &acme.Client{
			DirectoryURL: opt.Directory,
			UserAgent:    "quire",
			HTTPClient:   &http.Client{Timeout: time.Minute},
		},
	}}, nil
}

// TLS returns how the server does TLS, in which it also shows the authority that it has the
// domains (tls-alpn-01).
func (a *ACME) TLS() *tls.Config {
	c := Config(a.manager.GetCertificate)
	c.NextProtos = append(c.NextProtos, acme.ALPNProto)
	return c
}

// Challenges answers the authority's requests over plain HTTP (http-01), and passes others
// on. After it was called the authority may ask for these, too.
func (a *ACME) Challenges(others http.Handler) http.Handler {
	h := a.manager.HTTPHandler(others)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The manager compares the host, which has a port when an authority asks at another one.
		if host, _, err := net.SplitHostPort(r.Host); err == nil && strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/") {
			r.Host = host
		}
		h.ServeHTTP(w, r)
	})
}

// Obtain sees that there is a certificate for each domain, before the first visitor waits
// for it. It takes up to minutes; what fails is tried again when somebody comes.
func (a *ACME) Obtain() {
	for _, domain := range a.opt.Domains {
		cert, err := a.manager.GetCertificate(&tls.ClientHelloInfo{
			ServerName:        domain,
			SupportedVersions: []uint16{tls.VersionTLS13, tls.VersionTLS12},
			SignatureSchemes:  []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
			SupportedCurves:   []tls.CurveID{tls.CurveP256},
			CipherSuites:      []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		})
		if err != nil {
			a.opt.Logger.Error("no certificate could be obtained; it is tried again when somebody comes", "domain", domain, "err", err)
			continue
		}
		a.opt.Logger.Info("certificate obtained", "domain", domain, "until", cert.Leaf.NotAfter)
	}
}
