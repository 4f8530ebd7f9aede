package json0

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"

	"quire/ot"
	"quire/ot/jsonvalue"
	"quire/ot/runs"
	"quire/ot/text0"
	"quire/ot/units"
)

// Measure returns how many units of text op inserts and deletes; a list or object counts as
// what is in it, any other value and what is empty as 1, a sum as 1 in and 1 out, a move not
// at all.
func (Type) Measure(op ot.Op) (inserted, deleted int) {
	for _, c := range op.(Op) {
		switch {
		case c.has(SI | SD):
			c = c.asEdit()
			fallthrough
		case c.has(T):
			in, out := text0.Type{}.Measure(c.Edit)
			inserted, deleted = inserted+in, deleted+out
		case c.has(NA):
			inserted, deleted = inserted+1, deleted+1
		default:
			if c.has(LI | OI) {
				inserted += measure(c.Inserted)
			}
			if c.has(LD | OD) {
				deleted += measure(c.Deleted)
			}
		}
	}
	return inserted, deleted
}

// MeasureDoc returns how much d holds, counted as Measure does; null is nothing.
func (Type) MeasureDoc(d ot.Doc) int {
	v := d.(*Doc).value
	if v == nil {
		return 0
	}
	return measure(v)
}

func measure(v jsonvalue.Value) (n int) {
	switch v := v.(type) {
	case string:
		return units.Count(v)[units.UTF16]
	case *jsonvalue.List:
		for i := range v.Len() {
			n += measure(v.At(i))
		}
	case *jsonvalue.Object:
		for i := range v.Len() {
			n += measure(v.Member(i).Value)
		}
	}
	return max(1, n)
}

// Trace begins to follow d, as ot.Tracer says. A span without a length is a value with
// all that is in it; what in it comes from elsewhere has spans of its own, which follow. So
// whatever has no span comes from where the list or object it is in comes from. A string
// has spans by itself when it comes from elsewhere, and as soon as part of it does.
func (Type) Trace(d ot.Doc, origin ot.Origin) ot.Trace {
	return &trace{tree{root: part{first: int64(origin), shape: shapeOf(d.(*Doc).value)}}}
}

// trace is an ot.Trace.
type trace struct{ tree }

func (t *trace) Apply(op ot.Op, origin ot.Origin) error {
	for i := range op.(Op) {
		if err := t.follow(&op.(Op)[i], int64(origin)); err != nil {
			return err
		}
	}
	return nil
}

func (t *trace) Clone() ot.Trace { return &trace{tree{root: t.root.clone()}} }

func (t *trace) Spans() []ot.Span { return t.root.spans(nil, Path{}, t.root.first, true) }

// spans appends the spans of p, which lies at path in a value that comes from around;
// alone says that it lies in none.
func (p *part) spans(dst []ot.Span, path Path, around int64, alone bool) []ot.Span {
	o := p.open
	if o != nil && o.text != nil && o.text.Len() > 0 {
		if first, same := o.text.Same(); same && first == around && !alone {
			return dst
		}
		return o.text.AppendSpans(dst, path.AppendJSON(nil))
	}
	if alone || p.first != around {
		length, _ := p.shape.(float64)
		dst = append(dst, ot.Span{Path: path.AppendJSON(nil), Length: int(length), Origin: ot.Origin(p.first)})
	}
	if o == nil {
		return dst
	}
	for i := range o.items {
		k := Index(i)
		if o.names != nil {
			k = Name(o.names[i])
		}
		dst = o.items[i].spans(dst, append(path, k), p.first, false)
	}
	return dst
}

// The binary form of a trace is that of its root. A part is what it is, a varint of how much
// more its number is than that of the part it is in; then the shape in JSON, the runs of
// text or the items, before each of which is its name in an object. Before all of these is how long
// they are or how many.
const (
	closedPart = iota
	textPart
	listPart
	objectPart
)

func (t *trace) Marshal(dst []byte) []byte { return t.root.marshal(dst, 0) }

func (p *part) marshal(dst []byte, around int64) []byte {
	o := p.open
	kind := closedPart
	switch {
	case o == nil:
	case o.text != nil:
		kind = textPart
	case o.names == nil:
		kind = listPart
	default:
		kind = objectPart
	}
	dst = binary.AppendVarint(append(dst, byte(kind)), p.first-around)
	switch kind {
	case closedPart:
		return appendBytes(dst, jsonvalue.Append(nil, p.shape))
	case textPart:
		return appendBytes(dst, o.text.Marshal(nil))
	}
	dst = binary.AppendUvarint(dst, uint64(len(o.items)))
	for i := range o.items {
		if kind == objectPart {
			dst = appendBytes(dst, []byte(o.names[i]))
		}
		dst = o.items[i].marshal(dst, p.first)
	}
	return dst
}

func appendBytes(dst, data []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(data))), data...)
}

// UnmarshalTrace reads a trace in binary form. It fails with ot.ErrSyntax.
func (Type) UnmarshalTrace(data []byte) (ot.Trace, error) {
	r := reader{data: data}
	p := r.part(0, jsonvalue.DefaultDepth+1)
	if r.bad || len(r.data) > 0 {
		return nil, fmt.Errorf("%w: damaged trace", ot.ErrSyntax)
	}
	return &trace{tree{root: p}}, nil
}

// A reader reads parts in binary form.
type reader struct {
	data []byte
	bad  bool // something was wrong; data is empty then
}

func (r *reader) fail() {
	r.data, r.bad = nil, true
}

// count reads a number that is at most limit.
func (r *reader) count(limit int) int {
	n, k := binary.Uvarint(r.data)
	if k <= 0 || n > uint64(limit) {
		r.fail()
		return 0
	}
	r.data = r.data[k:]
	return int(n)
}

// bytes reads a length and so many bytes.
func (r *reader) bytes() []byte {
	n := r.count(len(r.data))
	if n > len(r.data) {
		r.fail()
		return nil
	}
	out := r.data[:n]
	r.data = r.data[n:]
	return out
}

// part reads a part in which lists and objects lie less than depth deep.
func (r *reader) part(around int64, depth int) (p part) {
	if len(r.data) == 0 || depth == 0 {
		r.fail()
		return p
	}
	kind := r.data[0]
	more, k := binary.Varint(r.data[1:])
	if k <= 0 || kind > objectPart {
		r.fail()
		return p
	}
	r.data = r.data[1+k:]
	p.first = around + more
	switch kind {
	case closedPart:
		v, err := jsonvalue.Parse(r.bytes(), depth)
		if err != nil || !isShape(v) {
			r.fail()
		}
		p.shape = v
	case textPart:
		text, err := runs.Unmarshal(r.bytes())
		if err != nil {
			r.fail()
		}
		p.open = &opened{text: &text}
	default:
		p.open = r.items(p.first, depth-1, kind == objectPart)
	}
	return p
}

func (r *reader) items(around int64, depth int, named bool) *opened {
	o := &opened{}
	if named {
		o.names = []string{}
	}
	for range r.count(len(r.data)) {
		if named {
			name := string(r.bytes())
			if last := len(o.names) - 1; !utf8.ValidString(name) || last >= 0 && jsonvalue.CompareNames(o.names[last], name) >= 0 {
				r.fail()
			}
			o.names = append(o.names, name)
		}
		o.items = append(o.items, r.part(around, depth))
		if r.bad {
			return nil
		}
	}
	return o
}

// isShape reports whether v could be what shapeOf returns.
func isShape(v jsonvalue.Value) bool {
	switch v := v.(type) {
	case float64:
		return v >= 0 && v <= math.MaxInt32 && v == math.Trunc(v)
	case string, bool:
		return false
	case *jsonvalue.List:
		for i := range v.Len() {
			if !isShape(v.At(i)) {
				return false
			}
		}
	case *jsonvalue.Object:
		for i := range v.Len() {
			if !isShape(v.Member(i).Value) {
				return false
			}
		}
	}
	return true
}
