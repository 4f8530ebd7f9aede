package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"quire/cmd/quire/remote"
)

// healthWithin is how long a server may take to say that it is ready.
const healthWithin = 4 * time.Second

// health asks a server whether it is ready: that at $QUIRE_SERVER, or else the one on this machine that has
// the data folder, wherever that notes it is, since what it was given as arguments itself is not known here.
// With --listen among the arguments, or without a note, it is the one with these settings.
func health(ctx context.Context, args, environ []string, out io.Writer) error {
	// Of the settings only the address matters: the others may make no sense without the server's arguments.
	c, err := configure(args, environ, out)
	if errors.Is(err, flag.ErrHelp) {
		return err
	} else if c == nil {
		return usageError(err.Error())
	}
	url := c.here()
	if noted, err := os.ReadFile(filepath.Join(c.Data, addressName)); err == nil && !c.listenGiven {
		url = strings.TrimSpace(string(noted))
	}
	for _, kv := range environ {
		if server, ok := strings.CutPrefix(kv, "QUIRE_SERVER="); ok && server != "" {
			url = server
		}
	}
	ctx, cancel := context.WithTimeout(ctx, healthWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(url, "/")+"/readyz", nil)
	if err != nil {
		return usageError(err.Error())
	}
	// It asks for an answer and tells nothing, and the certificate is for other names than this machine's own.
	trust := &tls.Config{InsecureSkipVerify: true}
	if domains := splitList(c.ACMEDomain); len(domains) > 0 {
		trust.ServerName = domains[0]
	}
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return &remote.Unreachable{URL: url, Err: reason(err)}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answers %s: %s", resp.Status, strings.TrimSpace(string(answer)))
	}
	fmt.Fprintf(out, "%s", answer)
	return nil
}

// reason returns what is behind the address and the method that the standard library puts before it.
func reason(err error) error {
	var asked *neturl.Error
	if errors.As(err, &asked) {
		err = asked.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	return err
}

// here returns the URL at which a server with these settings is reached on its machine.
func (c *Config) here() string {
	scheme := "http"
	if c.secure() {
		scheme = "https"
	}
	url, _ := reached(scheme, c.Listen)
	return url
}

// reached returns the URL at which an address that is listened on is reached on its machine, and whether it
// stands for every address of the machine.
func reached(scheme, addr string) (url string, every bool) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil { // no address of a network
		return scheme + "://" + addr, false
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host, every = "127.0.0.1", true
	}
	return scheme + "://" + net.JoinHostPort(host, port), every
}
