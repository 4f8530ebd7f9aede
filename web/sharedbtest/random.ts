// Random documents and operations of every type. Characters outside the basic plane are
// among them, and no operation splits one.

import type { Random } from "../client/test/random.js";

export { random, type Random } from "../client/test/random.js";

const alphabet = ["a", "b", "c", " ", "\n", "é", "中", '"', "🌍", "👩", "𐍈"];

export function words(rnd: Random, most: number): string {
  return Array.from({ length: 1 + rnd.int(most) }, () => alphabet[rnd.int(alphabet.length)]).join("");
}

/** A type under test: how a document begins, and an operation that fits what is there. */
export interface Kind {
  readonly type: "json0" | "text0" | "richText" | "textUnicode";
  begin(rnd: Random): unknown;
  op(rnd: Random, data: any): unknown;
}

/** Returns a stretch of `count` characters: how many there are before it, and the stretch itself. */
function stretch(rnd: Random, chars: string[]): [number, string[]] {
  const at = rnd.int(chars.length);
  return [at, chars.slice(at, at + 1 + rnd.int(4))];
}

const textUnicode: Kind = {
  type: "textUnicode",
  begin: (rnd) => words(rnd, 8),
  op(rnd, text: string) {
    const chars = [...text];
    if (chars.length === 0 || rnd.chance(0.6)) {
      const at = rnd.int(chars.length + 1);
      return at ? [at, words(rnd, 3)] : [words(rnd, 3)];
    }
    const [at, gone] = stretch(rnd, chars);
    const remove = { d: rnd.chance(0.5) ? gone.length : gone.join("") };
    return at ? [at, remove] : [remove];
  },
};

const text0: Kind = {
  type: "text0",
  begin: (rnd) => words(rnd, 8),
  op(rnd, text: string) {
    const chars = [...text];
    const op = [];
    for (let n = 1 + rnd.int(2); n > 0; n--) {
      if (chars.length === 0 || rnd.chance(0.6)) {
        const at = rnd.int(chars.length + 1);
        const add = words(rnd, 3);
        op.push({ p: chars.slice(0, at).join("").length, i: add });
        chars.splice(at, 0, ...add);
      } else {
        const [at, gone] = stretch(rnd, chars);
        op.push({ p: chars.slice(0, at).join("").length, d: gone.join("") });
        chars.splice(at, gone.length);
      }
    }
    return op;
  },
};

const formats: Record<string, unknown>[] = [{ bold: true }, { color: "#b4432f" }, { bold: null }, { header: 2 }, { color: null, italic: true }];

const richText: Kind = {
  type: "richText",
  begin: (rnd) => ({ ops: [{ insert: `${words(rnd, 8)}\n` }] }),
  op(rnd, { ops }: { ops: { insert: string | object }[] }) {
    const units = ops.flatMap(({ insert }) => (typeof insert === "string" ? Array.from(insert, (char) => char.length) : [1]));
    const length = (from: number, to: number) => units.slice(from, to).reduce((sum, unit) => sum + unit, 0);
    const from = rnd.int(units.length + 1);
    const to = Math.min(units.length, from + rnd.int(4));
    const op: object[] = [];
    if (from) op.push({ retain: length(0, from) });
    const format = formats[rnd.int(formats.length)]!;
    if (from === to || rnd.chance(0.5)) {
      const insert = rnd.chance(0.15) ? { image: "data:,x" } : words(rnd, 3);
      const bare = Object.values(format).some((value) => value === null) || rnd.chance(0.5);
      op.push(bare ? { insert } : { insert, attributes: format });
    } else if (rnd.chance(0.5)) op.push({ retain: length(from, to), attributes: format });
    else op.push({ delete: length(from, to) });
    return rnd.chance(0.5) ? op : { ops: op };
  },
};

function value(rnd: Random, depth = 2): unknown {
  switch (rnd.int(depth ? 6 : 4)) {
    case 0:
      return rnd.int(1000) / 4;
    case 1:
      return words(rnd, 3);
    case 2:
      return null;
    case 3:
      return rnd.chance(0.5);
    case 4:
      return Array.from({ length: rnd.int(3) }, () => value(rnd, depth - 1));
    default:
      return Object.fromEntries(Array.from({ length: rnd.int(3) }, () => [names[rnd.int(names.length)], value(rnd, depth - 1)]));
  }
}

const names = ["x", "y", "zz", "é", "🌍"];

/** The places of a document where a component can be: [path, what is there]. `note` belongs to the subtype alone. */
function places(node: any, path: (string | number)[] = []): [(string | number)[], any][] {
  const here: [(string | number)[], any][] = [[path, node]];
  if (Array.isArray(node)) return here.concat(node.flatMap((item, i) => places(item, [...path, i])));
  if (node && typeof node === "object") {
    return here.concat(Object.keys(node).filter((name) => name !== "note").flatMap((name) => places(node[name], [...path, name])));
  }
  return here;
}

const json0: Kind = {
  type: "json0",
  begin: (rnd) => ({ title: words(rnd, 5), note: words(rnd, 5), count: 1, list: [1, "two", { three: 3 }], map: {} }),
  op(rnd, data) {
    if (rnd.chance(0.2)) return [{ p: ["note"], t: "text0", o: text0.op(rnd, data.note) }];
    const all = places(data).filter(([path]) => path.length > 0);
    const [p, node] = all[rnd.int(all.length)]!;
    if (typeof node === "number") return [{ p, na: rnd.int(9) - 4 }];
    if (typeof node === "string") {
      const chars = [...node];
      if (chars.length === 0 || rnd.chance(0.6)) return [{ p: [...p, chars.slice(0, rnd.int(chars.length + 1)).join("").length], si: words(rnd, 3) }];
      const [at, gone] = stretch(rnd, chars);
      return [{ p: [...p, chars.slice(0, at).join("").length], sd: gone.join("") }];
    }
    if (Array.isArray(node)) {
      if (node.length === 0 || rnd.chance(0.5)) return [{ p: [...p, rnd.int(node.length + 1)], li: value(rnd) }];
      const at = rnd.int(node.length);
      if (rnd.chance(0.4)) return [{ p: [...p, at], lm: rnd.int(node.length) }];
      if (rnd.chance(0.5)) return [{ p: [...p, at], ld: node[at], li: value(rnd) }];
      return [{ p: [...p, at], ld: node[at] }];
    }
    if (node && typeof node === "object") {
      const name = names[rnd.int(names.length)]!;
      const old = Object.hasOwn(node, name) ? { od: node[name] } : {};
      if ("od" in old && rnd.chance(0.4)) return [{ p: [...p, name], ...old }];
      return [{ p: [...p, name], ...old, oi: value(rnd) }];
    }
    return [{ p: ["count"], na: 1 }];
  },
};

export const all: Record<string, Kind> = { "text-unicode": textUnicode, text0, "rich-text": richText, json0 };
