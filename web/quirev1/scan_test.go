package quirev1

import (
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzScanSubmit holds the fast reader against encoding/json: what it accepts, it reads
// alike (a value inside ops and cursor is not its business).
func FuzzScanSubmit(f *testing.F) {
	for _, s := range []string{
		`{"t":"submit","doc":"notes","base":12,"seq":3,"ops":[[5,"a"]]}`,
		` { "seq" : 3 , "ops":[ [5,"a\\"\\u00e9]"], [ -1 ] ], "cursor" : [[1,2]],"doc":"n\\n\\ud83d\\ude00", "base":0,"t":"submit"} `,
		`{"t":"submit","doc":"notes","base":12,"seq":3,"ops":[[5,"a"]],"x":{}}`,
		`{"t":"submit","doc":"notes","base":1e3,"seq":-3,"ops":[]}`,
		`{"t":"open","doc":"notes"}`,
		`{"t":"submit","doc":"notes","base":12,"base":13,"seq":3,"ops":[null,7,"x",{"a":[1]}]}`,
		`{"t":"submit","doc":null,"ops":[[5,"a"]]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var fast, slow ClientMessage
		if !scanSubmit(data, &fast) || !json.Valid(data) {
			return
		}
		if err := json.Unmarshal(data, &slow); err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		if !reflect.DeepEqual(fast, slow) {
			t.Fatalf("read\n%+v\nwant\n%+v", fast, slow)
		}
	})
}

func TestScanSubmitIsUsed(t *testing.T) {
	var m ClientMessage
	if !scanSubmit([]byte(`{"t":"submit","doc":"notes","base":12,"seq":3,"ops":[[5,"a"],[-1]],"cursor":[[1,2]]}`), &m) {
		t.Fatal("an ordinary submission is not scanned")
	}
	if *m.Doc != "notes" || *m.Base != 12 || *m.Seq != 3 || len(m.Ops) != 2 || string(m.Ops[1]) != "[-1]" || string(m.Cursor) != "[[1,2]]" {
		t.Errorf("%+v", m)
	}
}
