package quirev1_test

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"quire/ot"
	"quire/ot/text"
	"quire/session"
	"quire/storage/mem"
	"quire/storage/storagetest"
	"quire/web/quirev1"
	"quire/web/ws"
)

var update = flag.Bool("update", false, "write the transcripts as the server answers now")

// TestTranscripts replays testdata/*.txt against the server. A line "NAME> message"
// is what a client sends (its first line connects it), "NAME< message" what the
// server must answer; the rest is for the stage:
//
//	# a remark
//	NAME! disconnect      the connection ends
//	! fail N              the next N appends fail
//	! wait 2s             time passes
//	! small               from here on the server allows documents of 100 bytes, runs of 4
//	                      operations and 3 documents on a connection
//	! restart             the server is stopped and started on the same data
//	! delete DOC          the document is deleted
//	! leave 1500ms        the server goes away and wants its clients back in that time
//
// Incarnations are random; in transcripts the first one that shows up reads
// 9f86d081884c7d65, the next one 9f86d081884c7d66 and so on.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got []byte
			synctest.Test(t, func(t *testing.T) { got = replay(t, want) })
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !bytes.Equal(got, want) {
				g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
				for i := range min(len(g), len(w)) {
					if g[i] != w[i] {
						t.Fatalf("line %d\ngot  %s\nwant %s", i+1, g[i], w[i])
					}
				}
				t.Fatalf("got %d lines, want %d", len(g), len(w))
			}
		})
	}
}

// stage is what a transcript plays on.
type stage struct {
	t       *testing.T
	out     bytes.Buffer
	store   *storagetest.Faulty
	manager *session.Manager
	proto   *quirev1.Protocol
	conns   map[string]*player
	order   []string
	incs    []string
	small   bool
}

// player is one client's connection.
type player struct {
	conn *quirev1.Conn
	said []string
	wake chan struct{}
}

func (p *player) SendText(b []byte)        { p.said = append(p.said, string(b)) }
func (p *player) SendShared(m *ws.Shared)  { p.SendText(m.Text()) }
func (p *player) Waiting() int             { return 0 }
func (p *player) Depart()                  { p.said = append(p.said, "(closes the connection: 1001)") }
func (st *stage) log(l ...any)             { fmt.Fprintln(&st.out, l...) }
func (st *stage) fatal(f string, a ...any) { st.t.Fatalf(f, a...) }

func replay(t *testing.T, script []byte) []byte {
	st := &stage{t: t, store: storagetest.NewFaulty(mem.New()), conns: map[string]*player{}}
	st.start()
	answer := regexp.MustCompile(`^\w+< `)
	lines := bufio.NewScanner(bytes.NewReader(script))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case answer.MatchString(line):
			continue
		case strings.HasPrefix(line, "#") || line == "":
			st.log(line)
			continue
		}
		st.log(line)
		st.play(line)
		synctest.Wait()
		st.collect()
	}
	st.stop()
	return st.out.Bytes()
}

func (st *stage) start() {
	limits, docs := session.Limits{CompositeAfter: 8}, 0
	if st.small {
		limits.Document, limits.Run, docs = 100, 4, 3
	}
	st.manager = session.New(session.Options{
		Store: st.store, Types: []ot.Type{text.Type{}},
		Limits: limits,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Rand:   func() float64 { return 0.5 },
	})
	st.proto = quirev1.New(quirev1.Options{
		Manager: st.manager, Server: "quire 0.1.0", Instance: "f3a1c2d4", MaxMessage: 1 << 20, PingEvery: 25 * time.Second, MaxDocs: docs,
	})
}

func (st *stage) stop() {
	for _, name := range slices.Clone(st.order) {
		st.drop(name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := st.manager.Close(ctx); err != nil {
		st.t.Error(err)
	}
	time.Sleep(time.Hour)
}

func (st *stage) drop(name string) {
	p := st.conns[name]
	p.conn.Ended()
	delete(st.conns, name)
	st.order = slices.DeleteFunc(st.order, func(n string) bool { return n == name })
	synctest.Wait()
}

func (st *stage) play(line string) {
	name, rest, ok := strings.Cut(line, " ")
	switch {
	case ok && name == "!":
		st.direct(strings.Fields(rest))
	case strings.HasSuffix(name, "!"):
		st.drop(strings.TrimSuffix(name, "!"))
	case strings.HasSuffix(name, ">"):
		name = strings.TrimSuffix(name, ">")
		p := st.conns[name]
		if p == nil {
			p = &player{wake: make(chan struct{}, 1)}
			p.conn = st.proto.Connect(func() {
				select {
				case p.wake <- struct{}{}:
				default:
				}
			})
			p.wake <- struct{}{}
			st.conns[name], st.order = p, append(st.order, name)
			st.collect()
		}
		for i, inc := range st.incs {
			rest = strings.ReplaceAll(rest, stable(i), inc)
		}
		if end := p.conn.Receive([]byte(rest)); end != nil {
			st.collect()
			st.log(fmt.Sprintf("%s< (closes the connection: %d)", name, end.Code))
			st.drop(name)
		}
	default:
		st.fatal("not a line of a transcript: %s", line)
	}
}

func (st *stage) direct(words []string) {
	switch words[0] {
	case "fail":
		n, _ := strconv.Atoi(words[1])
		st.store.Fail(storagetest.Append, n, nil)
	case "wait":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			st.fatal("%v", err)
		}
		time.Sleep(d)
	case "restart", "small":
		st.small = words[0] == "small"
		st.stop()
		st.start()
	case "delete":
		if err := st.manager.Delete(context.Background(), words[1]); err != nil {
			st.fatal("%v", err)
		}
	case "leave":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			st.fatal("%v", err)
		}
		for _, name := range st.order {
			st.conns[name].conn.Leaving(d)
			st.conns[name].wake <- struct{}{}
		}
	default:
		st.fatal("no such direction: %v", words)
	}
}

// collect writes down what the server says to everybody.
func (st *stage) collect() {
	inc := regexp.MustCompile(`"inc":"([0-9a-f]{16})"`)
	for _, name := range st.order {
		p := st.conns[name]
		for again := true; again; {
			select {
			case <-p.wake:
				for p.conn.Send(p) {
				}
				synctest.Wait()
			default:
				again = false
			}
		}
		for _, said := range p.said {
			for _, m := range inc.FindAllStringSubmatch(said, -1) {
				i := slices.Index(st.incs, m[1])
				if i < 0 {
					i = len(st.incs)
					st.incs = append(st.incs, m[1])
				}
				said = strings.ReplaceAll(said, m[1], stable(i))
			}
			st.log(name + "< " + said)
		}
		p.said = nil
	}
}

func stable(i int) string { return fmt.Sprintf("9f86d081884c7d%02x", 0x65+i) }

// TestProtocolPage checks that every exchange that docs/protocol.md quotes is in a
// transcript, word for word.
func TestProtocolPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	played := map[string]bool{}
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if _, msg, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				played[msg] = true
			}
		}
	}
	quoted := regexp.MustCompile(`(?m)^(?:client>|server<) (.*)$`).FindAllStringSubmatch(string(page), -1)
	if len(quoted) < 10 {
		t.Fatalf("the page quotes %d messages", len(quoted))
	}
	for _, q := range quoted {
		if !played[q[1]] {
			t.Errorf("no transcript has\n%s", q[1])
		}
	}
}
