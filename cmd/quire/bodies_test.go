package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// connection is a connection that HTTP is spoken on by hand.
type connection struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func connect(t *testing.T, url string) *connection {
	t.Helper()
	return connectFrom(t, url, "127.0.0.1")
}

// connectFrom is connect from one of the machine's own addresses.
func connectFrom(t *testing.T, url, addr string) *connection {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	c, err := d.Dial("tcp", strings.Trim(strings.TrimPrefix(url, "http://"), "/"))
	if err != nil && addr != "127.0.0.1" {
		t.Skipf("this machine has no %s: %v", addr, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &connection{t, c, bufio.NewReader(c)}
}

// say writes; the peer may have closed.
func (c *connection) say(format string, args ...any) { fmt.Fprintf(c, format, args...) }

// answer reads one response.
func (c *connection) answer() (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, &http.Request{Method: "PUT"})
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, string(body)
}

// TestLargeBodies sends bodies above max-message in all the ways there are.
func TestLargeBodies(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir(), "--max-message", "2000", "--max-body", "50000")
	const head = "PUT /api/docs/%s HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: *\r\nContent-Type: text/plain\r\n"
	text := strings.Repeat("large text\n", 4000) // 44,000 bytes
	chunks := func(s string) string {
		var b bytes.Buffer
		for len(s) > 0 {
			n := min(len(s), 3001)
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, s[:n])
			s = s[n:]
		}
		return b.String() + "0\r\n\r\n"
	}
	for _, x := range []struct {
		name, header, body string
		status             int
		want               string
	}{
		{"small", "Content-Length: 5\r\n", "hello", 201, ""},
		{"length", fmt.Sprintf("Content-Length: %d\r\n", len(text)), text, 201, ""},
		{"chunked", "Transfer-Encoding: chunked\r\n", chunks(text), 201, ""},
		{"chunkedsmall", "Transfer-Encoding: chunked\r\n", chunks("x"), 201, ""},
		{"toolong", "Content-Length: 100000000\r\n", text, 413, `"limit":50000`},
		{"toolongchunked", "Transfer-Encoding: chunked\r\n", chunks(text + text), 413, `"limit":50000`},
		{"badchunks", "Transfer-Encoding: chunked\r\n", "zz\r\nxx\r\n", 400, "bad_request"},
		{"notutf8", "Content-Length: 3000\r\n", strings.Repeat("\xff", 3000), 400, "not_utf8"},
		{"forged", "Content-Length: 5\r\nQuire-Internal-Length: 9\r\n", "hello", 201, ""},
		{"evil", fmt.Sprintf("Origin: https://evil.example\r\nContent-Length: %d\r\n", len(text)), text, 403, "origin"},
	} {
		c := connect(t, url)
		go c.say(head+x.header+"\r\n%s", x.name, x.body)
		resp, body := c.answer()
		if resp.StatusCode != x.status || !strings.Contains(body, x.want) || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s %s", x.name, resp.Status, body)
		}
		if x.status == 201 && len(x.body) > 2000 {
			if got := must(t, "GET", url+"api/docs/"+x.name+"?format=text", "", ""); got != text {
				t.Errorf("%s: %d bytes are there", x.name, len(got))
			}
		}
	}

	// What is only read has no body.
	c := connect(t, url)
	go c.say("GET /api/docs/small/events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
	if resp, body := c.answer(); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "unwanted_body") {
		t.Errorf("%s %s", resp.Status, body)
	}

	// Who asks before sending is refused before sending.
	c = connect(t, url)
	c.say(head+"Content-Length: 60000\r\nExpect: 100-continue\r\n\r\n", "asked")
	if resp, body := c.answer(); resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(body, "max-body") {
		t.Errorf("%s %s", resp.Status, body)
	}
	c = connect(t, url)
	c.say(head+"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", "asked", len(text))
	if resp, err := http.ReadResponse(c.in, nil); err != nil || resp.StatusCode != http.StatusContinue {
		t.Fatal(resp, err)
	}
	c.say("%s", text)
	if resp, body := c.answer(); resp.StatusCode != http.StatusCreated {
		t.Errorf("%s %s", resp.Status, body)
	}

	// After a refusal, a connection goes on.
	c = connect(t, url)
	for _, name := range []string{"one", "two"} {
		c.say(head+"Content-Length: 1\r\n\r\n\xff", name)
		if resp, _ := c.answer(); resp.StatusCode != http.StatusBadRequest {
			t.Error(resp.Status)
		}
		c.say(head+"Content-Length: 1\r\n\r\nx", name)
		if resp, _ := c.answer(); resp.StatusCode != http.StatusCreated {
			t.Error(resp.Status)
		}
	}
}

// TestManyLargeBodies refuses one large body more than are read at once, of one sender and in all, and takes
// it when another ended.
func TestManyLargeBodies(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir(), "--max-message", "2000")
	const head = "PUT /api/docs/%s HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: *\r\nContent-Type: text/plain\r\nContent-Length: 3000\r\nExpect: 100-continue\r\n\r\n"
	const bodies, taken, each = 40, 16, 4
	senders := []string{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"}
	type answer struct {
		status int
		sender string
		err    error
	}
	answers, rest := make(chan answer, bodies), make(chan struct{})
	for i := range bodies {
		sender := senders[i%len(senders)]
		c := connectFrom(t, url, sender)
		c.say(head, fmt.Sprint("held", i))
		if resp, err := http.ReadResponse(c.in, nil); err != nil || resp.StatusCode != http.StatusContinue {
			t.Fatal(resp, err)
		}
		c.say("x")
		go func() {
			a := answer{sender: sender}
			resp, err := http.ReadResponse(c.in, nil)
			if a.err = err; err == nil {
				a.status = resp.StatusCode
			}
			answers <- a
		}()
		go func() {
			<-rest
			c.say("%s", strings.Repeat("x", 2999))
		}()
	}
	for range bodies - taken { // as many are refused; the others are being read
		if a := <-answers; a.status != http.StatusServiceUnavailable {
			t.Errorf("of more than %d: %+v", taken, a)
		}
	}
	put := func() int {
		status, _ := send(t, "PUT", url+"api/docs/more", plainText, strings.Repeat("x", 3000), "If-None-Match", "*")
		return status
	}
	if status := put(); status != http.StatusServiceUnavailable {
		t.Errorf("one more is answered %d", status)
	}
	close(rest)
	of := map[string]int{}
	for range taken {
		a := <-answers
		if of[a.sender]++; a.status != http.StatusCreated || of[a.sender] > each {
			t.Errorf("number %d of this sender: %+v", of[a.sender], a)
		}
	}
	if status := put(); status != http.StatusCreated { // a place is free before its answer is sent
		t.Errorf("after the others it is answered %d", status)
	}
}

// TestRate refuses an address that asks too often.
func TestRate(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir(), "--max-rate", "1")
	d := newDescribed(t, strings.TrimSuffix(url, "/")) // asks once
	refused := false
	for range 1000 {
		if refused = d.do(exchange{request: "GET /api/docs"}).status == http.StatusTooManyRequests; refused {
			break
		}
	}
	if !refused {
		t.Error("it may ask as often as it likes")
	}
	if status, _ := send(t, "GET", url+"healthz", "", ""); status != http.StatusOK {
		t.Errorf("healthz: %d", status)
	}
}
