import assert from "node:assert/strict";
import { test } from "node:test";

import { deltaLength, richText, toDeltaOp, type DeltaDoc, type DeltaOp } from "../../client/delta.js";
import { random, randomDeltaDoc, randomDeltaOp } from "../../client/test/random.js";
import { wholeCharacters } from "../src/rich/whole.js";

test("halves of characters are taken whole, and inserts go before them", () => {
  const doc: DeltaDoc = [{ insert: "a😀b" }, { insert: { image: "x" } }, { insert: "😃\n" }];
  const cases: [op: DeltaOp, whole: DeltaOp][] = [
    [[{ retain: 2 }, { delete: 1 }], [{ retain: 1 }, { delete: 2 }]],
    [[{ retain: 1 }, { delete: 1 }], [{ retain: 1 }, { delete: 2 }]],
    [[{ retain: 2 }, { insert: "x" }], [{ retain: 1 }, { insert: "x" }]],
    [[{ retain: 2 }, { insert: "x" }, { delete: 5 }], [{ retain: 1 }, { insert: "x" }, { delete: 6 }]],
    [[{ retain: 2 }, { retain: 4, attributes: { bold: true } }], [{ retain: 1 }, { retain: 6, attributes: { bold: true } }]],
    [[{ delete: 2 }, { retain: 1, attributes: { bold: true } }], [{ delete: 3 }]],
  ];
  for (const [op, whole] of cases) {
    assert.deepEqual(wholeCharacters(doc, op), whole);
    richText.apply(doc, whole);
  }
});

test("what takes whole characters is left as it is, and whatever an editor says fits the document then", () => {
  const rnd = random(Number(process.env["SEED"] ?? 1));
  for (let round = 0; round < 3_000; round++) {
    const doc = randomDeltaDoc(rnd, 8);
    const op = randomDeltaOp(rnd, doc);
    assert.deepEqual(richText.apply(doc, wholeCharacters(doc, op)), richText.apply(doc, op));
    // One on units, without regard for characters.
    const units = randomDeltaOp(rnd, [{ insert: "x".repeat(deltaLength(doc) + 1) }]).filter(({ insert }) => typeof insert !== "object");
    const fits = toDeltaOp(units.length > 0 ? units : [{ insert: "y" }]);
    richText.apply([...doc, { insert: "\n" }] as DeltaDoc, richText.operation(wholeCharacters(toDeltaOp([...doc, { insert: "\n" }]), fits)));
  }
});
