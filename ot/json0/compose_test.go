package json0

import (
	"strings"
	"testing"

	"quire/ot"
)

// TestComposeAllDoesNotBelieve: an oi over what is there, without saying so, and its od.
func TestComposeAllDoesNotBelieve(t *testing.T) {
	for _, test := range []struct{ doc, ops, want string }{
		{`{"n":0}`, `[{"oi":1,"p":["n"]}] [{"od":1,"p":["n"]}]`, `{}`},
		{`{"n":0}`, `[{"oi":1,"p":["n"]}] [{"od":1,"p":["n"]}] [{"oi":2,"p":["n"]}] [{"od":2,"p":["n"]}]`, `{}`},
		{`{"n":0}`, `[{"oi":1,"p":["n"]}] [{"od":1,"oi":2,"p":["n"]}]`, `{"n":2}`},
		{`{}`, `[{"oi":1,"p":["n"]}] [{"od":1,"p":["n"]}] [{"oi":3,"p":["n"]}]`, `{"n":3}`},
		{`{"n":0}`, `[{"oi":{},"p":[]}] [{"od":{},"p":[]}]`, `null`},
	} {
		var ops []ot.Op
		var stored [][]byte
		for s := range strings.SplitSeq(test.ops, " ") {
			op, err := Type{}.DecodeOp([]byte(s), ot.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			ops, stored = append(ops, op), append(stored, Type{}.MarshalOp(nil, op))
		}
		for name, compose := range map[string]func() (ot.Op, error){
			"ComposeAll":    func() (ot.Op, error) { return Type{}.ComposeAll(ops) },
			"ComposeStored": func() (ot.Op, error) { return Type{}.ComposeStored(stored) },
		} {
			d, err := Type{}.Create([]byte(test.doc))
			if err != nil {
				t.Fatal(err)
			}
			op, err := compose()
			if err != nil {
				t.Fatal(err)
			}
			if d, err = (Type{}).Apply(d, op); err != nil {
				t.Fatalf("%s of %s: %v", name, test.ops, err)
			}
			if got := string(Type{}.AppendDoc(nil, d)); got != test.want {
				t.Errorf("%s after %s of %s: %s, want %s", test.doc, name, test.ops, got, test.want)
			}
		}
	}
}
