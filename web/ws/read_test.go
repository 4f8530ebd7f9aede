package ws

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"testing"
	"time"

	peer "github.com/coder/websocket"

	"quire/session/limits"
)

// TestLargeMessagesHaveRoom: whoever begins large messages on many connections and does not end them holds no more
// memory than there is for them, and small ones go on.
func TestLargeMessagesHaveRoom(t *testing.T) {
	const size = 200_000
	limited := make(chan limits.Name, 1)
	h := serve(t, Options{MaxMessage: size, MaxReceiving: 4 * size, RoomWait: 10 * time.Millisecond, Limited: func(n limits.Name) {
		select {
		case limited <- n:
		default: // the first is looked at
		}
	}})
	whole := frame(0x81, bytes.Repeat([]byte("x"), size))
	type begun struct {
		c net.Conn
		r *bufio.Reader
	}
	refused := make(chan begun, 2)
	var both []begun
	for range 2 {
		c, r, _ := h.raw()
		if _, err := c.Write(whole[:size-10]); err != nil {
			t.Fatal(err)
		}
		b := begun{c, r}
		both = append(both, b)
		go func() {
			if code := closeCode(t, r); code == CloseTryAgain {
				refused <- b
			}
		}()
	}
	gone := <-refused
	if name := <-limited; name != limits.Receiving {
		t.Errorf("what was too much: %s", name)
	}
	small, _ := h.dial(peer.CompressionDisabled)
	ctx := context.Background()
	if err := small.Write(ctx, peer.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, msg, err := small.Read(ctx); err != nil || string(msg) != "hello" {
		t.Fatalf("beside it: %q, %v", msg, err)
	}
	for _, b := range both {
		if b != gone {
			if _, err := b.c.Write(append(whole[size-10:], frame(0x81, []byte("leave"))...)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Read once more, the first has ended: its room is another's.
	last, _ := h.dial(peer.CompressionDisabled)
	for {
		if err := last.Write(ctx, peer.MessageText, whole[len(whole)-size:]); err != nil {
			t.Fatal(err)
		}
		_, msg, err := last.Read(ctx)
		if err == nil && len(msg) == size {
			return
		}
		if peer.CloseStatus(err) != CloseTryAgain {
			t.Fatalf("%d bytes, %v", len(msg), err)
		}
		last, _ = h.dial(peer.CompressionDisabled) // too early
	}
}

// TestRoomComesBack: also of messages that are refused.
func TestRoomComesBack(t *testing.T) {
	h := serve(t, Options{MaxMessage: 200_000, MaxReceiving: 4 * 200_000, RoomWait: time.Millisecond})
	for range 3 {
		c, e := h.dial(peer.CompressionDisabled)
		if err := c.Write(context.Background(), peer.MessageText, bytes.Repeat([]byte("x"), 200_001)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Read(context.Background()); peer.CloseStatus(err) != CloseTooBig {
			t.Fatal(err)
		}
		<-e.ended
	}
}
