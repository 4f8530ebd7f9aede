package text_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/ottest"
	"quire/ot/text"
)

var update = flag.Bool("update", false, "write the test vectors anew")

const (
	vectorsFile  = "../../docs/vectors/text.json"
	protocolPage = "../../docs/protocol.md"
)

// A vector is one case of docs/vectors/text.json; each list uses some members.
type vector struct {
	Doc    *string         `json:"doc,omitempty"`
	Cursor json.RawMessage `json:"cursor,omitempty"`
	A      json.RawMessage `json:"a,omitempty"`
	B      json.RawMessage `json:"b,omitempty"`
	Op     json.RawMessage `json:"op,omitempty"`
	Over   json.RawMessage `json:"over,omitempty"`
	Side   string          `json:"side,omitempty"`
	Text   *string         `json:"text,omitempty"`
	Sum    string          `json:"sum,omitempty"`
	Out    json.RawMessage `json:"out,omitempty"`
}

// vectors is the whole file. A parsed operation shows why those in Reject are
// refused; those in RejectScan only show it before parsing, as 1.0 is 1 then.
// Those in Misfit are well-formed and do not fit their document.
type vectors struct {
	Apply      []vector `json:"apply"`
	Compose    []vector `json:"compose"`
	Transform  []vector `json:"transform"`
	Invert     []vector `json:"invert"`
	Cursor     []vector `json:"cursor"`
	Misfit     []vector `json:"misfit"`
	Reject     []string `json:"reject"`
	RejectScan []string `json:"rejectScan"`
	Checksum   []vector `json:"checksum"`
}

var (
	applyInputs = [][2]string{
		{"Hello you", `[5,"abc",-3]`}, {"", `[]`}, {"abc", `[]`}, {"", `["x"]`}, {"abc", `[-3]`}, {"abc", `[3,"d"]`},
		{"abc", `["x",-1]`}, {"abc", `[-1,"x"]`}, {"abc", `[1,-1]`}, {"abc", `[1,"x",-1,"y",1,"z"]`}, {"🌍", `[2,"!"]`},
		{"a🌍b", `[1,-2]`}, {"a🌍b", `[1,"👩",-2,"🌊"]`}, {"naïve 中文", `[2,-1,"i",4,-1]`}, {"tab", `[1,"\t\"\\\u0001"]`},
		{"line", "[4,\"\u2028\"]"}, {"e\u0301", `[1,-1]`},
	}
	composeInputs = [][2]string{
		{`[]`, `[]`}, {`["a"]`, `[1,"b"]`}, {`["a"]`, `["b"]`}, {`["a"]`, `[-1]`}, {`["abc"]`, `[1,-1]`}, {`[-1]`, `["x"]`}, {`["x"]`, `[1,-1]`},
		{`[-1]`, `[-1]`}, {`[1,-1]`, `[-1]`}, {`[1,-1]`, `[1,"x"]`}, {`[-1,"x"]`, `[-1,"k"]`}, {`["x",-1]`, `["y"]`}, {`["x",-1]`, `[1,"y"]`},
		{`["x",-1]`, `[-1,"y"]`}, {`[5,"a"]`, `[6,"b"]`}, {`[5,"a"]`, `[5,-1]`}, {`[5,"a"]`, `[2,-2]`}, {`["a🌍b"]`, `[1,-2]`}, {`["🌍"]`, `[2,"🌍"]`},
		{`[-2,1,-2]`, `["x",1,"y"]`}, {`[3,"abc",-3]`, `[2,-2,"z"]`},
	}
	transformInputs = [][2]string{
		{`["a"]`, `["b"]`}, {`[1,"a"]`, `["b"]`}, {`["a"]`, `[1,"b"]`}, {`[2,"a"]`, `[-3]`}, {`[-3]`, `[1,"a"]`}, {`[-3]`, `[1,-1]`}, {`[1,-1]`, `[-3]`},
		{`[-1]`, `[-1]`}, {`["x",-1]`, `[-1]`}, {`[-1,"x"]`, `[-1]`}, {`[-1]`, `["x",-1]`}, {`[-1]`, `[-1,"x"]`}, {`["x",-1]`, `["y",-1]`}, {`[-1,"x"]`, `[-1,"y"]`},
		{`["x",-1]`, `[-1,"y"]`}, {`[-1,"x"]`, `["y",-1]`}, {`[]`, `["x"]`}, {`["x"]`, `[]`}, {`[5,"a"]`, `[2,-2]`}, {`[2,"🌍"]`, `["👩"]`}, {`[1,"a",2,-2]`, `[3,"b",-1]`},
	}
	invertInputs = [][2]string{
		{"abc", `[]`}, {"abc", `["x"]`}, {"abc", `[1,-1]`}, {"abc", `["x",-1]`}, {"abc", `[-1,"x"]`}, {"a🌍b", `[1,-2,"👩👩"]`}, {"a\"b", `[1,-1]`}, {"abc", `[-3]`},
	}
	cursorInputs = [][2]string{
		{`[]`, `["x"]`}, {`[[0,0]]`, `["x"]`}, {`[[1,1]]`, `["x"]`}, {`[[1,3]]`, `[1,"x"]`}, {`[[3,1]]`, `[3,"🌍"]`}, {`[[2,2]]`, `[1,-2]`}, {`[[0,5]]`, `[1,-2,"x"]`},
		{`[[1,1]]`, `[-1,"x"]`}, {`[[1,1]]`, `["x",-1]`}, {`[[0,0]]`, `["x",-1,"y"]`}, {`[[3,8],[12,12],[5,5]]`, `[4,-2,"abc",6,"z"]`},
	}
	misfitInputs = [][2]string{
		{"", `[-1]`}, {"", `[1,"x"]`}, {"abc", `[-4]`}, {"abc", `[4,"x"]`}, {"🌍", `[1,"x"]`}, {"🌍", `[-1]`}, {"🌍", `[1,-1]`}, {"a🌍", `[-2]`}, {"abc", `[2147483646,"x"]`},
	}
	reject = []string{
		``, ` `, `[`, `]`, `[[]`, `{}`, `null`, `5`, `"a"`, `[,]`, `[1,]`, `["a",]`, `[,"a"]`, `["a"]]`, `["a"] x`, `["a" "b"]`, `['a']`,
		`[0]`, `[-0]`, `[0,"a"]`, `["a",0]`, `[""]`, `[1,"",-1]`, `[1]`, `["a",1]`, `[-1,3]`, `[1,2,"a"]`, `["a","b"]`, `[-1,-1]`, `[1,-1,-1]`,
		`[1.5,"a"]`, `[-1.5]`, `[.5,"a"]`, `[1.,"a"]`, `[01,"a"]`, `[-01]`, `[+1,"a"]`, `[-]`, `[--1]`, `[0x1,"a"]`, `[1e,"a"]`, `[1e400,"a"]`, `[NaN]`, `[-Infinity]`,
		`[2147483648,"a"]`, `[-2147483648]`, `[1073741824,-1073741824]`, `[9007199254740993,"a"]`, `[99999999999999999999999999,"a"]`, `[-18446744073709551617]`,
		`[null]`, `[true]`, `[{}]`, `[["a"]]`, `[1,["a"]]`, `[{"d":1}]`, `[[[[[[[[]]]]]]]]`,
		`["\ud800"]`, `["\udc00"]`, `["\ud83d"]`, `["\ude00\ud83d"]`, `["\ud83d\u0041"]`, `["\ud83dx"]`, `["\uD83D\uD83D\uDE00"]`, `["\ud83d`, `["\u12"]`, `["\u12g4"]`, `["\x41"]`, `["\`,
		"[\"a\nb\"]", "[\"\x00\"]", "[\"\x1f\"]", `["a]`,
	}
	rejectScan = []string{`[1.0,"a"]`, `[-1.0]`, `[1e0,"a"]`, `[-1E1]`, `[10e-1,"a"]`, `[1.5e1,"a"]`, `[10.00e+1,"a"]`}
	sumInputs  = []string{"", "a", "123456789", "Hello", "naïve 🌍", strings.Repeat("The quick brown fox. ", 30), "中文\u2028\n\x00"}
)

// build works every output out anew.
func build(t *testing.T) (v vectors) {
	gen, r := ottest.Text(), rand.New(rand.NewPCG(1, 2))
	for range 12 {
		var d *text.Doc
		var a, p text.Op
		for len(a) < 2 || len(p) < 2 {
			d = gen.Doc(r, 8).(*text.Doc)
			a, p = gen.Op(r, d, 8).(text.Op), gen.Op(r, d, 8).(text.Op)
		}
		after, err := d.Apply(a)
		must(t, err)
		b := gen.Op(r, after, 6).(text.Op)
		applyInputs = append(applyInputs, [2]string{d.String(), str(a)})
		composeInputs = append(composeInputs, [2]string{str(a), str(b)})
		transformInputs = append(transformInputs, [2]string{str(p), str(a)})
		invertInputs = append(invertInputs, [2]string{d.String(), str(a)})
		cursorInputs = append(cursorInputs, [2]string{string(gen.Cursor(r, d, 3).(text.Cursor).AppendJSON(nil)), str(a)})
	}
	for _, in := range applyInputs {
		after, err := doc(t, in[0]).Apply(op(t, in[1]))
		must(t, err)
		v.Apply = append(v.Apply, vector{Doc: &in[0], Op: raw(in[1]), Out: text.Type{}.AppendDoc(nil, after)})
	}
	for _, in := range composeInputs {
		out, err := text.Compose(op(t, in[0]), op(t, in[1]))
		must(t, err)
		v.Compose = append(v.Compose, vector{A: raw(in[0]), B: raw(in[1]), Out: out.AppendJSON(nil)})
	}
	for _, in := range transformInputs {
		for _, side := range []ot.Side{ot.Left, ot.Right} {
			out, err := text.Transform(op(t, in[0]), op(t, in[1]), side)
			must(t, err)
			v.Transform = append(v.Transform, vector{Op: raw(in[0]), Over: raw(in[1]), Side: side.String(), Out: out.AppendJSON(nil)})
		}
	}
	for _, in := range invertInputs {
		out, err := text.Invert(doc(t, in[0]), op(t, in[1]))
		must(t, err)
		v.Invert = append(v.Invert, vector{Doc: &in[0], Op: raw(in[1]), Out: out.AppendJSON(nil)})
	}
	for _, in := range cursorInputs {
		for _, side := range []ot.Side{ot.Left, ot.Right} {
			c, err := text.DecodeCursor([]byte(in[0]), ot.Limits{})
			must(t, err)
			out := c.Transform(op(t, in[1]), side).AppendJSON(nil)
			v.Cursor = append(v.Cursor, vector{Cursor: raw(in[0]), Op: raw(in[1]), Side: side.String(), Out: out})
		}
	}
	for _, in := range misfitInputs {
		if _, err := doc(t, in[0]).Apply(op(t, in[1])); !errors.Is(err, ot.ErrMismatch) {
			t.Fatalf("%s on %q: %v", in[1], in[0], err)
		}
		v.Misfit = append(v.Misfit, vector{Doc: &in[0], Op: raw(in[1])})
	}
	v.Reject, v.RejectScan = reject, rejectScan
	for _, data := range append(reject, rejectScan...) {
		if got, err := text.Decode([]byte(data), ot.Limits{}); !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit) {
			t.Fatalf("%q: decoded to %s, error %v", data, str(got), err)
		}
	}
	for _, in := range sumInputs {
		v.Checksum = append(v.Checksum, vector{Text: &in, Sum: fmt.Sprintf("%08x", doc(t, in).Checksum())})
	}
	return v
}

// TestVectors holds docs/vectors/text.json and the code to one another.
func TestVectors(t *testing.T) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	must(t, enc.Encode(build(t)))
	lines := strings.NewReplacer(`":[{`, "\":[\n{", `},{`, "},\n{", `}],`, "}],\n", `"reject":[`, "\"reject\":[\n", `"rejectScan":[`, "\n\"rejectScan\":[\n", `"checksum"`, "\n\"checksum\"", "}]}", "}]\n}").Replace(out.String())
	if *update {
		must(t, os.WriteFile(vectorsFile, []byte(lines), 0o644))
	}
	have, err := os.ReadFile(vectorsFile)
	must(t, err)
	if string(have) != lines {
		t.Fatalf("%s is not what the code gives; see the difference with -update", vectorsFile)
	}
}

// TestVectorsChecksum compares the table in the protocol page.
func TestVectorsChecksum(t *testing.T) {
	page, err := os.ReadFile(protocolPage)
	must(t, err)
	for _, s := range sumInputs[:5] {
		name := "`" + s + "`"
		if s == "" {
			name = "(empty)"
		}
		row := fmt.Sprintf("| %s | `%08x` |\n", name, doc(t, s).Checksum())
		if !strings.Contains(string(page), row) {
			t.Errorf("%s lacks %s", protocolPage, row)
		}
	}
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

func str(op text.Op) string { return string(op.AppendJSON(nil)) }

func doc(t testing.TB, s string) *text.Doc {
	t.Helper()
	d, err := text.FromString(s)
	must(t, err)
	return d
}

func op(t testing.TB, data string) text.Op {
	t.Helper()
	op, err := text.Decode([]byte(data), ot.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return op
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
