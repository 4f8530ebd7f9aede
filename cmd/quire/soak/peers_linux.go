package soak

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"quire/session"
	"quire/web/quirev1"
	"quire/web/quirev1/client"
)

func peerScenarios() []*scenario {
	return []*scenario{
		{name: "deaf", fault: "readers that never read", how: "connections that open a document and take nothing off the network, while it is edited", short: 10, long: 200, run: deaf},
		{name: "dribble", fault: "peers that send a byte a second", how: "half of a request's header, of its body, and of a WebSocket frame, a byte a second each", short: 30, long: 300, run: dribble},
		{name: "flood", fault: "clients that flood", how: "opens, submissions out of order, presence and rubbish as fast as the network takes it", short: 4, long: 50, run: flood},
		{name: "crowd", fault: "many connections at once", how: "all dial at once and open the document that is being edited", short: 150, long: 5000, round: 5000, run: crowd},
	}
}

// mostStrain is how many bytes more than at first a server may have in memory while peers misbehave,
// for each of them, besides twice mostLeft: garbage is collected when there is three times as much as is in use.
const mostStrain = 1 << 20

// strained checks the memory of a server with n strange peers.
func (r *rig) strained(n int) error {
	g, err := r.srv.measure()
	if err != nil {
		return err
	}
	r.notice("%d MiB in memory, %d at first", int(g.memory)>>20, int(r.srv.base.memory)>>20)
	if most := r.srv.base.memory + 2*mostLeft + float64(n)*mostStrain; g.memory > most {
		return fmt.Errorf("with %d strange peers the server has %.0f bytes in memory, at most it should %.0f", n, g.memory, most)
	}
	return r.says(http.StatusOK, "ready")
}

// all calls f for each i in [0, n) at once. The error is the first one, and says how many there are besides.
func all(n int, f func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return fmt.Errorf("%w (and so, or otherwise, %d more of %d)", errs[0], len(errs)-1, n)
}

// deaf has n readers that never read, and edits large enough to fill every buffer between.
func deaf(r *rig, n int) error {
	r.peers = n
	if err := r.begin(r.people(), crewPerDoc); err != nil {
		return err
	}
	doc := r.crew[0].doc
	conns := make([]*client.Conn, n)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	err := all(n, func(i int) error {
		c, _, err := client.Dial(*r.url.Load(), client.Options{})
		if err != nil {
			return err
		}
		conns[i] = c
		if tcp, ok := c.WebSocket().NetConn().(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(4 << 10)
		}
		return c.Send(&quirev1.ClientMessage{T: "open", Doc: &doc})
	})
	if err != nil {
		return err
	}
	// Somebody edits who fills them.
	if err := r.join(r.crew[0].kind, doc, "client-loud", 32<<10); err != nil {
		return err
	}
	loud, most := r.crew[len(r.crew)-1], int64(200)
	if r.Hasty {
		most = 40
	}
	if err := r.until("much was written", func() bool { return loud.acks.Load() >= most }); err != nil {
		return err
	}
	if err := r.everybody(); err != nil {
		return err
	}
	return r.strained(n)
}

// dribble has n peers that send a byte a second, for as long as the server bears it.
func dribble(r *rig, n int) error {
	r.peers = n
	if err := r.begin(r.people(), crewPerDoc); err != nil {
		return err
	}
	const (
		header = "GET /api/docs HTTP/1.1\r\nHost: quire\r\nX-Slow: "
		body   = "POST /api/docs HTTP/1.1\r\nHost: quire\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{\"id\":\""
		frame  = "\x81\xfe\x10\x00\x00\x00\x00\x00{"
	)
	var gone atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	err := all(n, func(i int) error {
		conn, err := r.dribbler(i%3 == 2)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(conn, []string{header, body, frame}[i%3]); err != nil {
			return err
		}
		wg.Go(func() {
			defer conn.Close()
			drip(conn, stop)
			gone.Add(1)
		})
		return nil
	})
	if err != nil {
		return err
	}
	for range 3 {
		if err := r.everybody(); err != nil {
			return err
		}
		r.pause(time.Second)
	}
	if err := r.strained(n); err != nil {
		return err
	}
	if n < 100 {
		return nil // a short run does not wait for the server to lose its patience
	}
	return r.until("requests that take for ever are cut off", func() bool { return gone.Load() >= int64(n*2/3) })
}

// dribbler connects, and makes a WebSocket of it when told to.
func (r *rig) dribbler(socket bool) (net.Conn, error) {
	if socket {
		c, _, err := client.Dial(*r.url.Load(), client.Options{})
		if err != nil {
			return nil, err
		}
		return c.WebSocket().NetConn(), nil
	}
	return net.Dial("tcp", r.srv.addr)
}

// drip sends a byte a second until the other side has enough of it.
func drip(conn net.Conn, stop <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		close(ended)
	}()
	for {
		select {
		case <-tick.C:
			if _, err := conn.Write([]byte("a")); err != nil {
				return
			}
		case <-ended:
			return
		case <-stop:
			return
		}
	}
}

// flood has n clients that send as fast as they can, for the time that others need to be
// acknowledged a few times.
func flood(r *rig, n int) error {
	r.peers = n
	if err := r.begin(r.people(), crewPerDoc); err != nil {
		return err
	}
	var wg sync.WaitGroup
	var sent atomic.Int64
	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop); wg.Wait() })
	defer end()
	for i := range n {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r.pour(fmt.Sprintf("flooder-%04d", i), &sent, stop)
			}
		})
	}
	for range 5 {
		if err := r.everybody(); err != nil {
			return err
		}
		r.pause(200 * time.Millisecond)
	}
	err := r.strained(n)
	end()
	r.notice("%d messages in the flood", sent.Load())
	return err
}

// pour sends rubbish and what is not quite rubbish on one connection, until the server closes it.
func (r *rig) pour(id string, sent *atomic.Int64, stop <-chan struct{}) {
	conn, _, err := client.Dial(*r.url.Load(), client.Options{})
	if err != nil {
		r.pause(10 * time.Millisecond)
		return
	}
	go func() {
		for {
			if _, err := conn.Receive(); err != nil {
				return
			}
		}
	}()
	defer conn.Close()
	own, other := "flood-"+id, r.crew[0].doc
	base, seq := session.Revision(0), uint64(9)
	wide := []json.RawMessage{json.RawMessage(`["` + strings.Repeat("x", 1000) + `"]`)}
	messages := []quirev1.ClientMessage{
		{T: "open", Doc: &own, Client: id, Create: "text"}, {T: "open", Doc: &other, Client: id},
		{T: "submit", Doc: &other, Base: &base, Seq: &seq, Ops: wide}, {T: "presence", Doc: &other, Base: &base, Cursor: json.RawMessage(`[[0,1]]`)},
		{T: "check", Doc: &other}, {T: "ping"}, {T: "nonsense"}, {T: "close", Doc: &own}, {T: "open", Doc: &own, Client: id},
	}
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		_ = conn.WebSocket().SetWriteDeadline(time.Now().Add(patience))
		if conn.Send(&messages[i%len(messages)]) != nil {
			return
		}
		sent.Add(1)
	}
}

// crowd has n readers connect at once, to a document that is edited, and each receive edits.
func crowd(r *rig, n int) error {
	r.peers = n
	r.args = append(r.args, "--max-address-http", "0") // all are of one address, and dial before they are WebSockets
	if err := r.begin(4, 4); err != nil {
		return err
	}
	doc := r.crew[0].doc
	conns := make([]*client.Conn, n)
	began := time.Now()
	var reading sync.WaitGroup
	err := all(n, func(i int) error {
		conn, _, err := client.Dial(*r.url.Load(), client.Options{Timeout: 2 * time.Minute})
		if err != nil {
			return err
		}
		conns[i] = conn
		_ = conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
		if err := conn.Send(&quirev1.ClientMessage{T: "open", Doc: &doc}); err != nil {
			return err
		}
		for {
			m, err := conn.Receive()
			if err != nil || m.T == "error" {
				return errors.Join(err, fmt.Errorf("connection %d: %+v", i, m))
			}
			if m.T == "ops" {
				reading.Go(func() { // or it would be cut off for answering no ping while it waits for the others
					_ = conn.SetReadDeadline(time.Time{})
					for err == nil {
						_, err = conn.Receive()
					}
				})
				return nil
			}
		}
	})
	took := time.Since(began)
	if err == nil {
		err = r.everybody()
	}
	g, merr := r.srv.measure()
	if err = errors.Join(err, merr); err == nil && g.connections < n {
		err = fmt.Errorf("%d connections are open, %d were made", g.connections, n)
	}
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
	reading.Wait()
	r.notice("%d connections served after %.1f s, %d MiB in memory", g.connections, took.Seconds(), int(g.memory)>>20)
	return err
}
