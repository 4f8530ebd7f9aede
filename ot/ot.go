// Package ot is the contract between a document type's algebra and everything
// that moves its operations about. It is pure: no I/O, no clock, no
// randomness, standard library only (but for package diff, which is no part of the algebra).
//
// The notation of the laws below follows Ellis and Gibbs (1989), "Concurrency
// control in groupware systems", and Ressel et al. (1996) for the transformation
// property TP1. Quire needs TP1 only: every client transforms against one server
// that fixes the order.
package ot

import (
	"errors"
	"fmt"
	"math"
)

// Op is one operation of some Type: a whole edit, made of components. Only its
// Type looks inside. An Op is never changed after it was returned, so it may be
// shared between goroutines.
type Op any

// Doc is the content of a document of some Type. A Doc is persistent: Apply
// returns a new one and leaves the old one as it was, so a Doc may be kept and
// read from any goroutine while others edit its successors.
type Doc any

// Cursor is where one person's selections are in a document of some Type. Like
// an Op it is immutable once returned.
type Cursor any

// Side settles a tie: who goes first when two operations insert at one place.
type Side uint8

const (
	// Left goes first: its insert ends up before the other's.
	Left Side = iota
	// Right goes second: its insert ends up after the other's.
	Right
)

// Other returns the opposite side.
func (s Side) Other() Side { return s ^ 1 }

// String returns "left" or "right".
func (s Side) String() string {
	if s == Left {
		return "left"
	}
	return "right"
}

// Limits bounds what a decoder accepts. A zero field means the default.
type Limits struct {
	// MaxLength bounds every position and length an operation may speak of, and
	// the sum of its retains and deletes, in the type's own unit.
	// Default and maximum 1<<31 - 1.
	MaxLength int
	// MaxComponents bounds the components of one operation. Default 1<<20.
	MaxComponents int
	// MaxRanges bounds the selections of one cursor. Default 128.
	MaxRanges int
}

// WithDefaults returns l with every zero field replaced by its default.
func (l Limits) WithDefaults() Limits {
	if l.MaxLength <= 0 || l.MaxLength > 1<<31-1 {
		l.MaxLength = 1<<31 - 1
	}
	if l.MaxComponents <= 0 {
		l.MaxComponents = 1 << 20
	}
	if l.MaxRanges <= 0 {
		l.MaxRanges = 128
	}
	return l
}

// Errors of the algebra. Types wrap them with the numbers; test with errors.Is.
var (
	// ErrSyntax: the bytes are not an operation, a document or a cursor of this
	// type in its canonical form.
	ErrSyntax = errors.New("malformed")
	// ErrMismatch: the operation does not fit the document or the operation it
	// was combined with: it reaches past the end, or would split a surrogate pair.
	ErrMismatch = errors.New("operation does not fit the document")
	// ErrLimit: a limit of Limits was passed.
	ErrLimit = errors.New("limit passed")
	// ErrComponents: it was Limits.MaxComponents.
	ErrComponents = fmt.Errorf("%w: too many components", ErrLimit)
)

// Type is a kind of document: its operations, their algebra and their encodings.
// A Type is stateless and safe for concurrent use. No method changes or keeps
// its arguments; byte slices handed in are not kept, byte slices handed out
// belong to the caller.
//
// Laws, for every document d and operations a, b that fit it, with "=" meaning
// equal encodings. Ops that follow one another are written a·b.
//
//	Identity   Apply(d, Identity()) = d
//	Compose    Apply(Apply(d, a), b) = Apply(d, Compose(a, b))
//	Associate  Apply(d, Compose(Compose(a, b), c)) = Apply(d, Compose(a, Compose(b, c)))
//	TP1        Apply(Apply(d, a), Transform(b, a, Right))
//	             = Apply(Apply(d, b), Transform(a, b, Left))
//	Invert     Apply(Apply(d, a), Invert(d, a)) = d
//	Canonical  every Op returned by any method is in canonical form:
//	             DecodeOp(AppendOp(nil, op)) succeeds and equals op
//	Round trip DecodeOp∘AppendOp, UnmarshalOp∘MarshalOp, DecodeDoc∘AppendDoc and
//	             UnmarshalDoc∘MarshalDoc are the identity
//
// Transform does not distribute over Compose for every type:
// Transform(p, Compose(a, b), s) may differ from
// Transform(Transform(p, a, s), b, s). Whoever composes operations for a reader
// must transform that reader's operations over the same composites.
//
// package ottest checks any Type against these laws.
type Type interface {
	// Name is the type's stable name: stored with each document and spoken on
	// the wire, for example "text".
	Name() string

	// Apply returns the document after op. It fails with ErrMismatch when op
	// does not fit d; d is unchanged in every case.
	Apply(d Doc, op Op) (Doc, error)
	// Identity returns the operation that changes nothing.
	Identity() Op
	// IsIdentity reports whether op changes nothing in any document.
	IsIdentity(op Op) bool
	// Compose returns the one operation that does what a and then b do.
	// It fails with ErrMismatch when b does not fit after a, as far as that can
	// be told without the document.
	Compose(a, b Op) (Op, error)
	// ComposeAll composes ops in order, in time near-linear in their total size.
	// No ops compose to the identity. Where operations may say of a document what is not
	// so, and Compose takes them at their word, ComposeAll does not: it does what they
	// do one after another.
	ComposeAll(ops []Op) (Op, error)
	// ComposeStored is ComposeAll of operations in binary form; for catching up on
	// thousands of them. Errors are those of UnmarshalOp and Compose.
	ComposeStored(ops [][]byte) (Op, error)
	// Transform returns op as it must read after over was applied, when both
	// were made on the same document and op stands on the given side of over. It
	// fails with ErrLimit when the result would pass the type's own bounds.
	Transform(op, over Op, side Side) (Op, error)
	// TransformAll returns op as it must read after all of over, which follow one
	// another, were applied: what Transform returns over each of them in turn.
	TransformAll(op Op, over []Op, side Side) (Op, error)
	// Invert returns the operation that takes op back, where d is the document
	// op was applied to.
	Invert(d Doc, op Op) (Op, error)
	// TransformCursor moves a cursor over an operation. On the Left it stays
	// before text inserted exactly at it, on the Right it moves behind it.
	TransformCursor(c Cursor, op Op, side Side) Cursor
	// CheckCursor fails with ErrMismatch when c reaches outside d.
	CheckCursor(d Doc, c Cursor) error

	// DecodeOp reads an operation in its JSON wire form, strictly: only the
	// canonical form is accepted (ErrSyntax, ErrLimit). Nothing is allocated in
	// proportion to a number that the input merely names.
	DecodeOp(data []byte, lim Limits) (Op, error)
	// AppendOp appends the JSON wire form of op.
	AppendOp(dst []byte, op Op) []byte
	// UnmarshalOp reads an operation's compact binary form, as kept on disk.
	UnmarshalOp(data []byte) (Op, error)
	// MarshalOp appends the compact binary form of op.
	MarshalOp(dst []byte, op Op) []byte

	// Create returns the document with the given content in JSON wire form, or
	// the empty document when content is nil. Strict like DecodeOp.
	Create(content []byte) (Doc, error)
	// AppendDoc appends the JSON wire form of d.
	AppendDoc(dst []byte, d Doc) []byte
	// UnmarshalDoc reads a document's binary form, as kept in snapshots.
	UnmarshalDoc(data []byte) (Doc, error)
	// MarshalDoc appends the binary form of d.
	MarshalDoc(dst []byte, d Doc) []byte
	// Size returns the length of MarshalDoc's form in bytes, in O(1) or near it.
	Size(d Doc) int
	// Checksum returns a CRC-32C that a client can recompute from the content
	// alone; each type says over which bytes.
	Checksum(d Doc) uint32

	// DecodeCursor reads a cursor in its JSON wire form, strictly.
	DecodeCursor(data []byte, lim Limits) (Cursor, error)
	// AppendCursor appends the JSON wire form of c.
	AppendCursor(dst []byte, c Cursor) []byte

	// Cost returns the number of components of op: what one Transform or
	// Compose with it costs, for budgets.
	Cost(op Op) int
}

// Pairwise is a Type whose Transform meets every component of one operation with every
// component of the other, so that it takes time in proportion to the product of their
// costs, not to the sum.
type Pairwise interface {
	Type
	// Pairwise does nothing.
	Pairwise()
}

// Weighty is a Type whose documents take more memory than about what Size says.
type Weighty interface {
	Type
	// Weight returns about how many bytes of memory a byte of Size takes at most.
	Weight() int
}

// Weight returns about how many bytes of memory a byte of Size takes of a type's documents.
func Weight(t Type) int {
	if w, ok := t.(Weighty); ok {
		return w.Weight()
	}
	return 1
}

// TransformCost returns what it costs to transform each of ops over each of over, in
// components walked, for budgets; at most math.MaxInt.
func TransformCost(t Type, ops, over []Op) int {
	a, b := totalCost(t, ops), totalCost(t, over)
	if _, ok := t.(Pairwise); !ok {
		return a*len(over) + b*len(ops)
	}
	if b > 0 && a > math.MaxInt/b {
		return math.MaxInt
	}
	return a * b
}

func totalCost(t Type, ops []Op) (sum int) {
	for _, op := range ops {
		sum += t.Cost(op)
	}
	return sum
}

// ComposeBalanced composes ops pairwise, then the results pairwise, and so on:
// O(log n) passes over the total size, where folding onto one growing result
// would be quadratic. Types use it as their ComposeAll unless they know better.
func ComposeBalanced(t Type, ops []Op) (Op, error) {
	switch len(ops) {
	case 0:
		return t.Identity(), nil
	case 1:
		return ops[0], nil
	}
	level := append([]Op(nil), ops...)
	for len(level) > 1 {
		n := 0
		for i := 0; i < len(level); i += 2 {
			op := level[i]
			if i+1 < len(level) {
				var err error
				if op, err = t.Compose(op, level[i+1]); err != nil {
					return nil, err
				}
			}
			level[n] = op
			n++
		}
		level = level[:n]
	}
	return level[0], nil
}

// ComposeStoredBalanced is ComposeBalanced of what t.UnmarshalOp makes of stored: the
// ComposeStored of types that do not know better.
func ComposeStoredBalanced(t Type, stored [][]byte) (Op, error) {
	ops, err := UnmarshalAll(t, stored)
	if err != nil {
		return nil, err
	}
	return ComposeBalanced(t, ops)
}

// UnmarshalAll is t.UnmarshalOp of each of stored.
func UnmarshalAll(t Type, stored [][]byte) ([]Op, error) {
	ops := make([]Op, len(stored))
	for i, data := range stored {
		var err error
		if ops[i], err = t.UnmarshalOp(data); err != nil {
			return nil, err
		}
	}
	return ops, nil
}

// TransformEach transforms op over each of over in turn: the TransformAll of types that
// do not know better.
func TransformEach(t Type, op Op, over []Op, side Side) (Op, error) {
	for _, x := range over {
		var err error
		if op, err = t.Transform(op, x, side); err != nil {
			return nil, err
		}
	}
	return op, nil
}
