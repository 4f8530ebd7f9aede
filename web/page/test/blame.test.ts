import assert from "node:assert/strict";
import { test } from "node:test";

import { richText } from "../../client/delta.js";
import { text, type TextOp } from "../../client/index.js";
import { random, randomDeltaDoc, randomDeltaOp, randomOp, randomText } from "../../client/test/random.js";
import { applyShape, runAt, runsOf, shapeOf, stretches, type Run } from "../src/blame/runs.js";
import { Tracker } from "../src/blame/tracker.js";
import type { Span } from "../src/history/past.js";
import { FakePast, HandClock } from "./past.js";

const seed = Number(process.env["SEED"] ?? 1);
const by = (author: string, rev = 1): Span => ({ start: 0, length: 0, author, rev, time: "" });

/** Returns the author of every unit, `?` for nobody's. */
const each = (runs: readonly Run[]): string => runs.map(({ length, span }) => (span?.author[0] ?? "?").repeat(length)).join("");

test("runs go with what is done to a text", () => {
  const [ada, bob] = [by("Ada"), by("Bob")];
  const runs = runsOf([{ from: 0, to: 3, span: ada }, { from: 5, to: 7, span: bob }]);
  assert.equal(each(runs), "AAA??BB");
  assert.equal(each(applyShape(runs, shapeOf([1, "xy", -3, 1, "z"] as TextOp), bob)), "ABB?BBB");
  assert.equal(each(applyShape(runs, shapeOf([{ retain: 2 }, { retain: 4, attributes: { bold: true } }]), null)), "AA????B");
  assert.equal(each(applyShape(runs, shapeOf([10, "end"] as TextOp), ada)), "AAA??BB???AAA");
  assert.equal(runAt(runs, 5)?.span, bob);
  assert.equal(runAt(runs, 7), undefined);
  assert.equal(runAt(runs, -1), undefined);
  assert.deepEqual(stretches([...runs, { length: 2, span: by("Bob", 9) }]), [{ from: 0, to: 3, author: "Ada" }, { from: 5, to: 9, author: "Bob" }]);
});

test("runs are as long as the text, whatever is done", () => {
  const rnd = random(seed);
  for (let round = 0; round < 2_000; round++) {
    const doc = randomText(rnd, 15);
    const op = randomOp(rnd, doc);
    const runs = runsOf([{ from: 0, to: doc.length, span: by("Ada") }]);
    const after = text.apply(doc, op);
    const done = each(applyShape(runs, shapeOf(op), by("Bob")));
    assert.equal(done.length, after.length, `seed ${seed}`);
    assert.equal(done.replaceAll("A", "").length, op.reduce<number>((sum, part) => sum + (typeof part === "string" ? part.length : 0), 0));
    const rich = randomDeltaDoc(rnd, 6);
    const richOp = randomDeltaOp(rnd, rich);
    const length = (doc: typeof rich) => doc.reduce((sum, { insert = "" }) => sum + (typeof insert === "string" ? insert.length : 1), 0);
    assert.equal(each(applyShape(runsOf([{ from: 0, to: length(rich), span: by("Ada") }]), shapeOf(richOp), null)).length, length(richText.apply(rich, richOp)));
  }
});

test("what is typed while the server is asked is the person's, and the server's answer goes below it", async () => {
  const past = new FakePast(seed, 40);
  const clock = new HandClock();
  // One edit is unsent already, and has not reached the server.
  const unsent: TextOp = ["mine"];
  let content = text.apply(past.texts[40]!, unsent);
  const document = { rev: 40, typeName: "text", get content() { return content; }, unsent: { flight: [{ op: unsent }], waiting: [] } as never };
  let answer = () => {};
  const asked: number[] = [];
  const failures: unknown[] = [];
  let shown: readonly Run[] = [];
  const tracker = new Tracker(document, {
    clock,
    blame: (rev) => {
      asked.push(rev);
      return new Promise((resolve) => (answer = () => resolve({ type: "text", spans: past.spans(rev) })));
    },
    author: () => "Me",
    show: (runs) => (shown = runs),
    failed: (error) => failures.push(error),
  });
  const does = (op: TextOp, here: boolean) => {
    content = text.apply(content, op);
    tracker.edited(op, here);
  };
  does([2, "typed"], true);
  does(["theirs", -1], false);
  const server = each(runsOf(past.spans(40).map((span) => ({ from: span.start, to: span.start + span.length, span }))));
  answer();
  await new Promise(setImmediate);
  assert.equal(each(shown), `??????MMMMMMMM${server}`);
  assert.equal(each(shown).length, content.length);
  assert.deepEqual(asked, [40]);
  // What is not known yet is asked for after a while, once.
  assert.equal(clock.waiting, 1);
  does(["again"], false);
  assert.equal(clock.waiting, 1);
  assert.equal(each(shown), `???????????MMMMMMMM${server}`);
  tracker.stop();
  assert.equal(clock.waiting, 0);
  assert.deepEqual(failures, []);
});

test("a question that failed is asked again, and one that was stopped is not answered", async () => {
  const clock = new HandClock();
  const failures: unknown[] = [];
  const fault = new Error("away");
  let away = true;
  let shown: readonly Run[] = [];
  const tracker = new Tracker({ rev: 1, typeName: "text", content: "abc", unsent: null }, {
    clock,
    blame: async () => {
      if (away) throw fault;
      return { type: "text", spans: [{ ...by("Ada"), start: 0, length: 3 }] };
    },
    author: () => "Me",
    show: (runs) => (shown = runs),
    failed: (error) => failures.push(error),
  });
  await new Promise(setImmediate);
  assert.deepEqual(failures, [fault]);
  away = false;
  clock.next();
  await new Promise(setImmediate);
  assert.equal(each(shown), "AAA");
  assert.equal(clock.waiting, 0, "nothing was done since: there is nothing to ask");
  tracker.stop();
});
