package presence

import (
	"maps"

	"quire/web/sharedb/wire"
)

// audience is who hears what is said on a channel. What is about a document is for those who
// may read that document: the one that a publication names, else the one that the channel's
// name is most likely of, when there is a dot in it. On a channel of any other name people
// hear those of their own scope.
type audience struct{ doc, scope string }

// audienceOf returns the audience of what a connection of a scope says on a channel; d is
// nil when that names no document.
func audienceOf(channel string, d *Doc, scope string) audience {
	if d != nil {
		if id, err := wire.FromCollection(d.Collection, d.ID); err == nil {
			return audience{doc: id}
		}
	}
	if name, ok := documentOf(channel); ok {
		if id, err := wire.FromCollection(name.collection, name.id); err == nil {
			return audience{doc: id}
		}
	}
	return audience{scope: scope}
}

// in reports whether the connection belongs to an audience now.
func (c *Conn) in(a audience) bool {
	if a.doc != "" {
		return c.member.MayRead(a.doc)
	}
	return c.member.Scope() == a.scope
}

// of returns the audience of what the connection says on a channel.
func (c *Conn) of(channel string, d *Doc) audience {
	return audienceOf(channel, d, c.member.Scope())
}

// Withdraw removes what the connection has published in a document, which it may not read
// any more.
func (c *Conn) Withdraw(doc string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.presences, func(_ key, p *Publication) bool {
		if !p.heard || c.of(p.Channel, p.Doc).doc != doc {
			return false
		}
		c.hub.depart(departed{c.Source(), c.member.Scope(), *p})
		return true
	})
}
