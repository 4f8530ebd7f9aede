package text

import "math/bits"

// A measure is a length or position in each of the three units.
type measure [3]int

// Indexes of a measure.
const (
	bytes = iota // of UTF-8
	units        // UTF-16 code units
	runes        // code points
)

func (m *measure) add(o *measure) {
	m[bytes] += o[bytes]
	m[units] += o[units]
	m[runes] += o[runes]
}

// highBits is the top bit of each of eight bytes: set where UTF-8 is not ASCII.
const highBits = 0x8080808080808080

// load returns the eight bytes of s from i on.
func load(s string, i int) uint64 {
	s = s[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// count measures s, which must be valid UTF-8: every byte but a continuation
// byte starts a code point, and those that start four take two UTF-16 units.
func count(s string) measure {
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
	return measure{len(s), n + four, n}
}

// seek returns the position in s, valid UTF-8, that lies at in the given unit.
// It reports false when that is inside a code point or past the end.
func seek(s string, unit, at int) (measure, bool) {
	var m measure
	for m[unit] < at && m[bytes] < len(s) {
		i := m[bytes]
		if i+8 <= len(s) && at-m[unit] >= 8 && load(s, i)&highBits == 0 {
			m.add(&measure{8, 8, 8})
			continue
		}
		switch c := s[i]; {
		case c < 0x80:
			m.add(&measure{1, 1, 1})
		case c < 0xE0:
			m.add(&measure{2, 1, 1})
		case c < 0xF0:
			m.add(&measure{3, 1, 1})
		default:
			m.add(&measure{4, 2, 1})
		}
	}
	return m, m[unit] == at
}
