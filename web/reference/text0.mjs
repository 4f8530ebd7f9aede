// Cases of text0, answered by ot-json0's lib/text0.js.
//
// A line is {"fits":…,"d":…,"a":…,"b":…,"n":…,…}: two operations a and b on the document d,
// and n on the document after a. Where "fits" is false, b was made on another document;
// then what the reference answers over a and b may be an error, which is written as null.
import {createRequire} from 'node:module'
import {emit, flush, random, wanted} from './cases.mjs'

const text0 = createRequire(import.meta.url)('ot-json0/lib/text0.js')
const {cases, seed} = wanted()
const pick = random(seed)

const letters = ['a', 'b', 'a', 'b', 'é', '中', '🌍', '👩', '\n', '"', '\u2028', '\\']
/** Letters of one unit: over operations that do not fit, the reference splits pairs. */
const narrow = letters.filter((letter) => letter.length === 1)

const word = (from, n) => Array.from({length: n}, () => from[pick(from.length)]).join('')

/** Returns a position in doc that splits no character. */
const position = (doc) => Array.from(doc).slice(0, pick(Array.from(doc).length + 1)).join('').length

/** Returns an operation on doc and the document after it; now and then not as append would write it. */
function operation(doc, from) {
  const op = []
  const merge = pick(4) > 0
  for (let n = pick(5); n > 0; n--) {
    const ends = [position(doc), position(doc)].sort((a, b) => a - b)
    const c = pick(2) === 0 ? {p: ends[0], i: word(from, pick(8) === 0 ? 0 : 1 + pick(3))} : {p: ends[0], d: doc.slice(...ends)}
    doc = text0.apply(doc, [c])
    if (merge) text0._append(op, c)
    else op.push(c)
  }
  return [op, doc]
}

/** Returns an operation with the members of its components in order. */
const written = (op) => op.map(({p, i, d}) => (i === undefined ? {p, d} : {p, i}))

/** Returns what answer does, null when it throws. */
function attempt(answer) {
  try {
    return written(answer())
  } catch {
    return null
  }
}

for (let n = 0; n < cases; n++) {
  const fits = pick(5) > 0
  const from = fits ? letters : narrow
  const d = word(from, pick(12))
  const [a, da] = operation(d, from)
  const [b] = operation(fits ? d : word(from, pick(12)), from)
  const [next] = operation(da, from)
  const at = position(d)
  emit({
    fits, d, a: written(a), b: written(b), n: written(next), da,
    compose: attempt(() => text0.compose(a, next)),
    normal: attempt(() => text0.normalize(a)),
    invert: attempt(() => text0.invert(a)),
    left: attempt(() => text0.transform(a, b, 'left')),
    right: attempt(() => text0.transform(a, b, 'right')),
    cursor: [at, text0.transformCursor(at, a, 'left'), text0.transformCursor(at, a, 'right')],
  })
}
flush()
