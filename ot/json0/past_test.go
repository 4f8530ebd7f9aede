package json0_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"quire/ot"
	"quire/ot/json0"
	"quire/ot/jsonvalue"
	"quire/ot/ottest"
)

// A thing is a value that knows of each of its parts where it comes from: the oracle of
// Trace and of Redact.
type thing struct {
	from  int64
	list  []*thing
	names map[string]*thing
	text  []letter // of a string
	is    string   // list, object, text or what else it is
}

// A letter is one UTF-16 unit with where it comes from and a number of its own.
type letter struct {
	unit uint16
	from int64
	id   int
}

// oracle is a document of things.
type oracle struct {
	root *thing
	ids  int
}

func (o *oracle) letters(s string, from int64) (out []letter) {
	for _, u := range utf16.Encode([]rune(s)) {
		o.ids++
		out = append(out, letter{u, from, o.ids})
	}
	return out
}

func (o *oracle) made(v jsonvalue.Value, from int64) *thing {
	t := &thing{from: from}
	switch v := v.(type) {
	case string:
		t.is, t.text = "text", o.letters(v, from)
	case *jsonvalue.List:
		t.is = "list"
		for i := range v.Len() {
			t.list = append(t.list, o.made(v.At(i), from))
		}
	case *jsonvalue.Object:
		t.is, t.names = "object", map[string]*thing{}
		for i := range v.Len() {
			t.names[v.Member(i).Name] = o.made(v.Member(i).Value, from)
		}
	default:
		t.is = string(jsonvalue.Append(nil, v))
	}
	return t
}

func (o *oracle) at(path []any) *thing {
	t := o.root
	for _, k := range path {
		switch k := k.(type) {
		case float64:
			t = t.list[int(k)]
		case string:
			t = t.names[k]
		}
	}
	return t
}

// keys returns a path as encoding/json reads it.
func keys(p json0.Path) (out []any) {
	if err := json.Unmarshal(p.AppendJSON(nil), &out); err != nil {
		panic(err)
	}
	return out
}

// apply makes the change of one component, the dumbest way.
func (o *oracle) apply(c *json0.Component, from int64) {
	path := keys(c.Path)
	if c.Has == json0.T {
		t := o.at(path)
		for _, e := range c.Edit {
			if e.Delete {
				t.text = slices.Delete(t.text, e.Pos, e.Pos+e.N)
			} else {
				t.text = slices.Insert(t.text, e.Pos, o.letters(e.Text, from)...)
			}
		}
		return
	}
	if c.Has == json0.NA {
		o.at(path).from = from
		return
	}
	if len(path) == 0 {
		o.root = o.made(c.Inserted, from)
		return
	}
	parent, last := o.at(path[:len(path)-1]), path[len(path)-1]
	switch i, _ := last.(float64); c.Has {
	case json0.SI:
		parent.text = slices.Insert(parent.text, int(i), o.letters(c.Text, from)...)
	case json0.SD:
		parent.text = slices.Delete(parent.text, int(i), int(i)+len(utf16.Encode([]rune(c.Text))))
	case json0.LI:
		parent.list = slices.Insert(parent.list, int(i), o.made(c.Inserted, from))
	case json0.LD:
		parent.list = slices.Delete(parent.list, int(i), int(i)+1)
	case json0.LI | json0.LD:
		parent.list[int(i)] = o.made(c.Inserted, from)
	case json0.LM:
		moved := parent.list[int(i)]
		var to int
		fmt.Sscan(c.To.String(), &to)
		parent.list = slices.Insert(slices.Delete(parent.list, int(i), int(i)+1), to, moved)
	case json0.OD:
		delete(parent.names, last.(string))
	default:
		parent.names[last.(string)] = o.made(c.Inserted, from)
	}
}

// check compares t, which lies at path in what comes from around, with spans by path.
func (t *thing) check(spans map[string][]ot.Span, path []any, around int64) error {
	form, err := json.Marshal(path)
	if err != nil {
		return err
	}
	var own bytes.Buffer
	encoder := json.NewEncoder(&own)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(path); err != nil {
		return err
	}
	here := spans[strings.TrimSpace(own.String())]
	if t.is == "text" && len(t.text) > 0 {
		var got []int64
		for _, s := range here {
			got = append(got, slices.Repeat([]int64{int64(s.Origin)}, s.Length)...)
		}
		if len(here) == 0 {
			got = slices.Repeat([]int64{around}, len(t.text))
		}
		for i, l := range t.text {
			if len(got) != len(t.text) || got[i] != l.from {
				return fmt.Errorf("%s: text of %v, spans give %v", form, t.text, got)
			}
		}
		return nil
	}
	if len(here) > 0 {
		around = int64(here[0].Origin)
	}
	if around != t.from {
		return fmt.Errorf("%s comes from %d, spans say %d", form, t.from, around)
	}
	for i, item := range t.list {
		if err := item.check(spans, append(path, i), around); err != nil {
			return err
		}
	}
	for name, item := range t.names {
		if err := item.check(spans, append(path, name), around); err != nil {
			return err
		}
	}
	return nil
}

// TestTraceOracle follows random operations with the oracle beside.
func TestTraceOracle(t *testing.T) {
	gen, typ := ottest.JSON0(), json0.Type{}
	for i := range 1500 {
		r := rand.New(rand.NewPCG(6, uint64(i)))
		d := gen.Doc(r, 4+i%20)
		o := &oracle{}
		o.root = o.made(d.(*json0.Doc).Value(), 1)
		trace := typ.Trace(d, 1)
		for n := range 12 {
			op := gen.Op(r, d, 4+i%20)
			d = ok(typ.Apply(d, op))
			must(t, trace.Apply(op, ot.Origin(2+n)))
			for k := range op.(json0.Op) {
				o.apply(&op.(json0.Op)[k], int64(2+n))
			}
			if n%4 == 3 {
				trace = ok(typ.UnmarshalTrace(trace.Marshal(nil)))
			}
			spans := map[string][]ot.Span{}
			for _, s := range trace.Spans() {
				spans[string(s.Path)] = append(spans[string(s.Path)], s)
			}
			if err := o.root.check(spans, []any{}, -1); err != nil {
				t.Fatalf("case %d, after %s: %v\ndocument %s\nspans %v", i, typ.AppendOp(nil, op), err, typ.AppendDoc(nil, d), trace.Spans())
			}
		}
	}
}

func TestTrace(t *testing.T) {
	typ := json0.Type{}
	trace := typ.Trace(ok(typ.Create([]byte(`{"list":["one","two",{"n":1}],"title":"draft"}`))), 1)
	for i, op := range []string{
		`[{"p":["title",5],"si":"!"}]`, `[{"p":["list",0],"lm":1}]`, `[{"p":["list",1,1],"sd":"n"}]`, `[{"p":["list",2,"n"],"na":2}]`, `[{"p":["list",0],"li":["new"]}]`, `[{"p":["new"],"oi":{}}]`,
	} {
		must(t, trace.Apply(ok(typ.DecodeOp([]byte(op), ot.Limits{})), ot.Origin(i+2)))
	}
	var got strings.Builder
	for _, s := range trace.Spans() {
		fmt.Fprintf(&got, "%s %d+%d: %d\n", s.Path, s.Start, s.Length, s.Origin)
	}
	const want = `[] 0+0: 1
["list",0] 0+0: 6
["list",3,"n"] 0+0: 5
["new"] 0+0: 7
["title"] 0+5: 1
["title"] 5+1: 2
`
	if got.String() != want {
		t.Errorf("spans\n%swant\n%s", got.String(), want)
	}
	for _, op := range []string{`[{"p":["list",9],"ld":1}]`, `[{"p":["title"],"t":"text0","o":[{"p":7,"i":"x"}]}]`, `[{"p":["none","a"],"oi":1}]`, `[{"p":["title","a"],"oi":1}]`, `[{"p":["list",0],"lm":9}]`, `[{"p":["list",0],"t":"text0","o":[]}]`} {
		if err := trace.Apply(ok(typ.DecodeOp([]byte(op), ot.Limits{})), 1); !errors.Is(err, ot.ErrMismatch) {
			t.Errorf("%s: %v", op, err)
		}
	}
}

func FuzzUnmarshalTrace(f *testing.F) {
	typ := json0.Type{}
	trace := typ.Trace(ok(typ.Create([]byte(`{"a":["one",{"b":null}],"c":"two","d":[]}`))), 5)
	f.Add(trace.Marshal(nil))
	for i, op := range []string{`[{"p":["a",0,1],"si":"x"}]`, `[{"p":["a",1,"b"],"od":null,"oi":"yy"}]`, `[{"p":["d",0],"li":[[]]}]`} {
		must(f, trace.Apply(ok(typ.DecodeOp([]byte(op), ot.Limits{})), ot.Origin(i*7)))
		f.Add(trace.Marshal(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		trace, err := typ.UnmarshalTrace(data)
		if err != nil {
			if !errors.Is(err, ot.ErrSyntax) {
				t.Fatal(err)
			}
			return
		}
		again := ok(typ.UnmarshalTrace(trace.Marshal(nil)))
		if fmt.Sprint(again.Spans()) != fmt.Sprint(trace.Spans()) {
			t.Fatalf("%x is stored otherwise", data)
		}
	})
}

// texts returns every string of a thing as letters.
func (t *thing) texts(yield func([]letter)) {
	if t.is == "text" {
		yield(t.text)
	}
	for _, item := range t.list {
		item.texts(yield)
	}
	for _, item := range t.names {
		item.texts(yield)
	}
}

// json writes a thing with filler for the letters that are marked, and in names.
func (t *thing) json(marked map[int]bool, name func(string) string) jsonvalue.Value {
	switch t.is {
	case "text":
		var units []uint16
		for _, l := range t.text {
			if marked[l.id] {
				l.unit = 0x2588
			}
			units = append(units, l.unit)
		}
		return string(utf16.Decode(units))
	case "list":
		items := make([]jsonvalue.Value, len(t.list))
		for i, item := range t.list {
			items[i] = item.json(marked, name)
		}
		return jsonvalue.NewList(items)
	case "object":
		var members []jsonvalue.Member
		for n, item := range t.names {
			members = append(members, jsonvalue.Member{Name: name(n), Value: item.json(marked, name)})
		}
		return jsonvalue.NewObject(members)
	}
	return ok(jsonvalue.Parse([]byte(t.is), 0))
}

// TestRedactOracle redacts random pasts, in which sums do not occur: the oracle does not add.
func TestRedactOracle(t *testing.T) {
	gen, typ := ottest.JSON0(), json0.Type{}
	changed := 0
	for i := range 1500 {
		r := rand.New(rand.NewPCG(16, uint64(i)))
		secret := strings.Join([]string{ottest.Alphabet[r.IntN(len(ottest.Alphabet))], ottest.Alphabet[r.IntN(len(ottest.Alphabet))]}[:1+r.IntN(2)], "")
		units := utf16.Encode([]rune(secret))
		name := func(s string) string { return strings.ReplaceAll(s, secret, strings.Repeat("█", len(units))) }
		d := gen.Doc(r, 4+i%20)
		o := &oracle{}
		o.root = o.made(d.(*json0.Doc).Value(), 1)
		marked := map[int]bool{}
		look := func() {
			o.root.texts(func(text []letter) {
				for at := 0; at+len(units) <= len(text); at++ {
					if slices.EqualFunc(text[at:at+len(units)], units, func(l letter, u uint16) bool { return l.unit == u }) {
						for _, l := range text[at : at+len(units)] {
							marked[l.id] = true
						}
					}
				}
			})
		}
		look()
		red := typ.Redact(d, secret)
		start := d
		var ops []ot.Op
		for range 10 {
			op := json0.Op{}
			for _, c := range gen.Op(r, d, 4+i%20).(json0.Op) {
				if c.Has == json0.NA {
					break
				}
				op = append(op, c)
				for k := range max(1, len(c.Edit)) {
					step := c
					if c.Has == json0.T {
						step.Edit = c.Edit[k : k+1]
					}
					o.apply(&step, 2)
					look()
				}
			}
			must(t, red.See(op))
			ops, d = append(ops, op), ok(typ.Apply(d, op))
		}
		red.Seen()
		filled := red.Doc(start)
		for _, op := range ops {
			next, did := red.Op(op, filled)
			if did != (string(typ.AppendOp(nil, op)) != string(typ.AppendOp(nil, next))) {
				t.Fatalf("case %d: %s becomes %s, changed %t", i, typ.AppendOp(nil, op), typ.AppendOp(nil, next), did)
			}
			if did {
				changed++
			}
			if bytes.Contains(typ.AppendOp(nil, next), []byte(secret)) && !strings.ContainsAny(secret, "ab\"\n") { // not what JSON itself is written with
				t.Fatalf("case %d: %q is left in %s", i, secret, typ.AppendOp(nil, next))
			}
			filled = ok(typ.Apply(filled, next))
		}
		if got, want := string(typ.AppendDoc(nil, filled)), string(jsonvalue.Append(nil, o.root.json(marked, name))); got != want {
			t.Fatalf("case %d: secret %q, from %s\n   got %s\n  want %s", i, secret, typ.AppendDoc(nil, start), got, want)
		}
	}
	if changed < 1000 {
		t.Fatalf("only %d operations were changed", changed)
	}
}

// TestRedactNames holds that names that differ stay different, and that the filler is none
// of the secret.
func TestRedactNames(t *testing.T) {
	typ := json0.Type{}
	d := ok(typ.Create([]byte(`{"Bob":1,"███":2,"x":"Bob █"}`)))
	r := typ.Redact(d, "Bob")
	ops := []string{`[{"p":["Bob"],"od":"Bobby","oi":[{"Bob":3}]}]`, `[{"p":["Bob",0,"Bob"],"na":1}]`, `[{"p":["x",0],"sd":"Bob"}]`, `[{"p":["y"],"oi":"▉"}]`}
	for _, op := range ops {
		must(t, r.See(ok(typ.DecodeOp([]byte(op), ot.Limits{}))))
	}
	r.Seen()
	d = r.Doc(d)
	for i, want := range []string{`[{"p":["▉▉▉"],"od":"███by","oi":[{"▉▉▉":3}]}]`, `[{"p":["▉▉▉",0,"▉▉▉"],"na":1}]`, `[{"p":["x",0],"sd":"███"}]`, `[{"p":["y"],"oi":"▉"}]`} {
		op, _ := r.Op(ok(typ.DecodeOp([]byte(ops[i]), ot.Limits{})), d)
		if got := string(typ.AppendOp(nil, op)); got != want {
			t.Errorf("%s becomes %s, want %s", ops[i], got, want)
		}
		d = ok(typ.Apply(d, op))
	}
	if got := string(typ.AppendDoc(nil, d)); got != `{"x":" █","y":"▉","███":2,"▉▉▉":[{"▉▉▉":4}]}` {
		t.Error(got)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
