package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"quire/web/certs"
)

// The names of the sockets, which a service manager may also give to those that it passes.
const (
	mainSocket     = "quire"
	redirectSocket = "redirect"
	adminSocket    = "admin"
)

// spoken are the settings that say where the sockets are.
var spoken = map[string]string{mainSocket: "listen", redirectSocket: "http-redirect", adminSocket: "admin-listen"}

// fileLook is how often the files of the certificate and of keys are looked at.
const fileLook = 2 * time.Second

// front is what the server accepts connections on, and how. It is there before the data is
// opened, and outlives the giving up of the data to a successor, in case that fails.
type front struct {
	sockets  []*socket // all, to be passed on
	main     *socket
	admin    *socket     // for operators; nil: there is none
	tls      *tls.Config // nil: plain
	files    *certs.Files
	redirect *http.Server
	stop     context.CancelFunc
}

// openFront opens the sockets and reads the certificate. Close it.
func (m *Main) openFront() (*front, error) {
	ctx, stop := context.WithCancel(context.Background())
	f := &front{stop: stop}
	err := m.fillFront(ctx, f)
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (m *Main) fillFront(ctx context.Context, f *front) (err error) {
	c := m.Config
	if f.main, err = m.socket(f, mainSocket, c.Listen); err != nil {
		return err
	}
	if c.AdminListen != "" {
		if f.admin, err = m.socket(f, adminSocket, c.AdminListen); err != nil {
			return err
		}
	}
	// The settings were checked, but a socket that was passed may be another one than they say.
	if f.admin != nil && !c.asks() {
		if tcp, ok := f.admin.ln.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
			return errAdminOpen(tcp.String())
		}
	}
	if m.Listener != nil {
		return nil
	}
	if tcp, ok := f.main.ln.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() && !c.asks() && !c.InsecureOpen {
		return fmt.Errorf("other machines can reach %s, and nobody would be asked who they are: configure who is (docs/auth.md), or insecure-open to let everybody do everything", tcp)
	}
	if !c.secure() {
		return nil
	}
	var challenges func(http.Handler) http.Handler
	if c.TLSCert != "" {
		if f.files, err = certs.Open(c.TLSCert, c.TLSKey, m.Logger); err != nil {
			return fmt.Errorf("the certificate cannot be used: %w", err)
		}
		f.tls = certs.Config(f.files.Get)
		go f.files.Watch(ctx, fileLook)
	} else {
		acme, err := certs.NewACME(certs.ACMEOptions{Domains: splitList(c.ACMEDomain), Email: c.ACMEEmail, Directory: c.ACMEDirectory, Cache: c.acmeCache(), Logger: m.Logger})
		if err != nil {
			return err
		}
		f.tls = acme.TLS()
		if c.HTTPRedirect != "" {
			challenges = acme.Challenges
		}
		m.obtain = acme.Obtain
	}
	if c.HTTPRedirect == "" {
		return nil
	}
	return m.startRedirect(f, challenges)
}

// startRedirect serves plain HTTP. challenges is what wraps the handler; may be nil.
func (m *Main) startRedirect(f *front, challenges func(http.Handler) http.Handler) error {
	s, err := m.socket(f, redirectSocket, m.Config.HTTPRedirect)
	if err != nil {
		return err
	}
	ln, err := s.listen()
	if err != nil {
		return err
	}
	handler := toHTTPS(f.main.ln.Addr())
	if challenges != nil {
		handler = challenges(handler)
	}
	t := m.Config.timeouts()
	f.redirect = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: t.Header,
		ReadTimeout:       t.Header,
		WriteTimeout:      t.Write,
		IdleTimeout:       t.KeepAlive,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(m.Logger.Handler(), slog.LevelDebug),
	}
	go func(s *http.Server) {
		if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			m.Logger.Error("plain HTTP is not redirected any more", "err", err)
		}
	}(f.redirect)
	return nil
}

// toHTTPS sends requests on to https at the port of an address. Only those for reading are: what
// else a client sent, a credential among it, went in the open, which it should hear.
func toHTTPS(addr net.Addr) http.Handler {
	port := ""
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.Port != 443 {
		port = fmt.Sprintf(":%d", tcp.Port)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		host = strings.Trim(host, "[]")
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		w.Header().Set("Connection", "close")
		if host == "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "This server is at https only.", http.StatusBadRequest)
			return
		}
		http.Redirect(w, r, "https://"+host+port+r.URL.RequestURI(), http.StatusPermanentRedirect)
	})
}

// close closes everything; what a successor was given stays open there.
func (f *front) close() {
	f.stop()
	if f.redirect != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if f.redirect.Shutdown(ctx) != nil {
			_ = f.redirect.Close()
		}
	}
	for _, s := range f.sockets {
		_ = s.ln.Close()
	}
}

// scheme is how URLs of the server begin.
func (f *front) scheme() string {
	if f.tls != nil {
		return "https"
	}
	return "http"
}
