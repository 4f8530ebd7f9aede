import { deltaLength, toDeltaOp, type DeltaDoc, type DeltaOp } from "../delta.js";
import { Builder, type TextOp } from "../index.js";

/** A seeded generator of numbers in [0, 1) (mulberry32). */
export interface Random {
  (): number;
  /** A whole number in [0, below). */
  int(below: number): number;
  /** True with this chance. */
  chance(probability: number): boolean;
}

export function random(seed: number): Random {
  let state = seed | 0;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return Object.assign(next, {
    int: (below: number) => Math.floor(next() * below),
    chance: (probability: number) => next() < probability,
  });
}

const alphabet = ["a", "b", "c", "é", "中", "\n", '"', "🌍", "👩"];

export function randomText(rnd: Random, most: number): string {
  return Array.from({ length: rnd.int(most + 1) }, () => alphabet[rnd.int(alphabet.length)]).join("");
}

/** Returns an operation that fits `doc`: up to about four inserts and deletes. */
export function randomOp(rnd: Random, doc: string, insert = () => randomText(rnd, 3)): TextOp {
  const out = new Builder();
  const chars = [...doc];
  for (let at = 0; ; ) {
    if (rnd.chance(0.3)) out.insert(insert());
    if (at >= chars.length) return out.done();
    const run = chars.slice(at, (at += 1 + rnd.int(chars.length)));
    if (rnd.chance(0.25)) out.delete(run.join("").length);
    else out.retain(run.join("").length);
  }
}

/** What a rich text may hold besides characters. */
const embeds = [{ image: "https://example.org/a.png" }, { formula: "e=mc^2" }, { mention: { "10": 1, "9": [null, "é"], id: "x" } }];

const formats: readonly (readonly [string, readonly unknown[]])[] = [
  ["bold", [true, null]],
  ["color", ["#f00", "#00f", null]],
  ["header", [1, 2, null]],
  ["list", ["bullet", "ordered", null]],
  ["code-block", [true, null]],
  ["10", [{ b: 1, a: [true] }, 2.5, null]],
  ["9", ["x", null]],
];

function randomAttributes(rnd: Random): Record<string, unknown> {
  const chosen = formats.filter(() => rnd.chance(0.2));
  return Object.fromEntries(chosen.map(([name, values]) => [name, values[rnd.int(values.length)]]));
}

/** Returns the places in a rich text where a component may begin or end. */
export function deltaPlaces(doc: DeltaDoc): number[] {
  const lengths = doc.flatMap(({ insert }) => (typeof insert === "string" ? Array.from(insert, (char) => char.length) : [1]));
  const places = [0];
  for (const length of lengths) places.push(places.at(-1)! + length);
  return places;
}

/** Returns an operation that fits `doc`: up to about four inserts, formats and deletes. */
export function randomDeltaOp(rnd: Random, doc: DeltaDoc): DeltaOp {
  const places = deltaPlaces(doc);
  const out: object[] = [];
  for (let at = 0; ; ) {
    if (rnd.chance(0.3)) {
      const insert = rnd.chance(0.2) ? embeds[rnd.int(embeds.length)]! : randomText(rnd, 3);
      if (insert !== "") out.push({ insert, attributes: randomAttributes(rnd) });
    }
    if (at >= places.length - 1) return toDeltaOp(out);
    const to = Math.min(places.length - 1, at + 1 + rnd.int(places.length));
    const length = places[to]! - places[at]!;
    at = to;
    if (rnd.chance(0.2)) out.push({ delete: length });
    else out.push({ retain: length, attributes: rnd.chance(0.3) ? randomAttributes(rnd) : {} });
  }
}

export function randomDeltaDoc(rnd: Random, most: number): DeltaDoc {
  let doc: DeltaDoc = [];
  while (deltaLength(doc) < most && rnd.chance(0.8)) {
    const insert = rnd.chance(0.2) ? embeds[rnd.int(embeds.length)]! : `${randomText(rnd, 4)}x`;
    doc = toDeltaOp([...doc, { insert, attributes: randomAttributes(rnd) }]);
  }
  return doc;
}
