package sharedb

import (
	"maps"
	"slices"
)

// Documents returns the ids of the documents that are open on the connection, in byte
// order. It may be called from any goroutine.
func (c *Conn) Documents() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.docs))
}
