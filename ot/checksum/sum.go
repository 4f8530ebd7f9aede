// Package checksum works out the CRC-32C (Castagnoli) of a text from those of its
// parts, so that a tree that holds the text can keep the checksum of every node.
//
// In the field of polynomials modulo the CRC's, crc(ab) = crc(a)·x^(8·len b) + crc(b).
package checksum

import "hash/crc32"

// A Sum is what is to be known of a part: its CRC-32C in the low half, and in the high
// half x to the power of its length in bits, which is never zero. So no Sum is 0.
type Sum uint64

// Empty is the Sum of no bytes.
const Empty Sum = one << 32

// one is x^0: bits are reflected.
const one = 1 << 31

// CRC returns the CRC-32C.
func (s Sum) CRC() uint32 { return uint32(s) }

func (s Sum) power() uint32 { return uint32(s >> 32) }

// Of returns the Sum of data.
func Of(data []byte) Sum {
	return Sum(power(len(data)))<<32 | Sum(crc32.Checksum(data, castagnoli))
}

// Then returns the Sum of what s is of followed by what next is of.
func (s Sum) Then(next Sum) Sum {
	crc := times(s.CRC(), next.power()) ^ next.CRC()
	return Sum(times(s.power(), next.power()))<<32 | Sum(crc)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// powers holds x^(8·n) for short lengths n.
var powers = func() (p [1025]uint32) {
	p[0] = one
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1]
		for range 8 {
			p[i] = timesX(p[i])
		}
	}
	return p
}()

// power returns x^(8·n).
func power(n int) uint32 {
	p := powers[n%1024]
	base := powers[1024]
	for n /= 1024; n > 0; n /= 2 {
		if n%2 == 1 {
			p = times(p, base)
		}
		base = times(base, base)
	}
	return p
}

func timesX(p uint32) uint32 { return p>>1 ^ crc32.Castagnoli&-(p&1) }

// times multiplies two polynomials modulo the CRC's.
func times(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		product ^= b & uint32(int32(a)>>31)
		b = timesX(b)
	}
	return product
}
