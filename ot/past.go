package ot

// What a Type may offer beside its algebra, for looking back at what was done to a
// document. Each is an interface of its own, since the server does without.

// Measured is a Type that can say how much an operation does, and how much a document holds.
type Measured interface {
	Type
	// Measure returns how much op puts in and takes out, for people to read: in
	// characters of text as the type counts them; an embedded object, a number or
	// another value that is not text counts 1.
	Measure(op Op) (inserted, deleted int)
	// MeasureDoc returns how much is in d, counted likewise; 0 in the empty document.
	MeasureDoc(d Doc) int
}

// Origin says where a part of a document comes from: a number that the caller of
// Trace.Apply chooses, such as the revision that an operation led to.
type Origin int64

// Span is a part of a document that comes from one operation.
type Span struct {
	// Path leads to the value in a JSON document that the span lies in, as a JSON array
	// of names and indexes; nil in documents that are one row of text.
	Path []byte
	// Start and Length are in the type's unit, within the text at Path. Both are 0 for
	// a value that is not text; then the span is of the value and of everything in it that
	// has no span of its own.
	Start, Length int
	Origin        Origin
}

// Tracer is a Type that can follow where the parts of a document come from.
type Tracer interface {
	Type
	// Trace begins to follow d, all of which comes from origin.
	Trace(d Doc, origin Origin) Trace
	// UnmarshalTrace reads what Trace.Marshal wrote. Damaged data is ErrSyntax.
	UnmarshalTrace(data []byte) (Trace, error)
}

// Trace is where the parts of one document come from. It changes with Apply; not safe
// for concurrent use.
type Trace interface {
	// Apply follows op, which was applied to the document that the trace is of: what
	// it puts in comes from origin, and so does, where a type has attributes, text
	// whose attributes it changes. It fails with ErrMismatch when op does not fit.
	// A million operations take seconds at most.
	Apply(op Op, origin Origin) error
	// Spans returns the spans in the document's order, neighbours of one origin
	// merged. The slice is the caller's.
	Spans() []Span
	// Marshal appends the trace in binary form.
	Marshal(dst []byte) []byte
	// Clone returns an independent copy.
	Clone() Trace
}

// Packer is a Type whose operations in binary form can be rearranged so that they take
// little space when compressed.
type Packer interface {
	Type
	// Pack rearranges operations in binary form, as MarshalOp made them, into a few
	// columns, such as positions, lengths and text. It returns nil when it cannot
	// (operations that would not come out byte for byte).
	Pack(ops [][]byte) (columns [][]byte)
	// Unpack returns operations [from, to) of the n that Pack was given, in memory of
	// their own; columns are left as they are. It costs little more than going over the
	// columns, however few operations are asked for. Damaged columns are ErrSyntax or give
	// other operations; nothing is allocated in proportion to a number they merely name,
	// but to to-from.
	Unpack(columns [][]byte, n, from, to int) (ops [][]byte, err error)
}

// Redactor is a Type that can take words out of what is recorded.
type Redactor interface {
	Type
	// Redact begins going through a document's past, of which d is the content at
	// the oldest revision, to put filler in the place of every occurrence of secret
	// (valid UTF-8, not empty) in any revision.
	Redact(d Doc, secret string) Redaction
}

// Redaction goes through a document's past twice, or more often: it is shown every operation in
// order with See, and after Seen, Doc, and Op with every operation in the same order, return what is to be
// kept instead. Lengths, and so positions, stay what they were. Between the times it keeps what it found and
// no content. Not safe for concurrent use.
type Redaction interface {
	// See takes in the next operation. It fails with ErrMismatch when it does not fit.
	See(op Op) error
	// Size returns the Size of the content that the operations led to that were seen.
	Size() int
	// Seen ends the first time through, letting go of what only that needs, and reports whether there
	// is anything to redact in what was shown.
	Seen() bool
	// Doc returns d, the oldest content as Redact was given it, with filler in it; call it after Seen. Calling it again
	// begins another time through.
	Doc(d Doc) Doc
	// Op returns the next operation with filler in it, and whether it is another than
	// it was; call it after Doc. before is the content that it is an operation on, with filler in it: what
	// Doc and the operations that were returned since make.
	Op(op Op, before Doc) (Op, bool)
}
