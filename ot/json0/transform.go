package json0

import (
	"fmt"

	"quire/ot"
	"quire/ot/jsonvalue"
	"quire/ot/text0"
)

var algebra = text0.Algebra[Component]{Append: Append, Transform: transform, Size: merging}

// merging is about how many bytes are copied to merge a component with c.
func merging(c *Component) int { return len(c.Text) + 48*len(c.Edit) }

// Transform returns op as it must read after over was applied, when both were made on
// the same document and op stands on the given side. It takes time in proportion to the
// product of their lengths. It fails with ot.ErrMismatch when it turns out that they were
// not made on one document, and with ot.ErrLimit when an index would pass 1<<31 - 1, or
// as text0.Algebra.Op does.
//
// Apply(Apply(d, a), Transform(b, a, Right)) equals
// Apply(Apply(d, b), Transform(a, b, Left)), but for what the package comment excepts.
func Transform(op, over Op, side ot.Side) (Op, error) {
	return algebra.Op(op, over, side, nil)
}

// common returns the index of the key in the path of b that a changes something at, when
// that is on the way to what b changes: then a affects b. The index is -1 when a changes
// the whole document. (The reference calls this commonLengthForOps.)
func common(a, b *Component) (int, bool) {
	n, m := a.span()-1, b.span()-1
	if n < 0 {
		return -1, true
	}
	if n > m {
		return 0, false
	}
	for i := range n {
		if a.Path[i] != b.Path[i] {
			return 0, false
		}
	}
	return n, true
}

// A meeting is one component that is being transformed over another.
type meeting struct {
	Component            // the one, as it becomes
	over      *Component // the other
	side      ot.Side
	// at is the index of the key at which over affects the component; level says
	// that both change something in the same list or object.
	at    int
	level bool
	err   error
}

// transform appends to dst what becomes of c after over.
func transform(dst []Component, c, over *Component, side ot.Side, left *text0.Budget) ([]Component, error) {
	at, affected := common(over, c)
	if !affected && !c.has(LD|OD) {
		return Append(dst, *c)
	}
	m := meeting{Component: *c, over: over, side: side, at: at, level: c.span() == over.span()}
	if err := m.updateDeleted(left); err != nil {
		return nil, err
	}
	if !affected {
		return m.append(dst)
	}
	keep := true
	switch {
	case c.has(SI|SD) && over.has(SI|SD):
		return m.texts(dst)
	case over.has(T):
		if c.has(T) {
			if m.Edit, m.err = text0.TransformWithin(c.Edit, over.Edit, side, left); m.err == nil && len(m.Edit) == 0 {
				return dst, nil
			}
		}
	case over.has(NA):
	case over.Has == LI|LD:
		keep = m.listReplaced()
	case over.has(LI):
		m.listInserted()
	case over.has(LD):
		keep = m.listDeleted()
	case over.has(LM):
		if c.has(LM) && m.level {
			keep = m.moves()
		} else {
			m.listMoved()
		}
	case over.Has == OI|OD:
		keep = m.memberReplaced()
	case over.has(OI):
		if c.has(OI) && m.here() {
			if side == ot.Right {
				return dst, nil
			}
			// The left one wins and deletes what the other put there.
			dst, m.err = Append(dst, Component{Path: c.Path, Has: OD, Deleted: over.Inserted})
		}
	case over.has(OD):
		keep = m.memberDeleted()
	}
	if !keep {
		return dst, m.err
	}
	return m.append(dst)
}

// append appends the component.
func (m *meeting) append(dst []Component) ([]Component, error) {
	switch {
	case m.err != nil:
		return nil, m.err
	case m.has(SI|SD) && m.Path.last().IsName():
		return nil, fmt.Errorf("%w: one changes a list where the other changes a string", ot.ErrMismatch)
	}
	return Append(dst, m.Component)
}

// updateDeleted keeps what the component says that it deletes as it is when over changes
// something inside.
func (m *meeting) updateDeleted(left *text0.Budget) error {
	if !m.has(LD | OD) {
		return nil
	}
	n := len(m.Path)
	at, ok := common(&m.Component, m.over)
	if !ok || m.over.span() <= n || !m.Path.at(at).equals(m.over.Path.at(at)) {
		return nil
	}
	if err := left.Spend(jsonvalue.Size(m.Deleted)); err != nil {
		return err
	}
	inner := *m.over
	inner.Path = inner.Path[n:]
	v, err := inner.apply(m.Deleted)
	if err == nil {
		_, err = NewDoc(v)
	}
	m.Deleted = v
	return err
}

// texts is two components with si or sd in one string.
func (m *meeting) texts(dst []Component) ([]Component, error) {
	c, over := m.asEdit(), m.over.asEdit()
	edit, err := text0.Transform(c.Edit, over.Edit, m.side)
	for _, part := range edit {
		if err == nil {
			dst, err = Append(dst, fromEdit(c.Path, part))
		}
	}
	return dst, err
}

// here reports whether both have the same key where over affects the component.
func (m *meeting) here() bool { return m.Path.at(m.at) == m.over.Path.at(m.at) }

// key returns the component's key there.
func (m *meeting) key() Key { return m.Path.at(m.at) }

func (m *meeting) setKey(k Key) { m.Path = m.Path.with(m.at, k) }

// shift moves the key there by 1 or -1.
func (m *meeting) shift(by int) { m.setKey(m.plus(m.key(), by)) }

// shiftTo moves the target of a move by 1 or -1.
func (m *meeting) shiftTo(by int) { m.To = m.plus(m.To, by) }

func (m *meeting) plus(k Key, by int) Key {
	k, err := k.plus(by)
	if m.err == nil {
		m.err = err
	}
	return k
}

// The rules below say what becomes of the component, and report false when nothing does.

func (m *meeting) listReplaced() bool {
	switch {
	case !m.here():
		return true
	case !m.level:
		return false
	case !m.has(LD):
		return true
	case m.has(LI) && m.side == ot.Left:
		m.Deleted = m.over.Inserted // both replace it, and the left one wins
		return true
	}
	return false
}

func (m *meeting) listInserted() {
	at := m.over.Path.at(m.at)
	switch {
	case m.Has == LI && m.level && m.here():
		if m.side == ot.Right {
			m.shift(1)
		}
	case at.atMost(m.key()):
		m.shift(1)
	}
	if m.has(LM) && m.level && at.atMost(m.To) {
		m.shiftTo(1)
	}
}

func (m *meeting) listDeleted() bool {
	at := m.over.Path.at(m.at)
	if m.has(LM) && m.level {
		if m.here() {
			return false
		}
		if at.less(m.To) || at == m.To && m.key().less(m.To) {
			m.shiftTo(-1)
		}
	}
	switch {
	case at.less(m.key()):
		m.shift(-1)
	case !m.here():
	case m.over.span() < m.span():
		return false
	case m.Has == LI|LD:
		m.Has, m.Deleted = LI, nil // it replaces what is gone: it inserts
	case m.has(LD):
		return false
	}
	return true
}

// listMoved is a move over anything but another move in the list.
func (m *meeting) listMoved() {
	from, to, key := m.over.Path.at(m.at), m.over.To, m.key()
	inserts := m.Has == LI && m.level // it goes between items; all others go with theirs
	if key == from && !inserts {
		m.setKey(to)
		return
	}
	down, up := from.less(key), to.less(key)
	if !inserts && !up {
		up = key == to && to.less(from)
	}
	if down {
		m.shift(-1)
	}
	if up {
		m.shift(1)
	}
}

// moves is two moves in one list.
func (m *meeting) moves() bool {
	from, to := m.key(), m.To
	otherFrom, otherTo := m.over.Path.at(m.at), m.over.To
	if otherFrom == otherTo {
		return true
	}
	if from == otherFrom { // the same item
		if m.side == ot.Right {
			return false
		}
		m.setKey(otherTo)
		if from == to {
			m.To = otherTo
		}
		return true
	}
	// Where the item is now.
	if otherFrom.less(from) {
		m.shift(-1)
	}
	if otherTo.less(from) {
		m.shift(1)
	} else if from == otherTo && otherTo.less(otherFrom) {
		m.shift(1)
		if from == to {
			m.shiftTo(1)
		}
	}
	// Where it has to go now.
	if otherFrom.less(to) || to == otherFrom && from.less(to) {
		m.shiftTo(-1)
	}
	if otherTo.less(to) {
		m.shiftTo(1)
	} else if to == otherTo {
		switch up := from.less(to); {
		case otherFrom.less(otherTo) && up || otherTo.less(otherFrom) && to.less(from):
			if m.side == ot.Right {
				m.shiftTo(1) // both move the same way: the right one ends up behind
			}
		case up:
			m.shiftTo(1)
		case to == otherFrom:
			m.shiftTo(-1)
		}
	}
	return true
}

func (m *meeting) memberReplaced() bool {
	switch {
	case !m.here():
		return true
	case m.has(OI) && m.level && m.side == ot.Left:
		m.Has, m.Deleted = OI|OD, m.over.Inserted // it replaces what the other put there
		return true
	}
	return false
}

func (m *meeting) memberDeleted() bool {
	switch {
	case !m.key().equals(m.over.Path.at(m.at)):
		return true
	case m.level && m.has(OI):
		m.Has, m.Deleted = OI, nil // what it replaces is gone: it inserts
		return true
	}
	return false
}
