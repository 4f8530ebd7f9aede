//go:build !race

package ottest

// Race says that the race detector is on, which makes long tests an order slower: they
// try fewer cases then.
const Race = false

// slower is about how much fewer that are.
const slower = 1
