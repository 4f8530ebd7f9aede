package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/json0"
	"quire/ot/text"
	"quire/ot/text0"
	"quire/session"
	"quire/storage/mem"
	"quire/storage/storagetest"
	"quire/web/auth"
	"quire/web/sharedb/wire"
)

// world is a session manager with an engine beside it, in a bubble of synctest.
type world struct {
	t     *testing.T
	store *storagetest.Faulty
	*session.Manager
	engine *Engine
}

func newWorld(t *testing.T, lim Limits) *world {
	w := &world{t: t, store: storagetest.NewFaulty(mem.New())}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	w.Manager = session.New(session.Options{Store: w.store, Types: []ot.Type{json0.Type{}, delta.Type{}, text0.Type{}, text.Type{}}, Logger: quiet})
	w.engine = New(Options{Sessions: w.Manager, Codec: codec{}, Limits: lim, Logger: quiet})
	return w
}

func (w *world) stop() {
	w.engine.Close()
	if err := w.Close(context.Background()); err != nil {
		w.t.Error(err)
	}
	time.Sleep(time.Hour) // the bubble's time, for the last timers
}

func (w *world) create(id, typ, content string) {
	w.t.Helper()
	if _, err := w.Create(context.Background(), id, typ, []byte(content), session.User{}); err != nil {
		w.t.Fatal(id, err)
	}
}

// change makes one change of the newest revision and waits until it is committed. It
// returns whether it was.
func (w *world) change(id, client string, seq uint64, typ ot.Type, op ot.Op) bool {
	ctx, wake := context.Background(), make(chan struct{}, 1)
	sub, _, err := w.Open(ctx, session.OpenRequest{Convention: session.Versioned, Doc: id, Client: client, Notify: func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}})
	if err != nil {
		return false
	}
	defer sub.Close()
	if sub.Change(ctx, session.Change{Base: session.Head, Seq: seq, Type: typ, Op: op}) != nil {
		return false
	}
	for {
		d, err := sub.Take(ctx)
		if err != nil || d.Closed != nil || len(d.Rejections) > 0 {
			return false
		}
		for _, b := range d.Batches {
			for _, item := range b.Items {
				if item.Client == client && item.Seq == seq {
					return true
				}
			}
		}
		if !d.More {
			<-wake
		}
	}
}

// set sets a field of a json0 document.
func (w *world) set(id string, seq uint64, field, value string) {
	w.t.Helper()
	op, err := json0.Type{}.DecodeOp(fmt.Appendf(nil, `[{"oi":%s,"p":[%q]}]`, value, field), ot.Limits{})
	if err != nil {
		w.t.Fatal(err)
	}
	if !w.change(id, "setter", seq, json0.Type{}, op) {
		w.t.Fatal("not committed")
	}
}

func (w *world) fetch(collection, q string) (string, error) {
	w.t.Helper()
	result, err := w.engine.Fetch(context.Background(), collection, parse(w.t, q), All)
	return string(Append(nil, result)), err
}

func TestFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Limits{})
		defer w.stop()
		w.create("cats/tom", "json0", `{"n":1,"good":true}`)
		w.create("cats/kit", "json0", `{"n":3}`)
		w.create("cats/a/b", "json0", `{"n":2,"good":true}`)
		w.create("cats/rich", "delta", `[{"insert":"x\n"}]`)
		w.create("cats/hidden", "text0", `"x"`)
		w.create("dogs/rex", "json0", `{"n":1}`)
		w.create("cat", "json0", `7`)
		w.create("tom", "json0", `{"n":1}`)
		w.create("/odd", "json0", `{"n":1}`)
		w.create("toString", "json0", `{"n":1}`)
		w.create("a%2Fb/c", "json0", `{"n":1}`)
		w.create("cats/gone", "json0", `{"n":1}`)
		w.change("cats/gone", "c", 1, nil, session.Deletion{})
		for i := range 600 { // more than one page to step over
			w.create(fmt.Sprintf("many/%03d", i), "json0", "1")
		}
		for _, x := range []struct{ c, q, want string }{
			{"cats", "{}", `[{"v":1,"data":{"good":true,"n":2},"d":"a/b"},{"v":1,"data":{"n":3},"d":"kit"},{"v":1,"data":[{"insert":"x\n"}],"type":"uri of delta","d":"rich"},{"v":1,"data":{"good":true,"n":1},"d":"tom"}]`},
			{"cats", `{"filter":{"good":true},"sort":[["n",-1]]}`, `[{"v":1,"data":{"good":true,"n":2},"d":"a/b"},{"v":1,"data":{"good":true,"n":1},"d":"tom"}]`},
			{"cats", `{"filter":{"good":null}}`, `[]`},
			{"", "{}", `[{"v":1,"data":7,"d":"cat"},{"v":1,"data":{"n":1},"d":"tom"}]`},
			{"a/b", "{}", `[{"v":1,"data":{"n":1},"d":"c"}]`},
			{"none", "{}", `[]`},
		} {
			if got, err := w.fetch(x.c, x.q); err != nil || got != x.want {
				t.Errorf("%s in %q: %s, %v\nwant %s", x.q, x.c, got, err, x.want)
			}
		}
		if result, err := w.engine.Fetch(context.Background(), "many", parse(t, "{}"), All); err != nil || len(result) != 600 || result[599].ID != "599" {
			t.Errorf("%d of 600 results, %v", len(result), err)
		}
		if _, err := w.fetch("valueOf", "{}"); err == nil || err.(*wire.Error).Message != "Invalid collection" {
			t.Error(err)
		}
		w.store.Fail(storagetest.Read, 1, nil)
		if _, err := w.fetch("cats", "{}"); err == nil || err.(*wire.Error).Code != wire.CodeUnknown {
			t.Error(err)
		}
	})
}

func TestFetchLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Limits{Results: 3, Scan: 5, Bytes: 2000})
		defer w.stop()
		fails := func(c, q, part string) {
			t.Helper()
			if _, err := w.fetch(c, q); err == nil || err.(*wire.Error).Code != wire.CodeLimit || !strings.Contains(err.Error(), part) {
				t.Errorf("%s in %s: %v, want %q", q, c, err, part)
			}
		}
		for i := range 4 {
			w.create(fmt.Sprint("cats/", i), "json0", `{}`)
		}
		fails("cats", "{}", "3 results")
		if got, err := w.fetch("cats", `{"filter":{"x":1}}`); err != nil || got != "[]" {
			t.Error(got, err)
		}
		w.create("cats/4", "json0", `{}`)
		w.create("cats/5", "json0", `{}`)
		fails("cats", `{"filter":{"x":1}}`, "5 documents")
		w.create("big/1", "json0", `"`+strings.Repeat("x", 2000)+`"`)
		fails("big", "{}", "2000 bytes")
	})
}

// reader is a connection with live queries.
type reader struct {
	*Conn
	w *world
}

func (w *world) reader() *reader {
	r := &reader{w: w}
	r.Conn = w.engine.Connect(func() {}, All)
	return r
}

func (r *reader) ask(id, collection, q string) {
	r.w.t.Helper()
	if err := r.Subscribe(Request{ID: id, Collection: collection, Query: parse(r.w.t, q), Tag: "tag of " + id}); err != nil {
		r.w.t.Fatal(err)
	}
}

// hears checks what came, when all is quiet.
func (r *reader) hears(want ...string) {
	r.w.t.Helper()
	synctest.Wait()
	news, err := r.Take()
	if err != nil {
		r.w.t.Fatal(err)
	}
	var got []string
	for _, n := range news {
		text := n.ID + " "
		if n.Tag != "tag of "+n.ID {
			r.w.t.Errorf("%+v", n)
		}
		switch {
		case n.Err != nil:
			text += n.Err.Error()
		case n.Result != nil:
			text += string(Append(nil, n.Result.Snapshots))
			if n.Result.Diff != nil {
				text += " diff " + string(n.Result.Diff.Append(nil))
			}
		default:
			text += n.Update.ID + " " + string(n.Update.JSON())
			steps := ""
			for _, b := range n.Update.Ops {
				steps += fmt.Sprintf(" [%d,%d)", b.From+1, b.To+1)
			}
			// Steps that changed no result come together or one after another.
			if last := len(got) - 1; last >= 0 && len(n.Update.JSON()) == 0 && strings.HasPrefix(got[last], text+" [") {
				got[last] += steps
				continue
			}
			text += steps
		}
		got = append(got, text)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		r.w.t.Errorf("heard\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Limits{Live: 3})
		defer w.stop()
		w.create("cats/tom", "json0", `{"n":1}`)
		a, b := w.reader(), w.reader()
		a.ask("1", "cats", "{}")
		a.hears(`1 [{"v":1,"data":{"n":1},"d":"tom"}]`)
		a.ask("2", "cats", `{"sort":[["n",1]]}`)
		a.hears(`2 [{"v":1,"data":{"n":1},"d":"tom"}]`)
		a.ask("3", "cats", `{"filter":{"n":2}}`)
		a.hears(`3 []`)

		w.create("cats/kit", "json0", `{"n":2}`)
		w.create("dogs/rex", "json0", `{"n":2}`)
		b.ask("7", "cats", `{"sort":[["n",1]],"filter":{}}`) // the same as a's second
		b.hears(`7 [{"v":1,"data":{"n":1},"d":"tom"},{"v":1,"data":{"n":2},"d":"kit"}]`)
		news, err := a.Take()
		if err != nil || len(news) != 3 {
			t.Fatal(news, err)
		}
		slices.SortFunc(news, func(x, y News) int { return strings.Compare(x.ID, y.ID) })
		for i, index := range []int{0, 1, 0} {
			want := fmt.Sprintf(`[{"type":"insert","index":%d,"values":[{"v":1,"data":{"n":2},"d":"kit"}]}]`, index)
			if got := string(news[i].Update.JSON()); got != want || news[i].Update.Ops != nil {
				t.Errorf("%s: %s", news[i].ID, got)
			}
		}
		a.Unsubscribe("1")
		a.Unsubscribe("3")
		a.Unsubscribe("none")

		w.set("cats/tom", 1, "x", "1")
		a.hears("2 tom  [1,2)")
		w.set("cats/tom", 2, "n", "3")
		b.hears("7 tom  [1,2)", `7 tom [{"type":"move","from":0,"to":1,"howMany":1}] [2,3)`)
		a.hears(`2 tom [{"type":"move","from":0,"to":1,"howMany":1}] [2,3)`)
		a.ask("2", "cats", `{"filter":{"n":2}}`) // another query of the same id
		a.hears(`2 [{"v":1,"data":{"n":2},"d":"kit"}]`)
		w.set("cats/kit", 1, "n", "9")
		a.hears(`2 kit [{"type":"remove","index":0,"howMany":1}] [1,2)`)
		b.hears(`7 kit [{"type":"move","from":0,"to":1,"howMany":1}] [1,2)`)
		w.set("cats/kit", 2, "n", "2")
		a.hears(`2 kit [{"type":"insert","index":0,"values":[{"v":3,"data":{"n":2},"d":"kit"}]}]`)

		// The removal comes before the deletion that causes it; versions count on.
		w.change("cats/kit", "c", 1, nil, session.Deletion{})
		a.hears(`2 kit [{"type":"remove","index":0,"howMany":1}] [3,4)`)
		w.create("cats/kit", "json0", `{"n":2}`)
		a.hears(`2 kit [{"type":"insert","index":0,"values":[{"v":5,"data":{"n":2},"d":"kit"}]}]`)
		if err := w.Delete(context.Background(), "cats/kit"); err != nil {
			t.Fatal(err)
		}
		w.create("cats/kit", "json0", `{"n":2}`)
		synctest.Wait()
		news, err = a.Take() // both at once or one after the other
		if err != nil || len(news) < 1 || len(news) > 2 {
			t.Fatal(news, err)
		}
		last := news[len(news)-1].Update
		if step := last.Diff[len(last.Diff)-1]; step.Kind != Insert || step.Values[0].Version != 1 || last.Ops != nil {
			t.Errorf("%+v", last)
		}

		for _, id := range []string{"4", "5"} {
			a.ask(id, "dogs", "{}")
		}
		if err := a.Subscribe(Request{ID: "6", Collection: "dogs", Query: parse(t, "{}")}); err == nil || err.Code != wire.CodeLimit {
			t.Error(err)
		}
		a.ask("5", "dogs", "{}")
		if err := b.Subscribe(Request{ID: "6", Collection: "__proto__", Query: parse(t, "{}")}); err == nil || err.Message != "Invalid collection" {
			t.Error(err)
		}
		a.Close()
		b.Close()
		b.Close()
		if err := a.Subscribe(Request{ID: "6", Collection: "dogs", Query: parse(t, "{}")}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if st := w.engine.Stats(); st != (Stats{}) {
			t.Errorf("%+v is left", st)
		}
		if n := w.Manager.Stats().Subscriptions; n != 0 {
			t.Errorf("%d subscriptions are left", n)
		}
	})
}

func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Limits{Results: 4})
		defer w.stop()
		for _, id := range []string{"a", "b", "c"} {
			w.create("cats/"+id, "json0", `{}`)
		}
		r := w.reader()
		defer r.Close()
		if err := r.Subscribe(Request{ID: "1", Collection: "cats", Query: parse(t, "{}"), Resume: true, Known: []string{"c", "x", "a"}, Tag: "tag of 1"}); err != nil {
			t.Fatal(err)
		}
		all := `[{"v":1,"data":{},"d":"a"},{"v":1,"data":{},"d":"b"},{"v":1,"data":{},"d":"c"}]`
		r.hears(`1 ` + all + ` diff [{"type":"remove","index":1,"howMany":1},{"type":"move","from":0,"to":1,"howMany":1},{"type":"insert","index":1,"values":[{"v":1,"data":{},"d":"b"}]}]`)
		if err := r.Subscribe(Request{ID: "2", Collection: "cats", Query: parse(t, "{}"), Resume: true, Known: []string{"a", "b", "c"}, Tag: "tag of 2"}); err != nil {
			t.Fatal(err)
		}
		r.hears("2 " + all)
		if err := r.Subscribe(Request{ID: "3", Collection: "cats", Query: parse(t, "{}"), Known: make([]string, 5)}); err == nil || err.Code != wire.CodeLimit {
			t.Error(err)
		}
	})
}

// TestRightsInTheMiddle: rights change when a document of the result was read already and an operation
// that is in it was not told yet. Who goes on seeing the document has it all.
func TestRightsInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Limits{})
		defer w.stop()
		w.create("cats/tom", "json0", `{"n":1}`)
		w.create("cats/kit", "json0", `{"n":1}`)
		c := w.client("{}")
		defer c.Close()
		synctest.Wait()
		c.check()
		cats := w.engine.collections["cats"]
		cats.post(func() { // look, with an operation in the middle
			d := cats.docs["tom"]
			ops, again, err := cats.take(d)
			if err != nil {
				t.Error(err)
			}
			c.may = []auth.Pattern{"cats/tom"}
			c.Review()
			w.set("cats/tom", 1, "n", "2")
			cats.show("tom", d, ops, again)
		})
		synctest.Wait()
		c.check()
		w.set("cats/tom", 2, "n", "3")
		synctest.Wait()
		c.check()
	})
}

// TestTakeInParts: large results are handed out one by one, so that a connection that does
// not listen has no more than one of them made.
func TestTakeInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Limits{})
		defer w.stop()
		a := w.reader()
		w.create("cats/1", "json0", `{"text":"`+strings.Repeat("x", maxTake)+`"}`)
		for _, id := range []string{"1", "2", "3"} {
			a.ask(id, "cats", "{}")
		}
		synctest.Wait()
		for _, id := range []string{"1", "2", "3"} {
			if news, err := a.Take(); err != nil || len(news) != 1 || news[0].ID != id {
				t.Errorf("%d news, error %v", len(news), err)
			}
		}
		a.hears()
	})
}

// TestLiveEnds: a result that grows too large, a connection that does not listen, a
// collection that cannot be read.
func TestLiveEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Limits{Results: 2, Backlog: 3, Bytes: 3000})
		defer w.stop()
		a, b, c := w.reader(), w.reader(), w.reader()
		w.create("cats/1", "json0", `{"n":0}`)
		a.ask("1", "cats", "{}")
		a.ask("2", "cats", `{"filter":{"n":1}}`)
		c.ask("1", "cats", "{}")
		synctest.Wait()
		for i := range uint64(6) {
			w.set("cats/1", i+1, "x", fmt.Sprint(i))
			synctest.Wait()
			if _, err := c.Take(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := a.Take(); !errors.Is(err, ErrBehind) {
			t.Errorf("%v after six updates with a backlog of three", err)
		}
		a.Close()
		w.create("cats/2", "json0", `{}`)
		c.hears(`1 2 [{"type":"insert","index":1,"values":[{"v":1,"data":{},"d":"2"}]}]`)
		w.create("cats/3", "json0", `{}`)
		c.hears(`1 ERR_LIMIT_EXCEEDED: The query has more than 2 results, the limit`)
		b.ask("1", "cats", "{}")
		b.hears(`1 ERR_LIMIT_EXCEEDED: The query has more than 2 results, the limit`)
		c.ask("1", "cats", `{"filter":{"n":0}}`)
		c.hears(`1 [{"v":7,"data":{"n":0,"x":5},"d":"1"}]`)
		w.set("cats/1", 7, "x", `"`+strings.Repeat("y", 3000)+`"`)
		c.hears(`1 ERR_LIMIT_EXCEEDED: The results of the query have more than 3000 bytes, the limit`)
		w.store.Fail(storagetest.Read, 1, nil)
		c.ask("1", "dogs", "{}")
		c.hears("1 ERR_UNKNOWN_ERROR: The documents cannot be read now")
		if st := w.engine.Stats(); st != (Stats{}) {
			t.Errorf("%+v is left", st)
		}
		b.Close()
		c.Close()
	})
}

// TestDocumentsRest: a document of a live result stays in memory while it is edited, and
// not for ever.
func TestDocumentsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Limits{})
		defer w.stop()
		for i := range 5 {
			w.create(fmt.Sprint("cats/", i), "json0", `{}`)
		}
		time.Sleep(time.Hour)
		r := w.reader()
		defer r.Close()
		r.ask("1", "cats", "{}")
		synctest.Wait()
		if st := w.Manager.Stats(); st.Sessions != 0 {
			t.Errorf("%+v for a result that nobody edits", st)
		}
		w.set("cats/1", 1, "x", "1")
		synctest.Wait()
		if st := w.Manager.Stats(); st.Subscriptions != 1 {
			t.Errorf("%+v after one edit", st)
		}
		time.Sleep(time.Hour)
		if st := w.Manager.Stats(); st.Sessions != 0 {
			t.Errorf("%+v long after the edit", st)
		}
		if _, err := r.Take(); err != nil {
			t.Fatal(err)
		}
		w.set("cats/1", 2, "x", "2")
		r.hears("1 1  [2,3)")

		// Deleted and created again it is the same document still, also after a rest.
		w.change("cats/1", "c", 1, nil, session.Deletion{})
		r.hears(`1 1 [{"type":"remove","index":1,"howMany":1}] [3,4)`)
		w.create("cats/1", "json0", `{}`)
		r.hears(`1 1 [{"type":"insert","index":1,"values":[{"v":5,"data":{},"d":"1"}]}]`)
		time.Sleep(time.Hour)
		w.set("cats/1", 3, "x", "3")
		r.hears("1 1  [5,6)")
		doc := w.engine.collections["cats"].docs["1"]
		w.change("cats/1", "c", 2, nil, session.Deletion{})
		w.create("cats/1", "json0", `{}`)
		if synctest.Wait(); doc.in == 0 {
			r.hears(`1 1 [{"type":"remove","index":1,"howMany":1}] [6,7)`, `1 1 [{"type":"insert","index":1,"values":[{"v":8,"data":{},"d":"1"}]}]`)
		} else { // both at once
			r.hears("1 1  [6,7) [7,8)")
			if doc.born != 7 {
				t.Errorf("born at %d", doc.born)
			}
		}
		time.Sleep(time.Hour)
		w.set("cats/1", 4, "x", "3")
		r.hears("1 1  [8,9)")
	})
}

// slow is a codec that stops at the first document it is shown.
type slow struct {
	codec
	arrived, opened chan struct{}
	stopped         *atomic.Bool
}

func (c slow) URI(t ot.Type) (string, bool) {
	if c.stopped.CompareAndSwap(false, true) {
		close(c.arrived)
		<-c.opened
	}
	return c.codec.URI(t)
}

// TestCommitsDoNotWait: while a collection is being read documents are edited, and what
// changed meanwhile is told.
func TestCommitsDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Limits{})
		defer w.stop()
		gate := slow{arrived: make(chan struct{}), opened: make(chan struct{}), stopped: new(atomic.Bool)}
		w.engine.opt.Codec = gate
		w.create("cats/a", "json0", `{"n":1}`)
		w.create("cats/b", "json0", `{"n":1}`)
		r, s := w.reader(), w.reader()
		defer r.Close()
		defer s.Close()
		r.ask("1", "cats", `{"filter":{"n":1}}`)
		<-gate.arrived // a was read, b was not
		s.ask("1", "cats", `{"filter":{"n":1}}`)
		s.ask("2", "cats", `{"filter":{"n":1}}`)
		s.Unsubscribe("2")
		w.set("cats/a", 1, "n", "2")
		w.set("cats/b", 1, "n", "2")
		w.create("cats/0", "json0", `{"n":1}`)
		r.hears()
		close(gate.opened)
		for _, x := range []*reader{r, s} {
			x.hears(
				`1 [{"v":1,"data":{"n":1},"d":"a"}]`,
				`1 0 [{"type":"insert","index":0,"values":[{"v":1,"data":{"n":1},"d":"0"}]}]`,
				`1 a [{"type":"remove","index":1,"howMany":1}] [1,2)`,
			)
		}
	})
}
