package delta_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/delta"
)

// formatted returns a document of n runs of 100 units, of three formats in turn.
func formatted(n int) *delta.Doc {
	var b delta.Builder
	for i := range n {
		b.Insert(strings.Repeat("lorem ipsum dolor at", 5), attribute("b", float64(i%3)))
	}
	return delta.New(built(b.Op()))
}

// edits returns n edits that follow one another from d, at random places: typing, deleting and
// formatting.
func edits(n int, d *delta.Doc) []delta.Op {
	r := rand.New(rand.NewPCG(1, 1))
	ops := make([]delta.Op, n)
	length := d.Len()
	for i := range ops {
		var b delta.Builder
		b.Retain(r.IntN(length-20), nil)
		switch r.IntN(3) {
		case 0:
			b.Insert("a", attribute("b", float64(r.IntN(3))))
			length++
		case 1:
			b.Delete(1)
			length--
		default:
			b.Retain(1+r.IntN(10), attribute("i", true))
		}
		ops[i] = built(b.Op())
	}
	return ops
}

// BenchmarkEdit makes 10,000 random edits in documents of several sizes; 10,000 runs are
// one megabyte.
func BenchmarkEdit(b *testing.B) {
	for _, runs := range []int{10, 100, 1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(runs, "runs"), func(b *testing.B) {
			start := formatted(runs)
			ops := edits(10_000, start)
			b.ReportAllocs()
			for b.Loop() {
				d := start
				for _, op := range ops {
					var err error
					if d, err = d.Apply(op); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(ops)), "ns/edit")
		})
	}
}

// BenchmarkChecksum asks for the checksum after every edit.
func BenchmarkChecksum(b *testing.B) {
	start := formatted(10_000)
	start.Checksum()
	ops := edits(1000, start)
	for b.Loop() {
		d := start
		for _, op := range ops {
			d, _ = d.Apply(op)
			d.Checksum()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(ops)), "ns/edit")
}

func BenchmarkComposeAll(b *testing.B) {
	ops := make([]ot.Op, 0, 10_000)
	for _, op := range edits(10_000, formatted(10_000)) {
		ops = append(ops, op)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (delta.Type{}).ComposeAll(ops); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(ops)), "ns/edit")
}

func BenchmarkTransform(b *testing.B) {
	for _, in := range [][2]string{{`500 'x'`, `400 -1`}, {`500 10{"b":true}`, `505 10{"i":true}`}} {
		b.Run(in[0]+" over "+in[1], func(b *testing.B) {
			o, over := op(b, brief(in[0])), op(b, brief(in[1]))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := delta.Transform(o, over, ot.Right); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCodec reads and writes a document of one megabyte, and a small operation.
func BenchmarkCodec(b *testing.B) {
	d := formatted(10_000)
	small := op(b, brief(`12345 'hello'{"bold":true}`))
	content, stored, wire, record := d.AppendJSON(nil), d.AppendBinary(nil), small.AppendJSON(nil), small.AppendBinary(nil)
	for _, c := range []struct {
		name string
		size int
		run  func() error
	}{
		{"Create", len(content), func() error { _, err := delta.Type{}.Create(content); return err }},
		{"UnmarshalDoc", len(stored), func() error { _, err := delta.Type{}.UnmarshalDoc(stored); return err }},
		{"AppendDoc", len(content), func() error { content = d.AppendJSON(content[:0]); return nil }},
		{"MarshalDoc", len(stored), func() error { stored = d.AppendBinary(stored[:0]); return nil }},
		{"Decode", len(wire), func() error { _, err := delta.Decode(wire, ot.Limits{}); return err }},
		{"Unmarshal", len(record), func() error { _, err := delta.Unmarshal(record); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			for b.Loop() {
				if err := c.run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
