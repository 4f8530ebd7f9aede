package sharedb

import "quire/web/ws"

// answer is a message that waits to be sent, after everything that is new in a place if
// there is one; there may be no message then.
type answer struct {
	msg    []byte
	shared *ws.Shared   // a message in place of msg that others get, too
	large  *largeAnswer // in place of msg
	// show, when set, makes msg or large at the last moment, and says whether it has more. So a
	// document is shown as it is then, not older than operations that were sent before, and to
	// who may read it then.
	show  func() (msg []byte, large *largeAnswer, more bool)
	place *place
	// keeps is how many bytes show needs, beside a large document that pins says it keeps.
	keeps int
	pins  bool
	// request is refused when the place cannot be read; nil to close the connection then.
	request *request
}

// size is about how many bytes an answer holds; it does not change while it waits.
func (a *answer) size() int {
	const itself = 512 // with a place or a request that is kept, as most have
	n := itself + len(a.msg) + a.keeps
	if a.shared != nil {
		n += len(a.shared.Text())
	}
	if a.large != nil {
		n += len(a.large.head) + len(a.large.body.Text()) + len(a.large.tail)
	}
	if a.request != nil {
		n += len(a.request.raw)
	}
	return n
}

// drop is called in place of sending it.
func (a *answer) drop() {
	if a.large != nil {
		a.large.left()
	}
}

// pop takes out the first answer. Called with the lock held.
func (c *Conn) pop() {
	a := &c.out[0]
	c.held.Add(-a.size())
	if a.pins {
		c.pins--
	}
	*a = answer{}
	c.out = c.out[1:]
	c.room.Broadcast()
}

// maxOutbox bounds the answers that wait for a peer that does not read: Receive
// then waits, and the peer's requests with it.
const maxOutbox = 4 << 20

// waitForRoom slows down a peer that asks and does not read the answers.
func (c *Conn) waitForRoom() {
	c.mu.Lock()
	for (c.held.Over(maxOutbox) || c.pins > 1) && !c.ended {
		c.room.Wait()
	}
	c.mu.Unlock()
}

// push adds an answer. Called with the lock held, or before anything else.
func (c *Conn) push(a answer) {
	if c.ended || c.over {
		a.drop()
		return
	}
	c.out = append(c.out, a)
	c.held.Add(a.size())
	if a.pins {
		c.pins++
	}
	if a.place != nil {
		a.place.owed++
	}
}

func (c *Conn) say(msg []byte) { c.tell(answer{msg: msg}) }

func (c *Conn) tell(a answer) {
	c.mu.Lock()
	c.push(a)
	c.mu.Unlock()
	c.wake()
}
