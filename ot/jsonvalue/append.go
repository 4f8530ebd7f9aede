package jsonvalue

import (
	"fmt"
	"math"
	"strconv"

	"quire/ot/jsonscan"
)

// Size returns the length in bytes of the written form. It takes O(1) for lists and
// objects.
func Size(v Value) int {
	switch v := v.(type) {
	case string:
		return stringSize(v)
	case *List:
		return 2 + v.size + max(0, len(v.items)-1)
	case *Object:
		return 2 + v.size + max(0, len(v.members)-1)
	}
	var room [32]byte
	return len(Append(room[:0], v))
}

func stringSize(s string) int {
	n := 2
	for i := range len(s) {
		n += int(written[s[i]])
	}
	return n
}

// written is how many bytes each byte of a string is written in.
var written = func() (n [256]uint8) {
	for c := range n {
		switch {
		case c == '"' || c == '\\' || c == '\b' || c == '\f' || c == '\n' || c == '\r' || c == '\t':
			n[c] = 2
		case c < ' ':
			n[c] = 6
		default:
			n[c] = 1
		}
	}
	return n
}()

// Depth returns how many lists and objects lie within one another at most; 0 for
// a value that is neither.
func Depth(v Value) int {
	switch v := v.(type) {
	case *List:
		return v.depth
	case *Object:
		return v.depth
	}
	return 0
}

// Append appends the written form of v.
func Append(dst []byte, v Value) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case float64:
		return appendNumber(dst, v)
	case string:
		return jsonscan.AppendString(dst, v)
	case *List:
		dst = append(dst, '[')
		for i, item := range v.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = Append(dst, item)
		}
		return append(dst, ']')
	case *Object:
		dst = append(dst, '{')
		for i := range v.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(jsonscan.AppendString(dst, v.members[i].Name), ':')
			dst = Append(dst, v.members[i].Value)
		}
		return append(dst, '}')
	}
	panic(fmt.Sprintf("jsonvalue: %T is no Value", v))
}

// appendNumber writes a number as ECMAScript's Number::toString does.
func appendNumber(dst []byte, f float64) []byte {
	abs := math.Abs(f)
	if abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
		if n := len(dst); n >= 4 && dst[n-4] == 'e' && dst[n-2] == '0' { // e-09 is written e-9
			dst[n-2] = dst[n-1]
			dst = dst[:n-1]
		}
		return dst
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}
