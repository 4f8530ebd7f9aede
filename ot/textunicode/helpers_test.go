package textunicode_test

import (
	"quire/ot"
	"quire/ot/ottest"
	"quire/ot/text"
	"quire/ot/textunicode"
)

var typ = textunicode.Type{}

// cases returns n, or a tenth of it under the race detector.
func cases(n int) int {
	if ottest.Race {
		return n / 10
	}
	return n
}

// ok returns a result whose error must be nil.
func ok[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func decoded(data []byte) textunicode.Op { return ok(textunicode.Decode(data, ot.Limits{})) }

func op(s string) textunicode.Op { return decoded([]byte(s)) }

func doc(s string) *text.Doc { return ok(text.FromString(s)) }

func str(op textunicode.Op) string { return string(op.AppendJSON(nil)) }

func form(op ot.Op, err error) string { return string(typ.AppendOp(nil, ok(op, err))) }
