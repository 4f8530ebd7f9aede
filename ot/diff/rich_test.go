package diff_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/diff"
	"quire/ot/jsonvalue"
	"quire/ot/ottest"
)

// between returns the operation between two documents in wire form, whose effect it checks.
func between(t *testing.T, typ ot.Type, from, to string) string {
	t.Helper()
	a, b := ok(typ.Create([]byte(from))), ok(typ.Create([]byte(to)))
	op := ok(diff.Between(typ, a, b))
	after := ok(typ.Apply(a, op))
	if got := string(typ.AppendDoc(nil, after)); got != string(typ.AppendDoc(nil, b)) {
		t.Fatalf("from %.300s to %.300s: %.300s gives %.300s", from, to, typ.AppendOp(nil, op), got)
	}
	return string(typ.AppendOp(nil, op))
}

func TestDelta(t *testing.T) {
	for _, c := range []struct{ from, to, op string }{
		{`[]`, `[{"insert":"a"}]`, `[{"insert":"a"}]`},
		{`[{"insert":"one two\n"}]`, `[{"insert":"one "},{"insert":"two","attributes":{"bold":true}},{"insert":"\n"}]`, `[{"retain":4},{"retain":3,"attributes":{"bold":true}}]`},
		{`[{"insert":"one","attributes":{"bold":true,"color":"red"}}]`, `[{"insert":"one","attributes":{"color":"blue"}}]`, `[{"retain":3,"attributes":{"bold":null,"color":"blue"}}]`},
		{`[{"insert":"The cat","attributes":{"bold":true}}]`, `[{"insert":"The cart","attributes":{"bold":true}}]`, `[{"retain":6},{"insert":"r","attributes":{"bold":true}}]`},
		{`[{"insert":"a"},{"insert":{"image":"x"}},{"insert":"b"}]`, `[{"insert":"a"},{"insert":{"image":"x"},"attributes":{"width":3}},{"insert":"c"}]`, `[{"retain":1},{"retain":1,"attributes":{"width":3}},{"insert":"c"},{"delete":1}]`},
		{`[{"insert":{"image":"x"}},{"insert":{"image":"y"}}]`, `[{"insert":{"image":"y"}}]`, `[{"delete":1}]`},
		{`[{"insert":"a"}]`, `[{"insert":"a","attributes":{"x":null}}]`, `[{"insert":"a","attributes":{"x":null}},{"delete":1}]`},
		{`[{"insert":"a","attributes":{"x":null}}]`, `[{"insert":"a"}]`, `[{"retain":1,"attributes":{"x":null}}]`},
		{`[{"insert":"󰀀"},{"insert":{"a":1}}]`, `[{"insert":{"a":1}},{"insert":"󰀀"}]`, "[{\"insert\":{\"a\":1}},{\"insert\":\"\U000F0000\"},{\"delete\":3}]"},
		{`[{"insert":"a"}]`, `[{"insert":"a"},{"retain":1,"attributes":{"header":1}},{"delete":2}]`, `[{"retain":1},{"retain":1,"attributes":{"header":1}},{"delete":2}]`},
	} {
		if got := between(t, delta.Type{}, c.from, c.to); got != c.op {
			t.Errorf("from %s to %s: %s, want %s", c.from, c.to, got, c.op)
		}
	}
}

// TestDeltaApart compares documents that have nothing to do with one another. What an edit
// behind the end of the first left there may stay.
func TestDeltaApart(t *testing.T) {
	gen, typ := ottest.Delta(), delta.Type{}
	exact := 0
	for i := range 2000 {
		r := rand.New(rand.NewPCG(3, uint64(i)))
		from, to := gen.Doc(r, 1+i%24), gen.Doc(r, 1+i%24)
		op := ok(diff.Between(typ, from, to))
		if _, err := typ.DecodeOp(typ.AppendOp(nil, op), ot.Limits{}); err != nil {
			t.Fatalf("%s is not canonical: %v", typ.AppendOp(nil, op), err)
		}
		got, want := string(typ.AppendDoc(nil, ok(typ.Apply(from, op)))), string(typ.AppendDoc(nil, to))
		if strings.Contains(string(typ.AppendDoc(nil, from)), `{"retain":`) {
			continue
		}
		if exact++; got != want {
			t.Fatalf("case %d: from %s to %s: %s gives %s", i, typ.AppendDoc(nil, from), want, typ.AppendOp(nil, op), got)
		}
	}
	if exact < 1000 {
		t.Fatalf("only %d cases", exact)
	}
	// Formatting behind the end is taken back.
	from := ok(typ.Create([]byte(`[{"insert":"a"},{"retain":1,"attributes":{"header":1}}]`)))
	to := ok(typ.Create([]byte(`[{"insert":"b"}]`)))
	if got := string(typ.AppendDoc(nil, ok(typ.Apply(from, ok(diff.Between(typ, from, to)))))); got != `[{"insert":"b"},{"retain":1,"attributes":{"header":null}}]` {
		t.Error(got)
	}
}

// TestDeltaLimits compares few very large attributes with very many small ones.
func TestDeltaLimits(t *testing.T) {
	big := make([]jsonvalue.Member, 60_000)
	for i := range big {
		big[i].Name, big[i].Value = "name"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+strings.Repeat("y", i/26%60)+string(rune('a'+i/1560)), 1.0
	}
	const n = 2_000
	var one, many delta.Builder
	one.Insert(strings.Repeat("a", n), jsonvalue.NewObject(big))
	for i := range n {
		many.Insert("a", jsonvalue.NewObject([]jsonvalue.Member{{Name: "k", Value: float64(i % 2)}}))
	}
	from, to := delta.New(ok(one.Op())), delta.New(ok(many.Op()))
	op := ok(diff.Between(delta.Type{}, from, to))
	if size := len(delta.Type{}.MarshalOp(nil, op)); size > 2*to.Size() {
		t.Errorf("an operation of %d bytes", size)
	}
	after, err := delta.Type{}.Apply(from, op)
	if errors.Is(err, ot.ErrLimit) || after.(*delta.Doc).Checksum() != to.Checksum() {
		t.Errorf("it leads elsewhere: %v", err)
	}
}

func TestJSON(t *testing.T) {
	for _, c := range []struct{ from, to, op string }{
		{`null`, `null`, `[]`},
		{`null`, `{"a":1}`, `[{"p":[],"od":null,"oi":{"a":1}}]`},
		{`{"a":1,"b":2}`, `{"b":3,"c":4}`, `[{"p":["a"],"od":1},{"p":["b"],"od":2,"oi":3},{"p":["c"],"oi":4}]`},
		{`{"title":"The cat"}`, `{"title":"The cart"}`, `[{"p":["title",6],"si":"r"}]`},
		{`{"title":"The 🌍 cart"}`, `{"title":"A 🌍 cat"}`, `[{"p":["title",0],"sd":"The"},{"p":["title",0],"si":"A"},{"p":["title",7],"sd":"r"}]`},
		{`{"state":"open"}`, `{"state":"closed"}`, `[{"p":["state"],"od":"open","oi":"closed"}]`},
		{`[1,2,3]`, `[1,3]`, `[{"p":[1],"ld":2}]`},
		{`[1,2,3]`, `[1,9,3]`, `[{"p":[1],"ld":2,"li":9}]`},
		{`["a","b","c"]`, `["b","c","a"]`, `[{"p":[0],"lm":2}]`},
		{`["a","b","c","d"]`, `["d","x","a","c"]`, `[{"p":[1],"ld":"b"},{"p":[2],"lm":0},{"p":[1],"li":"x"}]`},
		{`[{"id":1,"done":false},{"id":2,"done":false}]`, `[{"id":0},{"id":1,"done":true},{"id":2,"done":false}]`, `[{"p":[0],"li":{"id":0}},{"p":[1,"done"],"od":false,"oi":true}]`},
		{`{"l":[[1,2,3],[4]]}`, `{"l":[[1,2,5,3],[4]]}`, `[{"p":["l",0,2],"li":5}]`},
		{`{"a":{"constructor":1}}`, `{"a":{"constructor":2}}`, `[{"p":["a"],"od":{"constructor":1},"oi":{"constructor":2}}]`},
		{`{"a":{"constructor":1,"b":1}}`, `{"a":{"constructor":1,"b":2}}`, `[{"p":["a","b"],"od":1,"oi":2}]`},
	} {
		if got := between(t, types["json0"], c.from, c.to); got != c.op {
			t.Errorf("from %s to %s: %s, want %s", c.from, c.to, got, c.op)
		}
	}
}

// TestJSONLimits compares documents between which many small changes would take long to apply.
func TestJSONLimits(t *testing.T) {
	write := func(n int, item string) string { return "[" + strings.Repeat(item+",", n-1) + item + "]" }
	deep := func(s string) string { return strings.Repeat("[", 100) + s + strings.Repeat("]", 100) }
	var numbered, turned strings.Builder
	for i := range 30_000 {
		item := strings.Repeat(string(rune('a'+i%26)), 1+i/26%30) + string(rune('a'+i/780))
		numbered.WriteString(`,"` + item + `"`)
		turned.WriteString(`,"` + item + string(rune('A'+i%26)) + `"`)
	}
	for _, c := range [][2]string{
		{write(100_000, "1"), write(100_000, "2")},
		{write(150_000, "1"), write(149_000, "1")},
		{write(50_000, `{"a":1,"b":2}`), write(50_000, `{"a":1,"b":3}`)},
		{deep(write(100_000, "1")), deep(write(100_001, "1"))},
		{"[" + numbered.String()[1:] + "]", "[" + turned.String()[1:] + "]"},
		{write(1000, `"`+strings.Repeat("x", 2000)+`"`), write(1000, `"`+strings.Repeat("x", 1000)+"y"+strings.Repeat("x", 1000)+`"`)},
	} {
		op := between(t, types["json0"], c[0], c[1])
		if len(op) > 2*(len(c[0])+len(c[1])) {
			t.Errorf("an operation of %d bytes between documents of %d and %d", len(op), len(c[0]), len(c[1]))
		}
	}
}
