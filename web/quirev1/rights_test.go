package quirev1

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"quire/ot"
	"quire/ot/text"
	"quire/session"
	"quire/storage/mem"
	"quire/web/auth"
	"quire/web/ws"
)

func identity(author string, grants ...auth.Grant) auth.Identity {
	return auth.Identity{Author: author, Kind: auth.Token, Grants: grants}
}

// reader and writer are who may do so with every document.
func reader() auth.Identity { return identity("rita", auth.Grant{Docs: "*", Role: auth.Read}) }
func writer() auth.Identity { return identity("will", auth.Grant{Docs: "*", Role: auth.Write}) }

// person is one connection to a manager.
type person struct {
	t    *testing.T
	conn *Conn
	pass *auth.Pass
	ear
}

func manager(t *testing.T) (*session.Manager, func()) {
	m := session.New(session.Options{Store: mem.New(), Types: []ot.Type{text.Type{}}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	return m, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			t.Error(err)
		}
	}
}

func enter(t *testing.T, m *session.Manager, i auth.Identity) *person {
	p := &person{t: t, pass: auth.NewPass(i)}
	p.conn = New(Options{Manager: m}).Connect(p.pass, func() {})
	return p
}

// say sends a message and returns what the server says until nothing happens any more.
func (p *person) say(msg string) []string {
	p.t.Helper()
	p.said = nil
	if msg != "" {
		if why := p.conn.Receive([]byte(msg)); why != nil {
			p.t.Errorf("%s: closed with %d", msg, why.Code)
		}
	}
	synctest.Wait()
	for p.conn.Send(&p.ear) {
		synctest.Wait()
	}
	return p.said
}

// TestReaderCannotWrite sends everything that writes, in every form there is.
func TestReaderCannotWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := manager(t)
		if _, err := m.Create(context.Background(), "a", "text", []byte(`"text"`), session.User{}); err != nil {
			t.Fatal(err)
		}
		p := enter(t, m, reader())
		p.say(`{"t":"open","doc":"a","client":"client-1"}`)
		for _, msg := range []string{
			`{"t":"submit","doc":"a","base":0,"seq":1,"ops":[["x"]]}`,
			`{"t":"submit","doc":"a","base":0,"seq":1,"ops":[["x"]],"cursor":[[1,1]]}`,
			`{"t":"submit","doc":"a","base":0,"seq":1,"ops":[["x"]],"user":{"name":"Will"}}`, // read the slow way
			`{"t":"submit","doc":"a","base":0,"seq":9,"ops":[["x"]]}`,
			`{"t":"submit","doc":"a","base":7,"seq":1,"ops":"nonsense"}`,
			`{"t":"submit","doc":"a","base":0,"seq":1,"ops":[]}`,
			`{"t":"open","doc":"b","client":"client-1","create":"text"}`,
			`{"t":"open","doc":"b","client":"client-1","create":"text","inc":"0","rev":0,"seq":0}`,
		} {
			said := strings.Join(p.say(msg), "\n")
			if !strings.Contains(said, `"code":"forbidden"`) && !strings.Contains(said, `"code":"bad_message"`) {
				t.Errorf("%s\nis answered\n%s", msg, said)
			}
		}
		if said := p.say(`{"t":"check","doc":"a"}`); len(said) != 1 || !strings.Contains(said[0], `"rev":0`) {
			t.Errorf("afterwards the document says %q", said)
		}
		if v, err := m.View(context.Background(), "b", session.Head); err != nil || v.Rev != session.Unborn {
			t.Errorf("b is at %d, %v", v.Rev, err)
		}
		p.conn.Ended()
		stop()
		time.Sleep(time.Hour)
	})
}

// TestUnreadableIsMissing compares, word for word, what is said of a document that may not be
// read with what is said of one that is not there.
func TestUnreadableIsMissing(t *testing.T) {
	for _, msg := range []string{
		`{"t":"open","doc":%q}`, `{"t":"open","doc":%q,"client":"client-1"}`, `{"t":"open","doc":%q,"client":"short"}`,
		`{"t":"open","doc":%q,"client":"client-1","user":{"name":"Eve","color":"#000000"}}`,
		`{"t":"open","doc":%q,"client":"client-1","inc":"00000000000000aa","rev":0,"seq":0}`, `{"t":"open","doc":%q,"client":"client-1","inc":"zz","rev":0,"seq":0}`,
		`{"t":"open","doc":%q,"client":"client-1","rev":-1,"seq":0}`, `{"t":"open","doc":%q,"client":"client-1","user":{"color":"red"}}`,
		`{"t":"submit","doc":%q,"base":0,"seq":1,"ops":[["x"]]}`, `{"t":"presence","doc":%q,"base":0,"cursor":[]}`, `{"t":"check","doc":%q}`, `{"t":"close","doc":%q}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			m, stop := manager(t)
			if _, err := m.Create(context.Background(), "closed/a", "text", []byte(`"text"`), session.User{}); err != nil {
				t.Fatal(err)
			}
			p := enter(t, m, identity("eve", auth.Grant{Docs: "open/*", Role: auth.Write}))
			p.say("")
			ask := func(doc string) string {
				return strings.ReplaceAll(strings.Join(p.say(fmt.Sprintf(msg, doc)), "\n"), doc, "DOC")
			}
			if closed, missing := ask("closed/a"), ask("open/a"); closed != missing || missing == "" {
				t.Errorf("%s\nof one that may not be read %s\nof one that is not there   %s", msg, closed, missing)
			}
			p.conn.Ended()
			stop()
			time.Sleep(time.Hour)
		})
	}
}

// TestNobodyIsAnother claims another author's name wherever a message has room for one.
func TestNobodyIsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := manager(t)
		p := enter(t, m, writer())
		other := `"user":{"name":"Ada","color":"#c2410c","author":"ada"}`
		said := p.say(`{"t":"open","doc":"a","client":"client-1","create":"text",` + other + `}`)
		said = append(said, p.say(`{"t":"presence","doc":"a","base":0,"cursor":[],`+other+`}`)...)
		said = append(said, p.say(`{"t":"submit","doc":"a","base":0,"seq":1,"ops":[["x"]],`+other+`}`)...)
		time.Sleep(time.Second)
		all := strings.Join(append(said, p.say("")...), "\n")
		if strings.Contains(strings.ToLower(all), "ada") || !strings.Contains(all, `"name":"will"`) {
			t.Errorf("the server said\n%s", all)
		}
		entries, err := m.Entries(context.Background(), "a", 0, session.Head, 10)
		if err != nil || len(entries) != 1 || entries[0].Author != "will" {
			t.Errorf("recorded is %+v, %v", entries, err)
		}
		p.conn.Ended()
		stop()
		time.Sleep(time.Hour)
	})
}

// TestNobodyTakesAnothersPlace opens a document by the client id of somebody else: while they
// are there, and while they are away and have something to go on from. Their own other
// connection takes the place as ever.
func TestNobodyTakesAnothersPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := manager(t)
		const open = `{"t":"open","doc":"a","client":"client-1","create":"text"}`
		will, rita := enter(t, m, writer()), enter(t, m, reader())
		will.say(open)
		try := func(when string) {
			if said := strings.Join(rita.say(open), "\n"); !strings.Contains(said, `"code":"bad_id"`) {
				t.Errorf("%s: the server says %s", when, said)
			}
		}
		try("while he is there")
		if said := will.say(`{"t":"submit","doc":"a","base":0,"seq":1,"ops":[["x"]]}`); len(said) != 1 || !strings.Contains(said[0], `"s":1`) {
			t.Errorf("he is told %q", said)
		}
		will.conn.Ended()
		try("while he is away")
		again := enter(t, m, writer())
		if said := strings.Join(again.say(open), "\n"); !strings.Contains(said, `"seq":1,"content":"x"`) {
			t.Errorf("when he comes back he is told %s", said)
		}
		third := enter(t, m, writer())
		third.say(open)
		if said := strings.Join(again.say(""), "\n"); !strings.Contains(said, "replaced") {
			t.Errorf("when he comes elsewhere he is told %s", said)
		}
		for _, p := range []*person{rita, again, third} {
			p.conn.Ended()
		}
		stop()
		time.Sleep(time.Hour)
	})
}

// TestAcknowledgedToAReader loses the acknowledgement of an operation, and then the right to write: who opens
// the document again learns that it counts.
func TestAcknowledgedToAReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, stop := manager(t)
		will := enter(t, m, writer())
		said := strings.Join(will.say(`{"t":"open","doc":"a","client":"client-1","create":"text"}`), "")
		_, inc, _ := strings.Cut(said, `"inc":"`)
		will.say(`{"t":"submit","doc":"a","base":0,"seq":1,"ops":[["x"]]}`)
		will.conn.Ended()
		again := enter(t, m, identity("will", auth.Grant{Docs: "*", Role: auth.Read}))
		said = strings.Join(again.say(`{"t":"open","doc":"a","client":"client-1","inc":"`+inc[:16]+`","rev":0,"seq":0}`), "\n")
		if !strings.Contains(said, `"head":1,"seq":1,"resumed":true`) || !strings.Contains(said, `"s":1`) {
			t.Errorf("it is told %s", said)
		}
		again.conn.Ended()
		stop()
		time.Sleep(time.Hour)
	})
}

// line is a Sender that hands on what is sent.
type line struct {
	ear
	said chan string
}

func (l *line) SendText(p []byte)       { l.said <- string(p) }
func (l *line) SendShared(m *ws.Shared) { l.SendText(m.Text()) }
func (l *line) SendAround(head []byte, m *ws.Shared, tail []byte) {
	l.SendText(slices.Concat(head, m.Text(), tail))
}
func (l *line) Close(code int, _ string) { l.said <- fmt.Sprint("closed ", code) }

// TestRightsInARace takes a right away while submissions arrive, in other goroutines. What
// arrives later is refused. What came before is committed or refused, and the client told
// which, unless the document or the connection is closed to it.
func TestRightsInARace(t *testing.T) {
	for _, test := range []struct {
		take   func(p *auth.Pass)
		answer string
	}{
		{func(p *auth.Pass) { p.Set(reader()) }, `"code":"forbidden","class":"fatal","seq"`},
		{func(p *auth.Pass) { p.Set(identity("will")) }, `"code":"forbidden"`},
		{func(p *auth.Pass) { p.End(session.Errorf(session.CodeUnauthenticated, "over")) }, "closed 4401"},
	} {
		for round := range 10 {
			m, stop := manager(t)
			wake, quit := make(chan struct{}, 1), make(chan struct{})
			pass := auth.NewPass(writer())
			c := New(Options{Manager: m}).Connect(pass, func() {
				select {
				case wake <- struct{}{}:
				default:
				}
			})
			l := &line{said: make(chan string, 10_000)}
			var running sync.WaitGroup
			running.Go(func() {
				for {
					select {
					case <-wake:
						for c.Send(l) {
						}
					case <-quit:
						return
					}
				}
			})
			say := func(format string, args ...any) { c.Receive(fmt.Appendf(nil, format, args...)) }
			hear := func(words ...string) string {
				for said := range l.said {
					if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(said, w) }) {
						return said
					}
				}
				return ""
			}
			say(`{"t":"open","doc":"a","client":"client-1","create":"text"}`)
			hear(`"opened"`)
			var taken atomic.Bool
			acks, late := 0, 0
			for refused := false; !refused; {
				if acks == round {
					running.Go(func() {
						test.take(pass)
						taken.Store(true)
					})
				}
				if taken.Load() && late == 0 {
					late = acks + 1
				}
				say(`{"t":"submit","doc":"a","base":%d,"seq":%d,"ops":[["x"]]}`, acks, acks+1)
				if refused = !strings.Contains(hear(test.answer, fmt.Sprintf(`"s":%d,`, acks+1)), `"ops"`); !refused {
					acks++
				}
			}
			close(quit)
			running.Wait()
			c.Ended()
			stop()
			most := acks
			if !strings.Contains(test.answer, "seq") {
				most++ // the last one may be committed, and nobody there to be told
			}
			if v, err := m.View(context.Background(), "a", session.Head); err != nil || int(v.Rev) < acks || int(v.Rev) > most || late > 0 && int(v.Rev) >= late {
				t.Errorf("revision %d, %v; %d were acknowledged, from %d on the right was gone", v.Rev, err, acks, late)
			}
		}
	}
}

// TestEndedLooksAtNothing has a pass change when its connection has ended.
func TestEndedLooksAtNothing(t *testing.T) {
	m, stop := manager(t)
	defer stop()
	woken := 0
	pass := auth.NewPass(reader())
	c := New(Options{Manager: m}).Connect(pass, func() { woken++ })
	pass.Set(writer())
	if woken != 1 {
		t.Errorf("woken %d times by a change", woken)
	}
	c.Ended()
	pass.Set(reader())
	if woken != 1 {
		t.Error("a connection that has ended looks at its pass")
	}
}
