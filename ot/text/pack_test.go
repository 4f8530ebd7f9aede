package text_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"quire/ot"
	"quire/ot/text"
	"quire/ot/textunicode"
)

// packers are the types that pack.
var packers = []ot.Packer{text.Type{}, textunicode.Type{}}

// checkPack packs operations and takes all of them, and a part, out again.
func checkPack(t interface {
	Helper()
	Fatalf(string, ...any)
}, p ot.Packer, ops [][]byte, from, to int) [][]byte {
	t.Helper()
	columns := p.Pack(ops)
	for _, r := range [][2]int{{0, len(ops)}, {from, to}} {
		got, err := p.Unpack(columns, len(ops), r[0], r[1])
		if err != nil || !slices.EqualFunc(got, ops[r[0]:r[1]], bytes.Equal) {
			t.Fatalf("%s: %q packed as %q come out [%d, %d) as %q, %v", p.Name(), ops, columns, r[0], r[1], got, err)
		}
	}
	return columns
}

// anyStored draws operations as they are typed, and bytes that are none.
var anyStored = rapid.Custom(func(t *rapid.T) [][]byte {
	var ops [][]byte
	at := rapid.IntRange(0, 300).Draw(t, "start")
	for range rapid.IntRange(0, 12).Draw(t, "runs") {
		at = max(0, at+rapid.SampledFrom([]int{0, 0, 0, 1, -1, 7, -40, 1000}).Draw(t, "jump"))
		what := rapid.IntRange(0, 6).Draw(t, "what")
		for range rapid.SampledFrom([]int{1, 1, 2, 3, 14, 15, 16, 17, 40}).Draw(t, "size") {
			op := text.Op{}
			if at > 0 {
				op = append(op, text.Component{Kind: text.Retain, N: at})
			}
			switch what {
			case 0, 1:
				s := rapid.SampledFrom([]string{"a", "b", " ", "ä", "😀"}).Draw(t, "char")
				op = append(op, text.Component{Kind: text.Insert, S: s})
				at += len([]rune(s))
			case 2:
				if at == 0 {
					continue
				}
				at--
				op = text.Op{{Kind: text.Retain, N: at}, {Kind: text.Delete, N: 1}}[min(1, max(0, 1-at)):]
			case 3:
				op = append(op, text.Component{Kind: text.Delete, N: 1})
			case 4:
				op = append(op, text.Component{Kind: text.Insert, S: rapid.StringN(2, 9, 40).Draw(t, "text")})
			case 5:
				op = append(op, text.Component{Kind: text.Delete, N: rapid.IntRange(2, 1<<31-1).Draw(t, "deleted")})
			case 6:
				ops = append(ops, rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "bytes"))
				continue
			}
			ops = append(ops, op.AppendBinary(nil))
		}
	}
	return ops
})

func TestPack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := anyStored.Draw(t, "operations")
		from := rapid.IntRange(0, len(ops)).Draw(t, "from")
		to := rapid.IntRange(from, len(ops)).Draw(t, "to")
		checkPack(t, rapid.SampledFrom(packers).Draw(t, "type"), ops, from, to)
	})
}

// TestPackMerges holds typing, in either unit, to a few bytes a run.
func TestPackMerges(t *testing.T) {
	typing := func(jump int) (ops [][]byte) {
		at := jump
		add := func(c text.Component) {
			op := text.Op{{Kind: text.Retain, N: at}, c}
			ops = append(ops, op.AppendBinary(nil))
		}
		for range 100 {
			add(text.Component{Kind: text.Insert, S: "x"})
			at++
		}
		for range 50 {
			at--
			add(text.Component{Kind: text.Delete, N: 1})
		}
		for range 30 {
			add(text.Component{Kind: text.Delete, N: 1})
		}
		return ops
	}
	for _, p := range packers {
		columns := checkPack(t, p, typing(1000), 90, 160)
		if heads := len(columns[0]); heads != 3 {
			t.Errorf("%s: typing, backspaces and deletions ahead make %d runs, want 3", p.Name(), heads)
		}
		for i, most := range []int{3, 3, 2, 100, 0} {
			if len(columns[i]) > most {
				t.Errorf("%s: column %d has %d bytes, want at most %d", p.Name(), i, len(columns[i]), most)
			}
		}
	}
}

// TestUnpackDamaged names what is not there: it is an error before anything is made of it.
func TestUnpackDamaged(t *testing.T) {
	huge := []byte{0xFF, 0xFF, 0xFF, 0xFF, 0x07}
	none := [][]byte{nil, nil, nil, nil, nil}
	with := func(column int, data []byte, more ...any) [][]byte {
		c := slices.Clone(none)
		c[column] = data
		for i := 0; i < len(more); i += 2 {
			c[more[i].(int)] = more[i+1].([]byte)
		}
		return c
	}
	for name, test := range map[string]struct {
		columns [][]byte
		n       int
	}{
		"no runs":                {none, 1},
		"no columns":             {nil, 0},
		"a run past the end":     {with(0, []byte{0x2F}, 1, huge), 3},
		"no size":                {with(0, []byte{0x2F}), 100},
		"a run before the start": {with(0, []byte{0x30}), 1},
		"a jump before it":       {with(0, []byte{0x80}, 2, []byte{1}), 1},
		"no jump":                {with(0, []byte{0x70}), 1},
		"a jump too far":         {with(0, []byte{0x70}, 2, []byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01}), 1},
		"no text":                {with(0, []byte{0x00}), 1},
		"text cut short":         {with(0, []byte{0x9F}, 1, huge, 3, []byte("abc")), 1},
		"operation cut short":    {with(0, []byte{0xFF}, 1, huge, 4, []byte("abc")), 1},
	} {
		if _, err := (text.Type{}).Unpack(test.columns, test.n, 0, test.n); !errors.Is(err, ot.ErrSyntax) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (text.Type{}).Unpack(none, 1, 0, 2); !errors.Is(err, ot.ErrSyntax) {
		t.Errorf("more than there are: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte{0x2F, 0x00, 0x90, 0xF3}, []byte{1, 2}, []byte{3}, []byte("text"), []byte("xyz"), uint16(40), uint16(3), uint16(9))
	f.Fuzz(func(t *testing.T, heads, sizes, jumps, chars, others []byte, n, from, to uint16) {
		for _, p := range packers {
			columns := [][]byte{heads, sizes, jumps, chars, others}
			all, err := p.Unpack(columns, int(n), 0, int(n))
			if err != nil {
				if !errors.Is(err, ot.ErrSyntax) {
					t.Fatal(err)
				}
				continue
			}
			if len(all) != int(n) {
				t.Fatalf("%d operations of %d", len(all), n)
			}
			if from <= to && to <= n {
				part, err := p.Unpack(columns, int(n), int(from), int(to))
				if err != nil || !slices.EqualFunc(part, all[from:to], bytes.Equal) {
					t.Fatalf("[%d, %d): %q, %v, want %q", from, to, part, err, all[from:to])
				}
			}
			checkPack(t, p, all, 0, 0)
		}
	})
}

// TestPackTraces packs real editing sessions, every operation of which has to come out.
func TestPackTraces(t *testing.T) {
	for _, name := range longTraces() {
		var ops [][]byte
		for _, op := range readTrace(t, name).ops {
			ops = append(ops, op.AppendBinary(nil))
		}
		columns := checkPack(t, text.Type{}, ops, len(ops)/3, len(ops)/2)
		if runs := len(columns[0]); runs > len(ops)/2 {
			t.Errorf("%s: %d operations pack into %d runs", name, len(ops), runs)
		}
	}
}
