// Cases of json0, answered by ot-json0.
//
// A line is {"kind":…,"d":…,"a":…,"b":…,"n":…,…}: two operations a and b on the document d,
// and n on the document after a. Kinds:
//   plain    the operations are as ot-json0's own generator makes them
//   strings  indexes of lists are strings now and then, names of objects numbers
//   mixed    strings are edited both with si, sd and with text0
//   untrue   what is said to be deleted is not always what is there, or is left out
//   misfit   b was made on another document
// Where the reference throws, its answer is written as null.
import {createRequire} from 'node:module'
import {emitText, flush, random, wanted} from './cases.mjs'

const json0 = createRequire(import.meta.url)('ot-json0').type
const {cases, seed} = wanted()
const pick = random(seed)
const chance = (percent) => pick(100) < percent

const clone = (value) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)))
const isObject = (value) => value !== null && typeof value === 'object'

/** Writes a value as RFC 8785 has it. A document that is not there is null. */
function written(value) {
  if (Array.isArray(value)) return `[${value.map(written).join(',')}]`
  if (!isObject(value)) return JSON.stringify(value ?? null)
  const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${written(value[name])}`)
  return `{${members.join(',')}}`
}

const order = ['p', 't', 'o', 'na', 'si', 'sd', 'ld', 'li', 'lm', 'od', 'oi']

/** Writes an operation with the members of its components in order. */
function writtenOp(op) {
  const components = op.map((c) => {
    const members = order.filter((name) => c[name] !== undefined).map((name) =>
      `"${name}":${name === 'o' ? JSON.stringify(c.o.map(({p, i, d}) => (i === undefined ? {p, d} : {p, i}))) : written(c[name])}`)
    return `{${members.join(',')}}`
  })
  return `[${components.join(',')}]`
}

const letters = ['a', 'b', 'c', 'é', '中', '🌍', '"', '\n']
const narrow = letters.filter((letter) => letter.length === 1)
const names = ['a', 'b', 'list', 'text', '10', '9', '', '🌍', '\uffff', '"']
const numbers = [0, 1, -1, 7, 50, 0.5, -2.25, 1e21, 1e-7, 123456789012]

let alphabet = letters
const word = (n) => Array.from({length: n}, () => alphabet[pick(alphabet.length)]).join('')

function thing(depth) {
  switch (depth > 0 ? pick(8) : pick(5)) {
    case 0: return null
    case 1: return chance(50)
    case 2: return numbers[pick(numbers.length)]
    case 3: return pick(40) - 10
    case 4: return word(pick(5))
    case 5: return Object.fromEntries(Array.from({length: pick(4)}, () => [names[pick(names.length)], thing(depth - 1)]))
    default: return Array.from({length: pick(6)}, () => thing(depth - 1))
  }
}

/** Returns a document, mostly a list or an object. */
function thingAtRoot() {
  for (let tries = 3; ; tries--) {
    const value = thing(3)
    if (isObject(value) || tries === 0) return value
  }
}

/** Returns the keys of a list or object. */
const keysOf = (value) => (Array.isArray(value) ? value.map((_, i) => i) : isObject(value) ? Object.keys(value) : [])

/** Returns one component on the value that container.data is. */
function component(container, kind) {
  const path = []
  let parent = container
  let key = 'data'
  for (let keys = keysOf(parent[key]); chance(70) && keys.length > 0; keys = keysOf(parent[key])) {
    parent = parent[key]
    key = keys[pick(keys.length)]
    path.push(key)
  }
  const operand = parent[key]
  const inList = Array.isArray(parent)
  if (inList && chance(40)) return {p: path, lm: pick(parent.length)}
  const na = chance(10) ? 0.25 : pick(10) - 3
  // Sums that are rounded cannot be taken back: only among what is not inverted.
  const adds = typeof operand === 'number' && (kind === 'untrue' || operand + na - na === operand)
  if (!isObject(operand) && typeof operand !== 'string' && !adds || chance(25)) {
    return inList ? {p: path, ld: operand, li: thing(2)} : {p: path, od: operand ?? null, oi: thing(2)}
  }
  if (adds) return {p: path, na}
  if (typeof operand === 'string') return edit(path, operand, kind)
  const keys = keysOf(operand)
  const removes = chance(50) && keys.length > 0
  if (Array.isArray(operand)) {
    const at = pick(operand.length + (removes ? 0 : 1))
    return removes ? {p: [...path, at], ld: operand[at]} : {p: [...path, at], li: thing(2)}
  }
  if (removes) {
    const name = keys[pick(keys.length)]
    return {p: [...path, name], od: operand[name]}
  }
  let name = names[pick(names.length)]
  while (operand[name] !== undefined) name += pick(10)
  return {p: [...path, name], oi: thing(2)}
}

/** Returns a component that edits the string at path. */
function edit(path, value, kind) {
  const characters = Array.from(value)
  const from = pick(characters.length + 1)
  const p = characters.slice(0, from).join('').length
  const deleted = characters.slice(from, from + pick(4)).join('')
  const inserts = chance(50) || deleted === ''
  const text = inserts ? word(pick(12) === 0 ? 0 : 1 + pick(2)) : deleted
  // Only kind mixed edits one string in both ways.
  const subtype = kind === 'mixed' ? chance(50) : String(path.findLast((key) => typeof key === 'string')).includes('t')
  if (!subtype) return {p: [...path, p], [inserts ? 'si' : 'sd']: text}
  const o = [inserts ? {p, i: text} : {p, d: text}]
  if (inserts && chance(30)) o.push({p: p + text.length, i: word(1)})
  return {p: path, t: 'text0', o}
}

/** Returns c with keys of another type: what the reference takes for the same place, but not for the same key. */
function respelled(c) {
  const p = c.p.map((key, i) => {
    if (i === c.p.length - 1 && (c.si !== undefined || c.sd !== undefined) || !chance(30)) return key
    if (typeof key === 'number') return String(key)
    return String(Number(key)) === key ? Number(key) : key
  })
  return c.lm === undefined ? {...c, p} : {...c, p, lm: chance(30) ? String(c.lm) : c.lm}
}

/** Returns c with what it deletes changed or left out. */
function untrue(c) {
  const lies = {...c}
  if (lies.od !== undefined && lies.oi !== undefined && chance(30)) delete lies.od
  if (lies.od !== undefined && chance(30)) lies.od = thing(1)
  if (lies.ld !== undefined && chance(30)) lies.ld = thing(1)
  return lies
}

/** Returns an operation on doc and the document after it; now and then merged. */
function operation(doc, kind) {
  const container = {data: clone(doc)}
  let op = []
  const merge = chance(60)
  for (let n = pick(5); n > 0; n--) {
    let c = clone(component(container, kind))
    if (kind === 'strings') c = respelled(c)
    if (kind === 'untrue') c = untrue(c)
    if (merge) json0.append(op, c)
    else op.push(c)
    container.data = json0.apply(container.data, [c]) ?? null
  }
  if (chance(10)) op = json0.normalize(op)
  try {
    return [clone(op), json0.apply(clone(doc), clone(op)) ?? null]
  } catch { // merging components that do not tell the truth may give what does not fit
    return operation(doc, kind)
  }
}

/** Returns what answer does as JSON, null when it throws. */
function attempt(write, answer) {
  try {
    return write(answer())
  } catch {
    return 'null'
  }
}

const kinds = ['plain', 'plain', 'plain', 'plain', 'plain', 'strings', 'mixed', 'untrue', 'misfit']
for (let n = 0; n < cases; n++) {
  const kind = kinds[pick(kinds.length)]
  alphabet = kind === 'misfit' ? narrow : letters
  const d = thingAtRoot()
  const [a, da] = operation(d, kind)
  const [b] = operation(kind === 'misfit' ? thingAtRoot() : d, kind)
  const [next] = operation(da, kind)
  const after = (op, side) => json0.apply(clone(da), json0.transform(clone(op), clone(a), side))
  const line = {
    kind: JSON.stringify(kind), d: written(d), a: writtenOp(a), b: writtenOp(b), n: writtenOp(next), da: written(da),
    compose: attempt(writtenOp, () => json0.compose(clone(a), clone(next))),
    normal: attempt(writtenOp, () => json0.normalize(clone(a))),
    invert: attempt(writtenOp, () => json0.invert(clone(a))),
    left: attempt(writtenOp, () => json0.transform(clone(a), clone(b), 'left')),
    right: attempt(writtenOp, () => json0.transform(clone(a), clone(b), 'right')),
  }
  // What the document is after both; the reference may leave no value at all.
  if (kind === 'plain') line.both = written(after(b, 'right'))
  emitText(`{${Object.entries(line).map(([name, text]) => `"${name}":${text}`).join(',')}}`)
}
flush()
