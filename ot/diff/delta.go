package diff

import (
	"strings"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/jsonvalue"
	"quire/ot/units"
)

// maxFormats bounds the bytes of attributes that are compared, beyond those of the documents:
// one piece of text may meet very many others.
const maxFormats = 32 << 20

// A row is a rich text as plain text, in which a private character stands for each embedded
// object, and the inserts that it is made of.
type row struct {
	text string
	rest []delta.Component // those that are not taken yet
	tail delta.Op          // what follows the inserts
	size int               // of attributes, in bytes
}

// rows returns two documents as rows, in which equal objects have one character. It reports
// false when there are not enough private characters.
func rows(docs ...*delta.Doc) ([]row, bool) {
	out := make([]row, len(docs))
	taken := map[rune]bool{}
	for i, d := range docs {
		op := d.Op()
		n := 0
		for ; n < len(op) && op[n].Kind == delta.Insert; n++ {
			for _, r := range op[n].S {
				if r >= firstPrivate {
					taken[r] = true
				}
			}
			if op[n].Attributes != nil {
				out[i].size += jsonvalue.Size(op[n].Attributes)
			}
		}
		out[i].rest, out[i].tail = op[:n:n], op[n:]
	}
	characters := map[string]rune{} // by the object in JSON
	next := rune(firstPrivate)
	for i := range out {
		var text strings.Builder
		for _, c := range out[i].rest {
			if text.WriteString(c.S); c.S != "" {
				continue
			}
			form := string(jsonvalue.Append(nil, c.Embed))
			r, ok := characters[form]
			if !ok {
				for taken[next] {
					next++
				}
				if next > utf8.MaxRune {
					return nil, false
				}
				r = next
				characters[form] = r
				next++
			}
			text.WriteRune(r)
		}
		out[i].text = text.String()
	}
	return out, true
}

// firstPrivate is where the last two planes of Unicode begin, which are for private use: each
// character has privateLength bytes.
const (
	firstPrivate  = 0xF0000
	privateLength = 4
)

func length(c *delta.Component) int {
	if c.S == "" {
		return privateLength
	}
	return len(c.S)
}

// take returns the next part of r, of at most n bytes and one insert.
func (r *row) take(n int) delta.Component {
	c := &r.rest[0]
	if n >= length(c) {
		r.rest = r.rest[1:]
		return *c
	}
	part := *c
	part.S, c.S = c.S[:n], c.S[n:]
	part.N = units.Count(part.S)[units.UTF16]
	c.N -= part.N
	return part
}

// A formatter makes the operation between two rows.
type formatter struct {
	delta.Builder
	left int // bytes of attributes that may still be compared
}

// deltaOp returns the operation between two rich texts. What an edit behind the end left there
// is taken back as far as delta.Invert can.
func deltaOp(from, to *delta.Doc) (ot.Op, error) {
	both, ok := rows(from, to)
	var op delta.Op
	if ok {
		x, y := both[0], both[1]
		f := formatter{left: maxFormats + x.size + y.size}
		op, ok = f.between(x, y)
	}
	if !ok {
		op = replaced(from, to)
	}
	return behind(from, to, op)
}

func (f *formatter) between(x, y row) (delta.Op, bool) {
	at := 0
	for _, e := range append(characters(x.text, y.text, newBudget()), edit{Start: len(x.text), End: len(x.text)}) {
		for at < e.Start && f.left >= 0 {
			n := min(e.Start-at, length(&x.rest[0]), length(&y.rest[0]))
			f.keep(x.take(n), y.take(n))
			at += n
		}
		if f.left < 0 {
			return nil, false
		}
		for n := e.ReplEnd - e.ReplStart; n > 0; {
			c := y.take(n)
			n -= length(&c)
			f.put(&c)
		}
		for at < e.End {
			c := x.take(e.End - at)
			at += length(&c)
			f.Delete(c.N)
		}
	}
	op, err := f.Op()
	return op, err == nil && f.left >= 0
}

// put inserts c.
func (f *formatter) put(c *delta.Component) {
	if c.S != "" {
		f.Insert(c.S, c.Attributes)
	} else {
		f.Embed(c.Embed, c.Attributes)
	}
}

// keep makes of what c is what next is, the same text or object with other attributes.
func (f *formatter) keep(c, next delta.Component) {
	if c.Attributes == next.Attributes {
		f.Retain(c.N, nil)
		return
	}
	var set []jsonvalue.Member
	for _, a := range []*jsonvalue.Object{c.Attributes, next.Attributes} {
		if a != nil {
			f.left -= jsonvalue.Size(a)
		}
	}
	for m := range members(next.Attributes) {
		old, there := c.Attributes.Get(m.Name)
		switch {
		case there && jsonvalue.Equal(old, m.Value):
		case m.Value == nil: // which formatting does not bring about
			f.put(&next)
			f.Delete(c.N)
			return
		default:
			set = append(set, m)
		}
	}
	for m := range members(c.Attributes) {
		if _, there := next.Attributes.Get(m.Name); !there {
			set = append(set, jsonvalue.Member{Name: m.Name})
		}
	}
	f.Retain(c.N, jsonvalue.NewObject(set))
}

func members(o *jsonvalue.Object) func(yield func(jsonvalue.Member) bool) {
	return func(yield func(jsonvalue.Member) bool) {
		if o == nil {
			return
		}
		for i := range o.Len() {
			if !yield(o.Member(i)) {
				return
			}
		}
	}
}

// inserts returns the inserts that d begins with, their length, and what follows.
func inserts(d *delta.Doc) (head delta.Op, n int, tail delta.Op) {
	op := d.Op()
	for i, c := range op {
		if c.Kind != delta.Insert {
			return op[:i:i], n, op[i:]
		}
		n += c.N
	}
	return op, n, nil
}

// replaced returns the operation that puts the inserts of to in the place of those of from.
func replaced(from, to *delta.Doc) delta.Op {
	var f formatter
	head, _, _ := inserts(to)
	for i := range head {
		f.put(&head[i])
	}
	_, n, _ := inserts(from)
	f.Delete(n)
	op, _ := f.Op() // no longer than the documents
	return op
}

// behind returns op, which leads from the inserts of one document to those of the other,
// with what it takes to get what is behind them right.
func behind(from, to *delta.Doc, op delta.Op) (ot.Op, error) {
	head, n, want := inserts(to)
	_, _, had := inserts(from)
	if jsonForm(had) == jsonForm(want) {
		return op, nil
	}
	back, err := delta.Invert(delta.New(head), moved(had, n))
	if err == nil {
		op, err = delta.Compose(op, back)
	}
	if err == nil {
		op, err = delta.Compose(op, moved(want, n))
	}
	if err != nil {
		return nil, err
	}
	return op, nil
}

func jsonForm(op delta.Op) string { return string(op.AppendJSON(nil)) }

// moved returns op n units further on.
func moved(op delta.Op, n int) delta.Op {
	if n == 0 || len(op) == 0 {
		return op
	}
	if op[0].Kind == delta.Retain && op[0].Attributes == nil {
		op = append(delta.Op{{Kind: delta.Retain, N: n + op[0].N}}, op[1:]...)
		return op
	}
	return append(delta.Op{{Kind: delta.Retain, N: n}}, op...)
}
