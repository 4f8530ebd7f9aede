// Package jsonscan reads JSON (RFC 8259) strictly, straight from the bytes, for
// the decoders of the document types. Int accepts one spelling where JSON allows
// several: no fraction, no exponent, no minus zero; strings must be valid UTF-8 and
// hold no unpaired surrogate, escaped or not. Nothing is allocated but the strings
// it returns, which are never longer than their input.
package jsonscan

import (
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"quire/ot"
)

// Scanner walks over one JSON text. It reads from the slice it was made with
// and keeps no part of it in what it returns. Not safe for concurrent use.
type Scanner struct {
	data []byte
	pos  int
}

// New returns a Scanner at the start of data, which must not change while it is
// in use.
func New(data []byte) Scanner { return Scanner{data: data} }

// Peek returns the first byte of the next token, or 0 at the end of the text.
// Whitespace before it is skipped.
func (s *Scanner) Peek() byte {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// Take steps over the next token if it is the one byte c, such as '[' or ',',
// and reports whether it was.
func (s *Scanner) Take(c byte) bool {
	if s.Peek() != c || s.pos == len(s.data) {
		return false
	}
	s.pos++
	return true
}

// Null steps over the word null if it is next, and reports whether it was.
func (s *Scanner) Null() bool { return s.Word("null") }

// Word steps over a word such as true if it is next, and reports whether it was.
func (s *Scanner) Word(word string) bool {
	if s.Peek(); len(s.data)-s.pos < len(word) || string(s.data[s.pos:s.pos+len(word)]) != word {
		return false
	}
	s.pos += len(word)
	return true
}

// Number reads a number of any spelling as the double nearest to it; minus zero
// becomes zero. It fails with ot.ErrSyntax when there is none and with ot.ErrLimit
// past the largest double.
func (s *Scanner) Number() (float64, error) {
	s.Peek()
	i := s.pos
	digits := func() bool {
		first := i
		for i < len(s.data) && s.data[i]-'0' <= 9 {
			i++
		}
		return i > first
	}
	is := func(c byte) bool { return i < len(s.data) && s.data[i]|0x20 == c|0x20 }
	if is('-') {
		i++
	}
	first := i
	ok := digits() && (s.data[first] != '0' || i == first+1)
	if ok && i < len(s.data) && s.data[i] == '.' {
		i++
		ok = digits()
	}
	if ok && is('e') {
		i++
		if i < len(s.data) && (s.data[i] == '+' || s.data[i] == '-') {
			i++
		}
		ok = digits()
	}
	if !ok {
		return 0, s.Fail("number expected")
	}
	f, err := strconv.ParseFloat(string(s.data[s.pos:i]), 64)
	if err != nil {
		return 0, fmt.Errorf("%w: number at byte %d is too large", ot.ErrLimit, s.pos)
	}
	s.pos = i
	return f + 0, nil
}

// Array reads an array; item has to read one item and is called for each.
func (s *Scanner) Array(item func() error) error { return s.list('[', ']', "array", item) }

// Object reads an object; member has to read the value of a name and is called for
// each, in order, also for a name that comes again.
func (s *Scanner) Object(member func(name string) error) error {
	return s.list('{', '}', "object", func() error {
		name, err := s.String()
		if err != nil {
			return err
		}
		if !s.Take(':') {
			return s.Fail("colon expected")
		}
		return member(name)
	})
}

func (s *Scanner) list(open, end byte, what string, item func() error) error {
	if !s.Take(open) {
		return s.Fail(what + " expected")
	}
	for more := !s.Take(end); more; {
		if err := item(); err != nil {
			return err
		}
		if more = s.Take(','); !more && !s.Take(end) {
			return s.Fail("comma or end of " + what + " expected")
		}
	}
	return nil
}

// End fails with ot.ErrSyntax unless only whitespace is left.
func (s *Scanner) End() error {
	if s.Peek(); s.pos < len(s.data) {
		return s.Fail("text after the end")
	}
	return nil
}

// Fail returns an error that wraps ot.ErrSyntax, with what is wrong and where.
func (s *Scanner) Fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d", ot.ErrSyntax, what, s.pos)
}

// Int reads an integer of magnitude at most limit, which must be below 1<<58.
// It fails with ot.ErrSyntax for anything but an optional minus sign and digits
// without a leading zero (0 itself is accepted, -0 is not), and with ot.ErrLimit
// past the limit.
func (s *Scanner) Int(limit int) (int, error) {
	s.Peek()
	i, sign := s.pos, 1
	if i < len(s.data) && s.data[i] == '-' {
		sign = -1
		i++
	}
	first, n := i, 0
	for i < len(s.data) && s.data[i]-'0' <= 9 {
		n = n*10 + int(s.data[i]-'0')
		if n > limit {
			return 0, fmt.Errorf("%w: number at byte %d is past %d", ot.ErrLimit, s.pos, limit)
		}
		i++
	}
	switch {
	case i == first:
		return 0, s.Fail("integer expected")
	case s.data[first] == '0' && (i > first+1 || sign < 0):
		return 0, s.Fail("integer with a leading zero or minus zero")
	case i < len(s.data) && (s.data[i] == '.' || s.data[i]|0x20 == 'e'):
		return 0, s.Fail("fraction or exponent")
	}
	s.pos = i
	return sign * n, nil
}

// String reads a string. It fails with ot.ErrSyntax when the string does not
// end, holds a raw control character, invalid UTF-8, an unknown escape or an
// unpaired surrogate.
func (s *Scanner) String() (string, error) {
	if !s.Take('"') {
		return "", s.Fail("string expected")
	}
	var high, escaped bool
	for i := s.pos; i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '"':
			raw := s.data[s.pos:i]
			if high && !utf8.Valid(raw) {
				return "", s.Fail("string of invalid UTF-8")
			}
			if escaped {
				return s.unescape(i)
			}
			s.pos = i + 1
			return string(raw), nil
		case c == '\\':
			escaped = true
			i++
		case c >= utf8.RuneSelf:
			high = true
		case c < ' ':
			return "", s.Fail("control character in a string")
		}
	}
	return "", s.Fail("string without an end")
}

// Raw steps over the next value, whatever it is, and returns its bytes, which belong
// to the scanned slice. Only strings and the depth of brackets are looked at: whoever
// decodes the value checks the rest. It fails with ot.ErrSyntax when there is no
// value or it does not end.
func (s *Scanner) Raw() ([]byte, error) {
	s.Peek()
	start, depth := s.pos, 0
	for i := s.pos; i < len(s.data); i++ {
		switch s.data[i] {
		case '"':
			s.pos = i
			name, err := s.Name()
			if err != nil {
				return nil, err
			}
			i += len(name) - 1
		case '[', '{':
			depth++
			continue
		case ']', '}':
			if depth == 0 {
				return s.upTo(start, i)
			}
			depth--
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return s.upTo(start, i)
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return s.upTo(start, i+1)
		}
	}
	if depth > 0 {
		return nil, s.Fail("value without an end")
	}
	return s.upTo(start, len(s.data))
}

// Name steps over the name of an object's member and returns its bytes with the
// quotes, escapes as they are.
func (s *Scanner) Name() ([]byte, error) {
	if s.Peek() != '"' {
		return nil, s.Fail("name expected")
	}
	start := s.pos
	for i := start + 1; i < len(s.data); i++ {
		switch s.data[i] {
		case '"':
			return s.upTo(start, i+1)
		case '\\':
			i++
		}
	}
	return nil, s.Fail("name without an end")
}

// upTo ends a raw value.
func (s *Scanner) upTo(start, end int) ([]byte, error) {
	if start == end {
		return nil, s.Fail("value expected")
	}
	s.pos = end
	return s.data[start:end:end], nil
}

// unescape reads the string that ends before the quote at end.
func (s *Scanner) unescape(end int) (string, error) {
	text := make([]byte, 0, end-s.pos)
	for s.pos < end {
		c := s.data[s.pos]
		s.pos++
		if c != '\\' {
			text = append(text, c)
			continue
		}
		c = s.data[s.pos]
		s.pos++
		switch c {
		case '"', '\\', '/':
			text = append(text, c)
		case 'b':
			text = append(text, '\b')
		case 'f':
			text = append(text, '\f')
		case 'n':
			text = append(text, '\n')
		case 'r':
			text = append(text, '\r')
		case 't':
			text = append(text, '\t')
		case 'u':
			r, ok := s.hex(end)
			if ok && utf16.IsSurrogate(r) {
				ok = end-s.pos > 2 && s.data[s.pos] == '\\' && s.data[s.pos+1] == 'u'
				if ok {
					s.pos += 2
					var low rune
					if low, ok = s.hex(end); ok {
						r = utf16.DecodeRune(r, low)
						ok = r != utf8.RuneError
					}
				}
			}
			if !ok {
				return "", s.Fail("bad \\u escape or unpaired surrogate")
			}
			text = utf8.AppendRune(text, r)
		default:
			return "", s.Fail("unknown escape")
		}
	}
	s.pos = end + 1
	return string(text), nil
}

// hex reads four hexadecimal digits that must lie before end.
func (s *Scanner) hex(end int) (rune, bool) {
	if end-s.pos < 4 {
		return 0, false
	}
	var r rune
	for _, c := range s.data[s.pos : s.pos+4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	s.pos += 4
	return r, true
}
