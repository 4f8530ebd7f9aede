package delta_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/ottest"
	"quire/ot/text"
)

var update = flag.Bool("update", false, "write the test vectors anew")

const vectorsFile = "../../docs/vectors/delta.json"

// A vector is one case of docs/vectors/delta.json; each list uses some members.
type vector struct {
	Doc    json.RawMessage `json:"doc,omitempty"`
	Cursor json.RawMessage `json:"cursor,omitempty"`
	A      json.RawMessage `json:"a,omitempty"`
	B      json.RawMessage `json:"b,omitempty"`
	Op     json.RawMessage `json:"op,omitempty"`
	Over   json.RawMessage `json:"over,omitempty"`
	Side   string          `json:"side,omitempty"`
	Sum    string          `json:"sum,omitempty"`
	Out    json.RawMessage `json:"out,omitempty"`
}

// vectors is the whole file. Those in Past are like those in Apply, but documents hold or
// come to hold what is no insert, past their end. A parsed operation shows why those in Reject are
// refused; those in RejectScan only show it before parsing, as 1.0 is 1 then.
// Those in Misfit are well-formed and do not fit their document.
type vectors struct {
	Apply      []vector `json:"apply"`
	Past       []vector `json:"past"`
	Compose    []vector `json:"compose"`
	Transform  []vector `json:"transform"`
	Invert     []vector `json:"invert"`
	Cursor     []vector `json:"cursor"`
	Misfit     []vector `json:"misfit"`
	Reject     []string `json:"reject"`
	RejectScan []string `json:"rejectScan"`
	Checksum   []vector `json:"checksum"`
}

// brief writes operations shortly: 3 retains, -3 deletes, 'abc' inserts, * embeds, and what
// stands in braces is attributes.
func brief(s string) string {
	var out strings.Builder
	out.WriteByte('[')
	for i, part := range strings.Fields(s) {
		if i > 0 {
			out.WriteByte(',')
		}
		what, attributes, formatted := strings.Cut(part, "{")
		switch {
		case what == "*":
			out.WriteString(`{"insert":{"image":"a.png"}`)
		case what[0] == '\'':
			fmt.Fprintf(&out, `{"insert":"%s"`, strings.NewReplacer("_", " ", "'", "").Replace(what))
		case what[0] == '-':
			fmt.Fprintf(&out, `{"delete":%s`, what[1:])
		default:
			fmt.Fprintf(&out, `{"retain":%s`, what)
		}
		if formatted {
			out.WriteString(`,"attributes":{` + attributes)
		}
		out.WriteByte('}')
	}
	out.WriteByte(']')
	return out.String()
}

var (
	applyInputs = [][2]string{
		{`'Hello_you\n'`, `5 'abc' -3`}, {``, ``}, {`'\n'`, ``}, {``, `'x'`}, {`'abc'`, `-3`}, {`'abc'`, `3 'd'`}, {`'abc'`, `1 'x' -1`},
		{`'abc'`, `1 1{"b":true}`}, {`'abc'{"b":true}`, `1 1{"b":null}`}, {`'abc'{"b":true}`, `3{"i":1.5}`}, {`'a'{"b":true} 'b'`, `1{"b":null}`},
		{`'a' * 'b'`, `1 1{"width":"9"}`}, {`'a' * 'b'`, `1 -1`}, {`'a🌍b'`, `1 2{"b":true}`}, {`'a'{"x":null}`, `1{"y":1}`}, {`'a'{"x":null}`, `1{"x":null}`},
		{`'a'`, `'b'{"x":null}`}, {`'ab'`, `'x'{"b":true} 2{"b":true}`}, {`'ab'`, `1 *`}, {`'a'`, `1 1{"align":"right"}`}, {`'a'`, `-3`}, {`'a'`, `3 'x'`},
		{`'a' -1`, `1 'b'`}, {`'a' 1{"x":1}`, `1 1{"x":null}`}, {`'a' 1{"x":1} 'z'`, `1 -1`}, {`'a' 2 'z'`, `3 -1`},
		{`'a'{"o":{"z":1,"a":null}} 'b'`, `1 1{"o":{"a":null,"z":1}}`}, {`'tab'`, `1 '\t\"\\\u0001' `}, {`'a'`, `'x'{"":[],"10":1,"9":2,"🌍":3,"\ue000":4}`},
	}
	composeInputs = [][2]string{
		{``, ``}, {`'a'`, `1 'b'`}, {`'a'`, `'b'`}, {`'a'`, `-1`}, {`-1`, `'x'`}, {`'x'`, `1 -1`}, {`-1`, `-1`}, {`1 -1`, `1 'x'`}, {`'x' -1`, `1 'y'`},
		{`'a'`, `1{"b":true}`}, {`'a'{"b":true}`, `1{"b":null}`}, {`1{"b":true}`, `1{"b":null}`}, {`1{"b":null}`, `1{"b":true}`}, {`1{"b":true,"i":true}`, `1{"b":null,"c":"red"}`},
		{`1{"b":true}`, `-1`}, {`2{"b":true}`, `1 'x'{"b":true}`}, {`*`, `1{"w":1}`}, {`* *`, `1 -1`}, {`5 'a'`, `5 -1`}, {`'a🌍b'`, `1 -2`}, {`-2 1{"x":1} -2`, `'x' 1 'y'`},
		{`1{"b":true} 1 'x'`, `2{"b":true}`}, {`1{"b":true}`, `1 1{"b":true}`},
	}
	transformInputs = [][2]string{
		{`'a'`, `'b'`}, {`1 'a'`, `'b'`}, {`2 'a'`, `-3`}, {`-3`, `1 'a'`}, {`-3`, `1 -1`}, {`-1`, `-1`}, {`'x' -1`, `'y' -1`}, {``, `'x'`}, {`2 '🌍'`, `'👩'`},
		{`1{"b":true}`, `1{"b":null}`}, {`1{"b":true,"i":true}`, `1{"b":false,"c":1}`}, {`3{"b":true}`, `1 1{"b":true}`}, {`3{"b":true}`, `1 -1`}, {`-1`, `1{"b":true}`},
		{`2{"b":true}`, `1 'x'`}, {`*`, `*`}, {`-1 1 'z'`, `1 -1`}, {`1{"a":1} 'x' -2 1{"a":null}`, `'y' 2{"a":2} -1 2{"c":1}`},
	}
	invertInputs = [][2]string{
		{`'abc'`, ``}, {`'abc'`, `'x'`}, {`'abc'`, `1 -1`}, {`'a'{"b":true} 'bc'`, `'x' -2`}, {`'a' * 'c'`, `1 -1`}, {`'abc'`, `3{"b":true}`}, {`'a'{"b":true} 'bc'`, `2{"b":null}`},
		{`'a'{"b":true} 'bc'`, `2{"b":true}`}, {`'a'{"b":1} 'bc'`, `3{"b":2,"i":3}`}, {`'a🌍b'`, `1 '👩' -2`}, {`'a'{"o":{"x":1}}`, `1{"o":{"x":1}}`},
	}
	cursorInputs = [][2]string{
		{`[]`, `'x'`}, {`[[0,0]]`, `'x'`}, {`[[1,1]]`, `*`}, {`[[1,3]]`, `1 'x'`}, {`[[3,1]]`, `3{"b":true} '🌍'`}, {`[[2,2]]`, `1 -2`}, {`[[0,5]]`, `1 'x' -2`},
		{`[[0,0],[1,1]]`, `'x' *`}, {`[[1,1]]`, `'x' -1 1 'y'`}, {`[[3,8],[12,12],[5,5]]`, `4 'abc' -2 6 'z'`},
	}
	misfitInputs = [][2]string{{`'🌍'`, `1 'x'`}, {`'🌍'`, `-1`}, {`'🌍'`, `1 -1`}, {`'🌍'`, `1{"b":true}`}, {`'a🌍'`, `-2`}, {`'a' '🌍'{"b":true}`, `2 'x'`}, {`'a' 1{"b":true} '🌍'`, `3 'x'`}}

	reject = []string{
		``, ` `, `[`, `]`, `{}`, `null`, `5`, `"a"`, `{"ops":[]}`, `[{"insert":"a"}]]`, `[{"insert":"a"},]`, `[{"insert":"a"} {"delete":1}]`, `[null]`, `["a"]`, `[1]`, `[[]]`, `[{}]`, `[{"insert":"a"}`,
		`[{"insert":""}]`, `[{"delete":0}]`, `[{"retain":0},{"delete":1}]`, `[{"retain":1}]`, `[{"insert":"a"},{"retain":1}]`, `[{"insert":"a"},{"insert":"b"}]`, `[{"delete":1},{"delete":1}]`,
		`[{"retain":1},{"retain":1},{"delete":1}]`, `[{"delete":1},{"insert":"a"}]`, `[{"delete":1},{"insert":{"image":"a"}}]`,
		`[{"insert":"a","attributes":{"b":1}},{"insert":"c","attributes":{"b":1}}]`, `[{"insert":"a","attributes":{"x":1,"y":2}},{"insert":"c","attributes":{"y":2,"x":1}}]`,
		`[{"retain":1,"attributes":{"b":null}},{"retain":1,"attributes":{"b":null}}]`,
		`[{"insert":"a","attributes":{}}]`, `[{"insert":"a","attributes":null}]`, `[{"insert":"a","attributes":"b"}]`, `[{"insert":"a","attributes":["b"]}]`, `[{"delete":1,"attributes":{"b":1}}]`,
		`[{"attributes":{"b":1}}]`, `[{"insert":"a","delete":1}]`, `[{"insert":"a","retain":1}]`, `[{"retain":1,"delete":1}]`, `[{"insert":"a","x":1}]`,
		`[{"insert":null}]`, `[{"insert":1}]`, `[{"insert":true}]`, `[{"insert":["a"]}]`, `[{"retain":{"image":{"w":1}}}]`, `[{"retain":"1"}]`, `[{"delete":null}]`,
		`[{"delete":-1}]`, `[{"retain":-1},{"delete":1}]`, `[{"delete":1.5}]`, `[{"retain":0.5},{"delete":1}]`, `[{"delete":01}]`, `[{"delete":+1}]`, `[{"delete":NaN}]`,
		`[{"delete":2147483648}]`, `[{"retain":1073741824},{"delete":1073741824}]`, `[{"delete":9007199254740993}]`, `[{"delete":1e400}]`, `[{"insert":"a","attributes":{"b":1e400}}]`,
		`[{"insert":"a","attributes":{"__proto__":1}}]`, `[{"insert":{"__proto__":1}}]`, `[{"insert":"a","__proto__":1}]`, `[{"insert":"a","attributes":{"b":{"__proto__":null}}}]`,
		`[{"insert":"\ud800"}]`, `[{"insert":"\udc00\ud83d"}]`, `[{"insert":{"image":"\ud83d"}}]`, `[{"insert":"a","attributes":{"b":"\ud83dx"}}]`, `[{"insert":"a","attributes":{"\ude00":1}}]`,
		`[{insert:"a"}]`, `[{'insert':'a'}]`, "[{\"insert\":\"a\nb\"}]", "[{\"insert\":\"\x00\"}]",
	}
	rejectScan = []string{
		`[{"delete":1.0}]`, `[{"delete":1e0}]`, `[{"retain":10e-1},{"delete":1}]`, `[{"insert":"a","insert":"b"}]`, `[{"delete":1,"delete":1}]`,
		`[{"insert":"a","attributes":{"b":1},"attributes":{"b":1}}]`,
	}
	sumInputs = []string{``, `'a'`, `'\n'`, `'Hello\n'`, `'a'{"b":true}`, `'🌍' * 'naïve_🌍\n'{"list":"bullet"}`, `'a'{"":[1e+21,1e-7,"\u0001"],"10":1,"9":2,"🌍":3,"\ue000":4}`, `'a' 1{"align":"right"} -2`}
)

// build works every output out anew.
func build(t *testing.T) (v vectors) {
	gen, r := ottest.Delta(), rand.New(rand.NewPCG(1, 2))
	var apply, compose, transform, invert, cursors [][2]string
	spell := func(out *[][2]string, in [][2]string) {
		for _, c := range in {
			if !strings.HasPrefix(c[0], "[") { // a cursor is written in full
				c[0] = brief(c[0])
			}
			*out = append(*out, [2]string{c[0], brief(c[1])})
		}
	}
	spell(&apply, applyInputs)
	spell(&compose, composeInputs)
	spell(&transform, transformInputs)
	spell(&invert, invertInputs)
	spell(&cursors, cursorInputs)
	for range 12 {
		var d *delta.Doc
		var a, p delta.Op
		for len(a) < 2 || len(p) < 2 || !plain(d) {
			d = gen.Doc(r, 6).(*delta.Doc)
			a, p = gen.Op(r, d, 6).(delta.Op), gen.Op(r, d, 6).(delta.Op)
		}
		after, err := d.Apply(a)
		must(t, err)
		b := gen.Op(r, after, 6).(delta.Op)
		before := string(d.AppendJSON(nil))
		apply = append(apply, [2]string{before, str(a)})
		compose = append(compose, [2]string{str(a), str(b)})
		transform = append(transform, [2]string{str(p), str(a)})
		invert = append(invert, [2]string{before, str(a)})
		cursors = append(cursors, [2]string{string(gen.Cursor(r, d, 3).(text.Cursor).AppendJSON(nil)), str(a)})
	}
	for _, in := range apply {
		after, err := doc(t, in[0]).Apply(op(t, in[1]))
		must(t, err)
		list := &v.Apply
		if !plain(doc(t, in[0])) || !plain(after) {
			list = &v.Past
		}
		*list = append(*list, vector{Doc: raw(in[0]), Op: raw(in[1]), Out: after.AppendJSON(nil)})
	}
	for _, in := range compose {
		out, err := delta.Compose(op(t, in[0]), op(t, in[1]))
		must(t, err)
		v.Compose = append(v.Compose, vector{A: raw(in[0]), B: raw(in[1]), Out: out.AppendJSON(nil)})
	}
	for _, in := range transform {
		for _, side := range []ot.Side{ot.Left, ot.Right} {
			out, err := delta.Transform(op(t, in[0]), op(t, in[1]), side)
			must(t, err)
			v.Transform = append(v.Transform, vector{Op: raw(in[0]), Over: raw(in[1]), Side: side.String(), Out: out.AppendJSON(nil)})
		}
	}
	for _, in := range invert {
		out, err := delta.Invert(doc(t, in[0]), op(t, in[1]))
		must(t, err)
		v.Invert = append(v.Invert, vector{Doc: raw(in[0]), Op: raw(in[1]), Out: out.AppendJSON(nil)})
	}
	for _, in := range cursors {
		for _, side := range []ot.Side{ot.Left, ot.Right} {
			c, err := delta.Type{}.DecodeCursor([]byte(in[0]), ot.Limits{})
			must(t, err)
			out := delta.Type{}.AppendCursor(nil, delta.Type{}.TransformCursor(c, op(t, in[1]), side))
			v.Cursor = append(v.Cursor, vector{Cursor: raw(in[0]), Op: raw(in[1]), Side: side.String(), Out: out})
		}
	}
	for _, in := range misfitInputs {
		d, o := brief(in[0]), brief(in[1])
		if _, err := doc(t, d).Apply(op(t, o)); !errors.Is(err, ot.ErrMismatch) {
			t.Fatalf("%s on %s: %v", o, d, err)
		}
		v.Misfit = append(v.Misfit, vector{Doc: raw(d), Op: raw(o)})
	}
	v.Reject, v.RejectScan = reject, rejectScan
	for _, data := range append(reject, rejectScan...) {
		if got, err := delta.Decode([]byte(data), ot.Limits{}); !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit) {
			t.Fatalf("%q: decoded to %s, error %v", data, str(got), err)
		}
	}
	for _, in := range sumInputs {
		d := doc(t, brief(in))
		v.Checksum = append(v.Checksum, vector{Doc: d.AppendJSON(nil), Sum: fmt.Sprintf("%08x", d.Checksum())})
	}
	return v
}

// TestVectors holds docs/vectors/delta.json and the code to one another.
func TestVectors(t *testing.T) {
	v := build(t)
	var out bytes.Buffer
	list := func(name, end string, n int, item func(i int) any) {
		fmt.Fprintf(&out, "%q:[\n", name)
		for i := range n {
			enc := json.NewEncoder(&out)
			enc.SetEscapeHTML(false)
			must(t, enc.Encode(item(i)))
			out.Truncate(out.Len() - 1)
			if i+1 < n {
				out.WriteString(",\n")
			}
		}
		out.WriteString("]" + end + "\n")
	}
	cases := func(name, end string, c []vector) { list(name, end, len(c), func(i int) any { return c[i] }) }
	texts := func(name, end string, c []string) { list(name, end, len(c), func(i int) any { return c[i] }) }
	out.WriteString("{")
	cases("apply", ",", v.Apply)
	cases("past", ",", v.Past)
	cases("compose", ",", v.Compose)
	cases("transform", ",", v.Transform)
	cases("invert", ",", v.Invert)
	cases("cursor", ",", v.Cursor)
	cases("misfit", ",", v.Misfit)
	texts("reject", ",", v.Reject)
	texts("rejectScan", ",", v.RejectScan)
	cases("checksum", "}", v.Checksum)
	if *update {
		must(t, os.WriteFile(vectorsFile, out.Bytes(), 0o644))
	}
	have, err := os.ReadFile(vectorsFile)
	must(t, err)
	if !bytes.Equal(have, out.Bytes()) {
		t.Fatalf("%s is not what the code gives; see the difference with -update", vectorsFile)
	}
}

// plain tells whether a document holds inserts only.
func plain(d *delta.Doc) bool {
	return !slices.ContainsFunc(d.Op(), func(c delta.Component) bool { return c.Kind != delta.Insert })
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

func str(op delta.Op) string { return string(op.AppendJSON(nil)) }

func op(t testing.TB, data string) delta.Op {
	t.Helper()
	op, err := delta.Decode([]byte(data), ot.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return op
}

func doc(t testing.TB, data string) *delta.Doc {
	t.Helper()
	d, err := delta.Type{}.Create([]byte(data))
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return d.(*delta.Doc)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
