package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

// Config is everything the server can be told. Each field has one name, used as a
// flag (--max-document), as an environment variable (QUIRE_MAX_DOCUMENT) and in the
// configuration file (max-document = 16777216); a flag wins over the environment, and
// the environment over the file.
type Config struct {
	Listen      string
	Data        string
	Origins     string
	LogLevel    slog.Level
	PingEvery   time.Duration
	IdleAfter   time.Duration
	HistoryKeep historyKeep
	StopWithin  time.Duration
	ComeBack    time.Duration
	LockTimeout time.Duration
	HookPrivate bool
	HookGiveUp  time.Duration
	HookOwner   time.Duration

	authConfig
	limitConfig
	serveConfig
	watchConfig
	webConfig

	set         *flag.FlagSet // bound to the fields above
	listenGiven bool          // listen is from the arguments
}

// flags declares the settings and sets them to their defaults.
func (c *Config) flags() *flag.FlagSet {
	fs := flag.NewFlagSet("quire serve", flag.ContinueOnError)
	fs.StringVar(&c.Listen, "listen", "127.0.0.1:8080", "`address` to serve on; port 0 takes a free one")
	fs.StringVar(&c.Data, "data", "./quire-data", "`folder` that keeps the documents")
	fs.StringVar(&c.Origins, "origins", "", "comma-separated `origins` (https://example.org) whose pages may connect besides this server's own, or *")
	fs.TextVar(&c.LogLevel, "log-level", slog.LevelInfo, "`level` from which to log: debug, info, warn or error")
	fs.Lookup("log-level").DefValue = "info" // as one writes it
	fs.DurationVar(&c.PingEvery, "ping-every", 25*time.Second, "`time` between pings; a peer silent for two of them is cut off")
	fs.DurationVar(&c.IdleAfter, "idle-after", 30*time.Second, "`time` after which a document that nobody has open leaves memory")
	fs.TextVar(&c.HistoryKeep, "history-keep", historyKeep{}, "how much of the `past` of documents to keep: 90d, 10000 (revisions) or 90d,10000; everything when empty")
	fs.DurationVar(&c.StopWithin, "stop-within", 10*time.Second, "most `time` that stopping may take")
	fs.DurationVar(&c.ComeBack, "come-back", 3*time.Second, "`time` over which clients are told to spread their return after a stop")
	fs.DurationVar(&c.LockTimeout, "lock-timeout", 2*time.Second, "`time` to wait for another process to let go of the data")
	fs.BoolVar(&c.HookPrivate, "hooks-private", false, "let webhooks be sent to loopback and private addresses")
	fs.DurationVar(&c.HookGiveUp, "hooks-give-up", 24*time.Hour, "`time` that a webhook is tried before it becomes a dead letter")
	fs.DurationVar(&c.HookOwner, "hooks-owner-within", 90*24*time.Hour, "`time` after which a webhook of who is no operator ends unless its owner was seen with the right to it")
	c.authConfig.flags(fs)
	c.limitConfig.flags(fs)
	c.serveConfig.flags(fs)
	c.watchConfig.flags(fs)
	c.webConfig.flags(fs)
	return fs
}

// configure reads the settings from the arguments, the environment (as "NAME=value")
// and the file that --config or QUIRE_CONFIG names.
func configure(args, environ []string, out io.Writer) (*Config, error) {
	c := &Config{}
	fs := c.flags()
	c.set = fs
	file := fs.String("config", "", "`file` with settings, one \"name = value\" a line")
	fs.SetOutput(io.Discard) // the error is printed once, by run
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			usage(out, fs)
		}
		return nil, form(err)
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q; quire help lists the commands", fs.Arg(0))
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	c.listenGiven = given["listen"]
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if rest, ok := strings.CutPrefix(name, "QUIRE_"); ok {
			name := strings.ReplaceAll(strings.ToLower(rest), "_", "-")
			switch name {
			case "traces", "server", "author", "token", "token-file", "handover": // the tests', the other commands', a predecessor's
				continue
			}
			if given[name] {
				continue
			}
			if fs.Lookup(name) == nil {
				return nil, fmt.Errorf("environment: there is no setting QUIRE_%s; quire help lists the names", rest)
			}
			if err := fs.Set(name, value); err != nil {
				return nil, fmt.Errorf("environment: QUIRE_%s: %w", rest, form(err))
			}
			given[name] = true
		}
	}
	if *file != "" {
		if err := readFile(*file, fs, given); err != nil {
			return nil, err
		}
	}
	return c, c.check()
}

// form says which setting there is not, and how values are written when one could not be read.
func form(err error) error {
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		return fmt.Errorf("there is no setting --%s; quire help lists them", strings.TrimLeft(name, "-"))
	}
	if strings.HasSuffix(err.Error(), "parse error") {
		return fmt.Errorf("%w; numbers are written as 16777216, times as 500ms, 30s or 5m", err)
	}
	return err
}

// readFile takes settings from a file for the names that were not given elsewhere.
func readFile(name string, fs *flag.FlagSet, given map[string]bool) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || key == "config" || fs.Lookup(key) == nil {
			return fmt.Errorf("configuration: %s:%d: there is no setting %q; a line reads \"name = value\"", name, n, key)
		}
		if given[key] {
			continue
		}
		if err := fs.Set(key, value); err != nil {
			return fmt.Errorf("configuration: %s:%d: %s: %w", name, n, key, form(err))
		}
	}
	return lines.Err()
}

// check refuses settings that cannot work, each with its name and range.
func (c *Config) check() error {
	var errs []error
	positive := func(name string, d, least time.Duration) {
		if d < least {
			errs = append(errs, fmt.Errorf("%s is %v; it has to be at least %v", name, d, least))
		}
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("listen is %q; it has to be host:port", c.Listen))
	}
	if c.Data == "" {
		errs = append(errs, errors.New("data is empty; it has to name a folder"))
	}
	for _, o := range splitList(c.Origins) {
		if u, err := url.Parse(o); o != "*" && (err != nil || u.Scheme == "" || u.Host == "" || u.Path != "") {
			errs = append(errs, fmt.Errorf("origins has %q; an origin reads https://example.org or http://localhost:3000", o))
		}
	}
	positive("ping-every", c.PingEvery, 100*time.Millisecond)
	positive("idle-after", c.IdleAfter, time.Millisecond)
	positive("stop-within", c.StopWithin, 100*time.Millisecond)
	positive("come-back", c.ComeBack, time.Millisecond)
	positive("lock-timeout", c.LockTimeout, time.Millisecond)
	positive("hooks-give-up", c.HookGiveUp, time.Second)
	positive("hooks-owner-within", c.HookOwner, time.Hour)
	errs = append(errs, c.authConfig.check(c)...)
	errs = append(errs, c.limitConfig.check(c)...)
	errs = append(errs, c.serveConfig.check(c)...)
	errs = append(errs, c.watchConfig.check(c)...)
	errs = append(errs, c.webConfig.check(c)...)
	return errors.Join(errs...)
}

// print writes the settings as a configuration file would.
func (c *Config) print(out io.Writer) {
	c.set.VisitAll(func(f *flag.Flag) {
		if f.Name != "config" {
			fmt.Fprintf(out, "%s = %s\n", f.Name, f.Value)
		}
	})
}
