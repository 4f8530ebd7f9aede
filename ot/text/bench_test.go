package text_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/ottest"
	"quire/ot/text"
)

func BenchmarkDecode(b *testing.B) {
	for _, in := range []string{`[12345,"a"]`, `[12345,-1]`, `[12345,"hello world"]`, `[12345,"naïve 🌍\n"]`} {
		b.Run(in, func(b *testing.B) {
			data := []byte(in)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := text.Decode(data, ot.Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	data := op(b, `[12345,"a"]`).AppendBinary(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := text.Unmarshal(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	o, buf := op(b, `[12345,"a"]`), []byte(nil)
	b.ReportAllocs()
	for b.Loop() {
		buf = o.AppendJSON(buf[:0])
	}
}

func BenchmarkTransform(b *testing.B) {
	for _, in := range [][2]string{{`[500,"x"]`, `[400,-1]`}, {`[500,"x"]`, `[600,"y"]`}, {`[500,"x",3,-2]`, `[400,"abc",100,-7]`}} {
		b.Run(in[0]+in[1], func(b *testing.B) {
			o, over := op(b, in[0]), op(b, in[1])
			b.ReportAllocs()
			for b.Loop() {
				if _, err := text.Transform(o, over, ot.Right); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompose(b *testing.B) {
	for _, in := range [][2]string{{`[500,"x"]`, `[501,"y"]`}, {`[500,"x"]`, `[600,"y"]`}, {`[500,-1]`, `[400,-1]`}} {
		b.Run(in[0]+in[1], func(b *testing.B) {
			o, then := op(b, in[0]), op(b, in[1])
			b.ReportAllocs()
			for b.Loop() {
				if _, err := text.Compose(o, then); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReplay applies a whole recorded session, one operation at a time.
func BenchmarkReplay(b *testing.B) {
	for _, name := range []string{"automerge-paper", "rustcode"} {
		b.Run(name, func(b *testing.B) {
			tr := readTrace(b, name)
			b.ReportAllocs()
			for b.Loop() {
				d := &text.Doc{}
				for _, o := range tr.ops {
					var err error
					if d, err = d.Apply(o); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(tr.ops)), "ns/edit")
		})
	}
}

// BenchmarkEdit makes random edits in documents of several sizes.
func BenchmarkEdit(b *testing.B) {
	for _, size := range []int{1_000, 100_000, 10_000_000} {
		for _, letter := range []string{"a", "中"} {
			b.Run(fmt.Sprintf("%d%s", size, letter), func(b *testing.B) {
				d := doc(b, strings.Repeat(letter, size/len(letter)))
				r := rand.New(rand.NewPCG(1, 1))
				b.ReportAllocs()
				for b.Loop() {
					var build text.Builder
					build.Retain(r.IntN(d.Len() - 1))
					if r.IntN(2) == 0 {
						build.Insert(letter)
					} else {
						build.Delete(1)
					}
					o, err := build.Op()
					if err != nil {
						b.Fatal(err)
					}
					if d, err = d.Apply(o); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkChecksum asks for the checksum after every keystroke.
func BenchmarkChecksum(b *testing.B) {
	d := doc(b, strings.Repeat("a", 100_000))
	o := op(b, `[50000,"b"]`)
	for b.Loop() {
		var err error
		if d, err = d.Apply(o); err != nil {
			b.Fatal(err)
		}
		d.Checksum()
	}
}

func BenchmarkFromString(b *testing.B) {
	s := strings.Repeat("All work and no play. ", 1<<20/22)
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		doc(b, s)
	}
}

// scattered returns n single-character edits at random places of a document of
// the given length.
func scattered(b *testing.B, n, length int) []text.Op {
	r := rand.New(rand.NewPCG(1, 1))
	ops := make([]text.Op, n)
	for i := range ops {
		var build text.Builder
		build.Retain(r.IntN(length))
		if r.IntN(3) > 0 {
			build.Insert(ottest.Alphabet[r.IntN(2)])
			length++
		} else {
			build.Delete(1)
			length--
		}
		var err error
		ops[i], err = build.Op()
		must(b, err)
	}
	return ops
}

func BenchmarkComposeAll(b *testing.B) {
	run := func(name string, ops func(b *testing.B) []text.Op) {
		b.Run(name, func(b *testing.B) {
			list := ops(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := text.ComposeAll(list); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(list)), "ns/edit")
		})
	}
	run("automerge-first100k", func(b *testing.B) []text.Op { return readTrace(b, "automerge-paper").ops[:100_000] })
	run("automerge-last100k", func(b *testing.B) []text.Op { return readTrace(b, "automerge-paper").ops[159_778:] })
	run("automerge-100", func(b *testing.B) []text.Op { return readTrace(b, "automerge-paper").ops[200_000:200_100] })
	run("rustcode", func(b *testing.B) []text.Op { return readTrace(b, "rustcode").ops })
	run("scattered100k", func(b *testing.B) []text.Op { return scattered(b, 100_000, 10_000_000) })
	run("scattered1k", func(b *testing.B) []text.Op { return scattered(b, 1_000, 100_000) })
}
