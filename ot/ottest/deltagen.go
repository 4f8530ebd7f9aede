package ottest

import (
	"math/rand/v2"
	"slices"
	"strings"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/jsonvalue"
	"quire/ot/text"
)

// Delta generates values for the rich text type: documents of up to size components, some
// of which hold what an edit past the end leaves, operations of up to size components,
// cursors of up to four selections.
func Delta() Gen {
	return Gen{
		Open: true,
		Doc: func(r *rand.Rand, size int) ot.Doc {
			var b delta.Builder
			for range r.IntN(size + 1) {
				deltaInsert(r, &b, deltaAttributes(r, false))
			}
			if r.IntN(6) == 0 {
				b.Retain(1+r.IntN(3), jsonvalue.NewObject([]jsonvalue.Member{{Name: "align", Value: "right"}}))
				b.Delete(r.IntN(3))
			}
			return delta.New(built(&b))
		},
		Op: func(r *rand.Rand, d ot.Doc, size int) ot.Op { return deltaOp(r, d.(*delta.Doc), size) },
		Texts: func(d ot.Doc) (all []string) {
			var text strings.Builder
			for _, c := range d.(*delta.Doc).Op() {
				text.WriteString(c.S)
				if c.S == "" && c.Kind != delta.Delete {
					text.WriteString(strings.Repeat("\xff", c.N)) // what no text has
				}
				for _, o := range []*jsonvalue.Object{c.Attributes, c.Embed} {
					if o != nil {
						all = appendTexts(all, o)
					}
				}
			}
			return append(all, text.String())
		},
		Units: func(d ot.Doc) int { return d.(*delta.Doc).Len() },
		Follow: func(row []int64, op ot.Op, origin int64) []int64 {
			var plain text.Op
			at := 0
			for _, c := range op.(delta.Op) {
				plain = append(plain, text.Component{Kind: c.Kind, N: c.N})
				if c.Kind == delta.Retain && c.Attributes != nil {
					copy(row[at:at+c.N], slices.Repeat([]int64{origin}, c.N))
				}
				if c.Kind != delta.Insert {
					at += c.N
				}
			}
			return follow(row, plain, origin)
		},
		Cursor: func(r *rand.Rand, d ot.Doc, size int) ot.Cursor {
			ends := boundaries(d.(*delta.Doc).Op())
			c := make(text.Cursor, r.IntN(min(size, 4)+1))
			for i := range c {
				c[i] = [2]int{ends[r.IntN(len(ends))], ends[r.IntN(len(ends))]}
			}
			return c
		},
	}
}

func built(b *delta.Builder) delta.Op {
	op, err := b.Op()
	if err != nil {
		panic(err)
	}
	return op
}

func deltaInsert(r *rand.Rand, b *delta.Builder, attributes *jsonvalue.Object) {
	if r.IntN(5) > 0 {
		b.Insert(words(r, 1+r.IntN(3)), attributes)
		return
	}
	b.Embed(jsonvalue.NewObject([]jsonvalue.Member{{Name: "image", Value: words(r, r.IntN(2))}}), attributes)
}

// deltaAttributes returns attributes, often none, with nulls among them if asked for.
func deltaAttributes(r *rand.Rand, nulls bool) *jsonvalue.Object {
	values := []jsonvalue.Value{true, "red", 2.5, jsonvalue.NewList([]jsonvalue.Value{1.0, nil}), jsonvalue.NewObject([]jsonvalue.Member{{Name: "é", Value: false}})}
	if nulls {
		values = append(values, nil, nil, nil)
	}
	var members []jsonvalue.Member
	for _, name := range []string{"bold", "color", "🌍"} {
		if r.IntN(4) == 0 {
			members = append(members, jsonvalue.Member{Name: name, Value: values[r.IntN(len(values))]})
		}
	}
	return jsonvalue.NewObject(members)
}

// boundaries returns the positions between the characters that op inserts and in what
// it retains.
func boundaries(op delta.Op) []int {
	ends := []int{0}
	at := 0
	for _, c := range op {
		switch {
		case c.S != "":
			for _, char := range c.S {
				if at++; char >= 0x10000 {
					at++
				}
				ends = append(ends, at)
			}
		case c.Kind != delta.Delete:
			for range c.N {
				at++
				ends = append(ends, at)
			}
		}
	}
	return ends
}

// deltaOp returns an operation within the inserts that d begins with.
func deltaOp(r *rand.Rand, d *delta.Doc, size int) ot.Op {
	op := d.Op()
	for i, c := range op {
		if c.Kind != delta.Insert {
			op = op[:i]
			break
		}
	}
	ends := boundaries(op)
	var b delta.Builder
	at := 0
	for range r.IntN(size + 1) {
		next := min(at+r.IntN(1+r.IntN(size)), len(ends)-1)
		n := ends[next] - ends[at]
		switch r.IntN(5) {
		case 0:
			b.Retain(n, nil)
			at = next
		case 1:
			b.Retain(n, deltaAttributes(r, true))
			at = next
		case 2:
			b.Delete(n)
			at = next
		default:
			deltaInsert(r, &b, deltaAttributes(r, false))
		}
	}
	return built(&b)
}
