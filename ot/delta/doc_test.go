package delta_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/jsonvalue"
	"quire/ot/ottest"
)

// same compares everything a document says of itself with what it is to hold.
func same(t *testing.T, d *delta.Doc, want delta.Op) {
	t.Helper()
	must(t, d.Check())
	form := str(want)
	if got := string(d.AppendJSON(nil)); got != form {
		t.Fatalf("the tree holds\n%s\nnot\n%s", got, form)
	}
	if got := str(d.Op()); got != form {
		t.Fatalf("as an operation it is\n%s\nnot\n%s", got, form)
	}
	length := 0
	for _, c := range want {
		if c.Kind != delta.Delete {
			length += c.N
		}
	}
	if binary := want.AppendBinary(nil); string(d.AppendBinary(nil)) != string(binary) || d.Size() != len(binary) || d.Len() != length {
		t.Fatalf("size %d, length %d of an operation of %d bytes and length %d", d.Size(), d.Len(), len(binary), length)
	}
	if sum := crc32.Checksum([]byte(form), crc32.MakeTable(crc32.Castagnoli)); d.Checksum() != sum {
		t.Fatalf("checksum %08x of content of %08x", d.Checksum(), sum)
	}
}

func attribute(name string, v jsonvalue.Value) *jsonvalue.Object {
	return jsonvalue.NewObject([]jsonvalue.Member{{Name: name, Value: v}})
}

// edit draws an edit as a person makes them, somewhere in d or a little past its end:
// typing, deleting or formatting a character or a passage, pasting, embedding.
func edit(r *rand.Rand, d *delta.Doc) delta.Op {
	for {
		var b delta.Builder
		at := r.IntN(d.Len() + 2)
		length := 1
		if r.IntN(8) == 0 {
			length = 1 + r.IntN(1500)
		}
		b.Retain(at, nil)
		switch r.IntN(6) {
		case 0, 1:
			b.Insert(strings.Repeat(ottest.Alphabet[r.IntN(len(ottest.Alphabet))], 2*length), nil)
		case 2:
			b.Embed(attribute("image", strings.Repeat("x", r.IntN(40)*r.IntN(40))), nil)
		case 3:
			b.Retain(length, attribute([]string{"b", "i"}[r.IntN(2)], []jsonvalue.Value{true, nil}[r.IntN(2)]))
		default:
			b.Delete(length)
		}
		op := built(b.Op())
		if _, err := d.Apply(op); err == nil {
			return op
		}
	}
}

// built returns an operation that must have been built without an error.
func built(op delta.Op, err error) delta.Op {
	if err != nil {
		panic(err)
	}
	return op
}

// TestDoc makes random edits to a tree and composes them onto a plain operation beside it.
func TestDoc(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 5))
			var plain delta.Op
			if seed%2 == 1 {
				plain = ottest.Delta().Doc(r, 4000).(*delta.Doc).Op()
			}
			d := delta.New(plain)
			same(t, d, plain)
			docs, ops := []*delta.Doc{d}, []delta.Op{plain}
			for range 6 {
				for range 60 {
					op := edit(r, d)
					var err error
					d, err = d.Apply(op)
					must(t, err)
					plain = built(delta.Compose(plain, op))
					if r.IntN(4) == 0 {
						d.Checksum() // so that some nodes know theirs and some do not
					}
				}
				docs, ops = append(docs, d), append(ops, plain)
			}
			for i := range docs {
				same(t, docs[i], ops[i])
			}
		})
	}
}

// TestDocShrinks deletes all over a document until nothing is left: its leaves must
// join up.
func TestDocShrinks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	var b delta.Builder
	for i := range 2000 {
		b.Insert("0123456789", attribute("n", float64(i%3)))
	}
	d := delta.New(built(b.Op()))
	for d.Len() > 0 {
		at := r.IntN(d.Len())
		b.Retain(at, nil)
		b.Delete(min(1+r.IntN(30), d.Len()-at))
		var err error
		d, err = d.Apply(built(b.Op()))
		must(t, err)
		must(t, d.Check())
	}
	same(t, d, nil)
}

// TestDocText types a long text: it has to be one component, in leaves of bounded size.
func TestDocText(t *testing.T) {
	want := strings.Repeat("naïve 🌍\n", 5000)
	d := doc(t, brief(`'`+strings.ReplaceAll(strings.ReplaceAll(want, " ", "_"), "\n", `\n`)+`'`))
	same(t, d, delta.Op{{Kind: delta.Insert, N: 5000 * 9, S: want}})
	var b delta.Builder
	b.Retain(20000, attribute("b", true))
	bold, err := d.Apply(built(b.Op()))
	must(t, err)
	b.Retain(20000, attribute("b", nil))
	again, err := bold.Apply(built(b.Op()))
	must(t, err)
	if len(bold.Op()) != 2 {
		t.Errorf("half of it bold gives %d components", len(bold.Op()))
	}
	same(t, again, d.Op())
}

// TestPast spells out what becomes of a document when edits reach past its end.
func TestPast(t *testing.T) {
	for _, c := range []struct{ doc, op, out, inverse string }{
		{`'a'`, `1 1{"align":"right"}`, `'a' 1{"align":"right"}`, `1 1{"align":null}`},
		{`'a'`, `2{"align":"right"}`, `'a'{"align":"right"} 1{"align":"right"}`, `2{"align":null}`},
		{`'a' 1{"align":"right"}`, `1 1{"align":null}`, `'a' 1{"align":null}`, `1 1{"align":"right"}`},
		{`'a' 2{"align":"right"}`, `1 -1`, `'a' -1 1{"align":"right"}`, ``},
		{`'a' 1{"align":"right"}`, `1 '\n'`, `'a\n' 1{"align":"right"}`, `1 -1`},
		{`'a'`, `-3`, `-2`, `'a'`},
		{`'a'`, `3 'x'`, `'a' 2 'x'`, `3 -1`},
		{`'a' 2 'x'`, `3 -1`, `'a'`, `3 'x'`},
		{`'a' 2 'x'`, `1 -2`, `'ax' -2`, ``},
		{`'a' 2 'xyz'`, `1 -2 'q'{"b":true}`, ``, ``},
		{`'a' 2 '🌍'`, `1 3{"b":true}`, ``, ``},
		{``, `1 'x'`, `1 'x'`, `1 -1`},
		{``, `-1`, `-1`, ``},
		{`-1`, `'x'`, `'x' -1`, `-1`},
	} {
		o, err := delta.Decode([]byte(brief(c.op)), ot.Limits{})
		if c.out == "" {
			if err == nil {
				_, err = doc(t, brief(c.doc)).Apply(o)
			}
			if err == nil {
				t.Errorf("%s on %s: no error", c.op, c.doc)
			}
			continue
		}
		must(t, err)
		d := doc(t, brief(c.doc))
		after, err := d.Apply(o)
		must(t, err)
		same(t, after, op(t, brief(c.out)))
		inverse, err := delta.Invert(d, o)
		if err != nil || str(inverse) != brief(c.inverse) {
			t.Errorf("%s on %s taken back by %s, error %v; want %s", c.op, c.doc, str(inverse), err, c.inverse)
		}
	}
}

// TestEmpty tells Quill's empty document from one without anything in it.
func TestEmpty(t *testing.T) {
	typ := delta.Type{}
	d, err := typ.Create(nil)
	must(t, err)
	same(t, d.(*delta.Doc), op(t, `[{"insert":"\n"}]`))
	same(t, doc(t, `[]`), nil)
	same(t, &delta.Doc{}, nil)
	if len(typ.MarshalDoc(nil, &delta.Doc{})) != 0 {
		t.Error("nothing takes bytes")
	}
}

func TestCheckCursor(t *testing.T) {
	d := doc(t, brief(`'a🌍' * 'b'{"x":1} 2{"x":1} '🌍'`))
	for at, ok := range []bool{0: true, 1: true, 2: false, 3: true, 4: true, 5: true, 6: true, 7: true, 8: false, 9: true, 10: false} {
		c, err := delta.Type{}.DecodeCursor(fmt.Appendf(nil, "[[0,%d]]", at), ot.Limits{})
		must(t, err)
		if err := (delta.Type{}).CheckCursor(d, c); (err == nil) != ok || !ok && !errors.Is(err, ot.ErrMismatch) {
			t.Errorf("position %d: error %v", at, err)
		}
	}
	if (delta.Type{}).CheckCursor(d, nil) != nil || string((delta.Type{}).AppendCursor(nil, nil)) != "[]" {
		t.Error("a nil cursor is not an empty one")
	}
}

func TestRefused(t *testing.T) {
	if _, err := delta.Compose(op(t, brief(`'🌍'`)), op(t, brief(`1 'x'`))); !errors.Is(err, ot.ErrMismatch) {
		t.Errorf("compose into a surrogate pair: %v", err)
	}
	for _, c := range misfitInputs {
		if _, err := delta.Invert(doc(t, brief(c[0])), op(t, brief(c[1]))); !errors.Is(err, ot.ErrMismatch) {
			t.Errorf("invert %s on %s: %v", c[1], c[0], err)
		}
	}
	far := op(t, brief(`2147483647 'x'`))
	if _, err := delta.Transform(far, op(t, brief(`'x'`)), ot.Left); !errors.Is(err, ot.ErrLimit) {
		t.Errorf("transform past the largest position: %v", err)
	}
	if _, err := (delta.Type{}).TransformAll(far, []ot.Op{op(t, brief(`'x'`))}, ot.Left); !errors.Is(err, ot.ErrLimit) {
		t.Errorf("transform all past the largest position: %v", err)
	}
	if _, err := delta.Compose(op(t, brief(`-2147483647`)), op(t, brief(`-1`))); !errors.Is(err, ot.ErrLimit) {
		t.Errorf("compose past the largest length: %v", err)
	}
	if _, err := doc(t, brief(`-2147483647`)).Apply(op(t, brief(`-1`))); !errors.Is(err, ot.ErrLimit) {
		t.Errorf("apply past the largest length: %v", err)
	}
	if _, err := (delta.Type{}).ComposeStored([][]byte{{0xFF}}); !errors.Is(err, ot.ErrSyntax) {
		t.Errorf("compose damaged operations: %v", err)
	}
}

// TestDocShared edits, reads and sums one document from many goroutines.
func TestDocShared(t *testing.T) {
	content := ottest.Delta().Doc(rand.New(rand.NewPCG(3, 3)), 3000).(*delta.Doc).Op()
	d := delta.New(content)
	sum := delta.New(content).Checksum()
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			var b delta.Builder
			b.Insert(fmt.Sprint(i), nil)
			mine, err := d.Apply(built(b.Op()))
			if err != nil || mine.Len() != d.Len()+1 || d.Checksum() != sum || mine.Checksum() == sum {
				t.Errorf("goroutine %d: error %v", i, err)
			}
		})
	}
	wait.Wait()
	same(t, d, content)
}

// TestComposeAll composes a long session.
func TestComposeAll(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	start := ottest.Delta().Doc(r, 50).(*delta.Doc)
	d := start
	var ops []ot.Op
	for range 2000 {
		op := edit(r, d)
		var err error
		d, err = d.Apply(op)
		must(t, err)
		ops = append(ops, op)
	}
	all, err := delta.Type{}.ComposeAll(ops)
	must(t, err)
	after, err := start.Apply(all.(delta.Op))
	must(t, err)
	same(t, after, d.Op())
}
