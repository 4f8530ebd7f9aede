package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
)

// broadcaster is the least that a server of shared documents can do: it sends each
// text frame that a connection to /room/NAME brings to everybody in that room, its
// sender included. It orders nothing, merges nothing and keeps nothing.
type broadcaster struct {
	perFrame bool // one write per frame; else everything waiting in one write
	upgrader websocket.FastHTTPUpgrader
	metrics  fasthttp.RequestHandler
	rooms    sync.Map // of *room by name
}

type room struct {
	mu      sync.Mutex
	members map[*peer]struct{}
}

// peer is a connection in a room.
type peer struct {
	perFrame bool
	nc       net.Conn

	mu sync.Mutex
	// Guarded by mu.
	frames  [][]byte // when perFrame
	waiting []byte   // else
	spare   []byte
	sending bool
}

func newBroadcaster(perFrame bool) *broadcaster {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &broadcaster{
		perFrame: perFrame,
		upgrader: websocket.FastHTTPUpgrader{ReadBufferSize: 512, WriteBufferSize: 2048, WriteBufferPool: &sync.Pool{}},
		metrics:  fasthttpadaptor.NewFastHTTPHandler(promhttp.HandlerFor(registry, promhttp.HandlerOpts{})),
	}
}

// serveRaw runs a broadcaster until ctx ends and tells its URL as the server does.
func serveRaw(ctx context.Context, listen string, perFrame bool, out io.Writer) error {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("cannot serve on %s: %w", listen, err)
	}
	b := newBroadcaster(perFrame)
	server := &fasthttp.Server{Handler: b.handle, ReduceMemoryUsage: true, ReadBufferSize: 8 << 10, ReadTimeout: 15 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	fmt.Fprintf(out, "The broadcaster is at http://%s/\n", ln.Addr())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return ln.Close() // its connections end with the process
	}
}

func (b *broadcaster) handle(ctx *fasthttp.RequestCtx) {
	name, ok := strings.CutPrefix(string(ctx.Path()), "/room/")
	switch {
	case string(ctx.Path()) == "/metrics":
		b.metrics(ctx)
	case !ok:
		ctx.Error("a room is at /room/NAME", fasthttp.StatusNotFound)
	default:
		if err := b.upgrader.Upgrade(ctx, func(w *websocket.Conn) { b.run(w, name) }); err != nil {
			ctx.Error(err.Error(), fasthttp.StatusBadRequest)
		}
	}
}

// run is a connection's life.
func (b *broadcaster) run(w *websocket.Conn, name string) {
	v, _ := b.rooms.LoadOrStore(name, &room{members: map[*peer]struct{}{}})
	r, p := v.(*room), &peer{perFrame: b.perFrame, nc: w.NetConn()}
	r.mu.Lock()
	r.members[p] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.members, p)
		r.mu.Unlock()
		w.Close()
	}()
	for {
		_, data, err := w.ReadMessage()
		if err != nil {
			return
		}
		frame := textFrame(data)
		r.mu.Lock()
		for m := range r.members {
			m.push(frame)
		}
		r.mu.Unlock()
	}
}

// textFrame returns a server's frame of a text message.
func textFrame(data []byte) []byte {
	frame := make([]byte, 0, len(data)+10)
	switch n := len(data); {
	case n < 126:
		frame = append(frame, 0x80|opText, byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|opText, 126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|opText, 127), uint64(n))
	}
	return append(frame, data...)
}

// push has a frame sent soon, by a goroutine that exists only while there is
// something to send.
func (p *peer) push(frame []byte) {
	p.mu.Lock()
	if p.perFrame {
		p.frames = append(p.frames, frame)
	} else {
		p.waiting = append(p.waiting, frame...)
	}
	if !p.sending {
		p.sending = true
		go p.send()
	}
	p.mu.Unlock()
}

func (p *peer) send() {
	for {
		p.mu.Lock()
		frames, bytes := p.frames, p.waiting
		p.frames, p.waiting, p.spare = nil, p.spare[:0], nil
		p.sending = len(frames)+len(bytes) > 0
		if !p.sending {
			p.waiting, p.spare = nil, nil
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		var err error
		for _, f := range frames {
			if _, err = p.nc.Write(f); err != nil {
				break
			}
		}
		if len(bytes) > 0 {
			_, err = p.nc.Write(bytes)
		}
		if err != nil {
			p.nc.Close() // its reader ends
		}
		p.mu.Lock()
		p.spare = bytes
		p.mu.Unlock()
	}
}
