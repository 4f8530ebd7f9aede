package delta_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/text"
)

func TestPack(t *testing.T) {
	part := rapid.SampledFrom([][]byte{
		{5 << 3}, {1}, []byte("a"), []byte("typed"), {0xFF}, {2 | 1<<3}, {2 | 9<<3}, {3}, {7}, []byte(`{"bold":true}`), {0x80}, {0},
	})
	rapid.Check(t, func(t *rapid.T) {
		var ops [][]byte
		for range rapid.IntRange(0, 20).Draw(t, "operations") {
			ops = append(ops, slices.Concat(rapid.SliceOfN(part, 0, 5).Draw(t, "parts")...))
		}
		from := rapid.IntRange(0, len(ops)).Draw(t, "from")
		to := rapid.IntRange(from, len(ops)).Draw(t, "to")
		got, err := delta.Type{}.Unpack(delta.Type{}.Pack(ops), len(ops), from, to)
		if err != nil || !slices.EqualFunc(got, ops[from:to], bytes.Equal) {
			t.Fatalf("%q come out [%d, %d) as %q, %v", ops, from, to, got, err)
		}
	})
}

// TestPackMerges holds plain typing in rich text to what it takes in plain text.
func TestPackMerges(t *testing.T) {
	var rich, plain [][]byte
	for i := range 100 {
		rich = append(rich, delta.Op{{Kind: delta.Retain, N: 7 + i}, {Kind: delta.Insert, N: 1, S: "x"}}.AppendBinary(nil))
		plain = append(plain, text.Op{{Kind: text.Retain, N: 7 + i}, {Kind: text.Insert, N: 1, S: "x"}}.AppendBinary(nil))
	}
	got, want := delta.Type{}.Pack(rich), text.Type{}.Pack(plain)
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("packed as %q, want %q", got, want)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte{0x2F, 0x00, 0x90, 0xF3}, []byte{1, 2}, []byte{3}, []byte("text"), []byte{3, 'x', 'y'}, uint16(40))
	f.Fuzz(func(t *testing.T, heads, sizes, jumps, chars, others []byte, n uint16) {
		ops, err := delta.Type{}.Unpack([][]byte{heads, sizes, jumps, chars, others}, int(n), 0, int(n))
		if err != nil {
			if !errors.Is(err, ot.ErrSyntax) {
				t.Fatal(err)
			}
			return
		}
		again, err := delta.Type{}.Unpack(delta.Type{}.Pack(ops), int(n), 0, int(n))
		if err != nil || !slices.EqualFunc(again, ops, bytes.Equal) {
			t.Errorf("%q become %q, %v", ops, again, err)
		}
	})
}
