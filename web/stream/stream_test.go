package stream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"quire/storage/storagetest/overdue"
)

// serve runs a server whose every answer is a stream.
func serve(t *testing.T, opt Options, run func(w *Writer) error) (s *Server, addr string) {
	t.Helper()
	overdue.Watch(t)
	s = New(opt)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &fasthttp.Server{ReduceMemoryUsage: true, Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.Response.Header.Set("X-Answer", "yes")
		ctx.SetContentType("text/plain")
		if !s.Start(ctx, run, func() {}) {
			ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
		}
	}}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
		ln.Close()
		<-done
		idle(s)
	})
	return s, ln.Addr().String()
}

// idle waits until no stream runs.
func idle(s *Server) {
	for s.Streams() > 0 {
		time.Sleep(time.Millisecond) // then look again
	}
}

// What is large is sent as it is: of many who do not read, none keeps a copy.
func TestLargeIsNotCopied(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789"), 50_000)
	for _, chunked := range []bool{true, false} {
		here, there := net.Pipe()
		w := &Writer{conn: here, timeout: time.Minute, chunked: chunked}
		got := make(chan []byte)
		go func() {
			var in io.Reader = bufio.NewReader(there)
			if chunked {
				in = httputil.NewChunkedReader(in)
			}
			body, err := io.ReadAll(in)
			if err != nil {
				t.Error(err)
			}
			got <- body
		}()
		fmt.Fprint(w, "a")
		if _, err := w.Write(long); err != nil {
			t.Fatal(err)
		}
		if cap(w.buf) > piece {
			t.Errorf("%d bytes are kept", cap(w.buf))
		}
		fmt.Fprint(w, "b")
		w.end()
		here.Close()
		if body := <-got; string(body) != "a"+string(long)+"b" {
			t.Errorf("%d bytes came", len(body))
		}
	}
}

func TestBody(t *testing.T) {
	long := strings.Repeat("0123456789", 50_000)
	_, addr := serve(t, Options{}, func(w *Writer) error {
		fmt.Fprint(w, "a")
		if err := w.Flush(); err != nil {
			return err
		}
		_, err := io.WriteString(w, long)
		return err
	})
	resp, err := http.Get("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "a"+long || resp.Header.Get("X-Answer") != "yes" || !resp.Close {
		t.Errorf("%v, %d bytes, header %v", err, len(body), resp.Header)
	}
	c, err := net.Dial("tcp", addr) // HTTP/1.0 knows no chunks
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n")
	raw, err := io.ReadAll(c)
	if _, got, _ := bytes.Cut(raw, []byte("\r\n\r\n")); err != nil || string(got) != "a"+long {
		t.Errorf("HTTP/1.0: %v, %d bytes", err, len(got))
	}
}

// TestFailureShows has a body end with an error, and with a panic: the peer can tell, and
// the process goes on.
func TestFailureShows(t *testing.T) {
	var log bytes.Buffer
	fail := make(chan func() error, 1)
	s, addr := serve(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(w *Writer) error {
		fmt.Fprint(w, "half")
		return (<-fail)()
	})
	for name, f := range map[string]func() error{
		"error": func() error { return errors.New("no more") },
		"panic": func() error { panic("no more") },
	} {
		fail <- f
		resp, err := http.Get("http://" + addr)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("%s: the body %q looks whole", name, body)
		}
		resp.Body.Close()
	}
	idle(s)
	if !strings.Contains(log.String(), "panic in a stream") {
		t.Errorf("the log says %q", log.String())
	}
}

func TestMax(t *testing.T) {
	s, addr := serve(t, Options{Max: 1}, func(w *Writer) error {
		fmt.Fprint(w, "here")
		if err := w.Flush(); err != nil {
			return err
		}
		<-w.Context().Done()
		return nil
	})
	first, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(first, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if line, err := bufio.NewReader(first).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatal(line, err)
	}
	status := func() int {
		resp, err := http.Get("http://" + addr)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := status(); got != fasthttp.StatusServiceUnavailable {
		t.Errorf("a second stream: %d", got)
	}
	first.Close() // who leaves is noticed without anything being sent
	idle(s)
	if got := status(); got != fasthttp.StatusOK {
		t.Errorf("after the first left: %d", got)
	}
}

// TestStalledPeer has a peer that reads nothing cut off.
func TestStalledPeer(t *testing.T) {
	ended := make(chan error, 1)
	_, addr := serve(t, Options{WriteTimeout: 20 * time.Millisecond}, func(w *Writer) error {
		for {
			if _, err := w.Write(make([]byte, piece)); err != nil {
				ended <- err
				return err
			}
		}
	})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	var timeout net.Error
	if err := <-ended; !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Error(err)
	}
}

// TestShutdown ends a stream that listens, and does not wait for one that does not.
func TestShutdown(t *testing.T) {
	started, stuck := make(chan struct{}, 2), make(chan struct{})
	s, addr := serve(t, Options{}, func(w *Writer) error {
		started <- struct{}{}
		<-w.Context().Done()
		fmt.Fprint(w, "bye")
		return nil
	})
	got := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + addr)
		if err != nil {
			got <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		got <- fmt.Sprint(string(body), err)
	}()
	<-started
	s.Shutdown(context.Background())
	if said := <-got; said != "bye<nil>" {
		t.Error(said)
	}
	s, addr = serve(t, Options{}, func(w *Writer) error {
		started <- struct{}{}
		<-stuck
		return w.Flush()
	})
	go func() {
		if resp, err := http.Get("http://" + addr); err == nil {
			resp.Body.Close()
		}
	}()
	<-started
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.Shutdown(ctx)
	close(stuck)
}
