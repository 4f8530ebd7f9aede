// Package webtest is what the tests of the protocols share: the replay of transcripts,
// and a simulated server process.
package webtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
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

	"quire/session"
	"quire/storage/mem"
	"quire/storage/storagetest"
	"quire/web/auth"
	"quire/web/ws"
)

var update = flag.Bool("update", false, "write the transcripts as the server answers now")

// Conn is one connection of a protocol, without its WebSocket.
type Conn interface {
	Receive(data []byte) *ws.CloseError
	Ended()
	Leaving(in time.Duration)
}

// Server is one life of a server.
type Server struct {
	Manager *session.Manager
	// Connect makes a connection of somebody, and the function that has it send to a Peer
	// as ws.Handler.Send does.
	Connect func(pass *auth.Pass, wake func()) (Conn, func(p *Peer) (more bool))
	// Close ends what the protocol has of its own, before the Manager is closed; nil for
	// nothing.
	Close func()
}

// Script says how transcripts of a protocol are played.
type Script struct {
	// Options are those of the session.Manager; Replay fills in Store, Logger and Rand.
	Options session.Options
	// Small changes them, after the direction "small". May be nil.
	Small func(opt *session.Options)
	// Serve starts a protocol on a manager.
	Serve func(m *session.Manager, small bool) Server
	// Begin is called before each transcript. May be nil.
	Begin func()
	// Random finds what is random in a server's message, as its first group; nil when
	// nothing is. In transcripts the first value that shows up reads First, the next one
	// is one more, as a hexadecimal number.
	Random *regexp.Regexp
	First  uint64
}

// Replay plays testdata/*.txt. A line "NAME> message" is what a client sends (its first
// line connects it), "NAME< message" what the server must answer; the rest is for the
// stage:
//
//	# a remark
//	NAME! disconnect      the connection ends
//	! pass NAME AUTHOR …  NAME is somebody now; the words are those of Identity
//	! end NAME REASON     what NAME showed to say who it is holds no more
//	! fail N              the next N appends fail
//	! fail N create       the next N creations fail
//	! fail N read         the next N reads of any kind fail
//	! heal                nothing fails any more
//	! wait 2s             time passes
//	! small               the server is stopped and started with Script.Small
//	! restart             the server is stopped and started on the same data
//	! delete DOC          the document is deleted, with its past
//	! rename DOC ID       the document gets another id
//	! redact DOC TEXT     a text is taken out of the document's past
//	! squash DOC N        all but the newest N revisions are squashed
//	! leave 1500ms        the server goes away and wants its clients back in that time
//
// With -update the transcripts are written as the server answers now.
func Replay(t *testing.T, script Script) {
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
			synctest.Test(t, func(t *testing.T) { got = replay(t, script, want) })
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			compare(t, got, want)
		})
	}
}

func compare(t *testing.T, got, want []byte) {
	if bytes.Equal(got, want) {
		return
	}
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("line %d\ngot  %s\nwant %s", i+1, g[i], w[i])
		}
	}
	t.Fatalf("got %d lines, want %d", len(g), len(w))
}

// stage is what a transcript plays on.
type stage struct {
	t      *testing.T
	script Script
	out    bytes.Buffer
	store  *storagetest.Faulty
	server Server
	conns  map[string]*player
	passes map[string]*auth.Pass
	order  []string
	random []string
	small  bool
}

// player is one client's connection.
type player struct {
	Peer
	conn Conn
	send func(p *Peer) bool
	wake chan struct{}
}

// pass returns what a client may do: everything until the stage says otherwise.
func (st *stage) pass(name string) *auth.Pass {
	if st.passes[name] == nil {
		st.passes[name] = auth.Anybody()
	}
	return st.passes[name]
}

// Identity reads who somebody is from words: the author, then grants as PATTERN:ROLE and, if
// they are given, name=NAME, ns=NAMESPACE and for=DURATION, until when it holds.
func Identity(words []string) (auth.Identity, error) {
	if len(words) == 0 {
		return auth.Identity{}, errors.New("who?")
	}
	i := auth.Identity{Author: words[0], Kind: auth.Token}
	for _, word := range words[1:] {
		if key, value, ok := strings.Cut(word, "="); ok {
			switch key {
			case "name":
				i.Name = value
			case "ns":
				i.Namespace = value
			case "for":
				d, err := time.ParseDuration(value)
				if err != nil {
					return i, err
				}
				i.Expires = time.Now().Add(d)
			default:
				return i, fmt.Errorf("not a word of an identity: %s", word)
			}
			continue
		}
		docs, name, _ := strings.Cut(word, ":")
		role, err := auth.ParseRole(name)
		if err != nil {
			return i, err
		}
		i.Grants = append(i.Grants, auth.Grant{Docs: auth.Pattern(docs), Role: role})
	}
	return i, nil
}

// Peer is a client's end of a connection: it notes what it is sent.
type Peer struct{ Said []string }

// SendText notes a message.
func (p *Peer) SendText(b []byte) { p.Said = append(p.Said, string(b)) }

// SendShared notes a message.
func (p *Peer) SendShared(m *ws.Shared) { p.SendText(m.Text()) }

// Waiting returns 0: everything leaves at once.
func (p *Peer) Waiting() int { return 0 }

// SendAround notes a message.
func (p *Peer) SendAround(head []byte, m *ws.Shared, tail []byte) {
	p.SendText(slices.Concat(head, m.Text(), tail))
}

// Depart notes that the connection is closed.
func (p *Peer) Depart() { p.Close(ws.CloseGoingAway, "") }

// Close notes that the connection is closed.
func (p *Peer) Close(code int, _ string) {
	p.Said = append(p.Said, fmt.Sprintf("(closes the connection: %d)", code))
}

func (st *stage) log(l ...any)             { fmt.Fprintln(&st.out, l...) }
func (st *stage) fatal(f string, a ...any) { st.t.Fatalf(f, a...) }

func replay(t *testing.T, script Script, lines []byte) []byte {
	if script.Begin != nil {
		script.Begin()
	}
	st := &stage{t: t, script: script, store: storagetest.NewFaulty(mem.New()), conns: map[string]*player{}, passes: map[string]*auth.Pass{}}
	st.start()
	answer := regexp.MustCompile(`^\w+< `)
	scan := bufio.NewScanner(bytes.NewReader(lines))
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		line := scan.Text()
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
	opt := st.script.Options
	if st.small && st.script.Small != nil {
		st.script.Small(&opt)
	}
	opt.Store = st.store
	opt.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	opt.Rand = func() float64 { return 0.5 }
	m := session.New(opt)
	st.server = st.script.Serve(m, st.small)
	st.server.Manager = m
}

func (st *stage) stop() {
	for _, name := range slices.Clone(st.order) {
		st.drop(name)
	}
	if st.server.Close != nil {
		st.server.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := st.server.Manager.Close(ctx); err != nil {
		st.t.Error(err)
	}
	time.Sleep(time.Hour) // of a bubble: the last timers
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
		st.hear(strings.TrimSuffix(name, ">"), rest)
	default:
		st.fatal("not a line of a transcript: %s", line)
	}
}

// hear hands a client's message to the server.
func (st *stage) hear(name, message string) {
	p := st.conns[name]
	if p == nil {
		p = &player{wake: make(chan struct{}, 1)}
		p.conn, p.send = st.server.Connect(st.pass(name), func() {
			select {
			case p.wake <- struct{}{}:
			default:
			}
		})
		select {
		case p.wake <- struct{}{}:
		default:
		}
		st.conns[name], st.order = p, append(st.order, name)
		st.collect()
	}
	for i, value := range st.random {
		message = strings.ReplaceAll(message, st.stable(i), value)
	}
	if end := p.conn.Receive([]byte(message)); end != nil {
		st.collect()
		st.log(fmt.Sprintf("%s< (closes the connection: %d)", name, end.Code))
		st.drop(name)
	}
}

func (st *stage) direct(words []string) {
	switch words[0] {
	case "pass":
		i, err := Identity(words[2:])
		if err != nil {
			st.fatal("%v", err)
		}
		st.pass(words[1]).Set(i)
	case "end":
		st.pass(words[1]).End(session.Errorf(session.CodeUnauthenticated, "%s", strings.Join(words[2:], " ")))
	case "fail":
		n, _ := strconv.Atoi(words[1])
		calls := map[string]storagetest.Call{"": storagetest.Append, "create": storagetest.Create, "read": storagetest.Read}
		call, ok := calls[strings.Join(words[2:], " ")]
		if !ok {
			st.fatal("no such direction: %v", words)
		}
		st.store.Fail(call, n, nil)
	case "heal":
		st.store.Heal()
	case "wait":
		time.Sleep(st.duration(words[1]))
	case "restart", "small":
		st.small = words[0] == "small"
		st.stop()
		st.start()
	case "delete":
		if err := st.server.Manager.Delete(context.Background(), words[1]); err != nil {
			st.fatal("%v", err)
		}
	case "rename":
		if err := st.server.Manager.Rename(context.Background(), words[1], words[2]); err != nil {
			st.fatal("%v", err)
		}
	case "redact":
		if _, err := st.server.Manager.Redact(context.Background(), words[1], session.Redaction{Text: words[2]}); err != nil {
			st.fatal("%v", err)
		}
	case "squash":
		n, _ := strconv.Atoi(words[2])
		if _, err := st.server.Manager.Squash(context.Background(), words[1], session.Keep{Count: n}); err != nil {
			st.fatal("%v", err)
		}
	case "leave":
		for _, name := range st.order {
			st.conns[name].conn.Leaving(st.duration(words[1]))
			st.conns[name].wake <- struct{}{}
		}
	default:
		st.fatal("no such direction: %v", words)
	}
}

func (st *stage) duration(word string) time.Duration {
	d, err := time.ParseDuration(word)
	if err != nil {
		st.fatal("%v", err)
	}
	return d
}

// collect writes down what the server says to everybody.
func (st *stage) collect() {
	for _, name := range st.order {
		p := st.conns[name]
		for again := true; again; {
			select {
			case <-p.wake:
				for p.send(&p.Peer) {
				}
				synctest.Wait()
			default:
				again = false
			}
		}
		for _, said := range p.Said {
			st.log(name + "< " + st.settled(said))
		}
		p.Said = nil
	}
}

// settled returns a message with stable values for random ones.
func (st *stage) settled(said string) string {
	if st.script.Random == nil {
		return said
	}
	for _, m := range st.script.Random.FindAllStringSubmatch(said, -1) {
		i := slices.Index(st.random, m[1])
		if i < 0 {
			i = len(st.random)
			st.random = append(st.random, m[1])
		}
		said = strings.ReplaceAll(said, m[1], st.stable(i))
	}
	return said
}

func (st *stage) stable(i int) string {
	return strconv.FormatUint(st.script.First+uint64(i), 16)
}
