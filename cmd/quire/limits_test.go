package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"quire/ot"
	"quire/ot/text"
	"quire/session"
	"quire/session/limits"
	"quire/web/quirev1"
	"quire/web/quirev1/client"
)

// TestLimitsPage: docs/limits.md has every limit with its unit and default, and no other.
func TestLimitsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	fs := (&Config{}).flags()
	var rows []limits.Name
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([a-z]+) \\| ([^ ]+) \\|").FindAllStringSubmatch(string(page), -1) {
		rows = append(rows, limits.Name(m[1]))
		f := fs.Lookup(m[1])
		if f == nil {
			t.Errorf("there is no flag %s", m[1])
			continue
		}
		if unit, _ := flag.UnquoteUsage(f); unit != m[2] || f.DefValue != m[3] {
			t.Errorf("%s is of %s, %s by default; the page says %s, %s", m[1], unit, f.DefValue, m[2], m[3])
		}
	}
	all := limits.All()
	slices.Sort(all)
	slices.Sort(rows)
	if !slices.Equal(rows, all) {
		t.Errorf("the page has %v\nthere are %v", rows, all)
	}
	fs.VisitAll(func(f *flag.Flag) {
		if strings.HasPrefix(f.Name, "max-") && !slices.Contains(all, limits.Name(f.Name)) {
			t.Errorf("%s is a flag and no limit", f.Name)
		}
	})
}

// limitedCase goes past one limit of the real program and returns what it was told.
type limitedCase struct {
	args []string
	run  func(p *provoker) string
}

// limitedCases has one for each limit that refuses.
var limitedCases = map[limits.Name]limitedCase{
	limits.Document: {[]string{"100"}, func(p *provoker) string {
		return p.create("a", strings.Repeat("x", 101))
	}},
	limits.Operation: {[]string{"100"}, func(p *provoker) string {
		p.create("a", "")
		return p.edit("a", `["`+strings.Repeat("x", 100)+`"]`)
	}},
	limits.Components: {[]string{"2"}, func(p *provoker) string {
		p.create("a", "xyz")
		return p.edit("a", `["x",1,"y"]`)
	}},
	limits.Run: {[]string{"2"}, func(p *provoker) string {
		p.create("a", "")
		return p.edit("a", `["x"]`, `["x"]`, `["x"]`)
	}},
	limits.Namespace: {[]string{"1"}, func(p *provoker) string {
		p.create("n/1", "")
		return p.create("n/2", "")
	}},
	limits.Page: {[]string{"2"}, func(p *provoker) string { return p.http("GET", "api/docs?limit=3", "", "") }},
	limits.Message: {[]string{"2000"}, func(p *provoker) string {
		c := p.dial()
		c.say(`{"t":"ping","x":"` + strings.Repeat("x", 2000) + `"}`)
		return c.closed()
	}},
	limits.Body: {[]string{"3000", "--max-message", "2000"}, func(p *provoker) string { return p.create("a", strings.Repeat("x", 3000)) }},
	limits.Import: {[]string{"1024"}, func(p *provoker) string {
		return p.http("POST", "api/docs?id=a", "application/vnd.quire.bundle", strings.Repeat("x", 1025))
	}},
	limits.Header: {[]string{"1024"}, func(p *provoker) string {
		return p.http("GET", "api/docs", "", "", "X-Long", strings.Repeat("x", 2000))
	}},
	limits.HeaderTime: {[]string{"1s"}, func(p *provoker) string {
		return p.raw("GET / HTTP/1.1\r\nHost: localhost\r\n")
	}},
	limits.Presence: {[]string{"16"}, func(p *provoker) string {
		c := p.dial()
		c.open("a")
		c.say(`{"t":"presence","doc":"a","base":0,"cursor":[[0,0],[0,0],[0,0]]}`)
		return c.refused()
	}},
	limits.ClientRate: {[]string{"1", "--max-run", "1"}, func(p *provoker) string {
		c := p.dial()
		c.open("a")
		return tooOften(func(i int) string {
			c.say(fmt.Sprintf(`{"t":"submit","doc":"a","base":%d,"seq":%d,"ops":[["x"]]}`, i, i+1))
			return c.until(fmt.Sprintf(`"s":%d`, i+1), `"error"`)
		})
	}},
	limits.AuthorRate: {[]string{"1", "--max-run", "1"}, func(p *provoker) string {
		p.create("a", "")
		return tooOften(func(int) string { return p.edit("a", `["x"]`) })
	}},
	limits.DocumentRate: {[]string{"1", "--max-run", "1"}, func(p *provoker) string {
		p.create("a", "")
		return tooOften(func(int) string { return p.edit("a", `["x"]`) })
	}},
	limits.PresenceRate: {[]string{"1"}, func(p *provoker) string {
		c := p.dial()
		c.open("a")
		return tooOften(func(int) string {
			c.say(`{"t":"presence","doc":"a","base":0,"cursor":[[0,0]]}`)
			c.say(`{"t":"ping"}`) // which is answered after it
			return c.until(`"pong"`, `"error"`)
		})
	}},
	limits.OpenRate: {[]string{"1"}, func(p *provoker) string {
		c := p.dial()
		return tooOften(func(i int) string {
			c.say(fmt.Sprintf(`{"t":"open","doc":"d%d","client":"client-1","create":"text"}`, i))
			return c.until(`"opened"`, `"error"`)
		})
	}},
	limits.RequestRate: {[]string{"1"}, func(p *provoker) string {
		return tooOften(func(int) string { return p.http("GET", "api/docs", "", "") })
	}},
	limits.Open: {[]string{"1"}, func(p *provoker) string {
		c := p.dial()
		c.open("a")
		c.say(`{"t":"open","doc":"b","create":"text"}`)
		return c.refused()
	}},
	limits.Connections: {[]string{"1"}, func(p *provoker) string {
		p.dial()
		return p.dialed().closed()
	}},
	limits.AddressConnections: {[]string{"1"}, func(p *provoker) string {
		p.dial()
		return p.dialed().closed()
	}},
	limits.AddressHTTP: {[]string{"2"}, func(p *provoker) string {
		p.http("GET", "healthz", "", "") // its connection is kept
		p.dial()                         // one that became a WebSocket is none of these
		c, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(p.url, "http://"), "/"))
		if err != nil {
			p.t.Fatal(err)
		}
		p.t.Cleanup(func() { _ = c.Close() })
		return p.raw("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}},
	limits.Streams: {[]string{"1"}, func(p *provoker) string {
		p.create("a", "")
		resp, err := http.Get(p.url + "api/docs/a/events?from=0")
		if err != nil {
			p.t.Fatal(err)
		}
		p.t.Cleanup(func() { resp.Body.Close() })
		return p.http("GET", "api/docs/a/events?from=0", "", "")
	}},
	limits.Memory: {[]string{"1048576"}, func(p *provoker) string {
		p.create("a", strings.Repeat("x", 800_000))
		p.dial().open("a") // it stays in memory, with what created it
		return p.create("b", "")
	}},
	limits.Conversion: {[]string{"1024"}, func(p *provoker) string {
		return p.http("POST", "api/docs?id=a", "text/markdown", strings.Repeat("x", 1025))
	}},
}

// patientLimits are those that make people wait before they refuse anybody, and where they are tried.
var patientLimits = map[limits.Name]string{
	limits.CatchUp:   "session.TestLeave",
	limits.Receiving: "ws.TestLargeMessagesHaveRoom",
	limits.Sending:   "ws.TestSluggardsAreBounded",
}

// TestEveryLimit goes past each limit of the real program: it is refused, the flag is named, and counted.
func TestEveryLimit(t *testing.T) {
	for _, name := range limits.All() {
		if _, ok := patientLimits[name]; ok {
			continue
		}
		c, ok := limitedCases[name]
		if !ok {
			t.Errorf("%s is not tried", name)
			continue
		}
		t.Run(string(name), func(t *testing.T) {
			_, url, _ := start(t, append([]string{"--data", t.TempDir(), "--" + string(name)}, c.args...)...)
			p := &provoker{t, url}
			count := fmt.Sprintf("\nquire_limit_refusals_total{limit=%q} ", name)
			if before := p.metrics(); !strings.Contains(before, count+"0\n") {
				t.Errorf("not at 0 at first")
			}
			told := c.run(p)
			number := c.args[0]
			if !strings.Contains(told, string(name)) || !strings.Contains(told, number) {
				t.Errorf("told %q, which does not name %s and %s", told, name, number)
			}
			if after := p.metrics(); !strings.Contains(after, count+"1\n") {
				t.Errorf("not counted once: %s", regexp.MustCompile(`(?m)^quire_limit_refusals.* [1-9]\d*$`).FindAllString(after, -1))
			}
		})
	}
}

// tooOften does something that may be done once a second again and again, the next once there is an answer, until that is a
// refusal. No more may pass before than a few and one for each second that it took.
func tooOften(do func(i int) (answer string)) string {
	const few = 4
	began := time.Now()
	for i := 0; ; i++ {
		answer := do(i)
		if strings.Contains(answer, `"code":`) {
			return answer
		}
		if took := time.Since(began); i > few+int(took/time.Second) {
			return fmt.Sprintf("%d passed in %v", i+1, took)
		}
	}
}

// provoker does what limits forbid.
type provoker struct {
	t   *testing.T
	url string
}

// http returns the body of an answer.
func (p *provoker) http(method, path, contentType, body string, header ...string) string {
	p.t.Helper()
	_, answer := send(p.t, method, p.url+path, contentType, body, header...)
	return answer
}

func (p *provoker) create(id, content string) string {
	p.t.Helper()
	return p.http("POST", "api/docs", "application/json", fmt.Sprintf(`{"id":%q,"content":%q}`, id, content), "Quire-Author", "Ada")
}

func (p *provoker) edit(id string, ops ...string) string {
	p.t.Helper()
	return p.http("POST", "api/docs/"+id+"/operations", "application/json", fmt.Sprintf(`{"base":0,"ops":[%s]}`, strings.Join(ops, ",")), "Quire-Author", "Ada")
}

func (p *provoker) metrics() string {
	p.t.Helper()
	return p.http("GET", "metrics", "", "")
}

// raw sends bytes and returns the answer, up to the end of the connection.
func (p *provoker) raw(s string) string {
	p.t.Helper()
	c, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(p.url, "http://"), "/"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, s); err != nil {
		p.t.Fatal(err)
	}
	answer, err := io.ReadAll(bufio.NewReader(c))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(answer)
}

// plainConn is a WebSocket that speaks quire.v1 by hand.
type plainConn struct {
	t *testing.T
	*websocket.Conn
}

// dialed returns a socket that may be closed at once.
func (p *provoker) dialed() *plainConn {
	p.t.Helper()
	c, _, err := websocket.Dial(context.Background(), strings.Replace(p.url, "http", "ws", 1)+"ws", &websocket.DialOptions{Subprotocols: []string{"quire.v1"}})
	if err != nil {
		p.t.Fatal(err)
	}
	c.SetReadLimit(-1)
	p.t.Cleanup(func() { _ = c.CloseNow() })
	return &plainConn{p.t, c}
}

func (p *provoker) dial() *plainConn {
	p.t.Helper()
	c := p.dialed()
	c.until(`"hello"`)
	return c
}

func (s *plainConn) say(msg string) {
	s.t.Helper()
	if err := s.Write(context.Background(), websocket.MessageText, []byte(msg)); err != nil {
		s.t.Fatal(err)
	}
}

// until returns the first message with one of several parts in it.
func (s *plainConn) until(parts ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		_, msg, err := s.Read(ctx)
		if err != nil {
			s.t.Fatalf("waiting for %s: %v", parts, err)
		}
		if slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(string(msg), part) }) {
			return string(msg)
		}
	}
}

func (s *plainConn) open(doc string) {
	s.t.Helper()
	s.say(fmt.Sprintf(`{"t":"open","doc":%q,"client":"client-%s-1","create":"text"}`, doc, doc))
	s.until(`"opened"`)
}

func (s *plainConn) refused() string {
	s.t.Helper()
	return s.until(`"error"`)
}

// closed returns why the connection is closed.
func (s *plainConn) closed() string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		if _, _, err := s.Read(ctx); err != nil {
			var end websocket.CloseError
			if !errors.As(err, &end) {
				s.t.Fatal(err)
			}
			return end.Reason
		}
	}
}

// TestTooFastLosesNothing: a client that does not care how fast it may go has everything acknowledged, once and in
// order, by being held up and by sending again what was refused.
func TestTooFastLosesNothing(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir(), "--max-run", "40", "--max-client-rate", "60")
	conn, _, err := client.Dial(url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	doc := client.NewDocument("fast", "client-1", text.Type{})
	doc.Create, doc.MaxRun = "text", 40
	say := func(m quirev1.ClientMessage) {
		if err := conn.Send(&m); err != nil {
			t.Fatal(err)
		}
	}
	say(doc.Open())
	refused, want := 0, ""
	for begun := false; !begun || doc.Pending() > 0; {
		m, err := conn.Receive()
		if err != nil {
			t.Fatal(err)
		}
		var e *client.RefusedError
		if err := doc.Receive(m); errors.As(err, &e) && e.Class == session.Retry && e.Code == session.CodeRate {
			refused++
			time.Sleep(50 * time.Millisecond) // as the server asks for
			doc.Again()
		} else if err != nil {
			t.Fatal(err)
		}
		if !begun && doc.Current() {
			begun = true
			for i := range 200 {
				op, err := text.Decode(fmt.Appendf(nil, `[%d,"%c"]`, len(want), 'a'+i%26), ot.Limits{})
				if i == 0 {
					op, err = text.Decode([]byte(`["a"]`), ot.Limits{})
				}
				if err == nil {
					err = doc.Edit(op)
				}
				if err != nil {
					t.Fatal(err)
				}
				want += string(rune('a' + i%26))
			}
		}
		if next := doc.Next(); next != nil {
			say(*next)
		}
	}
	if refused == 0 {
		t.Error("it was never refused")
	}
	if _, answer := send(t, "GET", url+"api/docs/fast", "", ""); !strings.Contains(answer, `"rev":200,`) || !strings.Contains(answer, want) {
		t.Errorf("the document is %s, want %s", answer, want)
	}
}

// What the process may take in all bounds the defaults of the limits for memory.
func TestMemoryLimitLowersDefaults(t *testing.T) {
	was := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(was)
	for _, x := range []struct {
		limit                    int64
		args                     []string
		memory, sending, catchUp int
	}{
		{math.MaxInt64, nil, 2 << 30, 1 << 30, 256 << 20},
		{400 << 20, nil, 200 << 20, 100 << 20, 25 << 20},
		{1 << 20, nil, 64 << 20, 32 << 20, 8 << 20},
		{400 << 20, []string{"-max-memory", "1000000000"}, 1_000_000_000, 100 << 20, 25 << 20},
	} {
		debug.SetMemoryLimit(x.limit)
		c, err := configure(x.args, nil, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if c.MaxMemory != x.memory || c.MaxSending != x.sending || c.MaxCatchUp != x.catchUp {
			t.Errorf("with %d bytes and %q: %d, %d, %d", x.limit, x.args, c.MaxMemory, c.MaxSending, c.MaxCatchUp)
		}
	}
}
