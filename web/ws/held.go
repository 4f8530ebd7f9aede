package ws

// holdStep is in which steps a Held is told of.
const holdStep = 64 << 10

// tightPart is what part of what may wait for a peer may do so while there is no room.
const tightPart = 64

// Held counts what a handler keeps for its peer, and tells Conn.Hold of it in steps of 64 KiB. It is not safe for
// concurrent use.
type Held struct {
	// Hold is Conn.Hold; nil: nobody is told.
	Hold func(bytes int) (room bool)

	bytes, told int
	tight       bool // there was no room
}

// Add counts bytes more, or with a negative number less.
func (h *Held) Add(bytes int) {
	h.bytes += bytes
	steps := h.bytes / holdStep * holdStep
	if more := steps - h.told; more != 0 && h.Hold != nil {
		room := h.Hold(more)
		h.tight = more > 0 && !room || more < 0 && h.tight && steps > 0
	}
	h.told = steps
}

// Clear counts nothing any more.
func (h *Held) Clear() { h.Add(-h.bytes) }

// Bytes returns how many there are.
func (h *Held) Bytes() int { return h.bytes }

// Over reports whether they are more than so many, or than a small part of that while there is no room.
func (h *Held) Over(most int) bool {
	if h.tight {
		most /= tightPart
	}
	return h.bytes > most
}
