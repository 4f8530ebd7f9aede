package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/valyala/fasthttp/fasthttputil"

	"quire/cmd/quire/commands"
	"quire/storage"
	"quire/storage/bolt"
)

// serveHere serves a data folder in this process with the settings that environ has, on
// connections in memory that dial makes, until stop. See commands.Program.
func serveHere(ctx context.Context, folder string, environ []string, errOut io.Writer) (dial func() (net.Conn, error), stop func() error, err error) {
	if _, err := os.Stat(filepath.Join(folder, dataFile)); err != nil {
		return nil, nil, noData(folder, err)
	}
	c, err := settings([]string{"--data", folder}, environ, io.Discard)
	if err != nil {
		return nil, nil, err
	}
	c.AdminListen = "" // nobody is asked who they are here, and nobody else is to come in
	ln := fasthttputil.NewInmemoryListener()
	m := NewMain(c, io.Discard, slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: max(c.LogLevel, slog.LevelWarn)})))
	m.Listener, m.Private = ln, true
	ready, done := make(chan struct{}), make(chan error, 1)
	m.Ready = func(string) { close(ready) }
	go func() { done <- m.Run(context.WithoutCancel(ctx)) }()
	select {
	case <-ready:
		return ln.Dial, func() error { m.Close(); return <-done }, nil
	case err := <-done:
		return nil, nil, folderError(folder, err)
	}
}

// noData is the error of a folder without data.
func noData(folder string, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return commands.Errorf(commands.NotFound, "there is no data at %s", folder)
	}
	return err
}

// folderError gives an error of opening a data folder its exit code, and says how to reach the
// server that has it.
func folderError(folder string, err error) error {
	switch {
	case errors.Is(err, bolt.ErrLocked):
		url, readErr := os.ReadFile(filepath.Join(folder, addressName))
		if readErr != nil {
			return commands.Errorf(commands.Unreachable, "another quire uses the data folder %s: wait for it to end, or reach it with --server", folder)
		}
		return commands.Errorf(commands.Unreachable, "a server uses the data folder %s: reach it with --server %s, or stop it first", folder, strings.TrimRight(string(url), "/\n"))
	case errors.Is(err, storage.ErrCorrupt), errors.Is(err, bolt.ErrForeign):
		return &commands.Error{Code: commands.Damaged, Err: err}
	case errors.Is(err, os.ErrNotExist):
		return &commands.Error{Code: commands.NotFound, Err: err}
	}
	return err
}
