package session

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"reflect"
	"testing"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/diff"
	"quire/ot/json0"
	"quire/ot/text"
	"quire/ot/text0"
	"quire/ot/textunicode"
	"quire/storage"
	"quire/storage/mem"
)

// authorshipNow returns who made the newest content.
func authorshipNow(t *testing.T, m *Manager) *authorship {
	t.Helper()
	info, err := m.stat(t.Context(), "doc")
	if err != nil {
		t.Fatal(err)
	}
	a, err := m.authorshipAt(t.Context(), info, info.Head)
	if err != nil {
		t.Fatal(err)
	}
	if a.trace != nil {
		a.prune()
	}
	return a
}

// makers says who made what an authorship speaks of.
func (a *authorship) makers() map[Revision]string {
	out := map[Revision]string{}
	for _, k := range a.made {
		out[k.rev] = fmt.Sprint(a.hands[k.who], k.time)
	}
	return out
}

var everyType = []ot.Type{text.Type{}, textunicode.Type{}, text0.Type{}, delta.Type{}, json0.Type{}}

// newOfType makes a Manager with a document doc of a type, by maker.
func newOfType(t *testing.T, typ ot.Type) *Manager {
	t.Helper()
	content := map[string]string{"delta": `[{"insert":"one two\n"}]`, "json0": `{"a":["one",["two"]],"b":"three"}`}[typ.Name()]
	if content == "" {
		content = `"one two three"`
	}
	m := New(Options{Store: mem.New(), Types: everyType, Diff: diff.Between, Logger: slog.New(slog.DiscardHandler)})
	if _, err := m.Create(t.Context(), "doc", typ.Name(), []byte(content), User{Name: "maker"}); err != nil {
		t.Fatal(err)
	}
	return m
}

// editSomehow makes an edit of a document of newOfType that fits whatever was done to it so far.
func editSomehow(t *testing.T, m *Manager, typ ot.Type, rng *rand.Rand, author string) {
	t.Helper()
	all := map[string][]string{
		"text":         {`["x"]`, `[2,"yy"]`, `[1,-1]`},
		"text-unicode": {`["x"]`, `[2,"yy"]`, `[1,{"d":1}]`},
		"text0":        {`[{"p":0,"i":"x"}]`, `[{"p":2,"i":"yy"}]`},
		"delta":        {`[{"insert":"x"}]`, `[{"retain":2},{"insert":"yy"}]`, `[{"retain":1},{"delete":1}]`, `[{"retain":2,"attributes":{"bold":true}}]`},
		"json0":        {`[{"p":["a",0],"li":"x"}]`, `[{"p":["b",1],"si":"yy"}]`, `[{"p":["a",0],"li":{"c":[1,"d"]}}]`, `[{"p":["n"],"oi":{"e":"f"}}]`},
	}[typ.Name()]
	op := all[rng.IntN(len(all))]
	if _, err := m.Edit(t.Context(), "doc", Head, [][]byte{[]byte(op)}, Writer{User: User{Name: author}}); err != nil {
		t.Fatalf("%s: %v", op, err)
	}
}

// TestAuthorshipOutlivesSquashing compares who made what before and after old revisions went,
// for every type, through several rounds.
func TestAuthorshipOutlivesSquashing(t *testing.T) {
	for _, typ := range everyType {
		t.Run(typ.Name(), func(t *testing.T) {
			if _, ok := typ.(ot.Tracer); !ok {
				t.Fatal("it cannot be traced")
			}
			seed := rand.Uint64()
			rng := rand.New(rand.NewPCG(seed, 0))
			m := newOfType(t, typ)
			defer m.Close(context.Background())
			for round := range 4 {
				for i := range 10 {
					editSomehow(t, m, typ, rng, fmt.Sprint("author ", i))
				}
				want := authorshipNow(t, m)
				if _, err := m.Squash(t.Context(), "doc", Keep{Count: 1 + 3*round}); err != nil {
					t.Fatal(err)
				}
				got := authorshipNow(t, m)
				if !reflect.DeepEqual(got.trace.Spans(), want.trace.Spans()) || !maps.Equal(got.makers(), want.makers()) || got.typ != want.typ || got.rev != want.rev {
					t.Errorf("seed %d: spans %v by %v, want %v by %v", seed, got.trace.Spans(), got.makers(), want.trace.Spans(), want.makers())
				}
			}
			if _, err := m.Redact(t.Context(), "doc", Redaction{Author: "maker", As: "somebody"}); err != nil {
				t.Fatal(err)
			}
			for _, h := range authorshipNow(t, m).hands {
				if h.author == "maker" {
					t.Error("the old name is still there")
				}
			}
			notes, err := m.opt.Store.Notes(t.Context(), "doc", authorshipNotes, "", 100)
			if err != nil || len(notes) != 1 {
				t.Errorf("%d notes, %v", len(notes), err)
			}
		})
	}
}

// TestAuthorshipAfterRedaction follows a JSON document on, in which names were redacted.
func TestAuthorshipAfterRedaction(t *testing.T) {
	m := New(Options{Store: mem.New(), Types: []ot.Type{json0.Type{}}, Diff: diff.Between, Logger: slog.New(slog.DiscardHandler)})
	defer m.Close(context.Background())
	if _, err := m.Create(t.Context(), "doc", "json0", []byte(`{"secret":{"x":["y"]},"b":"c"}`), User{}); err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{`[{"p":["secret","x",0],"li":"z"}]`, `[{"p":["secret","x",0],"li":"w"}]`, `[{"p":["secret"],"od":{"x":["w","z","y"]}}]`} {
		if _, err := m.Edit(t.Context(), "doc", Head, [][]byte{[]byte(op)}, Writer{User: User{Name: "ann"}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Squash(t.Context(), "doc", Keep{Count: 3}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Redact(t.Context(), "doc", Redaction{Text: "secret"}); err != nil {
		t.Fatal(err)
	}
	info, err := m.stat(t.Context(), "doc")
	if err != nil {
		t.Fatal(err)
	}
	a, err := m.authorshipAt(t.Context(), info, 2)
	if err != nil {
		t.Fatal(err)
	}
	if spans := a.trace.Spans(); len(spans) < 2 {
		t.Errorf("spans %v", spans)
	}
	if _, err := m.authorshipAt(t.Context(), info, 3); err != nil {
		t.Error(err)
	}
}

// TestAuthorshipRefusesDamage reads notes that are not what was written.
func TestAuthorshipRefusesDamage(t *testing.T) {
	m := &Manager{types: map[string]ot.Type{"text": text.Type{}}}
	doc, err := text.Type{}.Create([]byte(`"abc"`))
	if err != nil {
		t.Fatal(err)
	}
	a := &authorship{rev: Unborn}
	if err := a.follow(&storage.Record{Author: "ann", Time: 7}, Creation{text.Type{}, doc}); err != nil {
		t.Fatal(err)
	}
	data := a.marshal()
	if got, err := m.unmarshalAuthorship(data); err != nil || !maps.Equal(got.makers(), a.makers()) || len(got.trace.Spans()) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	for n := range data {
		if got, err := m.unmarshalAuthorship(data[:n]); err == nil && got.trace != nil && len(got.trace.Spans()) == 1 && n < len(data)-1 {
			t.Errorf("%d bytes of %d were enough", n, len(data))
		}
		for _, b := range []byte{0, 1, 0x7f, 0x80, 0xff} { // whatever it makes of them, it ends
			bad := append([]byte(nil), data...)
			bad[n] = b
			_, _ = m.unmarshalAuthorship(bad)
		}
	}
}
