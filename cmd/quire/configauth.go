package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// authConfig is the part of Config about who may do what.
type authConfig struct {
	AuthKeys     string
	AuthJWKS     string
	AuthIssuer   string
	AuthAudience string
	AuthLeeway   time.Duration
	AuthURL      string
	AuthTimeout  time.Duration
	AuthGrace    time.Duration
	AuthLinks    bool
	AuthSession  time.Duration
	AuthMaxLife  time.Duration
	AuthEndless  bool
	InsecureOpen bool
}

// flags declares the settings and sets them to their defaults.
func (c *authConfig) flags(fs *flag.FlagSet) {
	fs.StringVar(&c.AuthKeys, "auth-keys", "", "comma-separated `files` with the keys of tokens: PEM, JSON Web Keys, or what quire genkey makes")
	fs.StringVar(&c.AuthJWKS, "auth-jwks", "", "`address` of a JSON Web Key Set with the public keys of tokens")
	fs.StringVar(&c.AuthIssuer, "auth-issuer", "", "`issuer` that tokens have to have as iss; any when empty")
	fs.StringVar(&c.AuthAudience, "auth-audience", "", "`audience` that tokens have to have among aud; tokens with aud are refused when empty")
	fs.DurationVar(&c.AuthLeeway, "auth-leeway", 30*time.Second, "`time` by which the clocks of who signs tokens and of this server may differ")
	fs.StringVar(&c.AuthURL, "auth-url", "", "`address` of the application that is asked who sends a request and what they may do")
	fs.DurationVar(&c.AuthTimeout, "auth-timeout", 3*time.Second, "`time` that the application at auth-url has to answer")
	fs.DurationVar(&c.AuthGrace, "auth-grace", 5*time.Minute, "`time` that open connections go on while the application at auth-url does not answer")
	fs.BoolVar(&c.AuthLinks, "auth-links", false, "let admins of documents invite people by links")
	fs.DurationVar(&c.AuthSession, "auth-session", 30*24*time.Hour, "longest `time` that a login in a browser lasts")
	fs.DurationVar(&c.AuthMaxLife, "auth-max-life", 400*24*time.Hour, "longest `time` for which a token may be good; revocations are kept that long")
	fs.BoolVar(&c.AuthEndless, "auth-endless", false, "take tokens that never run out, without exp; revocations are kept for ever then")
	fs.BoolVar(&c.InsecureOpen, "insecure-open", false, "let everybody who can reach the server do everything, also where it listens to other machines")
}

// Asks reports whether people are asked who they are.
func (c *authConfig) asks() bool { return c.AuthKeys != "" || c.AuthJWKS != "" || c.AuthURL != "" }

// check returns what cannot work, each with its name and range; all has the other settings.
func (c *authConfig) check(all *Config) (errs []error) {
	for _, a := range []struct{ name, value string }{{"auth-jwks", c.AuthJWKS}, {"auth-url", c.AuthURL}} {
		if a.value == "" {
			continue
		}
		u, err := url.Parse(a.value)
		switch {
		case err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http":
			errs = append(errs, fmt.Errorf("%s is %q; it has to be an address such as https://example.org/path", a.name, a.value))
		case u.Scheme == "http" && !loopbackHost(u.Hostname()):
			errs = append(errs, fmt.Errorf("%s is %q; off this machine it has to be https, or whoever is in between decides who may do what", a.name, a.value))
		}
	}
	for _, d := range []struct {
		name        string
		v           time.Duration
		least, most time.Duration
	}{
		{"auth-leeway", c.AuthLeeway, 0, 5 * time.Minute}, {"auth-timeout", c.AuthTimeout, time.Millisecond, time.Minute},
		{"auth-grace", c.AuthGrace, 0, 24 * time.Hour}, {"auth-session", c.AuthSession, time.Minute, 400 * 24 * time.Hour},
		{"auth-max-life", c.AuthMaxLife, time.Minute, 4000 * 24 * time.Hour},
	} {
		if d.v < d.least || d.v > d.most {
			errs = append(errs, fmt.Errorf("%s is %v; it has to be %v to %v", d.name, d.v, d.least, d.most))
		}
	}
	if c.AuthLinks && !c.asks() {
		errs = append(errs, errors.New("auth-links needs one of auth-keys, auth-jwks and auth-url: somebody has to be the admin who invites; quire genkey and quire token make a first one"))
	}
	if c.InsecureOpen && c.asks() {
		errs = append(errs, errors.New("insecure-open and auth-keys, auth-jwks or auth-url exclude each other"))
	}
	host, _, err := net.SplitHostPort(all.Listen)
	if err == nil && !c.asks() && !c.InsecureOpen && !loopbackHost(host) {
		errs = append(errs, fmt.Errorf("listen is %q, which other machines can reach, and nobody would be asked who they are: give auth-keys, auth-jwks or auth-url (quire genkey and quire token make a start), or insecure-open to let everybody do everything", all.Listen))
	}
	return errs
}

// loopbackHost reports whether only this machine can be meant.
func loopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
