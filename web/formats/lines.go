package formats

import (
	"fmt"
	"strings"

	"quire/ot/jsonvalue"
)

// A rich text as its lines: in a Delta, the attributes of a line end are the line's.

// line is one line with its format.
type line struct {
	parts []part
	attrs attrs
	ended bool // by a line end; the last one may not be
}

// part is text, or one embedded object, with its attributes.
type part struct {
	text  string
	embed *jsonvalue.Object // nil: text
	attrs attrs
}

// attrs are attributes as a Delta has them; nil is none.
type attrs map[string]jsonvalue.Value

// str returns an attribute's text, "" when it is none.
func (a attrs) str(name string) string {
	s, _ := a[name].(string)
	return s
}

// on reports whether an attribute is set to something.
func (a attrs) on(name string) bool {
	switch v := a[name].(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	}
	return true
}

// num returns an attribute that is a whole number from 1 to most, also as text; else 0.
func (a attrs) num(name string, most int) int {
	n, ok := a[name].(float64)
	if s := a.str(name); len(s) == 1 && s[0] >= '1' && s[0] <= '9' {
		n, ok = float64(s[0]-'0'), true
	}
	if !ok || n != float64(int(n)) || n < 1 || n > float64(most) {
		return 0
	}
	return int(n)
}

// readDelta returns the lines of a document of type delta.
func readDelta(content []byte) ([]line, error) {
	v, err := jsonvalue.Parse(content, maxDepth)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	list, _ := v.(*jsonvalue.List)
	if list == nil {
		return nil, fmt.Errorf("%w: a Delta is an array", ErrMalformed)
	}
	var lines []line
	var at line
	for i := range list.Len() {
		op, _ := list.At(i).(*jsonvalue.Object)
		if op == nil {
			return nil, fmt.Errorf("%w: component %d is no object", ErrMalformed, i)
		}
		a := attributesOf(op)
		switch insert, _ := op.Get("insert"); insert := insert.(type) {
		case *jsonvalue.Object:
			at.parts = append(at.parts, part{embed: insert, attrs: a})
		case string:
			for {
				text, rest, ends := strings.Cut(insert, "\n")
				if text != "" {
					at.parts = append(at.parts, part{text: text, attrs: a})
				}
				if !ends {
					break
				}
				at.attrs, at.ended = a, true
				lines, at = append(lines, at), line{}
				insert = rest
			}
		} // retains and deletes past the end say nothing of the content
	}
	if len(at.parts) > 0 {
		lines = append(lines, at)
	}
	return lines, nil
}

// parseDelta returns the content of a Delta as Quill gives it: an array of inserts, or an
// object with it as "ops". Members of the object other than that are ignored.
func parseDelta(body []byte) ([]byte, error) {
	v, err := jsonvalue.Parse(body, maxDepth)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if o, ok := v.(*jsonvalue.Object); ok {
		v, _ = o.Get("ops")
	}
	list, ok := v.(*jsonvalue.List)
	if !ok {
		return nil, fmt.Errorf("%w: a Delta is an array of inserts, or an object with it as \"ops\"", ErrMalformed)
	}
	for i := range list.Len() {
		op, _ := list.At(i).(*jsonvalue.Object)
		if op == nil {
			return nil, fmt.Errorf("%w: component %d is no object", ErrMalformed, i)
		}
		switch insert, _ := op.Get("insert"); insert.(type) {
		case string, *jsonvalue.Object:
		default:
			return nil, fmt.Errorf("%w: component %d inserts neither text nor an object; a document is made of inserts", ErrMalformed, i)
		}
	}
	lines, err := readDelta(jsonvalue.Append(nil, list))
	if err != nil {
		return nil, err
	}
	return writeDelta(lines)
}

// maxDepth is how deep a document's lists and objects lie at most.
const maxDepth = 128

func attributesOf(op *jsonvalue.Object) attrs {
	v, _ := op.Get("attributes")
	o, _ := v.(*jsonvalue.Object)
	if o == nil {
		return nil
	}
	a := attrs{}
	for i := range o.Len() {
		a[o.Member(i).Name] = o.Member(i).Value
	}
	return a
}

// value returns attributes as a JSON object, nil when there are none.
func (a attrs) value() *jsonvalue.Object {
	members := make([]jsonvalue.Member, 0, len(a))
	for name, v := range a {
		members = append(members, jsonvalue.Member{Name: name, Value: v})
	}
	if len(members) == 0 {
		return nil
	}
	return jsonvalue.NewObject(members)
}

// writeDelta returns lines as a document of type delta, canonical, every line ended.
func writeDelta(lines []line) ([]byte, error) {
	if len(lines) == 0 {
		lines = []line{{}}
	}
	var ops []jsonvalue.Value
	var text strings.Builder
	var last *jsonvalue.Object // attributes of text
	flush := func() {
		if text.Len() > 0 {
			ops = append(ops, component(text.String(), last))
			text.Reset()
		}
	}
	add := func(s string, a attrs) {
		v := a.value()
		if !same(v, last) {
			flush()
			last = v
		}
		text.WriteString(s)
	}
	for _, l := range lines {
		for _, p := range l.parts {
			if p.embed == nil {
				add(p.text, p.attrs)
				continue
			}
			flush()
			ops = append(ops, component(p.embed, p.attrs.value()))
		}
		add("\n", l.attrs)
	}
	flush()
	return jsonvalue.Append(nil, jsonvalue.NewList(ops)), nil
}

func same(a, b *jsonvalue.Object) bool {
	if a == nil || b == nil {
		return a == b
	}
	return jsonvalue.Equal(a, b)
}

// component is one insert of a Delta.
func component(insert jsonvalue.Value, a *jsonvalue.Object) jsonvalue.Value {
	members := []jsonvalue.Member{{Name: "insert", Value: insert}}
	if a != nil {
		members = append(members, jsonvalue.Member{Name: "attributes", Value: a})
	}
	return jsonvalue.NewObject(members)
}

// linesOf returns the lines of a plain text.
func linesOf(text string) (lines []line) {
	text = strings.TrimSuffix(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for s := range strings.SplitSeq(text, "\n") {
		l := line{ended: true}
		if s != "" {
			l.parts = []part{{text: s}}
		}
		lines = append(lines, l)
	}
	return lines
}

// plain returns lines as plain text; embedded objects are named in brackets.
func plain(lines []line) []byte {
	var b []byte
	for _, l := range lines {
		for _, p := range l.parts {
			if p.embed == nil {
				b = append(b, p.text...)
			} else {
				b = append(b, p.name()...)
			}
		}
		if l.ended {
			b = append(b, '\n')
		}
	}
	return b
}

// name says what an embedded object is, such as "[image]".
func (p part) name() string {
	if p.embed.Len() == 0 {
		return "[object]"
	}
	return "[" + p.embed.Member(0).Name + "]"
}
