import assert from "node:assert/strict";
import { test } from "node:test";

import { EditorSelection, EditorState, type ChangeSpec } from "@codemirror/state";

import { text } from "../../client/index.js";
import { random, randomOp, randomText, type Random } from "../../client/test/random.js";
import { changesToOp, onlyWholeCharacters, opToChanges, selectionToCursor } from "../src/convert.js";

const stateOf = (doc: string, ...more: readonly unknown[]) =>
  EditorState.create({ doc, extensions: [EditorState.lineSeparator.of("\n"), ...(more as [])] });

/** Returns changes anywhere, also in the middle of characters. */
function randomChanges(rnd: Random, doc: string): ChangeSpec[] {
  const changes: ChangeSpec[] = [];
  for (let at = rnd.int(3); at <= doc.length; at += 1 + rnd.int(4)) {
    const to = Math.min(doc.length, at + rnd.int(4));
    changes.push({ from: at, to, insert: randomText(rnd, 2) });
    at = to;
  }
  return changes;
}

test("an editor's change and the operation for it come to the same text, both ways", () => {
  const rnd = random(1);
  for (let round = 0; round < 5_000; round++) {
    const doc = `${randomText(rnd, 10)}\r${randomText(rnd, 5)}`;
    const state = stateOf(doc);
    const op = randomOp(rnd, doc);
    const after = state.update({ changes: opToChanges(op) }).state;
    assert.equal(after.sliceDoc(), text.apply(doc, op), JSON.stringify({ doc, op }));
    const tr = stateOf(doc, onlyWholeCharacters).update({ changes: randomChanges(rnd, doc) });
    const back = changesToOp(tr.changes);
    assert.equal(text.apply(doc, text.operation(back)), tr.state.sliceDoc(), JSON.stringify({ doc, back }));
  }
});

test("half characters are completed or replaced, whole ones left alone", () => {
  const cases: [string, ChangeSpec, string][] = [
    ["a😀b", { from: 2, to: 3, insert: "\ude03" }, "a😃b"], // the second half only
    ["a😀b", { from: 1, to: 2, insert: "\ud83c" }, "a🈀b"], // the first half only
    ["a😀b", { from: 2, to: 3 }, "a\ufffdb"],
    ["a😀b", { from: 2, insert: "x" }, "a\ufffdx\ufffdb"],
    ["ab", { from: 1, insert: "\ud800" }, "a\ufffdb"],
    ["a😀b", { from: 1, to: 3, insert: "👩" }, "a👩b"],
  ];
  for (const [doc, change, after] of cases) {
    const tr = stateOf(doc, onlyWholeCharacters).update({ changes: change, selection: { anchor: 1 }, userEvent: "input.type" });
    assert.equal(tr.state.sliceDoc(), after);
    text.operation(changesToOp(tr.changes));
    assert.ok(tr.isUserEvent("input.type"));
  }
});

test("the main selection comes first", () => {
  const state = EditorState.create({
    doc: "hello",
    extensions: EditorState.allowMultipleSelections.of(true),
    selection: EditorSelection.create([EditorSelection.range(2, 0), EditorSelection.cursor(3), EditorSelection.range(4, 5)], 1),
  });
  assert.deepEqual(selectionToCursor(state), [[3, 3], [2, 0], [4, 5]]);
});
