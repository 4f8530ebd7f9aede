package sharedb_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"quire/session"
	"quire/web/auth"
	"quire/web/sharedb"
)

const rich = "http://sharejs.org/types/rich-text/v1"

// about are messages of every kind about document %[2]s of collection %[1]s.
var about = []string{
	`{"a":"f","c":%[1]q,"d":%[2]q}`, `{"a":"f","c":%[1]q,"d":%[2]q,"v":0}`, `{"a":"f","c":%[1]q,"d":%[2]q,"v":1}`, `{"a":"f","c":%[1]q,"d":%[2]q,"v":9}`,
	`{"a":"s","c":%[1]q,"d":%[2]q}`, `{"a":"s","c":%[1]q,"d":%[2]q,"v":1}`, `{"a":"u","c":%[1]q,"d":%[2]q}`,
	`{"a":"bf","c":%[1]q,"b":[%[2]q]}`, `{"a":"bs","c":%[1]q,"b":[%[2]q]}`, `{"a":"bf","c":%[1]q,"b":{%[2]q:1}}`, `{"a":"bs","c":%[1]q,"b":{%[2]q:null}}`, `{"a":"bu","c":%[1]q,"b":[%[2]q]}`,
	`{"a":"nf","id":1,"c":%[1]q,"d":%[2]q,"v":null}`, `{"a":"nf","id":1,"c":%[1]q,"d":%[2]q,"v":0}`, `{"a":"nf","id":1,"c":%[1]q,"d":%[2]q,"v":1}`,
	`{"a":"nt","id":1,"c":%[1]q,"d":%[2]q,"ts":null}`, `{"a":"nt","id":1,"c":%[1]q,"d":%[2]q,"ts":9999999999999}`,
	`{"a":"op","c":%[1]q,"d":%[2]q,"v":1,"seq":1,"op":[{"insert":"x"}]}`, `{"a":"op","c":%[1]q,"d":%[2]q,"v":0,"seq":1,"op":[{"insert":"x"}]}`,
	`{"a":"op","c":%[1]q,"d":%[2]q,"v":null,"seq":1,"op":[{"insert":"x"}]}`, `{"a":"op","c":%[1]q,"d":%[2]q,"v":1,"seq":1,"op":"nonsense"}`,
	`{"a":"op","c":%[1]q,"d":%[2]q,"v":1,"seq":1,"del":true}`, `{"a":"op","c":%[1]q,"d":%[2]q,"v":null,"seq":1,"del":true}`,
	`{"a":"op","c":%[1]q,"d":%[2]q,"v":1,"src":"owner","seq":1,"op":[{"insert":"x"}]}`,
	`{"a":"qf","id":1,"c":%[1]q,"q":{}}`, `{"a":"qs","id":1,"c":%[1]q,"q":{}}`, `{"a":"qs","id":1,"c":%[1]q,"q":{},"r":[[%[2]q,1]]}`, `{"a":"qs","id":1,"c":%[1]q,"q":{},"r":[[%[2]q,null]]}`,
	`{"a":"ps","ch":"%[1]s.%[2]s","seq":1}`, `{"a":"pr","ch":"%[1]s.%[2]s"}`, `{"a":"pu","ch":"%[1]s.%[2]s","seq":2}`,
	`{"a":"p","ch":"%[1]s.%[2]s","id":"i","p":{"index":0,"length":1},"pv":1,"c":%[1]q,"d":%[2]q,"v":1,"t":"` + rich + `"}`,
	`{"a":"p","ch":"%[1]s.%[2]s","id":"i","p":{"index":0,"length":1},"pv":1,"c":%[1]q,"d":%[2]q,"v":0,"t":"` + rich + `"}`,
	`{"a":"p","ch":"%[1]s.%[2]s","id":"i","p":null,"pv":1,"c":%[1]q,"d":%[2]q,"v":1,"t":"` + rich + `"}`,
	`{"a":"p","ch":"%[1]s.%[2]s","id":"i","p":5,"pv":1,"c":%[1]q,"d":%[2]q,"v":1}`, `{"a":"p","ch":"%[1]s.%[2]s","id":"i","p":5,"pv":1}`,
}

// TestUnreadableIsMissing compares, word for word, what is answered about a document that may
// not be read with what is answered about one that is not there; and nothing comes of either.
func TestUnreadableIsMissing(t *testing.T) {
	ask := func(message, c, d string) (said []string) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.stop()
			w.say(`{"a":"hs","id":"owner"}`,
				`{"a":"op","c":"closed","d":"doc","v":null,"seq":1,"create":{"type":"rich-text","data":[{"insert":"secret"}]}}`,
				`{"a":"op","c":"closed","d":"doc","v":1,"seq":2,"op":[{"insert":"more "}]}`)
			owner, heard := w.conn, &w.peer
			w.say(`{"a":"ps","ch":"closed.doc","seq":1}`, `{"a":"p","ch":"closed.doc","id":"o","p":{"index":0,"length":1},"pv":1,"c":"closed","d":"doc","v":2,"t":"`+rich+`"}`)
			other := *w
			other.conn = w.proto.Connect(auth.NewPass(auth.Identity{Author: "eve", Kind: auth.Token, Grants: []auth.Grant{{Docs: "open/*", Role: auth.Write}}}), func() {})
			defer other.conn.Ended()
			other.peer.Said, heard.Said = nil, nil
			other.settle()
			said = slices.Clone(other.say(fmt.Sprintf(message, c, d)))
			// What happens to the document, and who is there, is not news to her.
			w.say(`{"a":"op","c":"closed","d":"doc","v":2,"seq":3,"op":[{"insert":"even "}]}`)
			if len(w.peer.Said) != 1 {
				t.Errorf("%s: its owner heard %q", message, w.peer.Said)
			}
			other.peer.Said = nil
			other.settle()
			said = append(said, other.peer.Said...)
			w.conn = owner
			if v, err := w.manager.View(context.Background(), "closed/doc", session.Head); err != nil || v.Rev != 2 {
				t.Errorf("%s: the document is at revision %d, %v", message, v.Rev, err)
			}
		})
		for i := range said {
			said[i] = strings.NewReplacer(fmt.Sprintf("%q", c), `"C"`, fmt.Sprintf("%q", d), `"D"`, c+"."+d, "C.D").Replace(said[i])
		}
		return said
	}
	for _, m := range about {
		closed, missing := ask(m, "closed", "doc"), ask(m, "open", "none")
		if len(missing) == 0 || !slices.Equal(closed, missing) {
			t.Errorf("%s\nof a document that may not be read\n\t%s\nof one that is not there\n\t%s", m, strings.Join(closed, "\n\t"), strings.Join(missing, "\n\t"))
		}
	}
	// To make one is not for her to try, whether or not it is there.
	create := `{"a":"op","c":%[1]q,"d":%[2]q,"v":null,"seq":1,"create":{"type":"rich-text","data":[{"insert":"x"}]}}`
	if there, not := ask(create, "closed", "doc"), ask(create, "closed", "none"); !slices.Equal(there, not) || !strings.Contains(there[0], "ERR_DOC_DOES_NOT_EXIST") {
		t.Errorf("a creation: %q of one that is there, %q of one that is not", there, not)
	}
}

// TestReaderCannotWrite sends everything that writes, in every form there is, of somebody who
// may read; and of somebody who may write what is recorded of who it was.
func TestReaderCannotWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.say(`{"a":"op","c":"c","d":"d","v":null,"seq":1,"create":{"type":"rich-text","data":[{"insert":"text\n"}]}}`)
		grant := func(role auth.Role) auth.Identity {
			return auth.Identity{Author: "rita", Kind: auth.Token, Grants: []auth.Grant{{Docs: "*", Role: role}}}
		}
		pass := auth.NewPass(grant(auth.Read))
		w.as(pass)
		for _, m := range []string{
			`"c":"c","d":"d","v":1,"seq":1,"op":[{"insert":"x"}]`, `"c":"c","d":"d","v":null,"seq":2,"op":[{"insert":"x"}]`,
			`"c":"c","d":"d","v":1,"seq":3,"src":"A","op":[{"insert":"x"}]`, `"c":"c","d":"d","v":1,"seq":2,"src":"A","op":[]`,
			`"c":"c","d":"d","v":1,"seq":4,"del":true`, `"c":"c","d":"d","v":null,"seq":5,"del":true`,
			`"c":"c","d":"new","v":null,"seq":6,"create":{"type":"json0","data":1}`, `"c":"c","d":"new","v":0,"seq":7,"create":{"type":"json0","data":1}`,
			`"c":"c","d":"d","v":1,"seq":8,"op":[{"insert":"x"}],"create":{"type":"json0"},"del":true`,
			`"c":"","d":"new","v":null,"seq":9,"create":{"type":"json0","data":1}`,
		} {
			// The second time there is a place that the operation could go straight to.
			for _, first := range []string{``, `{"a":"s","c":"c","d":"d"}`} {
				if first != "" {
					w.say(first)
				}
				if got := w.only(w.say(`{"a":"op",` + m + `}`)); got.Error == nil || got.Error.Code != "forbidden" {
					t.Errorf("%s is answered %+v", m, got)
				}
			}
		}
		for id, rev := range map[string]session.Revision{"c/d": 0, "c/new": session.Unborn, "new": session.Unborn} {
			if v, err := w.manager.View(context.Background(), id, session.Head); err != nil || v.Rev != rev {
				t.Errorf("%s is at revision %d, %v", id, v.Rev, err)
			}
		}
		pass.Set(grant(auth.Write))
		if got := w.only(w.say(`{"a":"op","c":"c","d":"d","v":1,"seq":20,"op":[{"insert":"x"}],"m":{"author":"ada"}}`)); got.Error != nil {
			t.Errorf("with the right: %+v", got)
		}
		entries, err := w.manager.Entries(context.Background(), "c/d", 0, session.Head, 10)
		if err != nil || len(entries) != 1 || entries[0].Author != "rita" {
			t.Errorf("recorded is %+v, %v", entries, err)
		}
	})
}

// TestRepeated sends operations again that were made before the right to write went: each is
// acknowledged with the version it has, over a restart too, and nothing is stored. Those of
// another author, and those that never arrived, are refused.
func TestRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		identity := func(author string, role auth.Role) *auth.Pass {
			return auth.NewPass(auth.Identity{Author: author, Kind: auth.Token, Grants: []auth.Grant{{Docs: "*", Role: role}}})
		}
		w.as(identity("rita", auth.Write))
		made := []string{
			`"c":"c","d":"made","v":null,"seq":1,"create":{"type":"json0","data":{}}`,
			`"c":"c","d":"edited","v":null,"seq":2,"create":{"type":"rich-text","data":[{"insert":"text"}]}`,
			`"c":"c","d":"edited","v":1,"seq":3,"op":[{"insert":"x"}]`,
			`"c":"c","d":"gone","v":null,"seq":4,"create":{"type":"text-unicode","data":"text"}`,
			`"c":"c","d":"gone","v":1,"seq":5,"del":true`,
		}
		w.say(`{"a":"hs","id":"rita-1"}`)
		for _, m := range made {
			if got := w.only(w.say(`{"a":"op",` + m + `}`)); got.Error != nil {
				t.Fatal(m, got.Error)
			}
		}
		for _, restarted := range []bool{false, true} {
			if restarted {
				w.restart()
			}
			for _, test := range []struct {
				who, op string
				acked   bool
			}{
				{"rita", made[0], true}, {"rita", made[2], true}, {"rita", made[4], true},
				{"rita", `"c":"c","d":"edited","v":2,"seq":6,"op":[{"insert":"y"}]`, false},
				{"rita", `"c":"c","d":"new","v":null,"seq":1,"create":{"type":"json0","data":{}}`, false},
				{"mallory", made[0], false}, {"mallory", made[2], false},
			} {
				w.as(identity(test.who, auth.Read))
				w.say(`{"a":"hs","id":"rita-1"}`)
				got := w.only(w.say(`{"a":"op","src":"rita-1",` + test.op + `}`))
				if acked := got.Error == nil; acked != test.acked || !acked && got.Error.Code != "forbidden" {
					t.Errorf("%s, restarted %v: %s is answered %+v", test.who, restarted, test.op, got)
				}
			}
		}
		for id, rev := range map[string]session.Revision{"c/made": 0, "c/edited": 1, "c/gone": 1, "c/new": session.Unborn} {
			if v, err := w.manager.View(context.Background(), id, session.Head); err != nil || v.Rev != rev {
				t.Errorf("%s is at revision %d, %v", id, v.Rev, err)
			}
		}
		w.stop()
	})
}

// TestUnreadableAreCounted subscribes to documents that may not be read: to as many as to others, and no more.
func TestUnreadableAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.proto.Close()
		w.proto = sharedb.New(sharedb.Options{Manager: w.manager, Dialects: dialects(), NewID: letters(), MaxDocs: 3})
		w.as(auth.NewPass(auth.Identity{Author: "eve", Kind: auth.Token, Grants: []auth.Grant{{Docs: "open/*", Role: auth.Read}}}))
		for i, m := range []string{
			`{"a":"s","c":"closed","d":"1"}`, `{"a":"bs","c":"closed","b":{"2":0}}`, `{"a":"s","c":"open","d":"3"}`, `{"a":"s","c":"closed","d":"1"}`,
			`{"a":"s","c":"closed","d":"4"}`, `{"a":"s","c":"closed","d":"4","v":0}`, `{"a":"s","c":"open","d":"4"}`, `{"a":"bs","c":"closed","b":["1","4"]}`,
		} {
			said := strings.Join(w.say(m), "\n")
			if refused := strings.Contains(said, "ERR_LIMIT_EXCEEDED"); refused != (i > 3) {
				t.Errorf("%s is answered %s", m, said)
			}
		}
		w.say(`{"a":"bu","c":"closed","b":["1","2"]}`)
		if said := w.say(`{"a":"s","c":"open","d":"4"}`); strings.Contains(said[0], "error") {
			t.Errorf("with room again: %s", said)
		}
	})
}

// TestEndOfAPass ends what a connection showed to say who it is: it is told nothing more, and
// nothing is left of it.
func TestEndOfAPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		w.say(`{"a":"op","c":"c","d":"d","v":null,"seq":1,"create":{"type":"json0","data":{}}}`, `{"a":"ps","ch":"c.d","seq":1}`, `{"a":"ps","ch":"lobby","seq":2}`)
		pass := auth.NewPass(auth.Identity{Author: "rita", Kind: auth.Token, Grants: []auth.Grant{{Docs: "*", Role: auth.Read}}})
		other := *w
		other.conn = w.proto.Connect(pass, func() {})
		other.peer.Said, w.peer.Said = nil, nil
		other.say(`{"a":"s","c":"c","d":"d"}`, `{"a":"qs","id":1,"c":"c","q":{}}`, `{"a":"p","ch":"lobby","id":"i","p":1,"pv":1}`)
		w.settle()
		pass.End(session.Errorf(session.CodeUnauthenticated, "the token has run out"))
		other.peer.Said, w.peer.Said = nil, nil
		w.say(`{"a":"op","c":"c","d":"d","v":1,"seq":2,"op":[{"p":["n"],"oi":1}]}`)
		other.settle()
		if got := strings.Join(other.peer.Said, "\n"); got != "(closes the connection: 4401)" {
			t.Errorf("it is told %s", got)
		}
		w.settle()
		if got := strings.Join(w.peer.Said, "\n"); !strings.Contains(got, `"id":"i","p":null`) {
			t.Errorf("of its presence others are told %s", got)
		}
		if end := other.conn.Receive([]byte(`{"a":"f","c":"c","d":"d"}`)); end == nil || end.Code != 4401 {
			t.Errorf("afterwards it is answered, %v", end)
		}
		other.conn.Ended()
	})
}
