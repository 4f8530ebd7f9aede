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
