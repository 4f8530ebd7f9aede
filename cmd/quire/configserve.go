package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"quire/web"
)

// serveConfig is the part of Config about how connections are taken: TLS, addresses, patience.
type serveConfig struct {
	TLSCert      string
	TLSKey       string
	HTTPRedirect string

	ACMEDomain    string
	ACMEEmail     string
	ACMEDirectory string
	ACMECache     string

	HandshakeTimeout time.Duration
	BodyTimeout      time.Duration
	WriteTimeout     time.Duration
	KeepAlive        time.Duration
}

// flags declares the settings and sets them to their defaults.
func (c *serveConfig) flags(fs *flag.FlagSet) {
	fs.StringVar(&c.TLSCert, "tls-cert", "", "`file` with the certificate, PEM, for https and wss; read again when it changes")
	fs.StringVar(&c.TLSKey, "tls-key", "", "`file` with the key of --tls-cert, PEM")
	fs.StringVar(&c.HTTPRedirect, "http-redirect", "", "`address` on which plain HTTP is sent on to https, such as :80; none when empty")
	fs.StringVar(&c.ACMEDomain, "acme-domain", "", "comma-separated `domains` to obtain certificates for by ACME, in place of --tls-cert; this accepts the authority's terms of service")
	fs.StringVar(&c.ACMEEmail, "acme-email", "", "`address` that the authority of --acme-domain may write to")
	fs.StringVar(&c.ACMEDirectory, "acme-directory", "https://acme-v02.api.letsencrypt.org/directory", "`URL` of the authority's ACME directory")
	fs.StringVar(&c.ACMECache, "acme-cache", "", "`folder` that keeps keys and certificates of --acme-domain; acme in the data folder when empty")
	fs.DurationVar(&c.HandshakeTimeout, "handshake-timeout", 10*time.Second, "most `time` that a TLS handshake may take")
	fs.DurationVar(&c.BodyTimeout, "body-timeout", 15*time.Second, "most `time` that the body of a request may take, with 1s more for each 16 KiB of a large one")
	fs.DurationVar(&c.WriteTimeout, "write-timeout", 30*time.Second, "most `time` that a peer may take for an answer, or for 64 KiB of a stream")
	fs.DurationVar(&c.KeepAlive, "keep-alive", time.Minute, "`time` for which a connection is kept without a request")
}

// check returns what cannot work, each with its name and range; all has the other settings.
func (c *serveConfig) check(all *Config) (errs []error) {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		errs = append(errs, errors.New("tls-cert and tls-key are given together or not at all"))
	}
	if c.TLSCert != "" && c.ACMEDomain != "" {
		errs = append(errs, errors.New("tls-cert and acme-domain are two ways to a certificate; give one"))
	}
	if c.HTTPRedirect != "" {
		if _, _, err := net.SplitHostPort(c.HTTPRedirect); err != nil {
			errs = append(errs, fmt.Errorf("http-redirect is %q; it has to be host:port", c.HTTPRedirect))
		}
		if !c.secure() {
			errs = append(errs, errors.New("http-redirect needs https to redirect to: give tls-cert or acme-domain"))
		}
	}
	for _, d := range splitList(c.ACMEDomain) {
		if !strings.Contains(strings.Trim(d, "."), ".") || strings.ContainsAny(d, "*/: ") || net.ParseIP(d) != nil {
			errs = append(errs, fmt.Errorf("acme-domain has %q; it has to be a name such as docs.example.org", d))
		}
	}
	if u, err := url.Parse(c.ACMEDirectory); err != nil || u.Scheme != "https" || u.Host == "" {
		errs = append(errs, fmt.Errorf("acme-directory is %q; it has to be an https URL", c.ACMEDirectory))
	}
	for _, t := range []struct {
		name string
		d    time.Duration
	}{{"handshake-timeout", c.HandshakeTimeout}, {"body-timeout", c.BodyTimeout}, {"write-timeout", c.WriteTimeout}, {"keep-alive", c.KeepAlive}} {
		if t.d < 100*time.Millisecond {
			errs = append(errs, fmt.Errorf("%s is %v; it has to be at least 100ms", t.name, t.d))
		}
	}
	return errs
}

// secure reports whether the server speaks TLS.
func (c *serveConfig) secure() bool { return c.TLSCert != "" || c.ACMEDomain != "" }

// acmeCache returns the folder of ACME's keys and certificates.
func (c *Config) acmeCache() string {
	if c.ACMECache != "" {
		return c.ACMECache
	}
	return filepath.Join(c.Data, "acme")
}

// timeouts returns how long peers may take.
func (c *Config) timeouts() web.Timeouts {
	return web.Timeouts{Handshake: c.HandshakeTimeout, Header: c.MaxHeaderTime, Body: c.BodyTimeout, Write: c.WriteTimeout, KeepAlive: c.KeepAlive}
}
