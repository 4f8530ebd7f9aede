package ottest

import (
	"bytes"
	"fmt"

	"quire/ot"
)

// A law is one property of a type. check draws what it needs and panics with a
// violation when the law does not hold.
type law struct {
	name  string
	check func(c *sample)
}

var laws = []law{
	{"Identity", func(c *sample) {
		d := c.doc()
		id, op := c.canonical(c.Identity()), c.op("op", d)
		if !c.IsIdentity(id) {
			c.fail("IsIdentity(Identity()) is false")
		}
		if c.IsIdentity(op) {
			c.equal("document after a no-op", c.text(c.apply(d, op)), c.text(d))
		}
		c.equal("Apply(d, id)", c.text(c.apply(d, id)), c.text(d))
		c.equal("Compose(id, op)", c.form(c.compose(id, op)), c.form(op))
		c.equal("Compose(op, id)", c.form(c.compose(op, id)), c.form(op))
		for _, side := range []ot.Side{ot.Left, ot.Right} {
			c.equal("Transform(op, id)", c.form(c.transform(op, id, side)), c.form(op))
			if moved := c.transform(id, op, side); !c.IsIdentity(moved) {
				c.fail("Transform(id, op) = %s", c.form(moved))
			}
		}
	}},
	{"Canonical", func(c *sample) { c.canonical(c.op("op", c.doc())) }},
	{"Compose", func(c *sample) {
		d := c.doc()
		a := c.op("a", d)
		mid := c.apply(d, a)
		b := c.op("b", mid)
		c.equal("Apply(d, Compose(a, b))", c.text(c.apply(d, c.compose(a, b))), c.text(c.apply(mid, b)))
	}},
	{"Associate", func(c *sample) {
		d := c.doc()
		ops := c.chain(d, 3)
		left := c.compose(c.compose(ops[0], ops[1]), ops[2])
		right := c.compose(ops[0], c.compose(ops[1], ops[2]))
		c.equal("document by both groupings", c.text(c.apply(d, left)), c.text(c.apply(d, right)))
	}},
	{"ComposeAll", func(c *sample) {
		d := c.doc()
		ops := c.chain(d, c.r.IntN(20))
		want := c.Identity()
		for _, op := range ops {
			want = c.compose(want, op)
		}
		all, err := c.ComposeAll(ops)
		c.canonical(must(c, all, err))
		c.equal("document after ComposeAll", c.text(c.apply(d, all)), c.text(c.apply(d, ops...)))
		written := c.form(want)
		if c.gen.Regroups {
			written = c.form(all)
			c.equal("document after one by one", c.text(c.apply(d, want)), c.text(c.apply(d, ops...)))
		}
		c.equal("ComposeAll", c.form(all), written)
		stored := make([][]byte, len(ops))
		for i, op := range ops {
			stored[i] = c.MarshalOp(nil, op)
		}
		read, err := c.ComposeStored(stored)
		c.equal("ComposeStored", c.form(must(c, read, err)), written)
		balanced, err := ot.ComposeBalanced(c.Type, ops)
		c.equal("document after ComposeBalanced", c.text(c.apply(d, must(c, balanced, err))), c.text(c.apply(d, ops...)))
	}},
	{"TP1", func(c *sample) {
		d := c.doc()
		a, b := c.op("a", d), c.op("b", d)
		viaA := c.apply(d, a, c.transform(b, a, ot.Right))
		viaB := c.apply(d, b, c.transform(a, b, ot.Left))
		c.equal("the two ways", c.text(viaA), c.text(viaB))
		if c.Checksum(viaA) != c.Checksum(viaB) {
			c.fail("equal documents with different checksums")
		}
	}},
	{"TransformAll", func(c *sample) {
		d := c.doc()
		op, over := c.op("op", d), c.chain(d, c.r.IntN(12))
		for _, side := range []ot.Side{ot.Left, ot.Right} {
			want := op
			for _, x := range over {
				want = c.transform(want, x, side)
			}
			all, err := c.Type.TransformAll(op, over, side)
			c.equal("TransformAll", c.form(c.canonical(must(c, all, err))), c.form(want))
		}
	}},
	{"Invert", func(c *sample) {
		d := c.doc()
		op := c.op("op", d)
		inverse, err := c.Type.Invert(d, op)
		c.canonical(must(c, inverse, err))
		c.equal("op taken back", c.text(c.apply(d, op, inverse)), c.text(d))
	}},
	{"RoundTrip", func(c *sample) {
		d := c.doc()
		op, cur := c.op("op", d), c.cursor(d)
		prefix := []byte("prefix")
		stored, err := c.UnmarshalOp(c.MarshalOp(nil, op))
		c.equal("UnmarshalOp(MarshalOp(op))", c.form(must(c, stored, err)), c.form(op))
		if again := c.MarshalOp(prefix, stored); !bytes.Equal(again, c.MarshalOp([]byte("prefix"), op)) {
			c.fail("MarshalOp gives %q for what it gave %q", again, c.MarshalOp(prefix, op))
		}
		created, err := c.Create(c.AppendDoc(nil, d))
		c.equal("Create(AppendDoc(d))", c.text(must(c, created, err)), c.text(d))
		loaded, err := c.UnmarshalDoc(c.MarshalDoc(nil, d))
		c.equal("UnmarshalDoc(MarshalDoc(d))", c.text(must(c, loaded, err)), c.text(d))
		if n := len(c.MarshalDoc(nil, d)); c.Size(d) != n {
			c.fail("Size is %d, MarshalDoc gives %d bytes", c.Size(d), n)
		}
		if c.Checksum(created) != c.Checksum(d) || c.Checksum(loaded) != c.Checksum(d) {
			c.fail("the checksum depends on how the document was made")
		}
		read, err := c.DecodeCursor(c.AppendCursor(nil, cur), ot.Limits{})
		c.equal("DecodeCursor(AppendCursor(cursor))", c.place(must(c, read, err)), c.place(cur))
		empty, err := c.Create(nil)
		c.equal("Create(nil)", c.text(must(c, empty, err)), c.text(c.emptied()))
	}},
	{"History", func(c *sample) {
		d := c.doc()
		docs, sums := []ot.Doc{d}, []uint32{c.Checksum(d)}
		for i := range 8 {
			d = c.apply(d, c.op(fmt.Sprint("op", i), d))
			docs, sums = append(docs, d), append(sums, c.Checksum(d))
		}
		for i, d := range docs {
			loaded, err := c.UnmarshalDoc(c.MarshalDoc(nil, d))
			if sum := c.Checksum(must(c, loaded, err)); sum != sums[i] || c.Checksum(d) != sums[i] {
				c.fail("checksum of revision %d: %08x, kept %08x, from its bytes %08x", i, sums[i], c.Checksum(d), sum)
			}
		}
	}},
	{"Checksum", func(c *sample) {
		one, two := c.doc(), c.doc()
		if same := c.Checksum(one) == c.Checksum(two); same != (c.text(one) == c.text(two)) {
			c.fail("checksums %08x and %08x", c.Checksum(one), c.Checksum(two))
		}
	}},
	{"Cursor", func(c *sample) {
		d := c.doc()
		op, cur, side := c.op("op", d), c.cursor(d), c.side()
		if err := c.CheckCursor(d, cur); err != nil {
			c.fail("CheckCursor refuses a cursor of the document: %v", err)
		}
		c.equal("cursor over nothing", c.place(c.TransformCursor(cur, c.Identity(), side)), c.place(cur))
		moved := c.TransformCursor(cur, op, side)
		if err := c.CheckCursor(c.apply(d, op), moved); err != nil {
			c.fail("moved cursor %s: %v", c.place(moved), err)
		}
	}},
	{"Mismatch", func(c *sample) {
		d := c.doc()
		other := c.doc()
		op := c.op("op", other)
		// Whether op fits d is the type's to say, but Apply and Invert must agree.
		after, err := c.Apply(d, op)
		inverse, errInvert := c.Type.Invert(d, op)
		if (err == nil) != (errInvert == nil) {
			c.fail("Apply says %v, Invert says %v", err, errInvert)
		}
		if err != nil {
			c.mismatched("Apply", err)
			c.mismatched("Invert", errInvert)
			return
		}
		if back := c.apply(after, inverse); !c.gen.Open {
			c.equal("op taken back", c.text(back), c.text(d))
		}
	}},
	{"Cost", func(c *sample) {
		op := c.op("op", c.doc())
		if cost := c.Cost(op); cost < 0 || (cost == 0) != c.IsIdentity(op) {
			c.fail("Cost %d, IsIdentity %t", cost, c.IsIdentity(op))
		}
	}},
}

// chain draws n operations that follow one another from d.
func (c *sample) chain(d ot.Doc, n int) []ot.Op {
	ops := make([]ot.Op, n)
	for i := range ops {
		ops[i] = c.op(fmt.Sprint("op", i), d)
		d = c.apply(d, ops[i])
	}
	return ops
}

// emptied returns the empty document by way of its binary form.
func (c *sample) emptied() ot.Doc {
	d, err := c.Create(nil)
	loaded, err2 := c.UnmarshalDoc(c.MarshalDoc(nil, must(c, d, err)))
	return must(c, loaded, err2)
}
