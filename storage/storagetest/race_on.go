//go:build race

package storagetest

// Race says that the race detector is on, which makes long tests an order slower: they
// try fewer cases then, and "make test-go" runs them without it too.
const Race = true
