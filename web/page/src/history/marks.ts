// What is shown of a change: what is new in a text, and what is gone from it.

import type { DeltaComponent, DeltaDoc, DeltaOp } from "../../../client/delta.js";
import type { TextOp } from "../../../client/index.js";
import type { Span } from "./past.js";

/** What is new in a text and by whom, and what is gone from it. Positions are UTF-16 units of the text after the change. */
export interface Marks {
  /** In order, disjoint. */
  readonly inserted: readonly { readonly from: number; readonly to: number; readonly span: Span }[];
  /** In order. */
  readonly deleted: readonly { readonly at: number; readonly text: string }[];
}

/** Returns the marks of an operation on a text. `spans` are of the text after it, in UTF-16 units. */
export function markText(before: string, op: TextOp, spans: readonly Span[]): Marks {
  const deleted: { at: number; text: string }[] = [];
  let was = 0; // in the text before
  let at = 0; // in the text after
  let since = 0; // where what is retained ended
  for (const component of op) {
    if (typeof component === "string") {
      at += component.length;
    } else if (component > 0) {
      was += component;
      since = at += component;
    } else {
      // What took the place of something stands behind it.
      const last = deleted.at(-1);
      const text = before.slice(was, was - component);
      if (last?.at === since) deleted[deleted.length - 1] = { at: since, text: last.text + text };
      else deleted.push({ at: since, text });
      was -= component;
    }
  }
  return { inserted: spans.map((span) => ({ from: span.start, to: span.start + span.length, span })), deleted };
}

/** What a part of a marked rich text is: new, of another format, or gone. */
export type DeltaMark = "new" | "formatted" | "gone";

/** A part of a rich text that is marked, with whom it comes from, where that is known. */
export interface MarkedComponent extends DeltaComponent {
  readonly mark?: DeltaMark;
  readonly span?: Span | undefined;
}

/** Returns a rich text after an operation together with what is gone from it, in place, and each part's mark. */
export function markDelta(before: DeltaDoc, after: DeltaDoc, op: DeltaOp, spans: readonly Span[]): MarkedComponent[] {
  const old = new Row(before);
  const now = new Row(after);
  const out: MarkedComponent[] = [];
  let held: MarkedComponent[] = []; // what is new, until it is known what is gone from its place
  const release = () => {
    out.push(...held);
    held = [];
  };
  const marked = (length: number, mark: DeltaMark) => {
    const parts: MarkedComponent[] = [];
    for (let end = now.at + length; now.at < end && !now.done; ) {
      const span = spanAt(spans, now.at);
      const until = Math.min(end, nextEdge(spans, now.at));
      for (const part of now.take(until - now.at)) parts.push({ ...part, mark, span });
    }
    return parts;
  };
  for (const component of op) {
    const { insert, retain, attributes } = component;
    if (insert !== undefined) {
      held.push(...marked(typeof insert === "string" ? insert.length : 1, "new"));
    } else if (retain !== undefined) {
      release();
      old.take(retain);
      out.push(...(attributes ? marked(retain, "formatted") : now.take(retain)));
    } else {
      out.push(...old.take(component.delete!).map((part): MarkedComponent => ({ ...part, mark: "gone" })));
    }
  }
  release();
  out.push(...now.take(Infinity));
  return out;
}

/** Returns the span that covers a position; spans are in order and disjoint. */
function spanAt(spans: readonly Span[], at: number): Span | undefined {
  const span = spans[firstEndingAfter(spans, at)];
  return span && span.start <= at ? span : undefined;
}

/** Returns the next position after `at` where a span begins or ends. */
function nextEdge(spans: readonly Span[], at: number): number {
  const span = spans[firstEndingAfter(spans, at)];
  if (!span) return Infinity;
  return span.start > at ? span.start : span.start + span.length;
}

function firstEndingAfter(spans: readonly Span[], at: number): number {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle]!.start + spans[middle]!.length <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Walks over a rich text, handing out parts of it. */
class Row {
  readonly #doc: DeltaDoc;
  #index = 0;
  #offset = 0;
  at = 0;

  constructor(doc: DeltaDoc) {
    this.#doc = doc.filter(({ insert }) => insert !== undefined);
  }

  get done(): boolean {
    return this.#index >= this.#doc.length;
  }

  /** Takes up to `length` units. */
  take(length: number): DeltaComponent[] {
    const out: DeltaComponent[] = [];
    while (length > 0 && !this.done) {
      const component = this.#doc[this.#index]!;
      const { insert } = component;
      const left = (typeof insert === "string" ? insert.length : 1) - this.#offset;
      const n = Math.min(left, length);
      out.push(typeof insert === "string" ? { ...component, insert: insert.slice(this.#offset, this.#offset + n) } : component);
      this.at += n;
      length -= n;
      if (n === left) {
        this.#index++;
        this.#offset = 0;
      } else {
        this.#offset += n;
      }
    }
    return out;
  }
}
