package sharedb_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"quire/ot"
	"quire/session"
	"quire/storage"
	"quire/storage/mem"
	"quire/web/auth"
	"quire/web/sharedb"
)

// A moment is the nth time that something happens that a test can do something else in the
// middle of; none when n is 0.
type moment struct {
	n  atomic.Int64
	do func()
}

func (m *moment) pass() {
	if m.n.Add(-1) == 0 {
		m.do()
	}
}

// slowStore is a store in the middle of whose reads things happen.
type slowStore struct {
	session.Store
	*moment
}

func (s slowStore) Stat(ctx context.Context, id string) (storage.Info, error) {
	s.pass()
	return s.Store.Stat(ctx, id)
}

func (s slowStore) Read(ctx context.Context, id string, from, to storage.Revision) ([]storage.Record, error) {
	s.pass()
	return s.Store.Read(ctx, id, from, to)
}

func (s slowStore) LastSeq(ctx context.Context, id, client string) (uint64, storage.Revision, error) {
	s.pass()
	return s.Store.LastSeq(ctx, id, client)
}

func (s slowStore) List(ctx context.Context, prefix, after string, limit int) ([]storage.Info, error) {
	s.pass()
	return s.Store.List(ctx, prefix, after, limit)
}

func (s slowStore) At(ctx context.Context, id string, time int64) (storage.Revision, error) {
	s.pass()
	return s.Store.At(ctx, id, time)
}

// slowDialect is a dialect in the middle of whose encoding things happen.
type slowDialect struct {
	sharedb.ObjectDialect
	*moment
}

func (d slowDialect) AppendDoc(dst []byte, doc ot.Doc) []byte {
	d.pass()
	return d.ObjectDialect.AppendDoc(dst, doc)
}

// change is what becomes of somebody's rights while a message of theirs is handled.
type change struct {
	name          string
	before, after *auth.Identity // nil: the pass has ended
}

var (
	stranger = &auth.Identity{Author: "rita", Kind: auth.Token, Grants: []auth.Grant{{Docs: "x/*", Role: auth.Read}}}
	reader   = &auth.Identity{Author: "rita", Kind: auth.Token, Grants: []auth.Grant{{Docs: "c/*", Role: auth.Read}}}
)

// during plays a message in whose middle, at the nth moment there is, rights change, and after
// which somebody edits the document. It returns what was said to both, and false when there is no
// such moment.
func during(t *testing.T, message string, ch change, n int, sends bool) (said []string, came bool) {
	synctest.Test(t, func(t *testing.T) {
		mo := &moment{}
		w := &world{t: t, store: slowStore{mem.New(), mo}, dialects: dialects()}
		for i, d := range w.dialects {
			if d, ok := d.(sharedb.ObjectDialect); ok && d.URI() == sharedb.DefaultType {
				w.dialects[i] = slowDialect{d, mo}
			}
		}
		w.start()
		w.say(`{"a":"op","c":"c","d":"d","v":null,"seq":1,"create":{"type":"json0","data":{"n":1}}}`, `{"a":"op","c":"c","d":"d","v":1,"seq":2,"op":[{"p":["n"],"na":1}]}`)
		w.say(`{"a":"op","c":"c","d":"e","v":null,"seq":3,"create":{"type":"json0","data":{"e":1}}}`)
		w.restart() // and nothing is in memory
		ada := *w
		defer ada.stop()
		pass := auth.NewPass(*ch.before)
		pass.OnDenied(func(string, auth.Role, *session.Error) { mo.pass() })
		w.conn = w.proto.Connect(pass, func() {})
		defer w.conn.Ended()
		w.settle()
		w.peer.Said = nil
		var inSend atomic.Bool
		mo.do = func() {
			came = true
			if ch.after != nil {
				pass.Set(*ch.after)
			} else {
				pass.End(session.Errorf(session.CodeUnauthenticated, "over"))
			}
			if sends && !inSend.Load() { // as the connection's other goroutine would
				w.conn.Send(&w.peer)
			}
		}
		mo.n.Store(int64(n))
		if end := w.conn.Receive([]byte(message)); end != nil {
			w.peer.Close(end.Code, "")
		}
		inSend.Store(true)
		w.settle()
		if mo.n.Store(0); !slices.ContainsFunc(w.peer.Said, closes) {
			ada.say(`{"a":"op","c":"c","d":"d","v":2,"seq":4,"src":"ada","op":[{"p":["news"],"oi":1}]}`)
			w.settle()
		}
		said = w.peer.Said
	})
	return said, came
}

func closes(said string) bool { return strings.HasPrefix(said, "(closes") }

// TestRightsInBetween changes rights at each moment of each message that reads. Who loses the right
// is told nothing that happens later, and that it was lost if they were told anything; who gains it
// misses nothing, if need be by connecting again; whose pass ends is not told that a document is not
// there.
func TestRightsInBetween(t *testing.T) {
	const gone = `:{"v":0,"type":null}`
	for _, m := range []struct {
		message string
		live    bool
	}{
		{`{"a":"f","c":"c","d":"d"}`, false}, {`{"a":"f","c":"c","d":"d","v":1}`, false},
		{`{"a":"bf","c":"c","b":["d","e"]}`, false}, {`{"a":"bf","c":"c","b":{"d":1,"e":0}}`, false},
		{`{"a":"nf","id":1,"c":"c","d":"d","v":1}`, false}, {`{"a":"nt","id":1,"c":"c","d":"d","ts":9999999999999}`, false},
		{`{"a":"qf","id":1,"c":"c","q":{}}`, false},
		{`{"a":"s","c":"c","d":"d"}`, true}, {`{"a":"s","c":"c","d":"d","v":1}`, true},
		{`{"a":"bs","c":"c","b":["d","e"]}`, true}, {`{"a":"bs","c":"c","b":["e","d"]}`, true}, {`{"a":"bs","c":"c","b":{"d":1,"e":0}}`, true}, {`{"a":"bs","c":"c","b":{"d":null,"e":0}}`, true},
		{`{"a":"qs","id":1,"c":"c","q":{}}`, true}, {`{"a":"qs","id":1,"c":"c","q":{},"r":[["d",1]]}`, true},
	} {
		for _, ch := range []change{{"lost", reader, stranger}, {"gained", stranger, reader}, {"lost and gained", reader, reader}, {"ended", reader, nil}} {
			for n, came := 1, true; came && n < 50; n++ {
				for _, sends := range []bool{false, true} {
					var said []string
					if said, came = during(t, m.message, ch, n, sends); !came {
						break
					}
					all := strings.Join(said, "\n")
					wrong := ""
					again, news := strings.Contains(all, "(closes the connection: 1013)"), strings.Contains(all, "news")
					query := strings.Contains(m.message, `"q"`)
					switch {
					case ch.name == "ended":
						if !closes(said[len(said)-1]) || strings.Contains(all, `"d"`+gone) || strings.Contains(all, `"data"`+gone) || !strings.Contains(all, "4401") {
							wrong = "what ended was not said, or something else was"
						}
					case ch.name == "lost" && news:
						wrong = "it is told what happens afterwards"
					case ch.name == "lost" && query && strings.Contains(m.message, "qf") && strings.Contains(all, `"n":2`):
						wrong = "it is shown what it may not read any more"
					case ch.name == "lost" && strings.LastIndex(all, `"n":2`) > strings.Index(all, "forbidden") && strings.Contains(all, "forbidden"):
						wrong = "it is shown what it was told that it may not read"
					case ch.name == "lost" && m.live && !query && !strings.Contains(all, "forbidden") && !strings.Contains(all, gone) && !strings.Contains(all, `"b":{`) && !strings.Contains(all, `{"a":"s","c":"c","d":"d"}`):
						wrong = "it does not know that it may not read it"
					case ch.name != "lost" && m.live && !again && !news:
						wrong = "it is told nothing of what happens afterwards"
					}
					if wrong != "" {
						t.Errorf("%s, %s at moment %d (%v): %s:\n%s", m.message, ch.name, n, sends, wrong, all)
					}
				}
			}
		}
	}
}

// TestLostIsSaid has a right go at each moment of a subscription by a client that has the document:
// it is told so, or was told no more than anybody is of one that is not there.
func TestLostIsSaid(t *testing.T) {
	for n, came := 1, true; came; n++ {
		var said []string
		said, came = during(t, `{"a":"s","c":"c","d":"d","v":1}`, change{"lost", reader, stranger}, n, true)
		all := strings.Join(said, "\n")
		if came && strings.Contains(all, `"op":`) && !strings.Contains(all, "forbidden") {
			t.Errorf("at moment %d: %s", n, all)
		}
	}
}

// TestWithheldInBetween has the rights come back while an operation is looked at that came when they were
// gone: it is without an answer, so its client connects again.
func TestWithheldInBetween(t *testing.T) {
	writer := auth.Identity{Author: "rita", Kind: auth.Token, Grants: []auth.Grant{{Docs: "c/*", Role: auth.Write}}}
	for _, told := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.stop()
			pass := auth.NewPass(writer)
			pass.OnDenied(func(string, auth.Role, *session.Error) {
				pass.Set(writer)
				w.settle() // as the connection's other goroutine would
			})
			w.as(pass)
			w.say(`{"a":"op","c":"c","d":"d","v":null,"seq":1,"create":{"type":"json0","data":{"n":1}}}`, `{"a":"s","c":"c","d":"d","v":1}`)
			pass.Set(*stranger)
			if told {
				w.settle()
			}
			if said := w.say(`{"a":"op","c":"c","d":"d","v":1,"seq":2,"op":[{"p":["n"],"na":1}]}`); len(said) == 0 || slices.ContainsFunc(said, func(s string) bool { return s != "(closes the connection: 1013)" }) {
				t.Errorf("told before %v: the server says %q", told, said)
			}
		})
	}
}
