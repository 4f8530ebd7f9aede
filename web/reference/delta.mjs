// Cases of rich text, answered by quill-delta and, at times, by rich-text (which comes
// with a quill-delta of its own), which must agree. Each line holds
//   d: a document, a and p: operations on it, b: one on the document after a
//   da, dab, ab: apply and compose; null where that would split a surrogate pair
//   l, r: p transformed over a, on the left and on the right of it
//   inv: what takes a back (only where a stays within a document of inserts)
//   at: positions, each with where it ends up by a, on the left and on the right
//   raw, parsed, draw: an operation that is not canonical, as push leaves it, and d after it

import Delta from 'quill-delta'
import richText from 'rich-text'
import {emit, flush, random, sorted, wanted} from './cases.mjs'

const {cases, seed} = wanted()
const below = random(seed)
const chars = ['a', 'b', 'é', '中', '🌍', '👩', '\n', '"', '\u0001', '\u2028']
const values = [() => true, () => 'red', () => 2.5, () => 1e21, () => [1, null], () => ({b: null, a: {}}), () => '']

function words(n) {
  let text = ''
  for (let i = 0; i < n; i++) text += chars[below(chars.length)]
  return text
}

/** Draws attributes, often none; with nulls among them if asked for. */
function attributes(nulls) {
  if (below(3) === 0) return undefined
  const drawn = {}
  for (const name of ['bold', 'color', '🌍', '\ue000', ''])
    if (below(5) === 0) drawn[name] = below(3) === 0 && nulls ? null : values[below(values.length)]()
  return Object.keys(drawn).length > 0 ? drawn : undefined
}

/** Draws what an insert puts in. */
function content() {
  switch (below(6)) {
    case 0:
      return {image: words(below(2))}
    case 1:
      return below(4) === 0 ? {} : {formula: {z: [1], a: null}}
  }
  return words(1 + below(4))
}

/** Returns what a delta puts out as a string, a space for each thing that is no text. */
function output(delta) {
  return delta.ops
    .map((c) => (typeof c.insert === 'string' ? c.insert : ' '.repeat(c.insert ? 1 : c.retain ?? 0)))
    .join('')
}

const inside = (text, at) => /[\ud800-\udbff]/.test(text[at - 1] ?? '') && /[\udc00-\udfff]/.test(text[at] ?? '')

/** Tells whether an operation's components would divide a surrogate pair of base. */
function splits(base, delta) {
  const text = output(base)
  let at = 0
  return delta.ops.some((c) => inside(text, (at += c.retain ?? c.delete ?? 0)))
}

/** Draws components that walk over base, and at times past its end. */
function components(base, size, nulls) {
  const text = output(base)
  const drawn = []
  let at = 0
  for (let i = below(size + 1); i > 0; i--) {
    let n = 1 + below(1 + below(6))
    if (at + n > text.length && below(5) > 0) n = Math.max(0, text.length - at)
    if (inside(text, at + n) && below(15) > 0) n++
    const kind = below(5)
    if (kind >= 3 || n === 0) {
      drawn.push({insert: content(), attributes: attributes(nulls && below(4) === 0)})
      continue
    }
    at += n
    drawn.push(kind === 0 ? {delete: n} : {retain: n, attributes: kind === 1 ? attributes(true) : undefined})
  }
  return drawn
}

/** Makes of components what they are to quill-delta. */
function build(list) {
  const delta = new Delta()
  for (const c of list) {
    if (c.insert !== undefined) delta.insert(c.insert, c.attributes)
    else if (c.retain !== undefined) delta.retain(c.retain, c.attributes)
    else delta.delete(c.delete)
  }
  return delta.chop()
}

/** Draws a document: mostly inserts, at times with more behind them. */
function document(size) {
  const list = []
  for (let i = below(size + 1); i > 0; i--) list.push({insert: content(), attributes: attributes(below(8) === 0)})
  if (below(8) === 0) list.push(...components(new Delta(), 4, true))
  return build(list)
}

/** Makes components less canonical than they were. */
function disturb(list) {
  const out = []
  for (const c of list) {
    const {attributes, ...action} = c
    if (typeof c.insert === 'string' && below(3) === 0) {
      const cut = below(c.insert.length + 1)
      if (!inside(c.insert, cut)) {
        out.push({...c, insert: c.insert.slice(0, cut)}, {...c, insert: c.insert.slice(cut)})
        continue
      }
    }
    if (!attributes && below(4) === 0) out.push({attributes: below(2) ? null : {}, ...action})
    else out.push(c)
    if (below(6) === 0) out.push([{retain: 0}, {delete: 0}, {insert: ''}][below(3)])
  }
  if (below(4) === 0) out.push({retain: 1 + below(3)})
  return out
}

const isPlain = (delta) => delta.ops.every((c) => c.insert !== undefined)
const within = (base, delta) => delta.ops.reduce((n, c) => n + (c.retain ?? c.delete ?? 0), 0) <= base.length()

/** Returns the canonical JSON of a delta: what a component does, then its attributes. */
const wire = (delta) =>
  delta.ops.map(({attributes, ...does}) => ({...sorted(does), ...(attributes && {attributes: sorted(attributes)})}))

/** Returns what quill-delta answers; at times rich-text has to say the same. */
function answer(mine, theirs) {
  const delta = mine()
  if (below(8) === 0) {
    const [text, other] = [delta, theirs()].map((d) => JSON.stringify(d.ops))
    if (text !== other) throw new Error(`rich-text says ${other}, quill-delta ${text}`)
  }
  return wire(delta)
}

function compose(a, b) {
  if (splits(a, b)) return null
  return answer(() => a.compose(b), () => richText.type.compose(a, b))
}

for (let i = 0; i < cases; i++) {
  const size = 1 + below(12)
  const d = document(size)
  const a = build(components(d, size, true))
  const p = build(components(d, size, true))
  const after = d.compose(a)
  const b = build(components(after, size, true))
  const raw = disturb(components(d, size, true))
  const line = {d: wire(d), a: wire(a), p: wire(p), b: wire(b)}
  line.da = compose(d, a)
  line.ab = compose(a, b)
  line.dab = line.da && compose(after, b)
  line.l = answer(() => a.transform(p, false), () => richText.type.transform(p, a, 'right'))
  line.r = answer(() => a.transform(p, true), () => richText.type.transform(p, a, 'left'))
  if (isPlain(d) && within(d, a) && line.da) line.inv = wire(a.invert(d))
  line.at = []
  for (let j = 0; j < 3; j++) {
    const at = below(d.length() + 3)
    line.at.push([at, a.transformPosition(at, true), a.transformPosition(at, false)])
  }
  line.raw = below(2) ? raw : {ops: raw}
  const parsed = build(raw)
  line.parsed = wire(parsed)
  const tidy = new Delta(raw.filter((c) => c.insert !== '' && c.retain !== 0 && c.delete !== 0))
  for (const c of tidy.ops) if (c.attributes && Object.keys(c.attributes).length === 0) delete c.attributes
  line.draw = splits(d, parsed) ? null : wire(d.compose(tidy))
  emit(line)
}
flush()
