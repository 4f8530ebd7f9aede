package diff

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Bounds on what is compared token by token; what is larger is replaced whole.
const (
	maxLines = 1 << 21 // of both texts together
	maxClose = 8 << 20 // bytes of a stretch of both texts that is compared by characters
)

// Bytes of a line after which it may be cut, at first and then each time.
const (
	longLine  = 512
	longPiece = 32
)

// characters returns the edits in bytes that lead from x to y, both valid UTF-8. They
// begin and end between characters as people see them, in both texts.
func characters(x, y string, left *budget) []edit {
	whole := wholeLines(x, y)
	if strings.Count(x[whole.Start:whole.End], "\n")+strings.Count(y[whole.ReplStart:whole.ReplEnd], "\n") > maxLines {
		shrink(x, y, &whole)
		return []edit{whole}
	}
	var out []edit
	t := texts{x, y, left}
	for _, e := range t.compare(whole, cutLines, true) {
		if shrink(x, y, &e); size(&e) > 0 {
			out = append(out, t.closer(e)...)
		}
	}
	return out
}

// texts are two texts that are being compared.
type texts struct {
	x, y string
	left *budget
}

// closer returns the edits within one stretch of lines.
func (t *texts) closer(e edit) []edit {
	if !twoSided(&e) || size(&e) > maxClose || !t.left.spend(4*size(&e)) {
		return []edit{e}
	}
	edits := t.compare(e, cutCharacters, false)
	if changed(edits) > exact && t.left.spend(8*size(&e)) {
		edits = edits[:0]
		for _, w := range t.compare(e, cutWords, true) {
			if shrink(t.x, t.y, &w); size(&w) > 0 {
				edits = append(edits, t.compare(w, cutCharacters, false)...)
			}
		}
	}
	return tidy(t.x, edits)
}

// compare returns the edits within e that leave alone the tokens that cut makes of both
// sides and that are the same.
func (t *texts) compare(e edit, cut func(string) iter.Seq[string], unique bool) []edit {
	if !twoSided(&e) {
		if size(&e) == 0 {
			return nil
		}
		return []edit{e}
	}
	numbers := map[string]rune{}
	var lengths []int32 // of tokens, by number
	number := func(s string) (tokens []rune, ends []int32) {
		at := 0
		for token := range cut(s) {
			n, ok := numbers[token]
			if !ok {
				n = rune(len(numbers))
				numbers[token] = n
				lengths = append(lengths, int32(len(token)))
			}
			at += len(token)
			tokens, ends = append(tokens, n), append(ends, int32(at))
		}
		return tokens, ends
	}
	a, aEnds := number(t.x[e.Start:e.End])
	b, bEnds := number(t.y[e.ReplStart:e.ReplEnd])
	edits := match(a, b, unique, lengths, t.left)
	end := func(ends []int32, n int) int {
		if n == 0 {
			return 0
		}
		return int(ends[n-1])
	}
	for i := range edits {
		f := &edits[i]
		*f = edit{
			Start: e.Start + end(aEnds, f.Start), End: e.Start + end(aEnds, f.End),
			ReplStart: e.ReplStart + end(bEnds, f.ReplStart), ReplEnd: e.ReplStart + end(bEnds, f.ReplEnd),
		}
	}
	return edits
}

// tidy joins edits that stand so close together that telling them apart costs more than it
// saves: what is the same between them is short, no longer than either of them, and
// has no whole line and no whole word in it. Those stay: somebody else may have changed
// them too, and what is taken out and put in again by both would be there twice.
func tidy(x string, edits []edit) []edit {
	const short = 8 // characters
	longest := func(e *edit) int { return max(e.End-e.Start, e.ReplEnd-e.ReplStart) }
	out := edits[:0]
	for _, e := range edits {
		for len(out) > 0 {
			last := &out[len(out)-1]
			same := x[last.End:e.Start]
			if utf8.RuneCountInString(same) > short || len(same) > min(longest(last), longest(&e)) || holdsLine(x, last.End, e.Start) || holdsWord(x, last.End, e.Start) {
				break
			}
			e.Start, e.ReplStart = last.Start, last.ReplStart
			out = out[:len(out)-1]
		}
		out = append(out, e)
	}
	return out
}

// holdsLine reports whether a whole line of s, with its end, lies in s[from:to].
func holdsLine(s string, from, to int) bool {
	least := 1
	if !lineStart(s, from) {
		least++
	}
	return strings.Count(s[from:to], "\n") >= least
}

// holdsWord reports whether a whole word of s, of two letters or more, lies in s[from:to]. Of a script without
// spaces, any two letters are one.
func holdsWord(s string, from, to int) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:from])
	within := isLetter(before) // a word that began before from
	n, letters := 0, 0         // of a word, and of a script without spaces
	for _, r := range s[from:to] {
		if !isUnspaced(r) {
			letters = 0
		} else if letters++; letters > 1 {
			return true
		}
		switch {
		case !isLetter(r):
			if !within && n > 1 {
				return true
			}
			within, n = false, 0
		default:
			n++
		}
	}
	after, _ := utf8.DecodeRuneInString(s[to:])
	return !within && n > 1 && !isLetter(after)
}

// unspaced are the scripts that are written without spaces between words.
var unspaced = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Yi, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
	unicode.Tibetan, unicode.Tai_Le, unicode.New_Tai_Lue, unicode.Tai_Tham, unicode.Tai_Viet, unicode.Javanese, unicode.Balinese,
}

func isUnspaced(r rune) bool { return r >= 0x0E00 && unicode.IsLetter(r) && unicode.In(r, unspaced...) }

func isLetter(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
}

// shrink takes off e what both texts have at its start and its end, up to where neither
// text has a character that goes on; nothing, when that is not near.
func shrink(x, y string, e *edit) {
	a, b := x[e.Start:e.End], y[e.ReplStart:e.ReplEnd]
	n, most := 0, min(len(a), len(b))
	for n < most && a[n] == b[n] {
		n++
	}
	for end := n; !between(a, n) || !between(b, n); n-- {
		if end-n > longCharacter {
			n = 1
		}
	}
	a, b = a[n:], b[n:]
	m, most := 0, most-n
	for m < most && a[len(a)-1-m] == b[len(b)-1-m] {
		m++
	}
	for end := m; !between(a, len(a)-m) || !between(b, len(b)-m); m-- {
		if end-m > longCharacter {
			m = 1
		}
	}
	*e = edit{Start: e.Start + n, End: e.End - m, ReplStart: e.ReplStart + n, ReplEnd: e.ReplEnd - m}
}

// wholeLines returns the edit that leads from x to y by whole lines and leaves alone the lines that both
// have at their start and at their end.
func wholeLines(x, y string) edit {
	e := edit{End: len(x), ReplEnd: len(y)}
	shrink(x, y, &e)
	e.Start = strings.LastIndexByte(x[:e.Start], '\n') + 1
	e.ReplStart = strings.LastIndexByte(y[:e.ReplStart], '\n') + 1
	if !lineStart(x, e.End) || !lineStart(y, e.ReplEnd) {
		n := len(x) - e.End
		if at := strings.IndexByte(x[e.End:], '\n'); at >= 0 {
			n = at + 1
		}
		e.End += n
		e.ReplEnd += n
	}
	return e
}

func lineStart(s string, at int) bool { return at == 0 || s[at-1] == '\n' }

// longCharacter is how many bytes are looked through for where a character ends.
const longCharacter = 4096

const joiner = '\u200d'

// between reports whether s, valid UTF-8, certainly has no character that goes on across
// byte i, whatever stands further off. (Characters that join the next one to those before them
// are not looked behind.)
func between(s string, i int) bool {
	if i == 0 || i == len(s) {
		return true
	}
	if s[i-1] < utf8.RuneSelf && s[i] < utf8.RuneSelf {
		return s[i-1] != '\r' || s[i] != '\n'
	}
	if !utf8.RuneStart(s[i]) {
		return false
	}
	before, n := utf8.DecodeLastRuneInString(s[:i])
	if before == joiner || unicode.Is(unicode.M, before) {
		return false
	}
	_, m := utf8.DecodeRuneInString(s[i:])
	_, rest, _, _ := uniseg.FirstGraphemeClusterInString(s[i-n:i+m], -1)
	return rest != ""
}

// cutLines yields lines with their ends, and parts of long lines: those are cut where
// the few bytes before say so, so that what is the same is cut the same.
func cutLines(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.Lines(s) {
			for i := longLine; i < len(line); i++ {
				h := uint32(line[i-1])<<24 | uint32(line[i-2])<<16 | uint32(line[i-3])<<8 | uint32(line[i-4])
				if h*0x9E3779B1>>26 == 0 && between(line, i) {
					if !yield(line[:i]) {
						return
					}
					line, i = line[i:], longPiece
				}
			}
			if !yield(line) {
				return
			}
		}
	}
}

// cutCharacters yields what people see as characters.
func cutCharacters(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		state := -1
		for c := ""; s != ""; {
			// Most text is plain letters.
			if s[0] < utf8.RuneSelf && s[0] != '\r' && (len(s) == 1 || s[1] < utf8.RuneSelf) {
				c, s, state = s[:1], s[1:], -1
			} else {
				c, s, _, state = uniseg.FirstGraphemeClusterInString(s, state)
			}
			if !yield(c) {
				return
			}
		}
	}
}

// cutWords yields words and the characters between them, and each character of a script without spaces.
func cutWords(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		n := 0 // bytes of the word that s begins with
		for c := range cutCharacters(s) {
			if r, _ := utf8.DecodeRuneInString(c); (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_') && !isUnspaced(r) {
				n += len(c)
				continue
			}
			if n > 0 && !yield(s[:n]) || !yield(c) {
				return
			}
			s, n = s[n+len(c):], 0
		}
		if n > 0 {
			yield(s)
		}
	}
}
