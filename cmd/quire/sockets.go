package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
)

// socket is a listening socket that is passed on to a successor. Connections that nobody
// accepts wait in it.
type socket struct {
	name string
	spec string // the address that was asked for; "" when the service manager chose it
	ln   net.Listener
}

// listen returns a listener on the socket; closing it leaves the socket as it is.
func (s *socket) listen() (net.Listener, error) {
	f, err := s.file()
	if errors.Is(err, errors.ErrUnsupported) {
		return s.ln, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	return net.FileListener(f)
}

// socket returns the socket of a name: one that was passed to this process, or a new one on the
// address.
func (m *Main) socket(f *front, name, spec string) (*socket, error) {
	s := &socket{name: name, spec: spec}
	if m.Listener != nil && name == mainSocket {
		s.ln = m.Listener
	} else if got := m.passed.take(name, spec); got != nil {
		s = got
		if s.spec == "" {
			m.Logger.Info("the service manager chose the address", "socket", name, "address", s.ln.Addr().String())
		}
	} else {
		ln, err := net.Listen("tcp", spec)
		if err != nil {
			return nil, fmt.Errorf("cannot serve on %s (%s): %w", spec, spoken[name], reason(err))
		}
		s.ln = ln
	}
	f.sockets = append(f.sockets, s)
	return s, nil
}

// passed is what this process was given when it was started.
type passed struct {
	sockets []*socket
	// from is where the process says that gave it how far it is, nil when that is the service
	// manager.
	from *os.File
}

// handoverVar is the environment variable by which a process tells its successor what it is
// given from file descriptor 3 on: "NAME=ADDRESS", separated by semicolons, and after these the
// pipe for its answers.
const handoverVar = "QUIRE_HANDOVER"

// takePassed takes what this process was given. Call it once, at the start.
func takePassed() (*passed, error) {
	p := &passed{}
	list, given := os.LookupEnv(handoverVar)
	if !given {
		for _, f := range activation.Files(true) {
			name := f.Name()
			if name != redirectSocket && name != adminSocket {
				name = mainSocket
			}
			if err := p.add(f, name, ""); err != nil {
				return nil, err
			}
		}
		return p, nil
	}
	_ = os.Unsetenv(handoverVar)
	fd := uintptr(3)
	for entry := range strings.SplitSeq(list, ";") {
		name, spec, ok := strings.Cut(entry, "=")
		if !ok {
			break
		}
		if err := p.add(os.NewFile(fd, name), name, spec); err != nil {
			return nil, err
		}
		fd++
	}
	p.from = os.NewFile(fd, "predecessor")
	closeOnExec(p.from)
	return p, nil
}

func (p *passed) add(f *os.File, name, spec string) error {
	defer f.Close()
	ln, err := net.FileListener(f)
	if err != nil {
		return fmt.Errorf("the socket %q that was passed cannot be used: %w", f.Name(), err)
	}
	p.sockets = append(p.sockets, &socket{name, spec, ln})
	return nil
}

// take returns the socket of a name, unless another address is wanted now.
func (p *passed) take(name, spec string) *socket {
	if p == nil {
		return nil
	}
	for i, s := range p.sockets {
		if s.name == name && (s.spec == "" || s.spec == spec) {
			p.sockets = append(p.sockets[:i:i], p.sockets[i+1:]...)
			return s
		}
	}
	return nil
}

// rest closes the sockets that nobody took.
func (p *passed) rest() (names []string) {
	if p == nil {
		return nil
	}
	for _, s := range p.sockets {
		names = append(names, s.name)
		_ = s.ln.Close()
	}
	p.sockets = nil
	return names
}

// What a process says to the one that started it.
const (
	heirReady   = "ready"   // its settings are good; it waits for the data
	heirServing = "serving" // it has the data and accepts
)

// say tells the predecessor, if there is one.
func (p *passed) say(what string) {
	if p != nil && p.from != nil {
		_, _ = fmt.Fprintln(p.from, what) // it has ended when that fails
	}
}
