package text_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"quire/ot"
	"quire/ot/ottest"
	"quire/ot/text"
)

// same compares everything a document says of itself with the plain string.
func same(t *testing.T, d *text.Doc, want string) {
	t.Helper()
	must(t, d.Check())
	if d.String() != want {
		t.Fatal("the tree holds another text than the string")
	}
	if d.Len() != len(wide(want)) || d.Size() != len(want) || d.Runes() != len([]rune(want)) {
		t.Fatalf("lengths %d, %d, %d of a text of %d, %d, %d", d.Len(), d.Size(), d.Runes(), len(wide(want)), len(want), len([]rune(want)))
	}
	if sum := crc32.Checksum([]byte(want), crc32.MakeTable(crc32.Castagnoli)); d.Checksum() != sum {
		t.Fatalf("checksum %08x of a text of %08x", d.Checksum(), sum)
	}
	var written bytes.Buffer
	if n, err := d.WriteTo(&written); err != nil || n != int64(len(want)) || written.String() != want {
		t.Fatalf("WriteTo writes %d bytes, error %v", n, err)
	}
}

// TestDoc makes random edits to a tree and to a string beside it.
func TestDoc(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 5))
			plain := strings.Repeat("a中🌍\n", r.IntN(2)*3000)
			d := doc(t, plain)
			same(t, d, plain)
			docs, texts := []*text.Doc{d}, []string{plain}
			for range 8 {
				ops, _ := session(t, r, d, 60)
				for _, o := range ops {
					var err error
					d, err = d.Apply(o)
					must(t, err)
					plain = string(utf16.Decode(oracleApply(wide(plain), atoms(o))))
					if r.IntN(4) == 0 {
						d.Checksum() // so that some nodes know theirs and some do not
					}
				}
				docs, texts = append(docs, d), append(texts, plain)
			}
			for i := range docs {
				same(t, docs[i], texts[i])
			}
		})
	}
}

// TestDocShrinks deletes characters all over a document until none is left: its
// leaves must join up.
func TestDocShrinks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	d := doc(t, strings.Repeat("0123456789", 2000))
	for d.Len() > 0 {
		at := r.IntN(d.Len())
		var err error
		d, err = d.Apply(patch(t, d, at, min(1+r.IntN(3), d.Len()-at), ""))
		must(t, err)
		if d.Len()%64 == 0 {
			must(t, d.Check())
			if leaves := len(slices.Collect(d.Leaves())); leaves > 1+d.Size()/128 {
				t.Fatalf("%d leaves for %d bytes", leaves, d.Size())
			}
		}
	}
	same(t, d, "")
}

// TestConversions converts every offset of a document into every other unit.
func TestConversions(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 9))
	for _, n := range []int{0, 1, 10, 500} {
		var s strings.Builder
		for range n {
			s.WriteString(strings.Repeat(ottest.Alphabet[r.IntN(len(ottest.Alphabet))], 1+r.IntN(20)))
		}
		d := doc(t, s.String())
		// at[i] holds an offset between two characters in each unit, from the oracle.
		at := [][3]int{{}}
		for _, c := range s.String() {
			p := at[len(at)-1]
			at = append(at, [3]int{p[0] + len(string(c)), p[1] + len(wide(string(c))), p[2] + 1})
		}
		for _, f := range []struct {
			name     string
			from, to int
			convert  func(int) (int, error)
		}{
			{"FromUnitsToBytes", 1, 0, d.FromUnitsToBytes},
			{"FromUnitsToRunes", 1, 2, d.FromUnitsToRunes},
			{"FromBytesToUnits", 0, 1, d.FromBytesToUnits},
			{"FromBytesToRunes", 0, 2, d.FromBytesToRunes},
			{"FromRunesToUnits", 2, 1, d.FromRunesToUnits},
			{"FromRunesToBytes", 2, 0, d.FromRunesToBytes},
		} {
			next := 0
			for offset := -1; offset <= at[len(at)-1][f.from]+1; offset++ {
				got, err := f.convert(offset)
				if next < len(at) && at[next][f.from] == offset {
					if err != nil || got != at[next][f.to] {
						t.Fatalf("%s(%d) = %d, error %v; want %d", f.name, offset, got, err, at[next][f.to])
					}
					next++
				} else if !errors.Is(err, ot.ErrMismatch) {
					t.Fatalf("%s(%d), inside a character or outside: error %v", f.name, offset, err)
				}
			}
		}
	}
}

func TestSlice(t *testing.T) {
	plain := strings.Repeat("ab🌍中", 1000)
	d, all := doc(t, plain), wide(plain)
	r := rand.New(rand.NewPCG(3, 9))
	split := func(i int) bool { return i < len(all) && all[i] >= 0xDC00 && all[i] < 0xE000 }
	for i := range 3000 {
		from, to := r.IntN(len(all)+1), r.IntN(len(all)+1)
		if i%2 == 0 {
			to = min(from+r.IntN(6), len(all))
		}
		got, err := d.Slice(from, to)
		if from > to || split(from) || split(to) {
			if !errors.Is(err, ot.ErrMismatch) {
				t.Fatalf("Slice(%d, %d): error %v", from, to, err)
			}
		} else if err != nil || got != string(utf16.Decode(all[from:to])) {
			t.Fatalf("Slice(%d, %d) = %q, error %v", from, to, got, err)
		}
	}
	for _, c := range [][2]int{{-1, 2}, {0, len(all) + 1}, {len(all) + 1, len(all) + 1}} {
		if _, err := d.Slice(c[0], c[1]); !errors.Is(err, ot.ErrMismatch) {
			t.Errorf("Slice(%d, %d): error %v", c[0], c[1], err)
		}
	}
}

func TestDocRefuses(t *testing.T) {
	for _, s := range []string{"\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80"} {
		if _, err := text.FromString(s); !errors.Is(err, ot.ErrSyntax) {
			t.Errorf("FromString(%q): error %v", s, err)
		}
		if _, err := (text.Type{}).UnmarshalDoc([]byte(s)); !errors.Is(err, ot.ErrSyntax) {
			t.Errorf("UnmarshalDoc(%q): error %v", s, err)
		}
		if _, err := (text.Type{}).Create([]byte(`"` + s + `"`)); !errors.Is(err, ot.ErrSyntax) {
			t.Errorf("Create(%q): error %v", s, err)
		}
	}
	for _, content := range []string{``, `null`, `5`, `"a`, `"a"x`, `["a"]`, `"\ud800"`} {
		if _, err := (text.Type{}).Create([]byte(content)); !errors.Is(err, ot.ErrSyntax) {
			t.Errorf("Create(%q): error %v", content, err)
		}
	}
	d := doc(t, strings.Repeat("a🌍", 2000))
	before := d.String()
	for _, o := range []string{`[2,"x"]`, `[-2]`, `[3000,"x",-2999,"y",-1]`, `[6000,"x",-1]`, `[6001,"x"]`} {
		if _, err := d.Apply(op(t, o)); !errors.Is(err, ot.ErrMismatch) {
			t.Errorf("Apply(%s): error %v", o, err)
		}
	}
	same(t, d, before)
}

// TestDocShared edits, reads and sums one document from many goroutines.
func TestDocShared(t *testing.T) {
	plain := strings.Repeat("shared ", 3000)
	d := doc(t, plain)
	sum := doc(t, plain).Checksum()
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			mine, err := d.Apply(op(t, fmt.Sprintf(`[%d,"x"]`, 2000*(i+1))))
			if err != nil || mine.Len() != d.Len()+1 || d.Checksum() != sum || mine.Checksum() == sum {
				t.Errorf("goroutine %d: error %v", i, err)
			}
		})
	}
	wait.Wait()
	same(t, d, plain)
}
