import { EditorState, Transaction, type ChangeSet, type ChangeSpec, type Text, type TransactionSpec } from "@codemirror/state";

import { Builder, type TextCursor, type TextOp } from "../../client/index.js";

/** Returns a change of the editor as an operation. Both count UTF-16 units. */
export function changesToOp(changes: ChangeSet): TextOp {
  const out = new Builder();
  let at = 0;
  changes.iterChanges((from, to, _fromB, _toB, inserted) => {
    out.retain(from - at).insert(inserted.sliceString(0)).delete(to - from);
    at = to;
  }, true);
  return out.done();
}

/** Returns an operation as changes of the editor, all on the document before it. */
export function opToChanges(op: TextOp): ChangeSpec[] {
  const changes: { from: number; to: number; insert: string }[] = [];
  let at = 0;
  let open: (typeof changes)[number] | undefined; // what touches the component before
  for (const component of op) {
    if (typeof component === "number" && component > 0) {
      at += component;
      open = undefined;
      continue;
    }
    if (!open) changes.push((open = { from: at, to: at, insert: "" }));
    if (typeof component === "string") open.insert += component;
    else open.to = at -= component;
  }
  return changes;
}

/** Returns where the selections of an editor are, the main one first. */
export function selectionToCursor(state: EditorState): TextCursor {
  const { main, ranges } = state.selection;
  return [main, ...ranges.filter((range) => range !== main)].map(({ anchor, head }) => [anchor, head] as const);
}

const high = (unit: number) => (unit & 0xfc00) === 0xd800;
const low = (unit: number) => (unit & 0xfc00) === 0xdc00;

function splitsPair(doc: Text, at: number): boolean {
  if (at <= 0 || at >= doc.length) return false;
  const around = doc.sliceString(at - 1, at + 1);
  return high(around.charCodeAt(0)) && low(around.charCodeAt(1));
}

/**
 * Returns changes that come to the same text, but replace whole characters and
 * insert no half ones; null when they do already. Editors find the smallest
 * difference in UTF-16, and 😀 and 😃 differ in their second half only.
 */
export function wholeCharacters(doc: Text, changes: ChangeSet): ChangeSpec[] | null {
  let whole = true;
  const out: { from: number; to: number; insert: string }[] = [];
  changes.iterChanges((from, to, _fromB, _toB, inserted) => {
    let insert = inserted.sliceString(0);
    const before = splitsPair(doc, from);
    const after = splitsPair(doc, to);
    if (before && from < to) insert = doc.sliceString(from - 1, from) + insert;
    if (after && from < to) insert += doc.sliceString(to, to + 1);
    if (from === to && before) {
      // An insert into the middle of a character replaces its halves by what can be kept of them.
      insert = doc.sliceString(from - 1, from) + insert + doc.sliceString(from, from + 1);
    }
    if (before) from--;
    if (after) to++;
    const clean = insert.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
    if (before || after || clean !== insert) whole = false;
    out.push({ from, to, insert: clean });
  }, true);
  return whole ? null : out;
}

/** Keeps half characters out of the document, whoever wants to put them in. */
export const onlyWholeCharacters = EditorState.transactionFilter.of((tr: Transaction): Transaction | TransactionSpec[] => {
  const changes = tr.docChanged ? wholeCharacters(tr.startState.doc, tr.changes) : null;
  if (!changes) return tr;
  const set = tr.startState.changes(changes);
  const clamp = (at: number) => Math.min(at, set.newLength);
  const { anchor, head } = tr.newSelection.main;
  const userEvent = tr.annotation(Transaction.userEvent);
  return [{
    changes: set,
    selection: { anchor: clamp(anchor), head: clamp(head) },
    effects: tr.effects,
    scrollIntoView: tr.scrollIntoView,
    ...(userEvent === undefined ? {} : { userEvent }),
  }];
});
