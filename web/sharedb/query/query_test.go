package query

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"quire/ot"
	"quire/ot/json0"
	"quire/ot/jsonvalue"
	"quire/session"
	"quire/web/sharedb/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// codec shows json0 as the default type, text0 not at all, and any other by its name.
type codec struct{}

func (codec) URI(t ot.Type) (string, bool) {
	if t.Name() == "json0" {
		return "", true
	}
	return "uri of " + t.Name(), t.Name() != "text0"
}

func (codec) AppendData(dst []byte, t ot.Type, d ot.Doc) []byte { return t.AppendDoc(dst, d) }

func (codec) Object(_ ot.Type, d ot.Doc) *jsonvalue.Object {
	if d, ok := d.(*json0.Doc); ok {
		o, _ := d.Value().(*jsonvalue.Object)
		return o
	}
	return nil
}

// made returns a snapshot of a json0 document.
func made(t *testing.T, id, content string) *Snapshot {
	t.Helper()
	d, err := json0.Type{}.Create([]byte(content))
	if err != nil {
		t.Fatal(content, err)
	}
	return snapshot(codec{}, id, session.View{Rev: 2, Type: json0.Type{}, Doc: d})
}

func TestParse(t *testing.T) {
	for _, x := range [][2]string{
		{"", "{}"}, {" ", "{}"}, {"null", "{}"}, {"{}", "{}"}, {`{"filter":{},"sort":[]}`, "{}"}, {`{"filter":null,"sort":null}`, "{}"},
		{`{"sort":[["b",-1.0],["a",1],["b",1]],"filter":{"y":1e0,"x":"\u0041"}}`, `{"filter":{"x":"A","y":1},"sort":[["b",-1],["a",1]]}`},
		{`{"filter":{"x":null,"y":false}}`, `{"filter":{"x":null,"y":false}}`},
	} {
		if q, err := Parse([]byte(x[0])); err != nil || q.String() != x[1] {
			t.Errorf("%s: %v, %v; want %s", x[0], q, err, x[1])
		}
	}
	many := strings.TrimSuffix(strings.Repeat(`["f%d",1],`, maxTerms+1), ",")
	var numbers []any
	for i := range maxTerms + 1 {
		numbers = append(numbers, i)
	}
	for _, x := range [][2]string{
		{"{", "plain JSON"}, {"7", "not an object"}, {"[]", "not an object"}, {`{"x":1}`, `"x"`}, {`{"$or":[]}`, `"$or"`}, {`{"filter":{"$or":1}}`, `"$or"`},
		{`{"filter":{"a.b":1}}`, `"a.b"`}, {`{"filter":{"":1}}`, `""`}, {`{"filter":{"a":{"$gt":1}}}`, `compares "a"`}, {`{"filter":{"a":[1]}}`, `compares "a"`}, {`{"filter":7}`, "filter is not"},
		{`{"sort":{"a":1}}`, "not a list"}, {`{"sort":["a"]}`, "pairs"}, {`{"sort":[["a"]]}`, "pairs"}, {`{"sort":[["a",2]]}`, "pairs"}, {`{"sort":[["a","1"]]}`, "pairs"}, {`{"sort":[[1,1]]}`, "not a string"}, {`{"sort":[["a.b",1]]}`, `"a.b"`},
		{`{"filter":{"a":1},"limit":5}`, `"limit"`}, {`{"sort":[` + fmt.Sprintf(many, numbers...) + `]}`, "limit 32"}, {strings.Repeat("[", 100), "plain JSON"},
	} {
		if q, err := Parse([]byte(x[0])); err == nil || err.Code != wire.CodeUnsupported || !strings.Contains(err.Message, x[1]) || !strings.HasSuffix(err.Message, supported) {
			t.Errorf("%s: %v, %v", x[0], q, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"filter":{"x":1},"sort":[["a",-1]]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		q, refusal := Parse(data)
		if refusal != nil {
			return
		}
		if again, err := Parse([]byte(q.String())); err != nil || again.String() != q.String() {
			t.Errorf("%q is %s, which is %v, %v", data, q, again, err)
		}
	})
}

func parse(t *testing.T, text string) *Query {
	t.Helper()
	q, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(text, err)
	}
	return q
}

func TestMatches(t *testing.T) {
	for _, x := range []struct {
		filter, doc string
		want        bool
	}{
		{`{}`, `{}`, true}, {`{}`, `7`, true}, {`{"a":1}`, `{"a":1,"b":2}`, true}, {`{"a":1}`, `{"a":"1"}`, false}, {`{"a":1}`, `{"b":1}`, false},
		{`{"a":1,"b":null}`, `{"a":1}`, false}, {`{"a":1,"b":null}`, `{"a":1,"b":null}`, true}, {`{"a":null}`, `{"a":false}`, false}, {`{"a":0}`, `{"a":-0.0}`, true},
		{`{"a":""}`, `{}`, false}, {`{"length":1}`, `"x"`, false}, {`{"length":1}`, `[1]`, false}, {`{"a":"x"}`, `{"a":["x"]}`, false},
	} {
		if got := parse(t, `{"filter":`+x.filter+`}`).matches(made(t, "d", x.doc)); got != x.want {
			t.Errorf("%s of %s: %v", x.filter, x.doc, got)
		}
	}
}

func TestOrder(t *testing.T) {
	// Each value of "a", in its order; "-" has none. Those in one line are equal.
	kinds := [][]string{{"-"}, {"null"}, {"false"}, {"true"}, {"-5"}, {"0", "-0"}, {"1.5"}, {"10"}, {`""`}, {`"10"`}, {`"9"`}, {`"a"`}, {`"🌍"`}, {`"\uffff"`}, {"[]", "[1]"}, {"{}", `{"x":1}`}}
	var docs []*Snapshot
	var want []string
	for i, kind := range kinds {
		for j, v := range kind {
			id := fmt.Sprintf("%02d%d", i, j)
			content := `{"a":` + v + `}`
			if v == "-" {
				content = "[]"
			}
			docs, want = append(docs, made(t, id, content)), append(want, id)
		}
	}
	ids := func(l []*Snapshot) (out []string) {
		for _, s := range l {
			out = append(out, s.ID)
		}
		return out
	}
	rand.Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
	slices.SortFunc(docs, parse(t, `{"sort":[["a",1]]}`).compare)
	if got := ids(docs); !slices.Equal(got, want) {
		t.Errorf("ascending: %v", got)
	}
	slices.SortFunc(docs, parse(t, `{"sort":[["a",-1]]}`).compare)
	down := ids(docs)
	slices.SortFunc(docs, parse(t, `{"sort":[["a",1],["b",-1]]}`).compare)
	if got := ids(docs); !slices.Equal(got, want) {
		t.Errorf("by a and b: %v", got)
	}
	for i := range down { // of equal ones the ids go up
		if down[i][:2] != want[len(want)-1-i][:2] || i > 0 && down[i][:2] == down[i-1][:2] && down[i] < down[i-1] {
			t.Fatalf("descending: %v", down)
		}
	}
	slices.SortFunc(docs, parse(t, `{}`).compare)
	if got := ids(docs); !slices.IsSorted(got) {
		t.Errorf("without a sort: %v", got)
	}
}

func TestJSON(t *testing.T) {
	one := made(t, "kit", `{"n":2}`)
	text, err := json0.Type{}.Create([]byte(`"x"`))
	if err != nil {
		t.Fatal(err)
	}
	other := snapshot(codec{}, "a\"b", session.View{Rev: 0, Type: renamed{}, Doc: text})
	if got := string(Append(nil, []*Snapshot{one, other})); got != `[{"v":3,"data":{"n":2},"d":"kit"},{"v":1,"data":"x","type":"uri of renamed","d":"a\"b"}]` {
		t.Error(got)
	}
	if got := string(Append(nil, nil)); got != "[]" {
		t.Error(got)
	}
	d := Diff{{Kind: Remove, Index: 0, Count: 1}, {Kind: Move, Index: 1, To: 0, Count: 1}, {Kind: Insert, Index: 1, Values: []*Snapshot{one}}}
	want := `[{"type":"remove","index":0,"howMany":1},{"type":"move","from":1,"to":0,"howMany":1},{"type":"insert","index":1,"values":[{"v":3,"data":{"n":2},"d":"kit"}]}]`
	if got := string((&Update{Diff: d}).JSON()); got != want {
		t.Error(got)
	}
	if got := (&Update{}).JSON(); got != nil {
		t.Errorf("%q", got)
	}
	if snapshot(codec{}, "d", session.View{Rev: 3}) != nil {
		t.Error("a snapshot of nothing")
	}
}

type renamed struct{ json0.Type }

func (renamed) Name() string { return "renamed" }

// apply is what client/query.js does with a diff.
func apply(list []string, d Diff) []string {
	list = slices.Clone(list)
	for _, s := range d {
		switch s.Kind {
		case Remove:
			list = slices.Delete(list, s.Index, s.Index+s.Count)
		case Move:
			moved := slices.Clone(list[s.Index : s.Index+s.Count])
			list = slices.Insert(slices.Delete(list, s.Index, s.Index+s.Count), s.To, moved...)
		case Insert:
			for i, v := range s.Values {
				list = slices.Insert(list, s.Index+i, v.ID)
			}
		}
	}
	return list
}

func TestBetween(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		n := 1 + r.IntN(12)
		var before []string
		for range r.IntN(2 * n) {
			before = append(before, fmt.Sprint(r.IntN(n)))
		}
		if r.IntN(2) == 0 { // as clients have it: nothing twice
			slices.Sort(before)
			before = slices.Compact(before)
			r.Shuffle(len(before), func(i, j int) { before[i], before[j] = before[j], before[i] })
		}
		var after []*Snapshot
		var want []string
		for _, i := range r.Perm(n)[:r.IntN(n+1)] {
			after, want = append(after, &Snapshot{ID: fmt.Sprint(i)}), append(want, fmt.Sprint(i))
		}
		d := between(before, after)
		if got := apply(before, d); !slices.Equal(got, want) {
			t.Fatalf("seed %d: %v to %v by %+v gives %v", seed, before, want, d, got)
		}
	}
	ids := strings.Split("a b c d e f g", " ")
	var same []*Snapshot
	for _, id := range ids {
		same = append(same, &Snapshot{ID: id})
	}
	if d := between(ids, same); d != nil {
		t.Errorf("no change: %+v", d)
	}
	// One document that moved far is one move, and neighbours come and go in one step.
	if d := between(strings.Split("g a b c d e f", " "), same); len(d) != 1 || d[0].Kind != Move || d[0].Index != 0 || d[0].To != 6 {
		t.Errorf("one move: %+v", d)
	}
	if d := between(strings.Split("x y a b z", " "), same); len(d) != 3 || d[0].Count != 2 || d[1].Count != 1 || len(d[2].Values) != 5 {
		t.Errorf("runs: %+v", d)
	}
}
