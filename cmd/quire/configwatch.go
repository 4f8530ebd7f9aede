package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"

	"quire/web/trail"
)

// watchConfig is the part of Config about what the server tells about itself: logs, traces, the operators' address.
type watchConfig struct {
	LogFormat   string
	AccessLog   bool
	AuditLog    string
	AdminListen string
	Backups     string
}

// flags declares the settings and sets them to their defaults.
func (c *watchConfig) flags(fs *flag.FlagSet) {
	fs.StringVar(&c.LogFormat, "log-format", "text", "`form` of the log on standard error: text or json, one object a line")
	fs.BoolVar(&c.AccessLog, "access-log", false, "log every request and connection at level info, not debug")
	fs.StringVar(&c.AuditLog, "audit-log", "", "`file` to append to, as JSON lines, who did what from where; none when empty; opened again on SIGHUP")
	fs.StringVar(&c.AdminListen, "admin-listen", "", "`address` of a second listener, for operators: their page, metrics and profiles; none when empty")
	fs.StringVar(&c.Backups, "backups", "", "`folder` for the backups that operators have the server make; backups in the data folder when empty")
}

// check returns what cannot work, each with its name and range; all has the other settings.
func (c *watchConfig) check(all *Config) (errs []error) {
	if c.LogFormat != "text" && c.LogFormat != "json" {
		errs = append(errs, fmt.Errorf("log-format is %q; it has to be text or json", c.LogFormat))
	}
	if c.AdminListen != "" {
		host, _, err := net.SplitHostPort(c.AdminListen)
		if err != nil {
			errs = append(errs, fmt.Errorf("admin-listen is %q; it has to be host:port", c.AdminListen))
		} else if !all.asks() && !loopbackHost(host) {
			errs = append(errs, errAdminOpen(c.AdminListen))
		}
	}
	return errs
}

// errAdminOpen refuses a listener for operators where everybody would be one.
func errAdminOpen(addr string) error {
	return fmt.Errorf("admin-listen is %q, which others can reach, and this server asks nobody who they are: give it a loopback address such as 127.0.0.1:8081, or set up authentication", addr)
}

// logger makes the server's log.
func (c *Config) logger(out io.Writer) *slog.Logger {
	opt := &slog.HandlerOptions{Level: c.LogLevel}
	var h slog.Handler = slog.NewTextHandler(out, opt)
	if c.LogFormat == "json" {
		opt.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindDuration { // else a bare number of nanoseconds
				a.Value = slog.Float64Value(a.Value.Duration().Seconds())
			}
			return a
		}
		h = slog.NewJSONHandler(out, opt)
	}
	return slog.New(trail.LogHandler{Handler: h})
}
