package json0_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/json0"
)

var update = flag.Bool("update", false, "write the test vectors anew")

const vectorsFile = "../../docs/vectors/json0.json"

// A vector is one case of docs/vectors/json0.json; each list uses some members.
type vector struct {
	Doc    json.RawMessage `json:"doc,omitempty"`
	Cursor json.RawMessage `json:"cursor,omitempty"`
	A      json.RawMessage `json:"a,omitempty"`
	B      json.RawMessage `json:"b,omitempty"`
	Op     json.RawMessage `json:"op,omitempty"`
	Over   json.RawMessage `json:"over,omitempty"`
	Side   string          `json:"side,omitempty"`
	Out    json.RawMessage `json:"out,omitempty"`
	Says   string          `json:"says,omitempty"`
	Sum    string          `json:"sum,omitempty"`
}

// vectors is the whole file. Misfit holds operations that do not fit their document and
// a part of what the error says, Reject texts that are no operation.
type vectors struct {
	Apply     []vector `json:"apply"`
	Compose   []vector `json:"compose"`
	Transform []vector `json:"transform"`
	Invert    []vector `json:"invert"`
	Cursor    []vector `json:"cursor"`
	Misfit    []vector `json:"misfit"`
	Reject    []string `json:"reject"`
	Checksum  []vector `json:"checksum"`
}

var (
	applyInputs = [][2]string{
		{`null`, `[]`}, {`1`, `[{"p":[],"na":2}]`}, {`[1]`, `[{"p":[0],"na":2}]`}, {`{"a":{"b":0.1}}`, `[{"p":["a","b"],"na":-0.1}]`},
		{`"a"`, `[{"p":[1],"si":"bc"}]`}, {`"abc"`, `[{"p":[0],"sd":"a"}]`}, {`{"x":"a🌍b"}`, `[{"p":["x",3],"si":"中"},{"p":["x",1],"sd":"🌍"}]`},
		{`{"x":"a"}`, `[{"p":["x"],"t":"text0","o":[{"p":1,"i":"bc"},{"p":0,"d":"ab"}]}]`},
		{`["b","c"]`, `[{"p":[0],"li":"a"}]`}, {`["b","c"]`, `[{"p":[2],"li":null}]`}, {`["a","b","c"]`, `[{"p":[1],"ld":"b"}]`}, {`["a","x","b"]`, `[{"p":[1],"ld":"x","li":"y"}]`},
		{`["b","a","c"]`, `[{"p":[1],"lm":0}]`}, {`["b","a","c"]`, `[{"p":[0],"lm":2}]`}, {`["b","a"]`, `[{"p":["0"],"lm":"1"}]`}, {`["b","a"]`, `[{"p":["2"],"li":"c"}]`},
		{`{"x":"a"}`, `[{"p":["y"],"oi":"b"}]`}, {`{"x":"a"}`, `[{"p":["x"],"od":"a"}]`}, {`{"x":"a"}`, `[{"p":["x"],"od":"a","oi":"b"}]`}, {`{"x":"a"}`, `[{"p":["x"],"oi":"b"}]`}, {`{"x":"a"}`, `[{"p":["y"],"od":1}]`},
		{`{"7":"a"}`, `[{"p":[7],"od":"a","oi":null},{"p":[8],"oi":true}]`}, {`null`, `[{"p":[],"oi":{"a":[]}},{"p":["a",0],"li":1e21}]`}, {`{"x":1}`, `[{"p":[],"od":{"x":1},"oi":[]}]`}, {`[1]`, `[{"p":[],"od":[1]}]`},
		{`{"￿":1,"🌍":2,"a":3}`, `[{"p":["b"],"oi":4}]`},
	}
	composeInputs = [][2]string{
		{`[]`, `[]`}, {`[{"p":["a"],"od":1}]`, `[{"p":["a"],"oi":2}]`}, {`[{"p":["a"],"od":1}]`, `[{"p":["b"],"oi":2}]`}, {`[{"p":["a"],"od":1,"oi":3}]`, `[{"p":["a"],"od":3,"oi":2}]`},
		{`[{"p":["a"],"oi":1}]`, `[{"p":["a"],"od":1}]`}, {`[{"p":["a"],"od":0,"oi":1}]`, `[{"p":["a"],"od":1}]`}, {`[{"p":["a"],"na":1}]`, `[{"p":["a"],"na":2}]`}, {`[{"p":["a"],"na":1}]`, `[{"p":["b"],"na":2}]`},
		{`[{"p":[1],"li":"x"}]`, `[{"p":[1],"ld":"x"}]`}, {`[{"p":[1],"li":["x"]}]`, `[{"p":[1],"ld":["x"]}]`}, {`[{"p":[0],"ld":"a","li":null}]`, `[{"p":[0],"ld":null}]`}, {`[{"p":[1],"li":"x"}]`, `[{"p":[1],"lm":1}]`},
		{`[{"p":[100],"si":"h"}]`, `[{"p":[101],"si":"i"}]`}, {`[{"p":[5],"sd":"b"}]`, `[{"p":[4],"sd":"ac"}]`}, {`[{"p":[5],"si":"b"}]`, `[{"p":[3],"si":"a"}]`}, {`[{"p":["s"],"t":"text0","o":[{"p":0,"i":"a"}]}]`, `[{"p":["s"],"t":"text0","o":[{"p":1,"i":"b"}]}]`},
	}
	transformInputs = [][2]string{
		{`[{"p":[0],"li":"a"}]`, `[{"p":[0],"li":"b"}]`}, {`[{"p":[1],"li":"a"}]`, `[{"p":[0],"ld":"b"}]`}, {`[{"p":[0],"ld":1}]`, `[{"p":[0],"ld":1}]`}, {`[{"p":[0],"ld":1,"li":2}]`, `[{"p":[0],"ld":1}]`}, {`[{"p":[0],"ld":1,"li":2}]`, `[{"p":[0],"ld":1,"li":3}]`},
		{`[{"p":[4,"x"],"oi":1}]`, `[{"p":[4],"lm":1}]`}, {`[{"p":[0],"lm":2}]`, `[{"p":[0],"lm":1}]`}, {`[{"p":[0],"lm":2}]`, `[{"p":[1],"lm":2}]`}, {`[{"p":[2],"lm":0}]`, `[{"p":[1],"lm":0}]`}, {`[{"p":[1],"lm":3}]`, `[{"p":[1],"li":0}]`}, {`[{"p":[2],"li":0}]`, `[{"p":[3],"lm":1}]`}, {`[{"p":[0],"lm":1}]`, `[{"p":[0],"ld":5}]`},
		{`[{"p":["k"],"oi":1}]`, `[{"p":["k"],"oi":2}]`}, {`[{"p":["k"],"od":0,"oi":1}]`, `[{"p":["k"],"od":0,"oi":2}]`}, {`[{"p":["k"],"od":0,"oi":1}]`, `[{"p":["k"],"od":0}]`}, {`[{"p":["k"],"od":0}]`, `[{"p":["k"],"od":0,"oi":1}]`},
		{`[{"p":["k"],"od":"a"}]`, `[{"p":["k",1],"si":"bc"}]`}, {`[{"p":["k"],"od":{"n":[1]},"oi":0}]`, `[{"p":["k","n",0],"na":3}]`}, {`[{"p":["k",0],"si":"x"}]`, `[{"p":["k"],"od":""}]`}, {`[{"p":["k"],"na":1}]`, `[{"p":["k"],"na":2}]`},
		{`[{"p":["k",2],"si":"x"}]`, `[{"p":["k",2],"si":"y"}]`}, {`[{"p":["k",0],"sd":"abc"}]`, `[{"p":["k",1],"si":"x"}]`}, {`[{"p":["k"],"t":"text0","o":[{"p":0,"d":"ab"}]}]`, `[{"p":["k"],"t":"text0","o":[{"p":1,"i":"x"}]}]`}, {`[{"p":["k"],"t":"text0","o":[{"p":0,"d":"a"}]}]`, `[{"p":["k"],"t":"text0","o":[{"p":0,"d":"a"}]}]`},
		{`[{"p":[],"od":[""]},{"p":[],"oi":{}}]`, `[{"p":[],"od":[""]},{"p":[],"oi":null}]`}, {`[{"p":[0],"li":1},{"p":[2],"ld":"x"}]`, `[{"p":[1],"lm":0},{"p":[0],"ld":"x"}]`}, {`[{"p":["1"],"ld":"x"}]`, `[{"p":[0],"li":"y"}]`}, {`[{"p":["1"],"ld":"x"}]`, `[{"p":[1],"ld":"x"}]`},
	}
	invertInputs = [][2]string{
		{`{"a":[1,"b",{}]}`, `[{"p":["a",0],"na":2},{"p":["a",1,1],"si":"c"},{"p":["a",2],"lm":0},{"p":["a",1],"ld":3}]`}, {`{"a":1}`, `[{"p":["a"],"od":1,"oi":2},{"p":["b"],"oi":[]}]`}, {`{"a":1}`, `[{"p":["a"],"oi":2}]`}, {`{}`, `[{"p":["a"],"od":2}]`}, {`null`, `[{"p":[],"oi":1}]`},
		{`"abc"`, `[{"p":[],"t":"text0","o":[{"p":1,"d":"b"},{"p":0,"i":"x"}]}]`},
	}
	cursorInputs = [][2]string{
		{`[]`, `[{"p":["a"],"oi":1}]`}, {`[["l",1,"x"],["l",0],[]]`, `[{"p":["l",0],"ld":0}]`}, {`[["l",1],["l",3]]`, `[{"p":["l",1],"li":0}]`}, {`[["l",1,"x"],["l",2]]`, `[{"p":["l",1],"lm":2}]`}, {`[["a"],["b"]]`, `[{"p":["a"],"od":1,"oi":2}]`}, {`[["a"],["b"]]`, `[{"p":["a",0],"si":"x"},{"p":["b"],"od":0}]`}, {`[[]]`, `[{"p":[],"od":1,"oi":2}]`},
	}
	misfitInputs = [][3]string{
		{`{"a":1}`, `[{"p":["a",0],"li":1}]`, "Referenced element not a list"}, {`{}`, `[{"p":["a",0],"ld":1}]`, "Referenced element not a list"}, {`{"a":{}}`, `[{"p":["a",0],"lm":1}]`, "Referenced element not a list"},
		{`[]`, `[{"p":[0],"oi":1}]`, "Referenced element not an object"}, {`{}`, `[{"p":["a","b"],"oi":1}]`, "Referenced element not an object (it was undefined)"}, {`{"a":null}`, `[{"p":["a","b"],"od":1}]`, "Referenced element not an object (it was null)"},
		{`"1"`, `[{"p":[],"na":1}]`, "Referenced element not a number"}, {`[]`, `[{"p":[0],"na":1}]`, "Referenced element not a number"}, {`[1]`, `[{"p":["x"],"na":1}]`, "Referenced element not a number"}, {`1e308`, `[{"p":[],"na":1e308}]`, "not finite"},
		{`"abc"`, `[{"p":[1],"sd":"c"}]`, "Delete component does not match deleted text"}, {`"abc"`, `[{"p":[2],"sd":"cd"}]`, "does not match deleted text"}, {`"abc"`, `[{"p":[4],"si":"x"}]`, "position 4"}, {`"🌍"`, `[{"p":[1],"si":"x"}]`, "position 1"}, {`[1]`, `[{"p":[0],"t":"text0","o":[]}]`, "not a string"},
		{`[1]`, `[{"p":[2],"li":1}]`, "Path invalid"}, {`[1]`, `[{"p":[1],"ld":1}]`, "Path invalid"}, {`[1]`, `[{"p":[1],"ld":1,"li":1}]`, "Path invalid"}, {`[1]`, `[{"p":[0],"lm":1}]`, "Path invalid"}, {`[1]`, `[{"p":["00"],"ld":1}]`, "Path invalid"}, {`{}`, `[{"p":["a","b","c"],"oi":1}]`, "Path invalid"},
	}
	reject = []string{
		``, `null`, `{}`, `{"p":[],"na":1}`, `[{}]`, `[null]`, `[{"p":[]}]`, `[{"na":1}]`, `[{"p":"a","na":1}]`, `[{"p":null,"na":1}]`, `[{"p":[null],"na":1}]`, `[{"p":[["a"]],"na":1}]`, `[{"p":[true],"na":1}]`,
		`[{"p":[1.5],"na":1}]`, `[{"p":[-1],"na":1}]`, `[{"p":[1e3],"na":1}]`, `[{"p":[2147483648],"na":1}]`, `[{"p":[9007199254740993],"na":1}]`,
		`[{"p":["__proto__"],"oi":1}]`, `[{"p":["a","constructor","b"],"oi":1}]`, `[{"p":["\u005f_proto__","x"],"oi":1}]`, `[{"p":["toString"],"od":1}]`, `[{"p":["a"],"oi":{"__proto__":1}}]`,
		`[{"p":[],"na":"1"}]`, `[{"p":[],"na":null}]`, `[{"p":[],"na":1e400}]`, `[{"p":[],"na":NaN}]`, `[{"p":["a"],"si":"x"}]`, `[{"p":[],"si":"x"}]`, `[{"p":["0"],"si":"x"}]`, `[{"p":[0],"si":null}]`, `[{"p":[0],"si":1}]`, `[{"p":[0],"si":"x","sd":"y"}]`, `[{"p":[0],"si":"\ud800"}]`,
		`[{"p":[],"li":1}]`, `[{"p":[],"ld":1}]`, `[{"p":[],"lm":1}]`, `[{"p":[0],"lm":null}]`, `[{"p":[0],"lm":-1}]`, `[{"p":[0],"lm":"x"}]`, `[{"p":[0],"lm":"01"}]`, `[{"p":[0],"lm":1.5}]`, `[{"p":[0],"lm":1,"ld":1}]`, `[{"p":[0],"li":1,"oi":1}]`, `[{"p":[0],"na":1,"oi":1}]`, `[{"p":[0],"na":1,"na":1}]`, `[{"p":[0],"p":[1],"na":1}]`,
		`[{"p":[],"t":"text0"}]`, `[{"p":[],"o":[]}]`, `[{"p":[],"t":"rich","o":[]}]`, `[{"p":[],"t":"text0","o":[],"na":1}]`, `[{"p":[],"t":"text0","o":{}}]`, `[{"p":[],"t":"text0","o":[{"p":-1,"i":""}]}]`, `[{"p":[],"t":"text0","o":[{"p":0}]}]`, `[{"p":[],"t":"text0","o":[{"p":0,"i":"a","d":"b"}]}]`,
		`[{"p":[],"na":1},]`, `[{"p":[],"na":1}]x`, `[{"p":[],"na":1,}]`, `[{"p":[],"na":01}]`, `[{"p":[],"oi":undefined}]`,
	}
	sumInputs = []string{`null`, `{}`, `"Hello"`, `[1,2.5,-0,1e21,1e-7,100]`, `{"b":[true,"naïve 🌍"],"a":"\u2028\n\u0001","10":0,"9":0}`, `{"￿":1,"🌍":2}`}
)

// build works every output out anew.
func build(t *testing.T) (v vectors) {
	for _, in := range applyInputs {
		v.Apply = append(v.Apply, vector{Doc: raw(in[0]), Op: raw(in[1]), Out: raw(content(ok(parsed(t, in[0]).Apply(op(t, in[1])))))})
	}
	for _, in := range composeInputs {
		v.Compose = append(v.Compose, vector{A: raw(in[0]), B: raw(in[1]), Out: raw(str(ok(json0.Compose(op(t, in[0]), op(t, in[1])))))})
	}
	for _, in := range transformInputs {
		for _, side := range []ot.Side{ot.Left, ot.Right} {
			out := ok(json0.Transform(op(t, in[0]), op(t, in[1]), side))
			v.Transform = append(v.Transform, vector{Op: raw(in[0]), Over: raw(in[1]), Side: side.String(), Out: raw(str(out))})
		}
	}
	for _, in := range invertInputs {
		v.Invert = append(v.Invert, vector{Doc: raw(in[0]), Op: raw(in[1]), Out: raw(str(ok(json0.Invert(parsed(t, in[0]), op(t, in[1])))))})
	}
	for _, in := range cursorInputs {
		c := ok(json0.DecodeCursor([]byte(in[0]), ot.Limits{}))
		v.Cursor = append(v.Cursor, vector{Cursor: raw(in[0]), Op: raw(in[1]), Out: c.Transform(op(t, in[1])).AppendJSON(nil)})
	}
	for _, in := range misfitInputs {
		d := parsed(t, in[0])
		if after, err := d.Apply(op(t, in[1])); !errors.Is(err, ot.ErrMismatch) || !strings.Contains(err.Error(), in[2]) || after != nil || content(d) != in[0] && in[0] != `1e308` {
			t.Errorf("%s on %s: error %v", in[1], in[0], err)
		}
		v.Misfit = append(v.Misfit, vector{Doc: raw(in[0]), Op: raw(in[1]), Says: in[2]})
	}
	v.Reject = reject
	for _, data := range reject {
		for name, read := range map[string]func([]byte, ot.Limits) (json0.Op, error){"Decode": json0.Decode, "Parse": json0.Parse} {
			if got, err := read([]byte(data), ot.Limits{}); !errors.Is(err, ot.ErrSyntax) && !errors.Is(err, ot.ErrLimit) {
				t.Errorf("%s(%s) = %s, error %v", name, data, str(got), err)
			}
		}
	}
	for _, in := range sumInputs {
		d := parsed(t, in)
		v.Checksum = append(v.Checksum, vector{Doc: raw(in), Out: raw(content(d)), Sum: fmt.Sprintf("%08x", d.Checksum())})
	}
	return v
}

// TestVectors holds docs/vectors/json0.json and the code to one another.
func TestVectors(t *testing.T) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(build(t)); err != nil {
		t.Fatal(err)
	}
	lines := strings.NewReplacer(`":[{"doc"`, "\":[\n{\"doc\"", `":[{"a"`, "\":[\n{\"a\"", `":[{"op"`, "\":[\n{\"op\"", `":[{"cursor"`, "\":[\n{\"cursor\"",
		`},{"doc"`, "},\n{\"doc\"", `},{"a":[`, "},\n{\"a\":[", `},{"op"`, "},\n{\"op\"", `},{"cursor"`, "},\n{\"cursor\"",
		`}],"compose"`, "}],\n\"compose\"", `}],"transform"`, "}],\n\"transform\"", `}],"invert"`, "}],\n\"invert\"", `}],"cursor":[`, "}],\n\"cursor\":[",
		`}],"misfit"`, "}],\n\"misfit\"", `"reject":[`, "\n\"reject\":[\n", `"checksum"`, "\n\"checksum\"").Replace(out.String())
	if *update {
		if err := os.WriteFile(vectorsFile, []byte(lines), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != lines {
		t.Fatalf("%s is not what the code gives; see the difference with -update", vectorsFile)
	}
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

// op and parsed return what data holds, which is in order.
func op(t testing.TB, data string) json0.Op {
	t.Helper()
	o, err := json0.Decode([]byte(data), ot.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return o
}

func parsed(t testing.TB, data string) *json0.Doc {
	t.Helper()
	d, err := doc([]byte(data))
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return d
}

// ok returns v; the error is that of something that must not fail.
func ok[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
