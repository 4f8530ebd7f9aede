//go:build !race

package webtest

// Slow says that the race detector runs, which makes everything some ten times slower.
const Slow = false
