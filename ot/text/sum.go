package text

import "quire/ot/checksum"

// checksum returns the sum of n's text, working it out where it is not known yet.
// scratch has room for a leaf.
func (n *node) checksum(scratch []byte) checksum.Sum {
	if known := n.sum.Load(); known != 0 {
		return checksum.Sum(known)
	}
	sum := checksum.Empty
	if n.kids == nil {
		sum = checksum.Of(scratch[:copy(scratch, n.text)])
	}
	for _, kid := range n.kids {
		sum = sum.Then(kid.checksum(scratch))
	}
	n.sum.Store(uint64(sum))
	return sum
}
