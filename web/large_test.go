package web

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// TestSlowBody cuts off a body that does not come, and one that trickles.
func TestSlowBody(t *testing.T) {
	for name, send := range map[string]func(c net.Conn) error{
		"nothing": func(net.Conn) error { return nil },
		"trickle": func(c net.Conn) error {
			for {
				if _, err := c.Write([]byte("x")); err != nil {
					return err
				}
				time.Sleep(time.Millisecond) // slower than 16 KiB a second
			}
		},
	} {
		here, there := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- send(there) }()
		_, err := io.ReadAll(&slowReader{conn: here, left: 1 << 20, patience: 30 * time.Millisecond})
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		here.Close()
		<-done
		there.Close()
	}
}
