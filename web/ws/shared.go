package ws

import (
	"sync"

	"github.com/fasthttp/websocket"
)

// Shared is a message for many connections; its frames, compressed or not, are made
// once.
type Shared struct {
	text []byte
	once sync.Once
	pm   *websocket.PreparedMessage
}

// NewShared makes a Shared of a text, which it keeps.
func NewShared(text []byte) *Shared { return &Shared{text: text} }

// Text returns the message; it must not be changed.
func (m *Shared) Text() []byte { return m.text }

func (m *Shared) prepared() *websocket.PreparedMessage {
	m.once.Do(func() {
		m.pm, _ = websocket.NewPreparedMessage(websocket.TextMessage, m.text) // fails for no text message
	})
	return m.pm
}
