package main

import (
	"flag"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"quire/web"
)

// webConfig is the part of Config about what requests are taken as ones for this server.
type webConfig struct {
	Hosts string
}

// flags declares the settings and sets them to their defaults.
func (c *webConfig) flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Hosts, "hosts", "", "comma-separated `hosts` (docs.example.org) that requests may be for besides addresses of this machine, or *; when empty and listening on loopback, no others")
}

// check returns what cannot work, each with its name and range; all has the other settings.
func (c *webConfig) check(all *Config) (errs []error) {
	for _, h := range splitList(c.Hosts) {
		if h != "*" && strings.ContainsAny(h, "/:?#@* ") && !isAddr(h) {
			errs = append(errs, fmt.Errorf("hosts has %q; a host reads docs.example.org or 192.0.2.7, without scheme and port", h))
		}
	}
	return errs
}

func isAddr(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// hosts returns what hosts requests may be for on a listener at an address; nil: every one.
func (c *webConfig) hosts(listen string) []string {
	named := splitList(c.Hosts)
	for _, h := range named {
		if h == "*" {
			return nil
		}
	}
	host, _, err := net.SplitHostPort(listen)
	addr, _ := netip.ParseAddr(host)
	if len(named) == 0 && (err != nil || host != web.Loopback && !addr.Unmap().IsLoopback()) {
		return nil
	}
	return append(named, web.Loopback)
}
