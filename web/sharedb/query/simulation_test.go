package query

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/json0"
	"quire/session"
	"quire/storage/storagetest"
	"quire/web/auth"
	"quire/web/sharedb/wire"
)

// replica is a document as a client has it.
type replica struct {
	version int64
	typ     ot.Type
	doc     ot.Doc
	// fetched by the client itself, so that it may be of later than what it is told, even
	// of another document than before
	fetched bool
}

// client is a connection with one live query, and what a ShareDB client makes of it.
type client struct {
	*Conn
	w     *world
	query string
	live  bool // it has a result
	list  []string
	docs  map[string]*replica
	may   []auth.Pattern // what it may read
}

func (w *world) client(query string) *client {
	c := &client{w: w, query: query, docs: map[string]*replica{}, may: All("cats/")}
	c.connect(false)
	return c
}

func (c *client) connect(resume bool) {
	c.Conn = c.w.engine.Connect(func() {}, func(string) []auth.Pattern { return c.may })
	c.subscribe(resume)
}

func (c *client) subscribe(resume bool) {
	c.live = false
	if err := c.Subscribe(Request{ID: "1", Collection: "cats", Query: parse(c.w.t, c.query), Resume: resume, Known: slices.Clone(c.list)}); err != nil {
		c.w.t.Fatal(err)
	}
}

// turn gives and takes rights.
func (c *client) turn(r *rand.Rand) {
	c.may = nil
	switch {
	case r.IntN(3) == 0:
		c.may = All("cats/")
	case r.IntN(4) > 0:
		for i := range 7 {
			if r.IntN(2) == 0 {
				c.may = append(c.may, auth.Pattern(fmt.Sprint("cats/d", i)))
			}
		}
	}
	c.Review()
}

func (c *client) ingest(list []*Snapshot) {
	for _, s := range list {
		c.docs[s.ID] = &replica{s.Version, s.typ, s.doc, false}
	}
}

// take takes in what came, as client/query.js and client/doc.js do.
func (c *client) take() {
	news, err := c.Take()
	if err != nil {
		c.w.t.Fatal(err)
	}
	for _, n := range news {
		switch {
		case n.Err != nil:
			if n.Err.Code != wire.CodeUnknown { // the store fails now and then
				c.w.t.Fatal(n.Err)
			}
			c.subscribe(len(c.list) > 0)
			return
		case n.Result != nil && n.Result.Diff == nil && c.live:
			c.w.t.Fatal("two results")
		case n.Result != nil:
			c.begin(n.Result)
		case !c.live:
			c.w.t.Fatal("an update before the result")
		default:
			c.update(n.Update)
		}
	}
}

func (c *client) begin(r *Result) {
	c.live = true
	if len(c.list) == 0 {
		c.ingest(r.Snapshots)
		for _, s := range r.Snapshots {
			c.list = append(c.list, s.ID)
		}
		return
	}
	// The missing operations of what was known: read now.
	for _, id := range c.list {
		if v, err := c.w.View(context.Background(), "cats/"+id, session.Head); err == nil {
			c.docs[id] = &replica{int64(v.Rev) + 1, v.Type, v.Doc, true}
		}
	}
	c.diff(r.Diff)
	c.forget()
}

func (c *client) diff(d Diff) {
	for _, s := range d {
		c.ingest(s.Values)
	}
	c.list = apply(c.list, d)
}

func (c *client) update(u *Update) {
	c.diff(u.Diff)
	for _, b := range u.Ops {
		for i, item := range b.Items {
			c.apply(u.ID, int64(b.From)+int64(i)+1, b.Type(), item)
		}
	}
	c.forget()
}

// forget drops what is in the result no more.
func (c *client) forget() {
	for id := range c.docs {
		if !slices.Contains(c.list, id) {
			delete(c.docs, id)
		}
	}
}

// apply takes in an operation made on a version.
func (c *client) apply(id string, version int64, typ ot.Type, item session.Item) {
	d := c.docs[id]
	switch {
	case d == nil:
		c.w.t.Fatalf("an operation of %s, which is not here", id)
	case version < d.version, d.fetched && version > d.version: // of the document before it was removed
		return
	case version > d.version || item.N != 1:
		c.w.t.Fatalf("an operation of %s on version %d of %d revisions, here is %d", id, version, item.N, d.version)
	}
	d.version++
	switch op := item.Op.(type) {
	case session.Creation:
		d.typ, d.doc = op.Type, op.Doc
	case session.Deletion:
		d.typ, d.doc = nil, nil
	default:
		err := fmt.Errorf("an operation of type %v on a document of type %v", typ, d.typ)
		if typ == d.typ {
			var doc ot.Doc
			if doc, err = typ.Apply(d.doc, op); err == nil {
				d.doc = doc
			}
		}
		if err != nil && !d.fetched {
			c.w.t.Fatal(id, err)
		}
	}
}

// oracle works a query out from scratch, in the plainest way.
func (w *world) oracle(query string) (ids []string, contents map[string]string) {
	var q struct {
		Filter map[string]any
		Sort   [][2]any
	}
	if err := json.Unmarshal([]byte(query), &q); err != nil {
		w.t.Fatal(err)
	}
	infos, err := w.List(context.Background(), "cats/", "", 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	contents, fields := map[string]string{}, map[string]map[string]any{}
	for _, info := range infos {
		id := strings.TrimPrefix(info.ID, "cats/")
		v, err := w.View(context.Background(), info.ID, session.Head)
		if err != nil {
			w.t.Fatal(err)
		}
		content := v.Type.AppendDoc(nil, v.Doc)
		var o map[string]any
		if v.Type.Name() == "json0" {
			json.Unmarshal(content, &o) // fails when it is no object, which is as good
		}
		fits := true
		for k, want := range q.Filter {
			got, there := o[k]
			fits = fits && there && got == want
		}
		if fits {
			ids = append(ids, id)
			contents[id] = fmt.Sprintf("%d %s %s", v.Rev+1, v.Type.Name(), content)
			fields[id] = o
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		for _, s := range q.Sort {
			x, isX := fields[a][s[0].(string)].(float64) // in the simulation a number, or missing
			y, isY := fields[b][s[0].(string)].(float64)
			c := cmp.Compare(x, y)
			if !isX || !isY {
				c = strings.Compare(fmt.Sprint(isX), fmt.Sprint(isY))
			}
			if c != 0 {
				return c * int(s[1].(float64))
			}
		}
		return strings.Compare(a, b)
	})
	return ids, contents
}

func (c *client) check() {
	c.w.t.Helper()
	c.take()
	for !c.live { // it had to ask again
		synctest.Wait()
		c.take()
	}
	ids, contents := c.w.oracle(c.query)
	ids = slices.DeleteFunc(ids, func(id string) bool { return !seen(c.may, "cats/"+id) })
	if !slices.Equal(ids, c.list) {
		c.w.t.Fatalf("%s: has %v, want %v", c.query, c.list, ids)
	}
	for _, id := range ids {
		d := c.docs[id]
		if d == nil || d.typ == nil {
			c.w.t.Fatalf("%s: %s is not there", c.query, id)
		}
		if got := fmt.Sprintf("%d %s %s", d.version, d.typ.Name(), d.typ.AppendDoc(nil, d.doc)); got != contents[id] {
			c.w.t.Fatalf("%s: %s is %s, want %s", c.query, id, got, contents[id])
		}
	}
	if len(c.docs) != len(ids) {
		c.w.t.Fatalf("%s: %d documents, want %d", c.query, len(c.docs), len(ids))
	}
	result, err := c.w.engine.Fetch(context.Background(), "cats", parse(c.w.t, c.query), func(string) []auth.Pattern { return c.may })
	if err != nil || len(result) != len(ids) {
		c.w.t.Fatalf("%s: fetched %d, %v", c.query, len(result), err)
	}
	for i, s := range result {
		if s.ID != ids[i] || !bytes.HasPrefix(s.JSON(), fmt.Appendf(nil, `{"v":%d,"data":`, c.docs[s.ID].version)) {
			c.w.t.Fatalf("%s: fetched %s at %d", c.query, s.JSON(), i)
		}
	}
}

// write does something to a document; nobody else does anything to it.
func (w *world) write(r *rand.Rand, id, writer string, seq uint64) {
	ctx := context.Background()
	v, err := w.View(ctx, id, session.Head)
	if err != nil {
		return
	}
	switch {
	case v.Type == nil:
		typ, content := ot.Type(json0.Type{}), fmt.Sprintf(`{"k":%d,"n":%d}`, r.IntN(3), r.IntN(4))
		switch r.IntN(6) {
		case 0:
			typ, content = delta.Type{}, `[{"insert":"x\n"}]`
		case 1:
			content = "7"
		}
		if doc, err := typ.Create([]byte(content)); err == nil {
			w.change(id, writer, seq, typ, session.Creation{Type: typ, Doc: doc})
		}
	case r.IntN(14) == 0:
		w.Delete(ctx, id) // refused while the store fails
	case r.IntN(7) == 0:
		w.change(id, writer, seq, nil, session.Deletion{})
	default:
		text := fmt.Sprintf(`[{"oi":%d,"p":[%q]}]`, r.IntN(4), []string{"k", "n", "x"}[r.IntN(3)])
		if r.IntN(8) == 0 {
			text = `[{"od":null,"p":["n"]}]`
		}
		if v.Type.Name() == "delta" {
			text = `[{"insert":"y"}]`
		}
		if op, err := v.Type.DecodeOp([]byte(text), ot.Limits{}); err == nil {
			w.change(id, writer, seq, v.Type, op) // refused where there is no object
		}
	}
}

var queries = []string{
	`{}`, `{"filter":{"k":1}}`, `{"sort":[["n",1]]}`, `{"filter":{"k":0},"sort":[["n",-1],["x",1]]}`, `{"filter":{"k":2,"n":1}}`,
}

// TestSimulation: writers create, edit, delete and remove documents at the same time,
// while connections come with one query or another, listen or not, lose their
// connection and come back, and the store fails now and then. Rights to documents come and
// go. Whenever all is quiet, everybody has exactly what their query says of what they may
// read, every document included.
func TestSimulation(t *testing.T) {
	first, runs := uint64(1), uint64(60)
	if s := os.Getenv("QUIRE_SEED"); s != "" {
		var err error
		if first, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
		runs = 1
	}
	for seed := first; seed < first+runs; seed++ {
		synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
		if t.Failed() {
			t.Fatalf("run it again with QUIRE_SEED=%d", seed)
		}
	}
}

func simulate(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 3))
	w := newWorld(t, Limits{})
	defer w.stop()
	var clients []*client
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	for round := range uint64(25) {
		failing := r.IntN(5) == 0
		if failing {
			w.store.Fail(storagetest.Read, 1+r.IntN(4), nil)
		}
		var writers sync.WaitGroup
		for i := range 7 {
			r := rand.New(rand.NewPCG(seed, round<<8|uint64(i)))
			if r.IntN(3) == 0 {
				continue
			}
			writers.Go(func() {
				for n := range 1 + r.Uint64N(4) {
					w.write(r, fmt.Sprintf("cats/d%d", i), fmt.Sprint("writer", i), round*8+n+1)
				}
				w.write(r, fmt.Sprintf("dogs/d%d", i), fmt.Sprint("writer", i), round+1)
			})
		}
		if len(clients) < 6 {
			clients = append(clients, w.client(queries[r.IntN(len(queries))]))
		}
		for i, c := range clients {
			switch r.IntN(9) {
			case 3, 4:
				c.turn(r)
			case 0:
				c.take()
			case 1:
				c.take()
				c.Close()
				c.connect(len(c.list) > 0)
			case 2:
				if len(clients) > 4 {
					c.Close()
					clients = slices.Delete(clients, i, i+1)
				}
			}
			if len(clients) <= i+1 {
				break
			}
		}
		writers.Wait()
		if failing {
			w.store.Heal()
			time.Sleep(10 * time.Second)
		}
		if r.IntN(6) == 0 {
			time.Sleep(time.Hour) // everything leaves memory
		}
		synctest.Wait()
		for _, c := range clients {
			c.check()
		}
	}
}
