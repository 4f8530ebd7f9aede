package ws

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	peer "github.com/coder/websocket"
)

// TestSendAround: an independent peer reads messages of shared and own parts, compressed and not, small and large, among
// others; and nothing follows a close.
func TestSendAround(t *testing.T) {
	var large bytes.Buffer
	for i := range 60_000 {
		fmt.Fprintf(&large, "%d é ", i*i)
	}
	for _, mode := range []peer.CompressionMode{peer.CompressionDisabled, peer.CompressionNoContextTakeover} {
		h := serve(t, Options{})
		ctx := context.Background()
		c, e := h.dial(mode)
		read := func(want string) {
			t.Helper()
			if _, got, err := c.Read(ctx); err != nil || string(got) != want {
				t.Fatalf("mode %v: %d bytes, %v, want %d", mode, len(got), err, len(want))
			}
		}
		for _, text := range [][]byte{[]byte("small"), large.Bytes()[:sharedFrom], large.Bytes()} {
			m := NewShared(text)
			for _, around := range [][2]string{{"", ""}, {"{", "}"}, {strings.Repeat("h", 70_000), ""}, {"", strings.Repeat("t", 140_000)}} {
				for range 2 {
					e.tell(func(c *Conn) {
						c.SendText([]byte("before"))
						c.SendAround([]byte(around[0]), m, []byte(around[1]))
						c.SendShared(m)
						c.SendText([]byte("after"))
					})
					for _, want := range []string{"before", around[0] + string(text) + around[1], string(text), "after"} {
						read(want)
					}
				}
			}
		}
		e.tell(func(c *Conn) {
			c.Close(CloseTryAgain, "over")
			c.SendAround(nil, NewShared(large.Bytes()), nil)
			if n := c.Waiting(); n > 100 {
				t.Errorf("%d bytes follow a close", n)
			}
		})
		if _, _, err := c.Read(ctx); peer.CloseStatus(err) != CloseTryAgain {
			t.Errorf("the end: %v", err)
		}
	}
}

// TestAroundFrame: the header of a frame says its length in as few bytes as there may be, since browsers refuse others, and
// what it carries is the message.
func TestAroundFrame(t *testing.T) {
	random := make([]byte, sharedFrom)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	for name, text := range map[string][]byte{
		"tiny when compressed": bytes.Repeat([]byte("x"), sharedFrom), "small when compressed": bytes.Repeat(random[:1000], 66), "large": random,
		"at the border": random[:math.MaxUint16], "past it": random[:math.MaxUint16+1],
	} {
		for _, deflate := range []bool{false, true} {
			before, shared, after := NewShared(text).around(nil, nil, deflate)
			frame := slices.Concat(before, shared, after)
			header, n := 2, int(frame[1])
			switch n {
			case 126:
				header, n = 4, int(binary.BigEndian.Uint16(frame[2:]))
			case 127:
				header, n = 10, int(binary.BigEndian.Uint64(frame[2:]))
			}
			want := 2
			if n > math.MaxUint16 {
				want = 10
			} else if n > 125 {
				want = 4
			}
			if header != want || len(frame) != header+n {
				t.Errorf("%s, compressed %t: a header of %d bytes for %d, in all %d", name, deflate, header, n, len(frame))
			}
			got := frame[header:]
			if deflate {
				in := flate.NewReader(io.MultiReader(bytes.NewReader(got), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
				got, _ = io.ReadAll(in)
			}
			if frame[0]&0x40 != 0 != deflate || !bytes.Equal(got, text) {
				t.Errorf("%s, compressed %t: not the message", name, deflate)
			}
		}
	}
}

func (e *echo) tell(f func(c *Conn)) {
	e.mu.Lock()
	e.do = append(e.do, f)
	e.mu.Unlock()
	e.c.Wake()
}

// TestLentCountsOnce: what many are sent is counted once, what they have of their own each time.
func TestLentCountsOnce(t *testing.T) {
	s := sending{most: 1000, each: map[netip.Addr]int{}, lent: map[borrowed]int{}}
	a, b := netip.MustParseAddr("::1"), netip.MustParseAddr("::2")
	m, n := NewShared(make([]byte, 200)), NewShared(make([]byte, 400))
	of := func(m *Shared) []part { return []part{{own: new([]byte)}, {lent: lent{m, m.text[:100]}}} }
	check := func(what string, room, want bool, all, each int) {
		t.Helper()
		if room != want || s.all != all || s.each[a] != each {
			t.Errorf("%s: room %t, %d in all, %d for one; want %t, %d, %d", what, room, s.all, s.each[a], want, all, each)
		}
	}
	check("one", s.enter(a, 10, of(m)), true, 210, 210)
	check("another of the same", s.enter(a, 10, of(m)), true, 220, 220)
	check("the same to another", s.enter(b, 10, of(m)), true, 230, 220)
	check("more than a quarter", s.enter(a, 10, of(n)), false, 640, 630)
	check("what another may have", s.enter(b, 10, of(n)), false, 650, 630)
	s.leave(a, 10, of(n))
	s.leave(b, 10, of(n))
	s.leave(a, 10, of(m))
	check("one is left", true, true, 220, 210)
	s.leave(a, 10, of(m))
	s.leave(b, 10, of(m))
	check("none", s.enter(a, 10, of(n)), true, 410, 410) // alone it may have more
	s.leave(a, 10, of(n))
	if s.all != 0 || len(s.each) != 0 || len(s.lent) != 0 {
		t.Errorf("%d, %v, %v are left", s.all, s.each, s.lent)
	}
}
