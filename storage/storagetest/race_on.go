//go:build race

package storagetest

// race says that the race detector is on, which makes long tests an order slower: they
// try fewer cases then.
const race = true
