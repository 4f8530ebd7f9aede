import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { crc32c, OperationError, text, type Side, type TextCursor, type TextOp } from "../index.js";
import { random, randomOp, randomText } from "./random.js";

interface Vectors {
  apply: { doc: string; op: TextOp; out: string }[];
  compose: { a: TextOp; b: TextOp; out: TextOp }[];
  transform: { op: TextOp; over: TextOp; side: Side; out: TextOp }[];
  invert: { doc: string; op: TextOp; out: TextOp }[];
  cursor: { cursor: TextCursor; op: TextOp; side: Side; out: TextCursor }[];
  misfit: { doc: string; op: TextOp }[];
  reject: string[]; // rejectScan holds spellings of numbers that JSON.parse does not tell apart
  checksum: { text: string; sum: string }[];
}

// Tests run in web/.
const vectors = JSON.parse(readFileSync("../docs/vectors/text.json", "utf8")) as Vectors;

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

each("apply", vectors.apply, ({ doc, op, out }) => assert.equal(text.apply(doc, text.operation(op)), out));
each("compose", vectors.compose, ({ a, b, out }) => assert.deepEqual(text.compose(a, b), out));
each("transform", vectors.transform, ({ op, over, side, out }) => assert.deepEqual(text.transform(op, over, side), out));
each("invert", vectors.invert, ({ doc, op, out }) => assert.deepEqual(text.invert(doc, op), out));
each("cursor", vectors.cursor, ({ cursor, op, side, out }) => assert.deepEqual(text.transformCursor(cursor, op, side), out));
each("misfit", vectors.misfit, ({ doc, op }) => assert.throws(() => text.apply(doc, text.operation(op)), OperationError));
each("reject", vectors.reject, (json) => {
  assert.throws(() => text.operation(JSON.parse(json)), (error) => error instanceof OperationError || error instanceof SyntaxError);
});
each("checksum", vectors.checksum, (one) => assert.equal(crc32c(one.text), one.sum));

test("laws hold for random operations", () => {
  const seed = Number(process.env["SEED"] ?? 1);
  const rnd = random(seed);
  for (let round = 0; round < 20_000; round++) {
    const doc = randomText(rnd, 12);
    const a = randomOp(rnd, doc);
    const b = randomOp(rnd, doc);
    const afterA = text.apply(doc, a);
    const c = randomOp(rnd, afterA);
    const d = randomOp(rnd, text.apply(afterA, c));
    const at = `seed ${seed} round ${round}: ${JSON.stringify({ doc, a, b, c, d })}`;
    for (const op of [a, b, text.compose(a, c), text.invert(doc, a), text.transform(a, b, "left")]) text.operation(op);
    assert.equal(text.apply(text.apply(afterA, c), text.invert(afterA, c)), afterA, at);
    assert.equal(text.apply(afterA, c), text.apply(doc, text.compose(a, c)), at);
    assert.equal(
      text.apply(doc, text.compose(text.compose(a, c), d)),
      text.apply(doc, text.compose(a, text.compose(c, d))),
      at,
    );
    assert.equal(
      text.apply(afterA, text.transform(b, a, "right")),
      text.apply(text.apply(doc, b), text.transform(a, b, "left")),
      at,
    );
    const parts = text.split(a, 2);
    assert.equal(parts.reduce((out, op) => text.apply(out, text.operation(op)), doc), afterA, at);
    assert.ok(parts.every((op) => op.every((part) => typeof part === "number" || part.length <= 3)), at);
  }
});

test("an operation on one million characters costs what it touches", () => {
  const big = "0123456789abcdef".repeat(65_536);
  const op = text.operation([big.length - 3, "x", -1]);
  assert.equal(text.apply(big, op).slice(-4), "cxef");
  assert.deepEqual(text.transform(op, [5, "yy"], "right"), [big.length - 1, "x", -1]);
});
