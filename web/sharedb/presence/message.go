package presence

import (
	"strconv"

	"quire/ot/jsonscan"
	"quire/web/sharedb/wire"
	"quire/web/ws"
)

// message is {"a":"p",…} with the fields in ShareDB's order.
func message(src string, p *Publication) *ws.Shared {
	dst := make([]byte, 0, 128+len(p.Channel)+len(p.Value))
	dst = jsonscan.AppendString(append(dst, `{"a":"p","ch":`...), p.Channel)
	dst = jsonscan.AppendString(append(dst, `,"src":`...), src)
	dst = jsonscan.AppendString(append(dst, `,"id":`...), p.ID)
	dst = append(dst, `,"p":`...)
	if len(p.Value) == 0 {
		dst = append(dst, "null"...)
	}
	dst = append(dst, p.Value...)
	dst = strconv.AppendUint(append(dst, `,"pv":`...), p.Version, 10)
	if d := p.Doc; d != nil {
		dst = jsonscan.AppendString(append(dst, `,"c":`...), d.Collection)
		dst = append(dst, `,"d":`...)
		if d.ID == "" {
			dst = append(dst, "null"...)
		} else {
			dst = jsonscan.AppendString(dst, d.ID)
		}
		dst = strconv.AppendInt(append(dst, `,"v":`...), d.Version, 10)
		dst = jsonscan.AppendString(append(dst, `,"t":`...), d.Type)
	}
	return ws.NewShared(append(dst, '}'))
}

// request is {"a":"pr",…}: please send yours.
func request(channel string) *ws.Shared {
	return ws.NewShared(append(jsonscan.AppendString([]byte(`{"a":"pr","ch":`), channel), '}'))
}

// answer acknowledges a "ps" or "pu".
func answer(action, channel string, seq int64) *ws.Shared {
	dst := jsonscan.AppendString([]byte(`{"ch":`), channel)
	if seq >= 0 {
		dst = strconv.AppendInt(append(dst, `,"seq":`...), seq, 10)
	}
	return ws.NewShared(append(jsonscan.AppendString(append(dst, `,"a":`...), action), '}'))
}

// checkChannel refuses what cannot name a channel.
func (h *Hub) checkChannel(name string) *wire.Error {
	if !h.fits(name) {
		return wire.Errorf(wire.CodeBadlyFormed, "Invalid presence channel")
	}
	return nil
}

func (h *Hub) fits(name string) bool {
	return name != "" && len(name) <= h.opt.Limits.Name && wire.Allowed(name)
}

// check refuses a publication that is not allowed.
func (h *Hub) check(p *Publication) *wire.Error {
	if err := h.checkChannel(p.Channel); err != nil {
		return err
	}
	d := p.Doc
	switch {
	case !h.fits(p.ID):
		return wire.Errorf(wire.CodeBadlyFormed, "Invalid presence ID")
	case p.Version >= 1<<53:
		return wire.Errorf(wire.CodeBadlyFormed, "Invalid presence version")
	case len(p.Value) > h.opt.Limits.Value:
		return wire.Errorf(wire.CodeLimit, "A presence of %d bytes, limit %d", len(p.Value), h.opt.Limits.Value)
	case d == nil:
		return nil
	case !h.fits(d.Collection):
		return wire.Errorf(wire.CodeBadlyFormed, "Invalid collection")
	case d.ID != "" && !h.fits(d.ID):
		return wire.Errorf(wire.CodeBadlyFormed, "Invalid id")
	case d.Version < 0 || d.Version >= 1<<53:
		return wire.Errorf(wire.CodeBadlyFormed, "Invalid version")
	case len(d.Type) > h.opt.Limits.Name:
		return wire.Errorf(wire.CodeLimit, "A type name of %d bytes, limit %d", len(d.Type), h.opt.Limits.Name)
	}
	return nil
}
