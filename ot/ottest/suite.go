// Package ottest checks document types against the laws that package ot states.
package ottest

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"quire/ot"
)

// Cases is how many random cases Run tries of each law: a fifth of them with the race detector.
const Cases = 2000 / slower

// Plain leaves a test out where the race detector is on: one that computes for long, on one
// goroutine, and is run without it beside the others ("make test-go" does both).
func Plain(t testing.TB) {
	t.Helper()
	if Race {
		t.Skip("run without the race detector")
	}
}

// maxSize is the largest size Run asks a Gen for.
const maxSize = 24

// Run checks typ against every law of ot.Type, each on Cases random cases of
// growing size. A case that fails is shrunk, by looking for one that fails at a
// smaller size, and reported with its seed; QUIRE_SEED=<seed> in the environment
// runs the suite with another seed than 1.
func Run(t *testing.T, typ ot.Type, gen Gen) {
	seed := uint64(1)
	if s := os.Getenv("QUIRE_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("QUIRE_SEED: %v", err)
		}
	}
	for _, l := range slices.Concat(laws, pastLaws) {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			if err := search(typ, gen, l, seed); err != nil {
				t.Error(err)
			}
		})
	}
}

// search returns an error that describes the smallest violation of l it finds.
func search(typ ot.Type, gen Gen, l law, seed uint64) error {
	for i := range Cases {
		size := 1 + i*maxSize/Cases
		err := try(typ, gen, l, seed, i, size)
		if err == nil {
			continue
		}
		for small := 1; small < size; small++ {
			for j := range Cases {
				if smaller := try(typ, gen, l, seed, j, small); smaller != nil {
					return smaller
				}
			}
		}
		return err
	}
	return nil
}

// try runs one case of l. The case depends on nothing but the arguments.
func try(typ ot.Type, gen Gen, l law, seed uint64, number, size int) (err error) {
	h := fnv.New64a()
	h.Write([]byte(l.name))
	r := rand.New(rand.NewPCG(seed, h.Sum64()^uint64(number)<<8^uint64(size)))
	c := &sample{Type: typ, gen: gen, r: r, size: size}
	defer func() {
		if p := recover(); p != nil {
			broken, ok := p.(violation)
			if !ok {
				broken = violation(fmt.Sprintf("panic: %v", p))
			}
			err = fmt.Errorf("%s: %s\nQUIRE_SEED=%d, case %d of size %d:\n%s", l.name, broken, seed, number, size, c)
		}
	}()
	l.check(c)
	c.unchanged()
	return nil
}

// A violation is what a check panics with when a law does not hold.
type violation string

// A sample is one random case: it draws values, remembers how they look for the
// report, and checks at the end that none was changed by what was done with it.
type sample struct {
	ot.Type
	gen  Gen
	r    *rand.Rand
	size int
	kept []keep
}

// A keep is a value that was drawn, and its form when it was new.
type keep struct {
	name, form string
	now        func() string // its form now
}

func (c *sample) keep(name string, now func() string) {
	c.kept = append(c.kept, keep{name, now(), now})
}

func (c *sample) unchanged() {
	for _, k := range c.kept {
		c.equal(k.name+" after use", k.now(), k.form)
	}
}

// String lists what was drawn.
func (c *sample) String() string {
	var s strings.Builder
	for _, k := range c.kept {
		fmt.Fprintf(&s, "  %s = %s\n", k.name, k.form)
	}
	return s.String()
}

func (c *sample) doc() ot.Doc {
	d := c.gen.Doc(c.r, c.size)
	c.keep("doc", func() string { return c.text(d) })
	return d
}

func (c *sample) op(name string, d ot.Doc) ot.Op {
	op := c.gen.Op(c.r, d, c.size)
	c.keep(name, func() string { return c.form(op) })
	return op
}

func (c *sample) cursor(d ot.Doc) ot.Cursor {
	cur := c.gen.Cursor(c.r, d, c.size)
	c.keep("cursor", func() string { return c.place(cur) })
	return cur
}

func (c *sample) side() ot.Side {
	s := ot.Side(c.r.IntN(2))
	c.keep("side", s.String)
	return s
}

// text, form and place give what equality means for each kind of value.
func (c *sample) text(d ot.Doc) string         { return string(c.AppendDoc(nil, d)) }
func (c *sample) form(op ot.Op) string         { return string(c.AppendOp(nil, op)) }
func (c *sample) place(cur ot.Cursor) string   { return string(c.AppendCursor(nil, cur)) }
func (c *sample) fail(format string, a ...any) { panic(violation(fmt.Sprintf(format, a...))) }

func (c *sample) equal(what, got, want string) {
	if got != want {
		c.fail("%s:\n   got %s\n  want %s", what, got, want)
	}
}

// must returns a method's result, which must not be an error.
func must[T any](c *sample, v T, err error) T {
	if err != nil {
		c.fail("unexpected error: %v", err)
	}
	return v
}

// apply, compose and transform are the methods, which must succeed and give
// values in canonical form.
func (c *sample) apply(d ot.Doc, ops ...ot.Op) ot.Doc {
	for _, op := range ops {
		before := c.text(d)
		after, err := c.Apply(d, op)
		must(c, after, err)
		c.equal("document after Apply to it", c.text(d), before)
		d = after
	}
	return d
}

func (c *sample) compose(a, b ot.Op) ot.Op {
	op, err := c.Compose(a, b)
	return c.canonical(must(c, op, err))
}

func (c *sample) transform(op, over ot.Op, side ot.Side) ot.Op {
	op, err := c.Transform(op, over, side)
	return c.canonical(must(c, op, err))
}

func (c *sample) canonical(op ot.Op) ot.Op {
	form := c.form(op)
	again, err := c.DecodeOp([]byte(form), ot.Limits{})
	if err != nil {
		c.fail("%s is not canonical: %v", form, err)
	}
	c.equal("decoded operation", c.form(again), form)
	return op
}

// mismatched fails unless err wraps ot.ErrMismatch.
func (c *sample) mismatched(what string, err error) {
	if !errors.Is(err, ot.ErrMismatch) {
		c.fail("%s: error %v, want ot.ErrMismatch", what, err)
	}
}
