package delta

import (
	"bytes"
	"encoding/binary"

	"quire/ot/text"
)

// Operations that insert plain text or delete, at one place, are packed as those of plain
// text are, in its binary form; any other with odd before it, which begins none of these.
const odd = 3

// Pack rearranges operations into columns; see ot.Packer. It takes any operations.
func (Type) Pack(ops [][]byte) [][]byte {
	plain := make([][]byte, len(ops))
	for i, op := range ops {
		p, ok := toPlain(op)
		if !ok {
			p = append([]byte{odd}, op...)
		}
		plain[i] = p
	}
	return text.Type{}.Pack(plain)
}

// Unpack returns operations that Pack rearranged; see ot.Packer.
func (Type) Unpack(columns [][]byte, n, from, to int) ([][]byte, error) {
	ops, err := text.Type{}.Unpack(columns, n, from, to)
	for i, p := range ops {
		if len(p) > 0 && p[0] == odd {
			ops[i] = p[1:]
		} else {
			ops[i] = fromPlain(p)
		}
	}
	return ops, err
}

// toPlain returns an operation in the binary form of plain text; ok says that fromPlain
// returns what it was.
func toPlain(op []byte) (plain []byte, ok bool) {
	for rest := op; len(rest) > 0; {
		head, n := binary.Uvarint(rest)
		if n <= 0 || head&hasAttributes != 0 || head&3 == embedCode {
			return nil, false
		}
		rest = rest[n:]
		kind, length := head&3, head>>lengthShift
		var s []byte
		if kind == uint64(Insert) {
			end := bytes.IndexByte(rest, endOfText)
			if end < 0 {
				return nil, false
			}
			s, rest, length = rest[:end], rest[end+1:], uint64(end)
		}
		plain = append(binary.AppendUvarint(plain, length<<2|kind), s...)
	}
	return plain, bytes.Equal(fromPlain(plain), op)
}

// fromPlain is the inverse of toPlain. Of what toPlain does not make it makes anything.
func fromPlain(plain []byte) (op []byte) {
	for len(plain) > 0 {
		head, n := binary.Uvarint(plain)
		if n <= 0 {
			return append(op, plain...)
		}
		plain = plain[n:]
		kind, length := head&3, head>>2
		if kind != uint64(Insert) {
			op = binary.AppendUvarint(op, length<<lengthShift|kind)
			continue
		}
		length = min(length, uint64(len(plain)))
		op = append(append(append(op, byte(Insert)), plain[:length]...), endOfText)
		plain = plain[length:]
	}
	return op
}
