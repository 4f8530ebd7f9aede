// Package units measures text in the three units that positions in it are counted
// in. Whoever holds text in UTF-8 and counts otherwise does so here.
package units

import "math/bits"

// Unit is what lengths of a text and positions in it count.
type Unit uint8

// The units, which are the indexes of a Measure.
const (
	UTF16 Unit = iota // UTF-16 code units, as browsers count
	Runes             // Unicode code points
	Bytes             // bytes of UTF-8
)

// String returns the unit's name in error messages.
func (u Unit) String() string { return [...]string{"units", "code points", "bytes"}[u] }

// A Measure is one length or position in every unit.
type Measure [3]int

// Add makes m longer by o.
func (m *Measure) Add(o *Measure) {
	m[UTF16] += o[UTF16]
	m[Runes] += o[Runes]
	m[Bytes] += o[Bytes]
}

// highBits is the top bit of each of eight bytes: set where UTF-8 is not ASCII.
const highBits = 0x8080808080808080

// load returns the eight bytes of s from i on.
func load(s string, i int) uint64 {
	s = s[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// Count measures s, which must be valid UTF-8, in time linear in its length.
func Count(s string) Measure {
	// Every byte but a continuation byte starts a code point, and those that start
	// four take two UTF-16 units.
	continuation, four, i := 0, 0, 0
	for ; i+8 <= len(s); i += 8 {
		w := load(s, i)
		if high := w & highBits; high != 0 {
			continuation += bits.OnesCount64(high &^ (w << 1))
			four += bits.OnesCount64(high & (w << 1) & (w << 2) & (w << 3))
		}
	}
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 0xF0:
			four++
		case c&0xC0 == 0x80:
			continuation++
		}
	}
	n := len(s) - continuation
	return Measure{UTF16: n + four, Runes: n, Bytes: len(s)}
}

// Seek returns the position in s, valid UTF-8, that lies at in the given unit. It
// reports false when that is inside a code point or outside s. It takes time linear
// in at.
func Seek(s string, unit Unit, at int) (Measure, bool) {
	var m Measure
	for m[unit] < at && m[Bytes] < len(s) {
		i := m[Bytes]
		if i+8 <= len(s) && at-m[unit] >= 8 && load(s, i)&highBits == 0 {
			m.Add(&Measure{8, 8, 8})
			continue
		}
		switch c := s[i]; {
		case c < 0x80:
			m.Add(&Measure{UTF16: 1, Runes: 1, Bytes: 1})
		case c < 0xE0:
			m.Add(&Measure{UTF16: 1, Runes: 1, Bytes: 2})
		case c < 0xF0:
			m.Add(&Measure{UTF16: 1, Runes: 1, Bytes: 3})
		default:
			m.Add(&Measure{UTF16: 2, Runes: 1, Bytes: 4})
		}
	}
	return m, m[unit] == at
}
