package ws

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	peer "github.com/coder/websocket"

	"quire/session/limits"
)

// TestSluggardsAreBounded: what peers do not take is held for some of them, not for any number; and who reads gets
// what there is.
func TestSluggardsAreBounded(t *testing.T) {
	const size = 24 << 20 // more than the kernel takes
	limited := make(chan limits.Name, 10)
	h := serve(t, Options{MaxSending: 4 * (2*size - 1), HurryTime: 100 * time.Millisecond, Limited: func(n limits.Name) { limited <- n }})
	ctx := context.Background()
	sluggard := func() *echo {
		c, e := h.dial(peer.CompressionDisabled)
		if err := c.Write(ctx, peer.MessageText, fmt.Appendf(nil, "flood %d", size)); err != nil {
			t.Fatal(err)
		}
		return e
	}
	first, second := sluggard(), sluggard()
	var left *echo
	select {
	case <-first.ended:
		left = second
	case <-second.ended:
		left = first
	}
	if name := <-limited; name != limits.Sending {
		t.Errorf("what was too much: %s", name)
	}
	reader, _ := h.dial(peer.CompressionDisabled)
	if err := reader.Write(ctx, peer.MessageText, fmt.Appendf(nil, "flood %d", size/2)); err != nil {
		t.Fatal(err)
	}
	if _, msg, err := reader.Read(ctx); err != nil || len(msg) != size/2 {
		t.Fatalf("who reads: %d bytes, %v", len(msg), err)
	}
	select {
	case <-left.ended:
		t.Error("the one that there was room for is gone")
	default:
	}
}

// TestHeldIsCounted: what a handler keeps for a peer counts with what the peer does not take, and when that is too
// much, a write that had all the time there is has it no more.
func TestHeldIsCounted(t *testing.T) {
	const size, most = 24 << 20, 256 << 20
	limited := make(chan limits.Name, 10)
	// No ping comes in between: it would end a hurry.
	h := serve(t, Options{MaxSending: most, HurryTime: 100 * time.Millisecond, PingEvery: time.Hour, Limited: func(n limits.Name) { limited <- n }})
	ctx := context.Background()
	c, sluggard := h.dial(peer.CompressionDisabled)
	if err := c.Write(ctx, peer.MessageText, fmt.Appendf(nil, "flood %d", size)); err != nil {
		t.Fatal(err)
	}
	for counted := 0; counted < size; { // the write is under way
		sluggard.c.s.sending.mu.Lock()
		counted = sluggard.c.s.sending.all
		sluggard.c.s.sending.mu.Unlock()
		runtime.Gosched()
	}
	if !sluggard.c.Hold(most/4 - 2*size) {
		t.Error("there is no room where there is some")
	}
	select {
	case <-sluggard.ended:
		t.Error("a peer that there is room for is gone")
	default:
	}
	if sluggard.c.Hold(size) {
		t.Error("there is room where there is none")
	}
	<-sluggard.ended
	if name := <-limited; name != limits.Sending {
		t.Errorf("what was too much: %s", name)
	}
	sluggard.c.Hold(2*size - most/4)
	sluggard.c.Hold(-size)
	reader, quick := h.dial(peer.CompressionDisabled)
	reader.SetReadLimit(-1)
	if !quick.c.Hold(1) || quick.c.Hold(most) {
		t.Error("there is room for everything")
	}
	quick.c.Hold(-1 - most)
	if !quick.c.nc.wire.hurried() {
		t.Error("it is in no hurry")
	}
	for _, size := range []int{100, size} { // what the kernel takes at once is taken, and the hurry has passed
		if err := reader.Write(ctx, peer.MessageText, fmt.Appendf(nil, "flood %d", size)); err != nil {
			t.Fatal(err)
		}
		if _, msg, err := reader.Read(ctx); err != nil || len(msg) != size {
			t.Fatalf("who reads: %d bytes, %v", len(msg), err)
		}
	}
	if quick.c.nc.wire.hurried() || len(limited) > 0 {
		t.Error("it is in a hurry still")
	}
}

// TestLentIsCounted: what is lent to a write keeps memory by its own size, however small it is on the wire.
func TestLentIsCounted(t *testing.T) {
	h := serve(t, Options{})
	_, sluggard := h.dial(peer.CompressionNoContextTakeover)
	m := NewShared(make([]byte, 4<<20))
	if n := len(m.deflated()); n >= maxPooled {
		t.Fatalf("%d bytes on the wire", n)
	}
	var again func(c *Conn)
	again = func(c *Conn) {
		c.SendShared(m)
		sluggard.tell(again)
	}
	sluggard.tell(again)
	for counted := 0; counted < len(m.text); { // a write waits for the peer
		sluggard.c.s.sending.mu.Lock()
		counted = sluggard.c.s.sending.all
		sluggard.c.s.sending.mu.Unlock()
		runtime.Gosched()
	}
	_ = sluggard.c.nc.cut()
	<-sluggard.ended
	if s := &h.s.sending; s.all != 0 || len(s.each) != 0 || len(s.lent) != 0 {
		t.Errorf("%d, %v, %v are left", s.all, s.each, s.lent)
	}
}

// TestHurry: neither of the ends of writes takes the other back.
func TestHurry(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	w := wire{Conn: a}
	w.bePatient(time.Hour, func() {})
	w.hurry(time.Nanosecond)
	if _, err := w.Write([]byte("x")); err == nil || !w.tooSlow() || w.tooSlow() {
		t.Errorf("in a hurry: %v", err)
	}
	w.finish(time.Nanosecond)
	w.hurry(time.Hour)
	w.hurry(0)
	if _, err := w.Write([]byte("x")); err == nil || w.tooSlow() {
		t.Errorf("at its end: %v", err)
	}
}
