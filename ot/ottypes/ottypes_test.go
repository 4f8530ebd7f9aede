package ottypes_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"quire/ot"
	"quire/ot/ottest"
	"quire/ot/ottypes"
	"quire/ot/text"
)

// TestForms writes documents and operations as clients may, and reads how they are
// written back.
func TestForms(t *testing.T) {
	for _, c := range []struct {
		typ           ottypes.Type
		data, shown   string // "" for a create without data
		op, canonical string // made on the document
	}{
		{ottypes.JSON0{}, ``, `null`, `[]`, `[]`},
		{ottypes.JSON0{}, `null`, `null`, `[{"p":[],"oi":{"b":1,"a":2}}]`, `[{"p":[],"oi":{"a":2,"b":1}}]`},
		{ottypes.JSON0{}, `{"b":[1e0],"a":"x"}`, `{"a":"x","b":[1]}`, `[{"extra":1,"p":["b",0],"na":2.0}]`, `[{"p":["b",0],"na":2}]`},
		{ottypes.Text0{}, ``, `""`, `[]`, `[]`},
		{ottypes.Text0{}, `null`, `""`, `[{"i":"x","p":0}]`, `[{"p":0,"i":"x"}]`},
		{ottypes.Text0{}, `"a🙂"`, `"a🙂"`, `[{"p":3,"i":"!"}]`, `[{"p":3,"i":"!"}]`},
		{ottypes.RichText{}, ``, `{"ops":[]}`, `[]`, `{"ops":[]}`},
		{ottypes.RichText{}, `null`, `{"ops":[]}`, `{"ops":[]}`, `{"ops":[]}`},
		{ottypes.RichText{}, `[{"insert":"a"},{"insert":"b"}]`, `{"ops":[{"insert":"ab"}]}`, `[{"retain":1},{"delete":1},{"insert":"x"}]`, `{"ops":[{"retain":1},{"insert":"x"},{"delete":1}]}`},
		{ottypes.RichText{}, `{"ops":[{"insert":{"image":"a.png"}}]}`, `{"ops":[{"insert":{"image":"a.png"}}]}`, `{"ops":[{"retain":1,"attributes":{"bold":true}}]}`, `{"ops":[{"retain":1,"attributes":{"bold":true}}]}`},
		{ottypes.TextUnicode{}, ``, `""`, `["x"]`, `["x"]`},
		{ottypes.TextUnicode{}, `"🙂b"`, `"🙂b"`, `[1,{"d":"b"},0,"x",5.0]`, `[1,{"d":1},"x"]`},
		{ottypes.Text{}, `null`, `""`, `["🙂"]`, `["🙂"]`},
		{ottypes.Text{}, `"🙂b🙂"`, `"🙂b🙂"`, `[1,{"d":"b🙂"},"x"]`, `[1,{"d":2},"x"]`},
	} {
		var data []byte
		if c.data != "" {
			data = []byte(c.data)
		}
		doc, err := c.typ.Create(data)
		if err != nil {
			t.Errorf("%s %s: %v", c.typ.URI(), c.data, err)
			continue
		}
		if got := string(c.typ.AppendDoc(nil, doc)); got != c.shown {
			t.Errorf("%s %s is shown as %s, want %s", c.typ.URI(), c.data, got, c.shown)
		}
		op, err := c.typ.DecodeOp(doc, []byte(c.op), ot.Limits{})
		if err != nil {
			t.Errorf("%s %s: %v", c.typ.URI(), c.op, err)
			continue
		}
		if got, err := c.typ.AppendOp(nil, doc, op); string(got) != c.canonical || err != nil {
			t.Errorf("%s %s is written %s (%v), want %s", c.typ.URI(), c.op, got, err, c.canonical)
		}
		if _, err := c.typ.Type().Apply(doc, op); err != nil {
			t.Errorf("%s %s: %v", c.typ.URI(), c.op, err)
		}
	}
}

// TestRefusals: what is no operation of ShareDB's is ot.ErrSyntax, what cannot be applied
// ot.ErrMismatch, with the words of ShareDB's server where it has some.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		typ  ottypes.Type
		op   string
		want error
		text string // "" for any
	}{
		{ottypes.JSON0{}, `{"0":{"p":[]},"length":1}`, ot.ErrSyntax, "malformed: json0 op must be an array"},
		{ottypes.JSON0{}, `null`, ot.ErrSyntax, "malformed: json0 op must be an array"},
		{ottypes.JSON0{}, `[null]`, ot.ErrSyntax, "malformed: Missing path"},
		{ottypes.JSON0{}, `[{"oi":1}]`, ot.ErrSyntax, "malformed: Missing path"},
		{ottypes.JSON0{}, `[{"p":"a","oi":1}]`, ot.ErrSyntax, "malformed: Missing path"},
		{ottypes.JSON0{}, `[{"p":[["__proto__"],"a"],"oi":1}]`, ot.ErrMismatch, ot.ErrMismatch.Error() + ": Invalid path segment"},
		{ottypes.JSON0{}, `[{"p":["a","constructor"],"oi":1}]`, ot.ErrMismatch, ot.ErrMismatch.Error() + ": Invalid path segment"},
		{ottypes.JSON0{}, `[{"p":[-1],"li":1}]`, ot.ErrSyntax, ""},
		{ottypes.JSON0{}, `[{"p":["a"],"oi":1]`, ot.ErrSyntax, ""},
		{ottypes.Text0{}, `{}`, ot.ErrSyntax, ""},
		{ottypes.RichText{}, `{"retain":1}`, ot.ErrSyntax, ""},
		{ottypes.RichText{}, `"x"`, ot.ErrSyntax, ""},
		{ottypes.TextUnicode{}, `[{"d":-1}]`, ot.ErrSyntax, ""},
		{ottypes.Text{}, `[1,{"d":1}]`, ot.ErrMismatch, ""},
		{ottypes.Text{}, `[null]`, ot.ErrSyntax, ""},
	} {
		doc, err := c.typ.Create(nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.typ.DecodeOp(doc, []byte(c.op), ot.Limits{})
		if !errors.Is(err, c.want) || c.text != "" && err.Error() != c.text {
			t.Errorf("%s %s: %v, want %v, %q", c.typ.URI(), c.op, err, c.want, c.text)
		}
	}
}

// TestText checks that what a client of code points writes does to a text what it says.
func TestText(t *testing.T) {
	gen := ottest.TextUnicode()
	rng := rand.New(rand.NewPCG(1, 2))
	plain, runes := ottypes.Text{}, ottypes.TextUnicode{}
	for range 2000 {
		doc := gen.Doc(rng, 8)
		op := gen.Op(rng, doc, 4)
		written, err := runes.AppendOp(nil, nil, op)
		if err != nil {
			t.Fatal(err)
		}
		units, err := plain.DecodeOp(doc, written, ot.Limits{})
		if err != nil {
			t.Fatalf("%s on %q: %v", written, doc, err)
		}
		want, err := runes.Type().Apply(doc, op)
		if err != nil {
			t.Fatal(err)
		}
		got, err := plain.Type().Apply(doc, units)
		if err != nil || got.(*text.Doc).String() != want.(*text.Doc).String() {
			t.Fatalf("%s on %q: %q, %v, want %q", written, doc, got, err, want)
		}
		if back, err := plain.AppendOp(nil, doc, units); err != nil || string(back) != string(written) {
			t.Fatalf("%s comes back as %s, %v", written, back, err)
		}
	}
}

// TestPresence moves presences of rich text.
func TestPresence(t *testing.T) {
	rich := ottypes.RichText{}
	for _, c := range []struct{ presence, op, side, want string }{
		{`{"index":1,"length":2}`, `[{"insert":">> "}]`, "left", `{"index":4,"length":2}`},
		{`{"length":2,"name":"Ada","index":1}`, `[{"retain":2},{"insert":"x"}]`, "left", `{"length":3,"name":"Ada","index":1}`},
		{`{"index":0,"length":0,"x":{"index":9}}`, `[{"insert":"x"}]`, "left", `{"index":0,"length":0,"x":{"index":9}}`},
		{`{"index":0,"length":0}`, `[{"insert":"x"}]`, "right", `{"index":1,"length":0}`},
		{` { "index" : 3 , "length" : 2 } `, `[{"delete":9}]`, "left", `{"index":0,"length":0}`},
	} {
		cursor, err := rich.Cursor([]byte(c.presence))
		if err != nil {
			t.Errorf("%s: %v", c.presence, err)
			continue
		}
		op, err := rich.DecodeOp(nil, []byte(c.op), ot.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		side := ot.Left
		if c.side == "right" {
			side = ot.Right
		}
		moved := rich.Type().TransformCursor(cursor, op, side)
		if got := string(rich.AppendPresence(nil, []byte(c.presence), moved)); got != c.want {
			t.Errorf("%s over %s, %s: %s, want %s", c.presence, c.op, c.side, got, c.want)
		}
	}
	for _, bad := range []string{`null`, `1`, `{}`, `{"index":1}`, `{"index":-1,"length":0}`, `{"index":0.5,"length":0}`, `{"index":"1","length":0}`, `{"index":1e99,"length":0}`, `{"index":1,"length":1`} {
		if c, err := rich.Cursor([]byte(bad)); !errors.Is(err, ot.ErrSyntax) {
			t.Errorf("%s is the cursor %v, %v", bad, c, err)
		}
	}
}

// TestNames: of types of one name the first is for creating.
func TestNames(t *testing.T) {
	for _, c := range []struct{ name, stored string }{{"json0", "json0"}, {"text0", "text0"}, {"rich-text", "delta"}, {"text-unicode", "text"}} {
		for _, typ := range ottypes.All() {
			if typ.Names()[0] == c.name {
				if got := typ.Type().Name(); got != c.stored {
					t.Errorf("%s makes a document of type %s, want %s", c.name, got, c.stored)
				}
				break
			}
		}
	}
}

// FuzzDecode: whatever a client sends is refused, or is an operation that is written and
// read back the same.
func FuzzDecode(f *testing.F) {
	for i := range ottypes.All() {
		for _, op := range []string{`[]`, `{"ops":[{"insert":"x"}]}`, `[{"p":["a"],"oi":{}}]`, `[{"p":0,"i":"x"}]`, `[1,"🙂",{"d":"b"}]`, `[null]`, `{`} {
			f.Add(i, []byte(op))
		}
	}
	types := ottypes.All()
	docs := make([]ot.Doc, len(types))
	for i, data := range []string{`{"a":["b"]}`, `"a🙂b"`, `"a🙂b"`, `[{"insert":"a🙂b"}]`, `"a🙂b"`} {
		var err error
		if docs[i], err = types[i].Create([]byte(data)); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, i int, data []byte) {
		i = (i%len(types) + len(types)) % len(types)
		typ, doc := types[i], docs[i]
		op, err := typ.DecodeOp(doc, data, ot.Limits{})
		if err != nil {
			if !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrMismatch) && !errors.Is(err, ot.ErrLimit) {
				t.Fatalf("%s: %v", data, err)
			}
			return
		}
		written, err := typ.AppendOp(nil, doc, op)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		again, err := typ.DecodeOp(doc, written, ot.Limits{})
		if err != nil {
			t.Fatalf("%s is written %s: %v", data, written, err)
		}
		if twice, err := typ.AppendOp(nil, doc, again); err != nil || string(twice) != string(written) {
			t.Fatalf("%s is written %s and then %s, %v", data, written, twice, err)
		}
		_, _ = typ.Type().Apply(doc, op)
	})
}
