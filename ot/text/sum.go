package text

import "hash/crc32"

// A checksum of a concatenation follows from those of its parts: in the field of
// polynomials modulo the CRC's, crc(ab) = crc(a)·x^(8·len b) + crc(b). So every
// node keeps, beside its CRC, x to the power of its length in bits.

// A sum holds a CRC-32C in its low half and that power in its high half, which
// is never zero.
type sum uint64

func (s sum) crc() uint32   { return uint32(s) }
func (s sum) power() uint32 { return uint32(s >> 32) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// powers holds x^(8·n) for each possible length n of a leaf.
var powers = func() (p [maxLeaf + 1]uint32) {
	p[0] = 1 << 31 // x^0: bits are reflected
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1]
		for range 8 {
			p[i] = timesX(p[i])
		}
	}
	return p
}()

func timesX(p uint32) uint32 { return p>>1 ^ crc32.Castagnoli&-(p&1) }

// times multiplies two polynomials modulo the CRC's.
func times(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		product ^= b & uint32(int32(a)>>31)
		b = timesX(b)
	}
	return product
}

// checksum returns the sum of n, working it out where it is not known yet.
// scratch has room for a leaf.
func (n *node) checksum(scratch []byte) sum {
	if known := n.sum.Load(); known != 0 {
		return sum(known)
	}
	crc, power := uint32(0), powers[0]
	if n.kids == nil {
		crc = crc32.Checksum(scratch[:copy(scratch, n.text)], castagnoli)
		power = powers[len(n.text)]
	}
	for _, kid := range n.kids {
		s := kid.checksum(scratch)
		crc = times(crc, s.power()) ^ s.crc()
		power = times(power, s.power())
	}
	s := sum(power)<<32 | sum(crc)
	n.sum.Store(uint64(s))
	return s
}
