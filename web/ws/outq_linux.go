package ws

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// queued returns how many bytes the kernel holds that the peer has not acknowledged
// (SIOCOUTQ, tcp(7)), or 0 when that cannot be told.
func queued(c net.Conn) int {
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	return n
}
