import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { deltaLength, richText, toDeltaOp, type DeltaCursor, type DeltaDoc, type DeltaOp } from "../delta.js";
import { Connection, OperationError, text, type Side, type State } from "../index.js";
import { orderedJSON } from "../json.js";
import { random, randomDeltaDoc, randomDeltaOp } from "./random.js";
import { World } from "./world.js";

interface Vectors {
  apply: { doc: DeltaDoc; op: DeltaOp; out: DeltaDoc }[];
  past: { doc: DeltaDoc; op: DeltaOp; out: DeltaDoc }[];
  compose: { a: DeltaOp; b: DeltaOp; out: DeltaOp }[];
  transform: { op: DeltaOp; over: DeltaOp; side: Side; out: DeltaOp }[];
  invert: { doc: DeltaDoc; op: DeltaOp; out: DeltaOp }[];
  cursor: { cursor: DeltaCursor; op: DeltaOp; side: Side; out: DeltaCursor }[];
  misfit: { doc: DeltaDoc; op: DeltaOp }[];
  reject: string[]; // rejectScan holds what JSON.parse does not tell apart
  checksum: { doc: DeltaDoc; sum: string }[];
}

// Tests run in web/.
const vectors = JSON.parse(readFileSync("../docs/vectors/delta.json", "utf8")) as Vectors;

function each<T>(name: string, cases: T[], check: (one: T) => void): void {
  test(`vectors: ${name}`, () => {
    assert.ok(cases.length > 0);
    for (const one of cases) {
      try {
        check(one);
      } catch (error) {
        throw new Error(`case ${JSON.stringify(one)}`, { cause: error });
      }
    }
  });
}

const same = (got: unknown, want: unknown) => assert.equal(orderedJSON(got), orderedJSON(want));

each("apply", vectors.apply, ({ doc, op, out }) => same(richText.apply(richText.create(doc), richText.operation(op)), out));
each("past", vectors.past, ({ doc, op, out }) => same(richText.apply(richText.create(doc), richText.operation(op)), out));
each("compose", vectors.compose, ({ a, b, out }) => same(richText.compose(a, b), out));
each("transform", vectors.transform, ({ op, over, side, out }) => same(richText.transform(op, over, side), out));
each("invert", vectors.invert, ({ doc, op, out }) => same(richText.invert(doc, op), out));
each("cursor", vectors.cursor, ({ cursor, op, side, out }) => assert.deepEqual(richText.transformCursor(cursor, op, side), out));
each("misfit", vectors.misfit, ({ doc, op }) => assert.throws(() => richText.apply(doc, richText.operation(op)), OperationError));
each("reject", vectors.reject, (json) => {
  assert.throws(() => richText.operation(JSON.parse(json)), (error) => error instanceof OperationError || error instanceof SyntaxError);
});
each("checksum", vectors.checksum, ({ doc, sum }) => assert.equal(richText.checksum(richText.create(doc)), sum));

test("laws hold for random operations", () => {
  const seed = Number(process.env["SEED"] ?? 1);
  const rnd = random(seed);
  for (let round = 0; round < 5_000; round++) {
    const doc = randomDeltaDoc(rnd, 10);
    const a = randomDeltaOp(rnd, doc);
    const b = randomDeltaOp(rnd, doc);
    const afterA = richText.apply(doc, a);
    const c = randomDeltaOp(rnd, afterA);
    const d = randomDeltaOp(rnd, richText.apply(afterA, c));
    const at = `seed ${seed} round ${round}: ${JSON.stringify({ doc, a, b, c, d })}`;
    const same = (x: unknown, y: unknown) => assert.equal(orderedJSON(x), orderedJSON(y), at);
    for (const op of [a, b, richText.compose(a, c), richText.invert(doc, a), richText.transform(a, b, "left")]) richText.operation(op);
    richText.create(afterA);
    same(richText.apply(richText.apply(afterA, c), richText.invert(afterA, c)), afterA);
    same(richText.apply(afterA, c), richText.apply(doc, richText.compose(a, c)));
    same(richText.compose(richText.compose(a, c), d), richText.compose(a, richText.compose(c, d)));
    same(
      richText.apply(afterA, richText.transform(b, a, "right")),
      richText.apply(richText.apply(doc, b), richText.transform(a, b, "left")),
    );
    for (const units of [1, 8, 60]) {
      const parts = richText.split(a, units);
      same(parts.reduce((out, op) => richText.apply(out, richText.operation(op)), doc), afterA);
    }
  }
});

test("splitting bounds what an operation carries, whatever it is made of", () => {
  const formatted = Array.from({ length: 500 }, (_, i) => ({ insert: `${i} `, attributes: { color: `#${i}` } }));
  const retains = Array.from({ length: 500 }, (_, i) => ({ retain: 3, attributes: { color: `#${i}` } }));
  for (const op of [toDeltaOp([{ insert: "x".repeat(5_000) }]), toDeltaOp(formatted), toDeltaOp(retains)]) {
    const parts = richText.split(op, 200);
    assert.ok(parts.length > 5);
    for (const part of parts) assert.ok(orderedJSON(part).length < 2_000, `${orderedJSON(part).length} bytes`);
  }
});

test("what an editor says becomes canonical, or is refused", () => {
  assert.deepEqual(
    toDeltaOp([
      { retain: 2, attributes: {} },
      { delete: 1 },
      { attributes: { underline: true, bold: true, link: null }, insert: "a" },
      { insert: "b", attributes: { bold: true, underline: true } },
      { retain: 3 },
    ]),
    [{ retain: 2 }, { insert: "ab", attributes: { bold: true, underline: true } }, { delete: 1 }],
  );
  assert.equal(orderedJSON(toDeltaOp([{ insert: { x: { "9": 1, "10": 2 } }, attributes: { b: 1, "9": 1, "10": 1 } }])),
    '[{"insert":{"x":{"10":2,"9":1}},"attributes":{"10":1,"9":1,"b":1}}]');
  assert.deepEqual(toDeltaOp([{ insert: "a\ud800" }]), [{ insert: "a\ufffd" }]);
  assert.deepEqual(toDeltaOp([{ retain: 1 }]), []);
  for (const bad of [[{ insert: 5 }], [{ retain: { image: 1 } }], [{ delete: -1 }], [{ retain: 1.5, attributes: { a: 1 } }]]) {
    assert.throws(() => toDeltaOp([{ insert: "x" }, ...bad]), OperationError, JSON.stringify(bad));
  }
});

test("names may come in any order", () => {
  assert.equal(JSON.stringify(richText.operation([{ attributes: { b: { d: 1, c: [{ f: 1, e: 2 }] }, a: 1 }, insert: { y: 1, x: 2 } }])),
    '[{"insert":{"x":2,"y":1},"attributes":{"a":1,"b":{"c":[{"e":2,"f":1}],"d":1}}}]');
});

test("operations that are not canonical or do not fit are refused", () => {
  const bad: unknown[] = [
    {}, "a", [5], ["a"], [null], [{}], [[]], [{ insert: "" }], [{ insert: null }], [{ insert: [] }], [{ insert: "\ud800" }],
    [{ retain: 0, attributes: { a: 1 } }], [{ retain: 1 }], [{ delete: 0 }], [{ delete: 1, attributes: { a: 1 } }],
    [{ insert: "a", attributes: {} }], [{ insert: "a", attributes: null }], [{ insert: "a", attributes: [] }], [{ insert: "a", delete: 1 }],
    [{ insert: "a", extra: 1 }], [{ insert: 1, attributes: { a: 1 } }], JSON.parse('[{"insert":{"__proto__":1}}]'),
    [{ insert: "a" }, { insert: "b" }], [{ delete: 1 }, { delete: 1 }], [{ delete: 1 }, { insert: "a" }],
    [{ retain: 1 }, { retain: 1 }, { insert: "a" }], [{ retain: 2 ** 31 }, { insert: "a" }],
  ];
  for (const op of bad) assert.throws(() => richText.operation(op), OperationError, JSON.stringify(op));
  const doc: DeltaDoc = [{ insert: "a😀" }, { insert: { image: "x" } }, { insert: "\n" }];
  const misfits: DeltaOp[] = [[{ retain: 2 }, { insert: "x" }], [{ retain: 1 }, { delete: 1 }], [{ retain: 2, attributes: { bold: true } }]];
  for (const op of misfits) assert.throws(() => richText.apply(doc, richText.operation(op)), OperationError, JSON.stringify(op));
  assert.equal(deltaLength(doc), 5);
  assert.deepEqual(richText.apply(doc, [{ retain: 3 }, { insert: "!" }, { delete: 1 }]), [{ insert: "a😀!\n" }]);
});

test("a draft shows the text, with a word for what is none", () => {
  const doc: DeltaDoc = [{ insert: "See " }, { insert: { image: "https://example.org/a.png" } }, { insert: { chart: [1, 2] } }, { insert: "\n" }];
  assert.equal(richText.plain(doc), "See [image: https://example.org/a.png][chart]\n");
});

/** Opens "d", which the server has as rich text, with some types at hand. */
function open(types: Parameters<Connection["open"]>[1], create?: string) {
  const world = new World(random(1), [{ insert: "Hello\n" }], richText);
  const connection = new Connection(world.connection);
  const states: State[] = [];
  const resets: unknown[] = [];
  const document = connection.open("d", types as typeof text[], {
    ...(create === undefined ? {} : { create }),
    events: { state: (state) => states.push(state), reset: (content) => resets.push(content) },
  });
  return { world, connection, document, states, resets };
}

test("the server says of what type a document is", () => {
  const { world, document, resets } = open([text, richText]);
  world.settle();
  assert.equal(document.typeName, "delta");
  assert.deepEqual(resets, [[{ insert: "Hello\n" }]]);
  document.edit([{ retain: 5 }, { insert: "!" }], [[6, 6]]);
  world.settle();
  assert.deepEqual(world.server.content, [{ insert: "Hello!\n" }]);
  assert.equal(document.state.kind, "saved");
});

test("a document of a type that is not at hand is closed and says which type it is, and may be opened again", () => {
  const { world, connection, document, states } = open(text as never);
  world.settle();
  assert.deepEqual(document.state, { kind: "closed", unsaved: 0, code: "bad_type", message: "this document is of type delta" });
  assert.equal(states.at(-1)!.kind, "closed");
  assert.equal(document.typeName, "delta");
  const again = connection.open("d", [text, richText]);
  world.settle();
  assert.equal(again.state.kind, "saved");
  assert.deepEqual(again.content, [{ insert: "Hello\n" }]);
});

test("what is to be created is named, and must be at hand", () => {
  const { world } = open([text, richText], "delta");
  assert.equal(world.wires.length, 1);
  world.wires[0]!.moveDown();
  assert.equal(JSON.parse(world.wires[0]!.up.at(-1)!).create, "delta");
  assert.throws(() => open([text], "delta"), /the type delta is not among/);
});

test("what a document of another type left unsent goes on as that type", () => {
  const { world, document } = open([text, richText]);
  world.settle();
  world.wires[0]!.cut(world.rnd);
  document.edit([{ insert: "a", attributes: { bold: true } }]);
  const unsent = JSON.parse(JSON.stringify(document.unsent));
  assert.equal(unsent.type, "delta");
  document.close();
  const later = new Connection(world.connection).open("d", [text, richText], { unsent });
  world.settle();
  assert.equal(later.state.kind, "saved");
  assert.deepEqual(world.server.content, [{ insert: "a", attributes: { bold: true } }, { insert: "Hello\n" }]);
});
