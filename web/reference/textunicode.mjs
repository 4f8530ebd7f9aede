// Cases of the type text-unicode, answered by ot-text-unicode:
//   node reference/textunicode.mjs <cases> <seed>
//
// A case holds a document `doc`, operations `a` and `p` on it and `b` after `a`, and
// what the reference makes of them, with the deleted texts left out of operations:
//   after      apply(doc, a)              composed  compose(a, b)
//   left       transform(p, a, 'left')    right     transform(p, a, 'right')
//   inverse    invertWithDoc(a, doc)      moved     transformSelection(selection, a)
// `loose` is an operation on `doc` that need not be canonical and may hold deleted
// texts, with `accepted`, whether checkOp takes it, and `normal`, what normalize makes
// of it.
import otText from 'ot-text-unicode'
import {emit, flush, random, wanted} from './cases.mjs'

const {type} = otText
const {cases, seed} = wanted()
const next = random(seed)

// One to four bytes of UTF-8, one or two UTF-16 units, what JSON escapes, and code points
// that make one character with others.
const alphabet = [...'ab"\n\u0001éж中\u2028\ufeff\uffff🌍👩𐍈\u{10ffff}', 'e\u0301', '👩\u200d🚀', '🇪🇺', '👍🏽']

function words(n) {
  let text = ''
  for (; n > 0; n--) text += alphabet[next(alphabet.length)]
  return text
}

/** Returns a random operation on the code points `points`, not normalised. */
function draw(points, size) {
  const op = []
  let at = 0
  for (let n = next(size + 1); n > 0; n--) {
    const length = Math.min(next(1 + next(size)), points.length - at)
    switch (next(4)) {
      case 0:
        op.push(length)
        at += length
        break
      case 1:
        op.push({d: length})
        at += length
        break
      case 2:
        op.push({d: points.slice(at, at + length).join('')})
        at += length
        break
      case 3:
        op.push(words(next(3)))
    }
  }
  return op
}

const copy = (op) => structuredClone(op) // as normalize writes into its argument
const canonical = (op) => type.normalize(copy(op))
const plain = (op) => type.stripInvertible(op)
const accepts = (op) => {
  try {
    type.checkOp(op)
    return true
  } catch {
    return false
  }
}

for (let i = 0; i < cases; i++) {
  const size = 1 + Math.floor((i * 12) / cases)
  const doc = words(next(size + 1))
  const points = [...doc]
  const loose = draw(points, size)
  const a = canonical(loose)
  const p = canonical(draw(points, size))
  const after = type.apply(doc, a)
  const b = canonical(draw([...after], size))
  const selection = [next(points.length + 1), next(points.length + 1)]
  emit({
    doc, after, selection, loose,
    accepted: accepts(loose),
    normal: plain(a),
    a: plain(a),
    b: plain(b),
    p: plain(p),
    composed: plain(type.compose(a, b)),
    left: plain(type.transform(p, a, 'left')),
    right: plain(type.transform(p, a, 'right')),
    inverse: plain(type.invertWithDoc(a, doc)),
    moved: type.transformSelection(selection, a),
  })
}
flush()
