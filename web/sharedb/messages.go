package sharedb

import (
	"strconv"

	"quire/ot"
	"quire/ot/jsonscan"
	"quire/session"
	"quire/web/sharedb/wire"
	"quire/web/ws"
)

// appendName appends a member's name, with a comma unless it is the first.
func appendName(dst []byte, name string) []byte {
	if len(dst) > 0 && dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(append(append(dst, '"'), name...), `":`...)
}

func appendMember(dst []byte, name string, value []byte) []byte {
	return append(appendName(dst, name), value...)
}

func appendText(dst []byte, name, text string) []byte {
	return jsonscan.AppendString(appendName(dst, name), text)
}

func appendNumber(dst []byte, name string, n int64) []byte {
	return strconv.AppendInt(appendName(dst, name), n, 10)
}

// appendGreeting appends an init or hs message.
func appendGreeting(dst []byte, a, id string) []byte {
	dst = appendText(append(dst, '{'), "a", a)
	dst = append(dst, `,"protocol":1,"protocolMinor":2`...)
	dst = appendText(dst, "id", id)
	return append(appendText(dst, "type", DefaultType), '}')
}

// appendHead begins a message about a document.
func appendHead(dst []byte, a, c, d string) []byte {
	dst = appendText(append(dst, '{'), "a", a)
	return appendText(appendText(dst, "c", c), "d", d)
}

// appendSnapshot appends the members v, data and type of a document as it is at a
// revision. The type is given for the default type too when always is set.
func (p *Protocol) appendSnapshot(dst []byte, rev session.Revision, typ ot.Type, doc ot.Doc, always bool) ([]byte, error) {
	if typ == nil {
		return append(appendNumber(dst, "v", version(rev)), `,"type":null`...), nil
	}
	dst, dialect, err := p.appendBefore(dst, rev, typ, always)
	if err != nil {
		return nil, err
	}
	return dialect.AppendDoc(appendName(dst, "data"), doc), nil
}

// appendBefore appends what comes before the data of a document.
func (p *Protocol) appendBefore(dst []byte, rev session.Revision, typ ot.Type, always bool) ([]byte, Dialect, error) {
	dst = appendNumber(dst, "v", version(rev))
	dialect, err := p.dialects.of(typ)
	if err != nil {
		return nil, nil, err
	}
	if uri := dialect.URI(); always || uri != DefaultType {
		dst = appendText(dst, "type", uri)
	}
	return dst, dialect, nil
}

// messages are a batch's operations as they are sent to every client, one message each.
type messages struct {
	list []*ws.Shared
	err  error
	// after is the document after the batch, of dialects that need it.
	after shelf
}

// encode makes the messages of a batch. doc is the document before it, of dialects that
// need that; else nil.
func (p *Protocol) encode(b *session.Batch, doc ot.Doc) *messages {
	m := &messages{list: make([]*ws.Shared, len(b.Items))}
	c, d, _ := wire.ToCollection(b.Doc)
	for i := range b.Items {
		it := &b.Items[i]
		dst := appendHead(make([]byte, 0, 160), "op", c, d)
		dst = appendNumber(dst, "v", version(b.From)+int64(i))
		if it.Client != "" {
			dst = appendText(dst, "src", it.Client)
			dst = appendNumber(dst, "seq", int64(it.Seq))
		}
		if dst, doc, m.err = p.appendItem(dst, b, i, doc); m.err != nil {
			return m
		}
		m.list[i] = ws.NewShared(append(dst, '}'))
	}
	if doc != nil {
		m.after.put(doc)
	}
	return m
}

// appendItem appends what item i of a batch does, and returns the document after it if
// doc, the one before it, is given.
func (p *Protocol) appendItem(dst []byte, b *session.Batch, i int, doc ot.Doc) ([]byte, ot.Doc, error) {
	switch op := b.Items[i].Op.(type) {
	case session.Creation:
		dialect, err := p.dialects.of(op.Type)
		if err != nil {
			return nil, nil, err
		}
		dst = append(appendName(dst, "create"), '{')
		dst = appendText(dst, "type", dialect.URI())
		return append(dialect.AppendDoc(appendName(dst, "data"), op.Doc), '}'), nil, nil
	case session.Deletion:
		return append(dst, `,"del":true`...), nil, nil
	default:
		dialect, err := p.dialects.of(b.Type())
		if err != nil {
			return nil, nil, err
		}
		if dst, err = dialect.AppendOp(appendName(dst, "op"), doc, op); err != nil || doc == nil {
			return dst, nil, err
		}
		doc, err = b.Type().Apply(doc, op)
		return dst, doc, err
	}
}

// appendAck appends the acknowledgement of an operation.
func appendAck(dst []byte, pl *place, seq uint64, v int64) []byte {
	dst = appendText(append(dst, '{'), "src", pl.client)
	dst = appendNumber(dst, "seq", int64(seq))
	dst = appendNumber(dst, "v", v)
	dst = append(dst, `,"a":"op"`...)
	return append(appendText(appendText(dst, "c", pl.c), "d", pl.d), '}')
}

// appendRejection appends the error of an operation whose message is at hand no more.
func appendRejection(dst []byte, pl *place, seq uint64, e *wire.Error) []byte {
	dst = appendNumber(appendHead(dst, "op", pl.c, pl.d), "seq", int64(seq))
	dst = appendText(dst, "src", pl.client)
	return append(e.Append(appendName(dst, "error")), '}')
}

// appendKey appends a member's name that may be any text.
func appendKey(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(jsonscan.AppendString(dst, name), ':')
}

func appendVersion(dst []byte, d string, v int64) []byte {
	return strconv.AppendInt(appendKey(dst, d), v, 10)
}
