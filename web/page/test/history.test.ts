import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

import Delta from "quill-delta";

import { richText, type DeltaDoc } from "../../client/delta.js";
import { OperationError, text } from "../../client/index.js";
import { random, randomDeltaDoc, randomDeltaOp, randomOp, randomText } from "../../client/test/random.js";
import { ApiError } from "../src/api.js";
import { Edits } from "../src/history/edits.js";
import { applyJson, printJson, type JsonOp } from "../src/history/json.js";
import { isTextKind, kindOf } from "../src/history/kinds.js";
import { markDelta, markText } from "../src/history/marks.js";
import type { Span } from "../src/history/past.js";
import { Scrubber, type Shown } from "../src/history/scrubber.js";
import { keyMove } from "../src/history/timeline.js";
import { FakePast, HandClock, timeOf } from "./past.js";

const seed = Number(process.env["SEED"] ?? 1);
const require = createRequire(import.meta.url);

/** A scrubber over a past, with everything that it says, and a way to wait until it has come to rest. */
function scrubbing(past: FakePast) {
  const shown: Shown[] = [];
  const failures: unknown[] = [];
  const clock = new HandClock();
  let rest = () => {};
  const scrubber = new Scrubber({
    past,
    clock,
    kindOf,
    show: (one) => shown.push(one),
    failed: (error) => failures.push(error),
    busy: (busy) => busy || rest(),
  });
  /** Does something and waits until nothing is fetched any more. */
  const after = (act: () => void) =>
    new Promise<void>((resolve) => {
      rest = resolve;
      act();
    });
  return { scrubber, shown, failures, clock, after, goto: (rev: number) => after(() => scrubber.goto(rev)) };
}

test("whatever revision is gone to, its text is shown, with what changed since the edit before", async () => {
  const past = new FakePast(seed, 300);
  const { shown, failures, goto } = scrubbing(past);
  const rnd = random(seed);
  let at = 300;
  for (let round = 0; round < 400; round++) {
    const to = rnd.chance(0.5) ? rnd.int(301) : Math.max(0, Math.min(300, at + rnd.int(5) - 2));
    if (to === at && round > 0) continue;
    await goto((at = to));
    const last = shown.at(-1)!;
    assert.deepEqual([last.at.rev, last.at.doc, last.settled], [at, past.texts[at], true], `seed ${seed}, round ${round}`);
    assert.equal(last.group!.end, timeOf(at));
    if (at === 0) {
      assert.equal(last.group!.kind, "create");
      continue;
    }
    const { before, op, spans } = last.changes!;
    assert.equal(before.doc, past.texts[last.group!.from]);
    assert.equal(text.apply(before.doc as string, op as never), last.at.doc);
    // Of an edit of one author, whose steps are told apart or not.
    const stretches = (spans: readonly Span[]) => spans.reduce<[number, number, string][]>((all, { start, length, author }) => {
      const last = all.at(-1);
      if (last?.[1] === start && last[2] === author) last[1] += length;
      else all.push([start, start + length, author]);
      return all;
    }, []);
    assert.deepEqual(stretches(spans), stretches(past.spans(at, last.group!.from)), `seed ${seed}, round ${round}`);
  }
  assert.deepEqual(failures, []);
  assert.equal(past.asked.filter((question) => question.startsWith("content")).length, 1, "the whole text is fetched once");
});

test("of what is asked for while something is under way, the last comes next and the rest never", async () => {
  const past = new FakePast(seed, 500);
  const { scrubber, shown, after, goto } = scrubbing(past);
  await goto(500);
  past.asked.length = shown.length = 0;
  let open = () => {};
  past.gate = new Promise((resolve) => (open = resolve));
  const still = after(() => scrubber.goto(400));
  for (let rev = 399; rev >= 100; rev--) scrubber.goto(rev);
  open();
  await still;
  assert.deepEqual(shown.map(({ at, settled }) => [at.rev, settled]), [[400, false], [100, true]]);
  assert.ok(past.asked.length <= 6, past.asked.join(", "));
  assert.equal(shown.at(-1)!.at.doc, past.texts[100]);
});

test("a revision is shown without what changed when that takes long, and the server is asked who wrote it only where several did", async () => {
  const past = new FakePast(seed, 60, { most: 6 });
  const { scrubber, shown, clock, after, goto } = scrubbing(past);
  await goto(60);
  await goto(9); // in an edit of 7 to 12, by Ada up to here
  await goto(12);
  assert.deepEqual(past.asked.filter((question) => question.endsWith("spans")), ["difference 54 60 spans", "difference 6 12 spans"]);
  shown.length = 0;
  const { difference } = past;
  let answer = () => {};
  const asked = new Promise<void>((resolve) => {
    past.difference = async (from, to, withSpans) => {
      if (from > to) return difference.call(past, from, to, withSpans);
      await new Promise<void>((open) => {
        answer = open;
        resolve();
      });
      return difference.call(past, from, to, withSpans);
    };
  });
  const still = after(() => scrubber.goto(3));
  await asked;
  clock.next();
  assert.deepEqual(shown.map(({ at, changes, settled }) => [at.doc, changes, settled]), [[past.texts[3], undefined, false]]);
  answer();
  await still;
  assert.deepEqual(shown.map(({ at, changes, settled }) => [at.rev, changes !== undefined, settled]), [[3, false, false], [3, true, true]]);
  assert.equal(clock.waiting, 0);
});

test("going back to where one was asks nothing", async () => {
  const past = new FakePast(seed, 100);
  const { goto } = scrubbing(past);
  for (const rev of [100, 60, 90]) await goto(rev);
  past.asked.length = 0;
  for (const rev of [60, 100, 90, 60]) await goto(rev);
  assert.deepEqual(past.asked, []);
});

test("a failure is told once, and trying again shows what is wanted", async () => {
  const past = new FakePast(seed, 50);
  const { scrubber, shown, failures, after, goto } = scrubbing(past);
  await goto(50);
  past.fault = new ApiError("unreachable", "The server cannot be reached.");
  await goto(20);
  assert.deepEqual(failures, [past.fault]);
  assert.equal(shown.at(-1)!.at.rev, 50);
  past.fault = null;
  await after(() => scrubber.retry());
  assert.equal(shown.at(-1)!.at.doc, past.texts[20]);
  assert.equal(failures.length, 1);
});

test("the oldest revision that is kept is shown without what came before it", async () => {
  const past = new FakePast(seed, 100);
  past.oldest = 40;
  const { shown, failures, goto } = scrubbing(past);
  for (const rev of [100, 40, 41]) await goto(rev);
  assert.deepEqual(failures, []);
  assert.deepEqual(shown.map(({ at, group, changes }) => [at.doc, group?.from, changes?.before.rev]), [
    [past.texts[100], 98, 98],
    [past.texts[40], undefined, undefined],
    [past.texts[41], 40, 40],
  ]);
});

test("where an operation does not lead from what is held, the whole content is fetched", async () => {
  const past = new FakePast(seed, 30);
  const { shown, failures, goto } = scrubbing(past);
  await goto(30);
  const { difference } = past;
  past.difference = async (from, to, withSpans) => (withSpans ? difference.call(past, from, to, true) : { type: "text", op: [1_000_000, "x"] });
  await goto(13);
  past.difference = async () => ({ type: "delta", op: [] });
  await goto(5);
  past.difference = async (from, to, withSpans) => {
    if (from > to) throw new ApiError("stale", "too much to compare");
    return difference.call(past, from, to, withSpans);
  };
  await goto(3);
  assert.deepEqual(failures, []);
  assert.deepEqual(shown.slice(1).map(({ at, changes }) => [at.doc, changes !== undefined]), [[past.texts[13], true], [past.texts[5], false], [past.texts[3], true]]);
});

for (const aligned of [true, false]) test(`the list of edits has no gaps, extended at either end or begun in the middle; boundaries ${aligned ? "fixed" : "counted from where one asks"}`, async () => {
  const past = new FakePast(seed, 5_000, { most: 7, aligned });
  const edits = new Edits(past, past.head);
  const rnd = random(seed);
  await edits.begin(past.head);
  assert.equal(edits.groups[0]!.to, past.head);
  const boundary = (rev: number) => !aligned || rev === past.head || rev === -1 || rev % 7 === 0;
  for (let round = 0; round < 150; round++) {
    const choice = rnd.int(4);
    if (choice === 0) await edits.begin(rnd.int(past.head + 1));
    else if (choice === 1) await edits.newer();
    else await edits.older();
    edits.groups.forEach(({ from, to }, i) => {
      assert.ok(boundary(from) && boundary(to), `${from} to ${to}, seed ${seed}`);
      if (i > 0) assert.equal(to, edits.groups[i - 1]!.from);
    });
    assert.ok(edits.groups.length <= 1_000);
    assert.equal(edits.hasOlder, edits.groups.at(-1)!.from >= 0);
    assert.equal(edits.hasNewer, edits.groups[0]!.to < past.head);
  }
  for (let rev = -1; rev < past.head; ) {
    const next = (await edits.next(rev))!;
    assert.ok(next.from <= rev && next.to > rev && boundary(next.to));
    rev = next.to + rnd.int(40);
  }
  assert.equal(await edits.next(past.head), undefined);
});

test("edits at the head are seen to grow", async () => {
  const past = new FakePast(seed, 20, { most: 7 });
  const edits = new Edits(past, 20);
  await edits.begin(20);
  assert.deepEqual([edits.groups[0]!.from, edits.groups[0]!.to], [14, 20]);
  past.append(["!"]);
  past.append(["!"]);
  edits.reached(22);
  await edits.newer();
  assert.deepEqual(edits.groups.map(({ to }) => to), [22, 21, 14, 7, 0]);
});

test("marks stand where text came and went", () => {
  const span = (start: number, length: number, author = "Ada"): Span => ({ start, length, author, rev: 1, time: timeOf(1) });
  const { inserted, deleted } = markText("one two three", [4, "2", -3, 1, -5, "3"], [span(4, 1), span(6, 1, "Bob")]);
  assert.deepEqual(inserted.map(({ from, to, span: { author } }) => [from, to, author]), [[4, 5, "Ada"], [6, 7, "Bob"]]);
  assert.deepEqual(deleted, [{ at: 4, text: "two" }, { at: 6, text: "three" }]);
  const rnd = random(seed);
  for (let round = 0; round < 2_000; round++) {
    const before = randomText(rnd, 20);
    const op = randomOp(rnd, before);
    const after = text.apply(before, op);
    const gone = op.reduce<number>((sum, component) => sum + (typeof component === "number" && component < 0 ? -component : 0), 0);
    const { deleted } = markText(before, op, []);
    assert.equal(deleted.reduce((sum, { text }) => sum + text.length, 0), gone);
    assert.ok(deleted.every(({ at }, i) => at <= after.length && (i === 0 || at > deleted[i - 1]!.at)));
  }
});

test("a marked rich text holds what is there, in order, and what is gone, in its place", () => {
  const before: DeltaDoc = [{ insert: "Hello " }, { insert: "world", attributes: { bold: true } }, { insert: "\n" }];
  const op = [{ retain: 6 }, { insert: "you" }, { delete: 5 }, { retain: 1, attributes: { header: 1 } }];
  const span = { start: 6, length: 3, author: "Bob", rev: 2, time: timeOf(2) };
  assert.deepEqual(markDelta(before, richText.apply(before, op), op, [span]), [
    { insert: "Hello " },
    { insert: "world", attributes: { bold: true }, mark: "gone" },
    { insert: "you", mark: "new", span },
    { insert: "\n", attributes: { header: 1 }, mark: "formatted", span: undefined },
  ]);
  const rnd = random(seed);
  for (let round = 0; round < 1_000; round++) {
    const doc = randomDeltaDoc(rnd, 8);
    const op = randomDeltaOp(rnd, doc);
    const after = richText.apply(doc, op);
    const marked = markDelta(doc, after, op, []);
    const without = (left: string) => new Delta(marked.filter(({ mark }) => mark !== left).map(({ mark: _, span: __, ...component }) => component) as never).ops.reduce((all, part) => all.push(part), new Delta()).ops;
    assert.deepEqual(without("gone"), after.filter(({ insert }) => insert !== undefined), `seed ${seed}, round ${round}`);
  }
});

test("text in other units is applied and marked as its own type has it", async () => {
  const rnd = random(seed);
  const unicode = require("ot-text-unicode").type;
  const single = require("ot-json0").type; // registers text0
  assert.ok(single);
  for (const name of ["text-unicode", "text0"]) {
    const kind = (await kindOf(name))!;
    assert.ok(isTextKind(kind));
    for (let round = 0; round < 2_000; round++) {
      const doc = randomText(rnd, 12);
      const op = randomOp(rnd, doc);
      let at = 0;
      let made = 0; // in the text as it becomes
      const points = (from: number, n: number) => [...doc.slice(from, from + n)].length;
      const native = op.map((component) => {
        if (typeof component === "string") {
          const edit = name === "text0" ? { p: made, i: component } : component;
          made += component.length;
          return edit;
        }
        const from = at;
        const n = Math.abs(component);
        at += n;
        if (component > 0) {
          made += n;
          return name === "text0" ? null : points(from, n);
        }
        return name === "text0" ? { p: made, d: doc.slice(from, from + n) } : { d: points(from, n) };
      }).filter((component) => component !== null);
      const want = text.apply(doc, op);
      if (name === "text-unicode") assert.equal(unicode.apply(doc, unicode.normalize(native)), want);
      assert.equal(kind.apply(doc, native), want, JSON.stringify({ doc, native, seed }));
    }
  }
  const kind = (await kindOf("text-unicode"))!;
  assert.ok(isTextKind(kind));
  const span = { author: "", rev: 1, time: "" };
  assert.deepEqual(kind.toUnits("a🌍b👩c", [{ ...span, start: 1, length: 2 }, { ...span, start: 4, length: 1 }]).map(({ start, length }) => [start, length]), [[1, 3], [6, 1]]);
  assert.throws(() => kind.apply("ab", [3, "x"]), OperationError);
});

test("operations on JSON do what the reference does, and leave the document before as it was", () => {
  const json0 = require("ot-json0").type;
  const cases: readonly [unknown, JsonOp][] = [
    [{ a: 1 }, [{ p: ["a"], na: 2 }]],
    [{ a: [1, 2, 3] }, [{ p: ["a", 0], ld: 1 }, { p: ["a", 2], li: { b: null } }]],
    [[1, 2, 3, 4], [{ p: [0], lm: 2 }, { p: [3], lm: 0 }]],
    [[1, 2], [{ p: [1], ld: 2, li: "two" }]],
    [{ a: { b: "hello" } }, [{ p: ["a", "b", 5], si: " you" }, { p: ["a", "b", 0], sd: "he" }]],
    [{ a: ["xyz"] }, [{ p: ["a", 0], t: "text0", o: [{ p: 1, i: "🌍" }, { p: 0, d: "x" }] }]],
    [{ a: 1, b: 2 }, [{ p: ["a"], od: 1 }, { p: ["c"], oi: [] }, { p: ["b"], od: 2, oi: null }]],
    [["a", ["b"]], [{ p: ["1", "0", 1], si: "!" }]],
  ];
  for (const [doc, op] of cases) {
    const before = JSON.stringify(doc);
    assert.deepEqual(applyJson(doc, op), json0.apply(JSON.parse(before), JSON.parse(JSON.stringify(op))), JSON.stringify(op));
    assert.equal(JSON.stringify(doc), before);
  }
  for (const op of [[{ p: ["a", "b"], oi: 1 }], [{ p: [5], ld: 1 }], [{ p: [], na: 1 }]] as JsonOp[]) assert.throws(() => applyJson([1], op), OperationError, JSON.stringify(op));
});

test("JSON is printed with what is new and what is gone", () => {
  const span = (path: (string | number)[], start = 0, length = 0): Span => ({ path, start, length, author: "Ada", rev: 1, time: timeOf(1) });
  const before = { title: "Old", gone: [1], list: ["a", "b", "c"], n: 1, same: { x: 1 } };
  const now = { title: "Older", list: ["a", "c", "d"], n: 2, same: { x: 1 }, fresh: true };
  const printed = printJson(now, before, [span(["fresh"]), span(["list", 2]), span(["n"]), span(["title"], 3, 2)]);
  assert.deepEqual(JSON.parse(printed.text), now);
  assert.equal(printed.text, printJson(now).text);
  assert.deepEqual(printed.inserted.map(({ from, to }) => printed.text.slice(from, to)), ['"fresh": true', '"d"', "2", "er"]);
  assert.deepEqual(printed.deleted.map(({ text }) => text.trim()), ["b", "c", "1", '"gone": [\n    1\n  ]']);
  assert.deepEqual(printJson(now, now), { text: printed.text, inserted: [], deleted: [] });
  // Escapes count as they are printed.
  const quoted = printJson({ s: 'a"b\nc🌍d' }, { s: "a" }, [span(["s"], 1, 3), span(["s"], 7, 1)]);
  assert.deepEqual(quoted.inserted.map(({ from, to }) => quoted.text.slice(from, to)), ['\\"b\\n', "d"]);
  assert.deepEqual(printJson("x", [1]).deleted, [{ at: 0, text: "[\n  1\n]" }]);
});

test("keys on the slider", () => {
  const move = (key: string, rev = 50, shiftKey = false) => keyMove({ key, shiftKey }, rev, 10, 210);
  assert.deepEqual(move("ArrowLeft"), { step: -1 });
  assert.deepEqual(move("ArrowUp"), { step: 1 });
  assert.deepEqual(move("ArrowRight", 50, true), { rev: 51 });
  assert.deepEqual(move("ArrowLeft", 10, true), { rev: 10 });
  assert.deepEqual(move("PageUp"), { rev: 60 });
  assert.deepEqual(move("PageDown", 12), { rev: 10 });
  assert.deepEqual(move("Home"), { rev: 10 });
  assert.deepEqual(move("End"), { rev: 210 });
  assert.equal(move("a"), null);
});
