package delta_test

import (
	"fmt"

	"quire/ot"
	"quire/ot/delta"
)

// Two people edit one document at the same time, one formatting what the other edits.
// Both end with the same.
func Example() {
	content, _ := delta.Decode([]byte(`[{"insert":"Hello\n"}]`), ot.Limits{})
	a, _ := delta.Decode([]byte(`[{"retain":5,"attributes":{"bold":true}}]`), ot.Limits{})
	b, _ := delta.Decode([]byte(`[{"insert":"Oh. "},{"retain":1},{"insert":"u"},{"delete":1}]`), ot.Limits{})

	d := delta.New(content)
	afterA, _ := d.Apply(a)
	thenB, _ := delta.Transform(b, a, ot.Right)
	viaA, _ := afterA.Apply(thenB)

	afterB, _ := d.Apply(b)
	thenA, _ := delta.Transform(a, b, ot.Left)
	viaB, _ := afterB.Apply(thenA)

	fmt.Println(string(viaA.AppendJSON(nil)))
	fmt.Println(viaA.Checksum() == viaB.Checksum())
	// Output:
	// [{"insert":"Oh. "},{"insert":"H","attributes":{"bold":true}},{"insert":"u"},{"insert":"llo","attributes":{"bold":true}},{"insert":"\n"}]
	// true
}

// ExampleParse reads what a ShareDB client sends.
func ExampleParse() {
	op, err := delta.Parse([]byte(`{"ops":[{"retain":2},{"delete":1},{"insert":"x","attributes":{}},{"insert":"y"},{"retain":4}]}`), ot.Limits{})
	fmt.Println(string(op.AppendJSON(nil)), err)
	// Output: [{"retain":2},{"insert":"xy"},{"delete":1}] <nil>
}

func ExampleBuilder() {
	var b delta.Builder
	b.Retain(5, nil)
	b.Delete(4)
	b.Insert("Bob", attribute("bold", true))
	op, err := b.Op()
	fmt.Println(string(op.AppendJSON(nil)), err)
	// Output: [{"retain":5},{"insert":"Bob","attributes":{"bold":true}},{"delete":4}] <nil>
}

func ExampleTransformPosition() {
	op, _ := delta.Decode([]byte(`[{"retain":5},{"insert":"!"}]`), ot.Limits{})
	fmt.Println(delta.TransformPosition(op, 5, ot.Left), delta.TransformPosition(op, 5, ot.Right))
	// Output: 5 6
}
