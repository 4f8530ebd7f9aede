package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// A restart without refused connections: this process starts the new one with its sockets. When the
// new one has read its settings and waits for the data, this one lets go of it as if it stopped; who
// connects meanwhile waits in the socket. If the new one fails, before or after, this one goes on.

// heir is the process that is to take over.
type heir struct {
	process *os.Process
	says    <-chan string // what it says; closed when it has ended
}

// alone tells the service manager that the heir is the process to look after, and that it lives.
func (h *heir) alone() { notify(fmt.Sprintf("MAINPID=%d\n%s", h.process.Pid, daemon.SdNotifyWatchdog)) }

// heirWithin is how long an heir may take to read its settings.
const heirWithin = 30 * time.Second

// HandOver starts the program's file anew and hands the sockets and the data over to it. It
// does not wait; the log tells how it goes. Without effect while another one is under way.
func (m *Main) HandOver() {
	select {
	case m.wanted <- struct{}{}:
	default:
	}
}

// heirs starts an heir each time that one is wanted, until ctx ends, and passes on those that
// are ready.
func (m *Main) heirs(ctx context.Context, f *front, ready chan<- *heir) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.wanted:
		}
		h, err := m.raise(ctx, f)
		if err != nil {
			m.Logger.Error("the new process cannot take over; this one goes on", "err", err)
			continue
		}
		select {
		case ready <- h:
			return
		case <-ctx.Done():
			_ = h.process.Kill()
			return
		}
	}
}

// raise starts an heir and waits until it is ready.
func (m *Main) raise(ctx context.Context, f *front) (*heir, error) {
	h, err := m.spawn(f)
	if err != nil {
		return nil, err
	}
	m.Logger.Info("handing over to a new process", "pid", h.process.Pid)
	late := time.NewTimer(heirWithin)
	defer late.Stop()
	select {
	case word, ok := <-h.says:
		if ok && word == heirReady {
			return h, nil
		}
		err = errors.New("it ended before it was ready; what it printed says why")
	case <-late.C:
		err = fmt.Errorf("it was not ready within %v", heirWithin)
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = h.process.Kill()
	return nil, err
}

// spawn starts the program as this process was started, with its sockets.
func (m *Main) spawn(f *front) (*heir, error) {
	if m.Program == "" {
		return nil, errors.New("this process is not the program")
	}
	in, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(m.Program, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	var list strings.Builder
	for _, s := range f.sockets {
		file, err := s.file()
		if err != nil {
			in.Close()
			out.Close()
			return nil, fmt.Errorf("the socket %s cannot be passed on: %w", s.name, err)
		}
		defer file.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
		fmt.Fprintf(&list, "%s=%s;", s.name, s.spec)
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, out)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return name == "LISTEN_PID" || name == "LISTEN_FDS" || name == "LISTEN_FDNAMES" || name == "WATCHDOG_PID"
	}), handoverVar+"="+list.String())
	if os.Getenv("NOTIFY_SOCKET") != "" {
		cmd.SysProcAttr = sibling()
	}
	err = cmd.Start()
	out.Close()
	if err != nil {
		in.Close()
		return nil, err
	}
	says := make(chan string, 2) // all that it says; whether the pipe is read tells it whether this process lives
	go func() {
		defer close(says)
		for lines := bufio.NewScanner(in); lines.Scan(); {
			says <- lines.Text()
		}
		in.Close()
		_ = cmd.Wait() // an error when it is a sibling
	}()
	return &heir{process: cmd.Process, says: says}, nil
}

// inherited waits until an heir, which may have the data now, serves. It reports false when it
// failed: this process has to go on.
func (m *Main) inherited(ctx context.Context, h *heir) bool {
	select {
	case word, ok := <-h.says:
		if ok && word == heirServing {
			m.Logger.Info("the new process serves", "pid", h.process.Pid)
			h.alone()
			return true
		}
		_ = h.process.Kill()
		for range h.says { // until it has ended, and the data is free
		}
		m.Logger.Error("the new process ended before it served; this one goes on", "pid", h.process.Pid)
		return false
	case <-m.stop:
	case <-ctx.Done():
	}
	// Whoever stops this process means the one that is to be.
	_ = h.process.Signal(os.Interrupt)
	return true
}

// programPath returns the file that this process was started from by the name that it was
// started by, so that another version may have taken its place.
func programPath() string {
	if path, err := exec.LookPath(os.Args[0]); err == nil {
		if path, err = filepath.Abs(path); err == nil {
			return path
		}
	}
	path, _ := os.Executable()
	return path
}
