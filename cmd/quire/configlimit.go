package main

import (
	"flag"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"quire/ot"
	"quire/session"
	"quire/session/limits"
	"quire/storage"
	"quire/web"
)

// limitConfig is the part of Config about limits. docs/limits.md has the table of them.
type limitConfig struct {
	MaxDocument   int
	MaxOperation  int
	MaxComponents int
	MaxRun        int
	MaxNamespace  int
	MaxPage       int

	MaxMessage    int
	MaxBody       int
	MaxImport     int
	MaxHeader     int
	MaxHeaderTime time.Duration
	MaxPresence   int

	MaxClientRate   int
	MaxAuthorRate   int
	MaxDocumentRate int
	MaxPresenceRate int
	MaxOpenRate     int
	MaxRate         int

	MaxOpen         int
	MaxConns        int
	MaxAddressConns int
	MaxAddressHTTP  int
	MaxStreams      int

	MaxMemory     int
	MaxCatchUp    int
	MaxReceiving  int
	MaxSending    int
	MaxConversion int

	TrustProxy  string
	ProxyHeader string
}

// numbers are the limits that are a number: where it is kept, its default, what it may be, and what
// it bounds.
func (c *limitConfig) numbers() []number {
	return []number{
		{limits.Document, &c.MaxDocument, 16 << 20, 1, storage.MaxSnapshot, "largest document in `bytes`"},
		{limits.Operation, &c.MaxOperation, 16 << 20, 16, storage.MaxRecord, "largest operation, as JSON, in `bytes`"},
		{limits.Components, &c.MaxComponents, 1 << 20, 1, 1 << 24, "most components of one operation, a `number`"},
		{limits.Run, &c.MaxRun, 512, 1, 1 << 16, "most operations in one submission, a `number`"},
		{limits.Namespace, &c.MaxNamespace, 1_000_000, 0, 1 << 40, "most documents of one namespace, deleted ones that can be created again among them, a `number`; 0 for no limit"},
		{limits.Page, &c.MaxPage, 1000, 1, 1000, "most documents, or entries of a history, in one answer, a `number`"},

		{limits.Message, &c.MaxMessage, 1 << 20, 1024, storage.MaxRecord, "largest WebSocket message, or request without a document in it, in `bytes`"},
		{limits.Body, &c.MaxBody, 32 << 20, 1024, storage.MaxSnapshot, "largest HTTP body with a document or operations in it in `bytes`"},
		{limits.Import, &c.MaxImport, 1 << 30, 1024, 1 << 40, "largest document with its history to import in `bytes`, decompressed"},
		{limits.Header, &c.MaxHeader, 8 << 10, 1024, 1 << 20, "largest header of a request in `bytes`; each connection has a buffer of that size while a request is read"},
		{limits.Presence, &c.MaxPresence, 4096, 16, 1 << 20, "largest cursor or presence of one client in `bytes`"},

		{limits.ClientRate, &c.MaxClientRate, 1000, 0, 1 << 30, "most operations a second of one client in one document, a `number`; 0 for no limit"},
		{limits.AuthorRate, &c.MaxAuthorRate, 4000, 0, 1 << 30, "most operations a second of one author, a `number`; 0 for no limit"},
		{limits.DocumentRate, &c.MaxDocumentRate, 20_000, 0, 1 << 30, "most operations a second in one document, a `number`; 0 for no limit"},
		{limits.PresenceRate, &c.MaxPresenceRate, 200, 0, 1 << 30, "most presences a second of one connection, a `number`; 0 for no limit"},
		{limits.OpenRate, &c.MaxOpenRate, 1000, 0, 1 << 30, "most documents a second that one connection opens or reads, a `number`; 0 for no limit"},
		{limits.RequestRate, &c.MaxRate, 2000, 0, 1 << 30, "most HTTP requests to /api a second from one address, a `number`; 0 for no limit"},

		{limits.Open, &c.MaxOpen, 10_000, 1, 1 << 20, "most documents open on one connection, a `number`"},
		{limits.Connections, &c.MaxConns, 100_000, 1, 1 << 24, "most WebSocket connections at once, a `number`"},
		{limits.AddressConnections, &c.MaxAddressConns, 10_000, 0, 1 << 24, "most WebSocket connections at once from one address, a `number`; 0 for no limit"},
		{limits.AddressHTTP, &c.MaxAddressHTTP, 1000, 0, 1 << 24, "most connections at once from one address that are not WebSockets, a `number`; 0 for no limit; those of trusted proxies are not counted"},
		{limits.Streams, &c.MaxStreams, 1000, 1, 1 << 20, "most HTTP answers without a fixed length at once (events, exports), a `number`"},

		{limits.Memory, &c.MaxMemory, share(2 << 30), 1 << 20, 1 << 50, "memory for open documents in `bytes`, as estimated; those that nobody uses leave first, then no more are opened"},
		{limits.CatchUp, &c.MaxCatchUp, share(256 << 20), 1 << 20, 1 << 50, "memory for what readers missed that come back, in `bytes`, as estimated; who finds no room waits"},
		{limits.Receiving, &c.MaxReceiving, 256 << 20, 1 << 20, 1 << 50, "memory for WebSocket messages of more than 64 KiB on their way in, in `bytes`, each counted as max-message; a quarter of it for one address; who finds no room waits"},
		{limits.Sending, &c.MaxSending, share(1 << 30), 1 << 20, 1 << 50, "memory for what WebSocket clients have not taken of writes of more than 64 KiB, in `bytes`; a quarter of it for one address; past it slow ones are cut off"},
		{limits.Conversion, &c.MaxConversion, 4 << 20, 1024, storage.MaxSnapshot, "largest documents, together, that are converted to or from other forms at one time, in `bytes`"},
	}
}

// share returns a default for memory: so many bytes, or less where GOMEMLIMIT allows the process less than 4 GiB.
func share(bytes int) int {
	const usual = 4 << 30
	limit := debug.SetMemoryLimit(-1)
	if limit >= usual {
		return bytes
	}
	return max(int(float64(bytes)*(float64(limit)/usual)), bytes/32)
}

// number is a limit that is a number.
type number struct {
	name               limits.Name
	at                 *int
	value, least, most int
	usage              string
}

// flags declares the settings and sets them to their defaults.
func (c *limitConfig) flags(fs *flag.FlagSet) {
	for _, n := range c.numbers() {
		fs.IntVar(n.at, string(n.name), n.value, n.usage)
	}
	fs.DurationVar(&c.MaxHeaderTime, string(limits.HeaderTime), 10*time.Second, "most `time` that the header of a request may take")
	fs.StringVar(&c.TrustProxy, "trust-proxy", "", "comma-separated `addresses` and networks (10.0.0.0/8) of reverse proxies that are believed where a request comes from, and whether by https")
	fs.StringVar(&c.ProxyHeader, "proxy-header", "X-Forwarded-For", "`header` by which trusted proxies say so: X-Forwarded-For (with X-Forwarded-Proto) or Forwarded")
}

// check returns what cannot work, each with its name and range; all has the other settings.
func (c *limitConfig) check(all *Config) (errs []error) {
	for _, n := range c.numbers() {
		if *n.at < n.least || *n.at > n.most {
			errs = append(errs, fmt.Errorf("%s is %d; it has to be %d to %d", n.name, *n.at, n.least, n.most))
		}
	}
	if c.MaxHeaderTime < 100*time.Millisecond {
		errs = append(errs, fmt.Errorf("%s is %v; it has to be at least 100ms", limits.HeaderTime, c.MaxHeaderTime))
	}
	if _, err := web.ParseProxies(c.TrustProxy); err != nil {
		errs = append(errs, fmt.Errorf("trust-proxy: %w", err))
	}
	if !strings.EqualFold(c.ProxyHeader, "X-Forwarded-For") && !strings.EqualFold(c.ProxyHeader, "Forwarded") {
		errs = append(errs, fmt.Errorf("proxy-header is %q; it has to be X-Forwarded-For or Forwarded", c.ProxyHeader))
	}
	return errs
}

// proxies returns the proxies that are trusted.
func (c *limitConfig) proxies() web.Proxies {
	trusted, _ := web.ParseProxies(c.TrustProxy) // check has read it
	return web.Proxies{Trusted: trusted, Forwarded: strings.EqualFold(c.ProxyHeader, "Forwarded")}
}

// sessions returns the limits of documents and of what is done with them.
func (c *limitConfig) sessions() session.Limits {
	return session.Limits{
		Document: c.MaxDocument, Operation: c.MaxOperation, Op: ot.Limits{MaxComponents: c.MaxComponents},
		Run: c.MaxRun, Presence: c.MaxPresence, Namespace: c.MaxNamespace,
		ClientRate: c.MaxClientRate, AuthorRate: c.MaxAuthorRate, DocumentRate: c.MaxDocumentRate,
		Memory: c.MaxMemory, CatchUp: c.MaxCatchUp,
	}
}

// web returns the limits of connections, messages and requests.
func (c *limitConfig) web() web.Limits {
	return web.Limits{
		Proxies:    c.proxies(),
		MaxMessage: c.MaxMessage, MaxReceiving: c.MaxReceiving, MaxSending: c.MaxSending, MaxBody: c.MaxBody, MaxImport: c.MaxImport,
		MaxHeader: c.MaxHeader,
		MaxRate:   c.MaxRate, OpenRate: c.MaxOpenRate, PresenceRate: c.MaxPresenceRate,
		MaxOpen: c.MaxOpen, MaxPage: c.MaxPage, MaxStreams: c.MaxStreams, MaxConversion: c.MaxConversion,
		MaxConns: c.MaxConns, MaxAddressConns: c.MaxAddressConns, MaxAddressHTTP: c.MaxAddressHTTP,
	}
}
