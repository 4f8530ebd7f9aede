package json0

import (
	"cmp"
	"fmt"
	"strconv"

	"quire/ot"
	"quire/ot/jsonscan"
	"quire/ot/jsonvalue"
)

// maxIndex is the largest index and offset there is: the default and upper bound of
// ot.Limits.MaxLength.
const maxIndex = 1<<31 - 1

// Key is one step of a path: the name of an object's member or the index of a list's
// item. Keys can be compared with ==, which tells the index 0 from the name "0", as the
// reference's === does. The zero Key is the name "".
type Key struct {
	name string
	step int // 0 for a name, 1 + the index for an index, -1 for nowhere
}

// nowhere is what a path has past its end: JavaScript's undefined.
var nowhere = Key{step: -1}

// Name returns the Key of a member.
func Name(name string) Key { return Key{name: name} }

// Index returns the Key of item i, 0 <= i <= 1<<31 - 1.
func Index(i int) Key { return Key{step: i + 1} }

// IsName reports whether k is a name.
func (k Key) IsName() bool { return k.step == 0 }

// String returns the name, or the index in decimal.
func (k Key) String() string {
	if k.IsName() {
		return k.name
	}
	return strconv.Itoa(k.step - 1)
}

// number returns the index k is or spells, as in JavaScript's Number(k): old ShareDB
// clients give the indexes of lists as strings. It reports false when there is none.
func (k Key) number() (int, bool) {
	if !k.IsName() {
		return k.step - 1, k.step > 0
	}
	n, err := strconv.Atoi(k.name)
	return n, err == nil && n >= 0 && n <= maxIndex && strconv.Itoa(n) == k.name
}

// plus returns k moved by 1 or -1, as ++ and -- do. It fails with ot.ErrLimit past the
// largest index and with ot.ErrMismatch when k is no index: then it is none of a list.
func (k Key) plus(by int) (Key, error) {
	n, ok := k.number()
	switch {
	case !ok || n+by < 0:
		return k, fmt.Errorf("%w: %q is no index of a list", ot.ErrMismatch, k)
	case n+by > maxIndex:
		return k, fmt.Errorf("%w: index %d, limit %d", ot.ErrLimit, n+by, maxIndex)
	}
	return Index(n + by), nil
}

// compare orders keys as JavaScript's < does: two names by their UTF-16 units, otherwise
// by the numbers they spell. It reports false when one spells none.
func (k Key) compare(o Key) (int, bool) {
	if k.IsName() && o.IsName() {
		return jsonvalue.CompareNames(k.name, o.name), true
	}
	a, ok1 := k.number()
	b, ok2 := o.number()
	empty := Key{} // to JavaScript it spells 0
	return cmp.Compare(a, b), (ok1 || k == empty) && (ok2 || o == empty)
}

func (k Key) less(o Key) bool {
	c, ok := k.compare(o)
	return ok && c < 0
}

func (k Key) atMost(o Key) bool {
	c, ok := k.compare(o)
	return ok && c <= 0
}

// equals is JavaScript's ==.
func (k Key) equals(o Key) bool {
	if k.IsName() == o.IsName() {
		return k == o
	}
	c, ok := k.compare(o)
	return ok && c == 0
}

// append appends the JSON form of k.
func (k Key) append(dst []byte) []byte {
	if k.IsName() {
		return jsonscan.AppendString(dst, k.name)
	}
	return strconv.AppendInt(dst, int64(k.step-1), 10)
}

// Path leads from the root of a document to a place in it, one Key for each list and
// object on the way. The empty Path is the root.
type Path []Key

// maxPath is how many keys a path has at most: those that lead to the deepest string
// there can be, and an offset in it.
const maxPath = jsonvalue.DefaultDepth + 1

// at returns key i, or nowhere when there is none.
func (p Path) at(i int) Key {
	if i < 0 || i >= len(p) {
		return nowhere
	}
	return p[i]
}

// last returns the last key.
func (p Path) last() Key { return p.at(len(p) - 1) }

// parent returns all but the last key of a path that is not empty.
func (p Path) parent() Path { return p[: len(p)-1 : len(p)-1] }

// with returns the path with key i, which it has, replaced.
func (p Path) with(i int, k Key) Path {
	out := append(make(Path, 0, len(p)), p...)
	out[i] = k
	return out
}

// AppendJSON appends the JSON form of p: ["items",3,"name"].
func (p Path) AppendJSON(dst []byte) []byte {
	dst = append(dst, '[')
	for i, k := range p {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = k.append(dst)
	}
	return append(dst, ']')
}

// dangerous are the names that a path must not have: in JavaScript they lead to the
// prototypes of all objects.
var dangerous = map[string]bool{
	"__proto__": true, "constructor": true, "__defineGetter__": true, "__defineSetter__": true, "__lookupGetter__": true, "__lookupSetter__": true,
	"hasOwnProperty": true, "isPrototypeOf": true, "propertyIsEnumerable": true, "toLocaleString": true, "toString": true, "valueOf": true,
}

// Reserved reports whether a path cannot have the name, though an object can.
func Reserved(name string) bool { return dangerous[name] }

// readPath reads a path. Indexes are at most limit.
func readPath(in *jsonscan.Scanner, limit int) (Path, error) {
	path := Path{}
	err := in.Array(func() error {
		if len(path) == maxPath {
			return fmt.Errorf("%w: path of more than %d keys", ot.ErrLimit, maxPath)
		}
		k, err := readKey(in, limit)
		path = append(path, k)
		return err
	})
	return path, err
}

// readKey reads one key of a path.
func readKey(in *jsonscan.Scanner, limit int) (Key, error) {
	if in.Peek() != '"' {
		return readIndex(in, limit)
	}
	name, err := in.String()
	if err == nil && dangerous[name] {
		err = in.Fail("Invalid path segment")
	}
	return Name(name), err
}

func readIndex(in *jsonscan.Scanner, limit int) (Key, error) {
	if in.Peek() == '-' {
		return Key{}, in.Fail("negative index")
	}
	n, err := in.Int(limit)
	return Index(n), err
}
