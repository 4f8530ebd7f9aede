//go:build unix

package main

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// file returns the socket as a file to be passed on. It stays non-blocking, here and in the
// other process, which os.File.Fd of net's own File would end for both.
func (s *socket) file() (*os.File, error) {
	sc, ok := s.ln.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, dupErr := 0, error(nil)
	if err := raw.Control(func(p uintptr) { fd, dupErr = unix.FcntlInt(p, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, dupErr
	}
	return os.NewFile(uintptr(fd), s.name), nil
}

func closeOnExec(f *os.File) { unix.CloseOnExec(int(f.Fd())) }

// handoverSignal asks the program to hand over to a new process.
const handoverSignal = syscall.SIGUSR2

// hasReader reports whether somebody has the other end of a pipe.
func hasReader(f *os.File) bool {
	fds := []unix.PollFd{{Fd: int32(f.Fd())}}
	_, err := unix.Poll(fds, 0)
	return err != nil || fds[0].Revents&unix.POLLERR == 0
}
