package text_test

import (
	"fmt"

	"quire/ot"
	"quire/ot/text"
)

// Two people edit one document at the same time. Each applies the own operation
// at once and the other's transformed; both end with the same text.
func Example() {
	d, _ := text.FromString("Hello")
	a, _ := text.Decode([]byte(`[5," Ada"]`), ot.Limits{})
	b, _ := text.Decode([]byte(`["Oh. ",5,"!"]`), ot.Limits{})

	afterA, _ := d.Apply(a)
	thenB, _ := text.Transform(b, a, ot.Right)
	viaA, _ := afterA.Apply(thenB)

	afterB, _ := d.Apply(b)
	thenA, _ := text.Transform(a, b, ot.Left)
	viaB, _ := afterB.Apply(thenA)

	fmt.Println(viaA)
	fmt.Println(viaB)
	// Output:
	// Oh. Hello Ada!
	// Oh. Hello Ada!
}

func ExampleBuilder() {
	var b text.Builder
	b.Retain(5)
	b.Delete(4)
	b.Insert("Bob")
	op, err := b.Op()
	fmt.Println(string(op.AppendJSON(nil)), err)
	// Output: [5,-4,"Bob"] <nil>
}

func ExampleInvert() {
	d, _ := text.FromString("Hello Ada")
	op, _ := text.Decode([]byte(`[6,-3,"Bob"]`), ot.Limits{})
	after, _ := d.Apply(op)
	inverse, _ := text.Invert(d, op)
	before, _ := after.Apply(inverse)
	fmt.Println(after, "|", string(inverse.AppendJSON(nil)), "|", before)
	// Output: Hello Bob | [6,"Ada",-3] | Hello Ada
}

func ExampleCursor_Transform() {
	c := text.Cursor{{5, 5}}
	op, _ := text.Decode([]byte(`[5,"!"]`), ot.Limits{})
	fmt.Println(c.Transform(op, ot.Left), c.Transform(op, ot.Right))
	// Output: [[5 5]] [[6 6]]
}

func ExampleDoc_FromUnitsToRunes() {
	d, _ := text.FromString("a🌍b")
	fmt.Println(d.FromUnitsToRunes(3))
	_, err := d.FromUnitsToRunes(2)
	fmt.Println(err)
	// Output:
	// 2 <nil>
	// operation does not fit the document: position 2 is inside a character
}
