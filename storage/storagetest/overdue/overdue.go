// Package overdue ends tests that hang.
package overdue

import (
	"fmt"
	"runtime/debug"
	"testing"
	"time"
)

// limit is longer than a test takes on a machine that is slow and busy, and well below the time that all
// tests of a package have.
const limit = 4 * time.Minute

// Watch ends the process when the test is still under way in four minutes, with its name and the stacks of
// all goroutines, which tell what it waits for. It is a net below waits that have limits of their own and say
// what they saw. Not for bubbles of testing/synctest, whose time is another.
func Watch(t testing.TB) {
	t.Helper()
	name := t.Name()
	late := time.AfterFunc(limit, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("%s is not over after %v; the stacks tell what it waits for", name, limit))
	})
	t.Cleanup(func() { late.Stop() })
}
