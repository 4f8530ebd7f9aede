// What the generators of cases share: a seeded source of randomness, JSON with the
// names of objects in order, and writing lines.

/** Returns the numbers of the command line: how many cases, and the seed. */
export function wanted() {
  return {cases: Number(process.argv[2] ?? 1000), seed: Number(process.argv[3] ?? 1)}
}

/** Returns a function that gives integers in [0, n), the same for the same seed (mulberry32). */
export function random(seed) {
  let state = seed >>> 0
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * n)
  }
}

/** Returns a copy of a JSON value in which every object's names are in order, as RFC 8785 writes them. */
export function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])]))
}

let buffer = []

/** Writes one case as a line of JSON. */
export function emit(value) {
  emitText(JSON.stringify(value))
}

/** Writes one case that is a line of JSON already. */
export function emitText(line) {
  buffer.push(line)
  if (buffer.length === 1000) flush()
}

/** Writes what emit still holds. Call it at the end. */
export function flush() {
  if (buffer.length > 0) process.stdout.write(buffer.join('\n') + '\n')
  buffer = []
}
