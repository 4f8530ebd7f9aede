//go:build !linux

package ws

import "net"

// queued cannot be told on this system: a peer is judged by its answers to pings and
// by what it takes from a full buffer.
func queued(net.Conn) int { return 0 }
