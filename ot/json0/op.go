// Package json0 is ShareDB's default type, as npm's ot-json0 1.1 has it: a document is
// any JSON value, and an operation is a list of components, each of which changes one
// place that its path leads to, in the document that the components before it left.
//
// It does what the reference does wherever the reference gives a document that JSON can
// hold, and refuses what leaves the reference with another: indexes past the end of a
// list (where JavaScript's splice would go by its own rules), text inserted past the end
// of a string, sums that are not finite. An operation that deletes the whole document
// leaves null.
//
// The transformation is the reference's also where that is at odds with itself, since
// servers and clients have to agree:
//
//   - One string edited both by si or sd and by text0 at the same time does not converge.
//   - Components that do not tell the truth about what they delete (od or ld other than
//     what is there, oi without od over a member that is there) may not converge.
//   - A list index given as a string ("0") is another key than the same index given as a
//     number: operations that use both for one list may not converge.
//   - Sums are those of doubles, so where they are rounded the order shows in the last
//     digit.
//
// Offsets in strings are UTF-16 code units.
package json0

import (
	"quire/ot/jsonvalue"
	"quire/ot/text0"
)

// Members says which members besides the path a Component has. That they are there is
// what counts: null is a value like any other.
type Members uint16

// The members of components, and what each makes a component do. Those in one line may
// be together; all others are alone.
const (
	T  Members = 1 << iota // t and o: edits the string at the path with a text0 operation
	NA                     // na: adds to the number at the path
	SI                     // si: inserts a string at an offset, which is the path's last key
	SD                     // sd: deletes a string there
	LD                     // ld: deletes the item of a list
	LI                     // li: inserts an item before it; with ld, in its place
	LM                     // lm: moves the item so that it gets this index
	OD                     // od: deletes the member of an object, or the document
	OI                     // oi: sets it; with od, where it was there before
)

// Component is one step of an operation.
type Component struct {
	// Path leads to the place. An item or member that is inserted, deleted or moved is
	// what it leads to; si and sd have the offset in the string as last key, an index.
	Path Path
	// Has says which of the members below count.
	Has Members
	// Edit is o: the operation on the string at Path.
	Edit text0.Op
	// Add is na, finite.
	Add float64
	// Text is si or sd, valid UTF-8.
	Text string
	// Deleted is ld or od: what was there.
	Deleted jsonvalue.Value
	// Inserted is li or oi.
	Inserted jsonvalue.Value
	// To is lm.
	To Key
}

// has reports whether c has any of the members.
func (c *Component) has(some Members) bool { return c.Has&some != 0 }

// valid reports whether the members of c belong together.
func (c *Component) valid() bool {
	switch c.Has {
	case T, NA, SI, SD, LI, LD, LI | LD, LM, OI, OD, OI | OD:
		return true
	}
	return false
}

// span returns how many keys lead to what c changes, counted as the reference does: for
// na and t one more than the path has, as they change what is inside the place.
func (c *Component) span() int {
	if c.has(NA | T) {
		return len(c.Path) + 1
	}
	return len(c.Path)
}

// asEdit returns c, which has si or sd, as the same component with t and o.
func (c *Component) asEdit() Component {
	at, _ := c.Path.last().number()
	edit := text0.Insert(at, c.Text)
	edit.Delete = c.has(SD)
	return Component{Path: c.Path.parent(), Has: T, Edit: text0.Op{edit}}
}

// fromEdit returns the component with si or sd that does what one component of text0
// does to the string at path.
func fromEdit(path Path, edit text0.Component) Component {
	c := Component{Path: append(append(make(Path, 0, len(path)+1), path...), Index(edit.Pos)), Has: SI, Text: edit.Text}
	if edit.Delete {
		c.Has = SD
	}
	return c
}

// Op is an operation: components in the order they are applied. An empty Op changes
// nothing; neighbours need not be merged. Ops and what they hold are never changed once
// made.
type Op []Component
