package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// exchanges sends bytes on a connection of its own, and reads the answers until the server closes it.
func exchanges(t *testing.T, url, sent string) (answers []*http.Response, bodies []string) {
	t.Helper()
	c := connect(t, url)
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	go func() {
		c.say("%s", sent)
		_ = c.Conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	in := bufio.NewReader(c)
	for {
		method := "GET"
		if strings.HasPrefix(sent, "HEAD") {
			method = "HEAD"
		}
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%.100q: the server neither answers nor closes", sent)
		}
		if err != nil {
			return answers, bodies
		}
		body, _ := io.ReadAll(resp.Body)
		answers, bodies = append(answers, resp), append(bodies, string(body))
	}
}

const secondRequest = "DELETE /api/docs/victim HTTP/1.1\r\nHost: localhost\r\n\r\n"

// TestSmuggling sends requests that a proxy could take for one and the server for two. Each is refused, its connection
// closed, and what stood behind it never looked at; on the operators' listener as on the main one.
func TestSmuggling(t *testing.T) {
	w := startWatched(t)
	must(t, "POST", w.url+"/api/docs", jsonType, `{"id":"victim"}`)
	t.Run("main", func(t *testing.T) { smuggle(t, w.url+"/") })
	t.Run("operators", func(t *testing.T) { smuggle(t, w.side+"/") })
	if status, _ := send(t, "GET", w.url+"/api/docs/victim", "", ""); status != http.StatusOK {
		t.Errorf("the victim: %d", status)
	}
}

// TestInternalHeaders sends the fields that the server notes in a request for itself: from outside they mean nothing,
// and the operators' listener has nothing of the main one.
func TestInternalHeaders(t *testing.T) {
	w := startWatched(t)
	const post = "POST /api/docs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	for name, sent := range map[string]string{
		"a length":  post + "Quire-Internal-Length: 13\r\nConnection: close\r\n\r\n{\"id\":\"side\"}",
		"a reason":  post + "Quire-Internal-Wrong: as you say\r\nConnection: close\r\n\r\n",
		"in chunks": post + "Transfer-Encoding: chunked\r\n\r\nd\r\n{\"id\":\"side\"}\r\n0\r\n\r\n",
	} {
		answers, bodies := exchanges(t, w.side+"/", sent)
		if len(answers) == 0 || answers[0].StatusCode != http.StatusNotFound || !strings.Contains(bodies[0], "no_such_page") {
			t.Errorf("%s: %q", name, bodies)
		}
	}
}

// smuggle tries each way on one listener.
func smuggle(t *testing.T, url string) {
	const post = "POST /api/docs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	length := fmt.Sprintf("Content-Length: %d\r\n", len(secondRequest))
	for name, sent := range map[string]string{
		"length and chunks":        post + length + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + secondRequest,
		"chunks and length":        post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + secondRequest,
		"two lengths":              post + "Content-Length: 0\r\n" + length + "\r\n" + secondRequest,
		"the same length twice":    post + length + length + "\r\n" + secondRequest,
		"a list of lengths":        post + "Content-Length: 0, 5\r\n\r\n" + secondRequest,
		"a signed length":          post + "Content-Length: +0\r\n\r\n" + secondRequest,
		"a negative length":        post + "Content-Length: -1\r\n\r\n" + secondRequest,
		"a hexadecimal length":     post + "Content-Length: 0x0\r\n\r\n" + secondRequest,
		"a huge length":            post + "Content-Length: 99999999999999999999999\r\n\r\n" + secondRequest,
		"no length":                post + "Content-Length:\r\n\r\n" + secondRequest,
		"a folded line":            post + "Content-Length: 0\r\n 5\r\n\r\n" + secondRequest,
		"a folded first line":      "POST /api/docs HTTP/1.1\r\n Content-Length: 0\r\nHost: localhost\r\n\r\n" + secondRequest,
		"a bare line feed":         post + "X: y\nContent-Length: 0\r\n\r\n" + secondRequest,
		"a bare carriage return":   post + "X: y\rContent-Length: 0\r\n\r\n" + secondRequest,
		"a NUL":                    post + "X: \x00y\r\nContent-Length: 0\r\n\r\n" + secondRequest,
		"a NUL in a name":          post + "X\x00: y\r\nContent-Length: 0\r\n\r\n" + secondRequest,
		"a space before the colon": post + "Content-Length : 0\r\n\r\n" + secondRequest,
		"a space in a name":        post + "Content Length: 0\r\n\r\n" + secondRequest,
		"no colon":                 post + "Content-Length\r\n\r\n" + secondRequest,
		"an empty name":            post + ": x\r\n\r\n" + secondRequest,
		"another coding":           post + "Transfer-Encoding: identity\r\n\r\n" + secondRequest,
		"two codings":              post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + secondRequest,
		"two lines of coding":      post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + secondRequest,
		"a coding in disguise":     post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + secondRequest,
		"chunks in HTTP/1.0":       "POST /api/docs HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + secondRequest,
		"bad chunks":               post + "Transfer-Encoding: chunked\r\n\r\n0x1\r\n{\r\n0\r\n\r\n" + secondRequest,
		"a negative chunk":         post + "Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n" + secondRequest,
		"a huge chunk":             post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n" + secondRequest,
		"endless extensions":       post + "Transfer-Encoding: chunked\r\n\r\n2;" + strings.Repeat("x", 1<<16) + "\r\n{}\r\n0\r\n\r\n" + secondRequest,
		"two hosts":                "GET / HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n" + secondRequest,
		"no host":                  "GET / HTTP/1.1\r\nX: y\r\n\r\n" + secondRequest,
		"no header":                "GET / HTTP/1.1\r\n\r\n" + secondRequest,
		"a host with a path":       "GET / HTTP/1.1\r\nHost: localhost/../\r\n\r\n" + secondRequest,
		"a host with a user":       "GET / HTTP/1.1\r\nHost: localhost@other\r\n\r\n" + secondRequest,
		"two credentials":          "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n" + secondRequest,
		"another protocol":         "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n" + secondRequest,
		"no protocol":              "GET /\r\nHost: localhost\r\n\r\n" + secondRequest,
		"TLS":                      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n" + secondRequest,
	} {
		answers, bodies := exchanges(t, url, sent)
		if len(answers) != 1 || answers[0].StatusCode < 400 || answers[0].StatusCode >= 500 {
			t.Errorf("%s: %d answers, the first %q", name, len(answers), fmt.Sprint(bodies))
			continue
		}
		if h := answers[0].Header; h.Get("Content-Security-Policy") == "" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: the answer has not the headers of every answer: %v", name, h)
		}
	}
}
