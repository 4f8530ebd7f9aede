package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"quire/web/quirev1"
)

// line is one line of a script: what the server expects a client to say (the kind
// and, for a submission, its base and seq) or says.
type line struct {
	expect string
	say    string
}

// told plays lines; CLIENT in what it says is the client's id.
func told(lines []line) func(ctx context.Context, c *websocket.Conn) error {
	return func(ctx context.Context, c *websocket.Conn) error {
		client := ""
		for _, l := range lines {
			if l.expect != "" {
				_, data, err := c.Read(ctx)
				if err != nil {
					return err
				}
				var m quirev1.ClientMessage
				if err := json.Unmarshal(data, &m); err != nil {
					return err
				}
				got := m.T
				if m.T == "open" {
					client = m.Client
				}
				if m.T == "submit" {
					got = fmt.Sprintf("submit %d %d %d", *m.Base, *m.Seq, len(m.Ops))
				}
				if got != l.expect {
					return fmt.Errorf("expected %s, got %s", l.expect, data)
				}
			}
			if l.say != "" {
				if err := c.Write(ctx, websocket.MessageText, []byte(strings.ReplaceAll(l.say, "CLIENT", client))); err != nil {
					return err
				}
			}
		}
		_, _, err := c.Read(ctx) // until the client leaves
		if err == nil {
			return fmt.Errorf("the client said more than the script")
		}
		return nil
	}
}

const (
	sayHello  = `{"t":"hello","v":1}`
	sayOpened = `{"t":"opened","doc":"d","client":"CLIENT","type":"text","inc":"1","rev":7,"head":7,"seq":0,"content":"…","sum":"00000000"}`
)

func TestMemberAcknowledged(t *testing.T) {
	tg := scripted(t, told([]line{
		{say: sayHello},
		{expect: "open", say: sayOpened},
		{say: `{"t":"presence","doc":"d","rev":7,"full":true,"set":[]}`},
		{expect: "submit 7 1 2", say: `{"t":"ops","doc":"d","rev":7,"ops":[{"c":"another1","s":9,"op":["x"]},{"n":5,"op":["y"]}]}`},
		{say: `{"t":"ops","doc":"d","rev":13,"ops":[{"c":"CLIENT","s":1,"op":["x"]},{"c":"CLIENT","s":2,"op":["y"]}]}`},
		{expect: "submit 15 3 1", say: `{"t":"error","doc":"d","code":"busy","class":"retry","seq":3,"message":"…"}`},
		{expect: "submit 15 3 1", say: `{"t":"error","doc":"d","code":"stale","class":"resync","seq":3,"message":"…"}`},
		{expect: "open", say: `{"t":"ops","doc":"d","rev":15,"ops":[{"c":"another1","s":10,"op":["x"]}]}`},
		{say: strings.Replace(strings.Replace(sayOpened, `"seq":0`, `"seq":2`, 1), `:7`, `:20`, 2)},
		{expect: "submit 20 3 1", say: `{"t":"ops","doc":"d","rev":20,"ops":[{"c":"CLIENT","s":3,"op":["y"]}]}`},
	}))
	m, err := joinQuire(tg, "d", "", 512)
	must(t, err)
	defer m.Close()
	receive := func(want news) {
		t.Helper()
		got, err := m.receive()
		if err != nil || got != want {
			t.Fatalf("%+v, error %v; want %+v", got, err, want)
		}
	}
	must(t, m.submit(2))
	receive(news{}) // presence
	receive(news{singles: 1, composites: 1, composed: 5})
	receive(news{singles: 2, acked: 2})
	must(t, m.submit(1))
	receive(news{})              // busy: sent again
	receive(news{refused: true}) // stale: opened again
	if m.rev() != 20 {
		t.Fatalf("at revision %d after opening again", m.rev())
	}
	must(t, m.submit(1))
	receive(news{singles: 1, acked: 1})
}

func TestMemberNeverIgnores(t *testing.T) {
	for name, says := range map[string]string{
		"a fatal error":          `{"t":"error","doc":"d","code":"bad_op","class":"fatal","seq":1,"message":"…"}`,
		"an error of no seq":     `{"t":"error","doc":"d","code":"stale","class":"resync","message":"…"}`,
		"a gap":                  `{"t":"ops","doc":"d","rev":8,"ops":[{"op":["x"]}]}`,
		"a repetition":           `{"t":"ops","doc":"d","rev":6,"ops":[{"op":["x"]}]}`,
		"another seq":            `{"t":"ops","doc":"d","rev":7,"ops":[{"c":"CLIENT","s":2,"op":["x"]}]}`,
		"acknowledged too often": `{"t":"ops","doc":"d","rev":7,"ops":[{"c":"CLIENT","s":1,"op":["x"]},{"c":"CLIENT","s":2,"op":["x"]}]}`,
		"a failing store":        `{"t":"status","doc":"d","saved":false}`,
		"a goodbye":              `{"t":"bye","in":5}`,
		"an ack by message":      `{"t":"ack","doc":"d","seq":1,"rev":8}`,
		"something else":         `["ops"]`,
	} {
		t.Run(name, func(t *testing.T) {
			tg := scripted(t, told([]line{{say: sayHello}, {expect: "open", say: sayOpened}, {expect: "submit 7 1 1", say: says}}))
			m, err := joinQuire(tg, "d", "", 512)
			must(t, err)
			defer m.Close()
			must(t, m.submit(1))
			if n, err := m.receive(); err == nil {
				t.Errorf("%s was taken for %+v", says, n)
			}
		})
	}
}

func TestBroadcaster(t *testing.T) {
	for _, per := range []bool{true, false} {
		ctx, stop := context.WithCancel(t.Context())
		out, in := io.Pipe()
		served := make(chan error, 1)
		go func() { served <- serveRaw(ctx, "127.0.0.1:0", per, in) }()
		var line [200]byte
		n, err := out.Read(line[:])
		must(t, err)
		_, url, _ := strings.Cut(strings.TrimSpace(string(line[:n])), " is at ")
		tg := &target{name: "raw", raw: true, url: url}
		c := newCrew(tg)
		must(t, c.joinAll(ctx, 4, 512, func(i int) string { return []string{"room", "other"}[i/3] }))
		must(t, c.hands[0].submit(3))
		must(t, c.hands[1].submit(2))
		for i, h := range c.hands[:3] {
			for h.rev() < 5 {
				if _, err := h.take(); err != nil {
					t.Fatal(err)
				}
			}
			if want := []int64{3, 2, 0}[i]; h.acked != want {
				t.Errorf("member %d had %d of its own back, want %d", i, h.acked, want)
			}
		}
		must(t, c.hands[3].submit(1)) // its room has nothing of the other's before
		if n, err := c.hands[3].take(); err != nil || n.acked != 1 || c.hands[3].rev() != 1 {
			t.Errorf("%+v, error %v", n, err)
		}
		u, err := tg.usage()
		if err != nil || u.rss < 1<<20 {
			t.Errorf("usage %+v, error %v", u, err)
		}
		c.close()
		stop()
		must(t, <-served)
		scraper.CloseIdleConnections()
	}
}

func TestPace(t *testing.T) {
	p := newPace(100, 10, 2, 3)
	<-p.tokens
	<-p.tokens // two runs are under way
	var passed [3]int64
	step := func(reader int, rev int64, tokens int) {
		t.Helper()
		passed[reader] = p.reached(rev, passed[reader])
		if len(p.tokens) != tokens {
			t.Fatalf("reader %d at %d: %d tokens, want %d", reader, rev, len(p.tokens), tokens)
		}
	}
	step(0, 109, 0)
	step(0, 120, 0)
	step(1, 110, 0)
	step(2, 109, 0)
	step(2, 110, 1) // everybody has the first run
	step(1, 120, 1)
	step(2, 120, 2)
	<-p.tokens
	step(0, 130, 1)
	step(1, 130, 1)
	step(2, 130, 2)
}
