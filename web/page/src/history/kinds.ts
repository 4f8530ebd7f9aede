// The document types as the history knows them: how an operation from the past is
// applied. Text is text, in whatever units its operations count.

import type { DeltaOp } from "../../../client/delta.js";
import { Builder, OperationError, text, type Component, type TextOp } from "../../../client/index.js";
import { shapeOf } from "../blame/runs.js";
import { applyJson, type JsonOp } from "./json.js";
import type { Span } from "./past.js";

/** A type of documents of which the past can be shown. `D` is the content. */
export interface Kind<D> {
  /** What shows it. */
  readonly shows: "text" | "delta" | "json";
  create(content: unknown): D;
  /** Returns the content after an operation in wire form. Throws OperationError when it does not fit. */
  apply(doc: D, op: unknown): D;
  /** Returns about how much memory a content takes, in UTF-16 units. */
  size(doc: D): number;
  /** Returns spans of a content, which count in the type's unit, in UTF-16 units. */
  toUnits(doc: D, spans: readonly Span[]): readonly Span[];
  /** Returns what an operation on a content puts in or formats, in UTF-16 units of the content after it, in order; null where the operation does not tell. */
  touched(doc: D, op: unknown): readonly Touched[] | null;
}

/** A stretch of a document. */
export interface Touched {
  readonly start: number;
  readonly length: number;
}

/** A type whose documents are one text. */
export interface TextKind extends Kind<string> {
  readonly shows: "text";
  /** Returns an operation on `doc` as one of the type "text". */
  toTextOp(doc: string, op: unknown): TextOp;
}

const asTheyAre = (_doc: unknown, spans: readonly Span[]) => spans;

/** Returns the stretches that are put in or formatted by an operation of this shape. */
function touchedBy(op: TextOp | DeltaOp): Touched[] {
  const out: Touched[] = [];
  let at = 0;
  for (const { does, length } of shapeOf(op)) {
    if (does === "delete") continue;
    const last = out.at(-1);
    if (does !== "retain" && last && last.start + last.length === at) out[out.length - 1] = { start: last.start, length: last.length + length };
    else if (does !== "retain") out.push({ start: at, length });
    at += length;
  }
  return out;
}

function textKind(toTextOp: TextKind["toTextOp"], toUnits: TextKind["toUnits"] = asTheyAre): TextKind {
  return {
    shows: "text",
    create: text.create,
    apply: (doc, op) => text.apply(doc, toTextOp(doc, op)),
    size: (doc) => doc.length,
    toTextOp,
    toUnits,
    touched: (doc, op) => touchedBy(toTextOp(doc, op)),
  };
}

/** Returns the UTF-16 position `points` code points after `at`. */
function forward(doc: string, at: number, points: number): number {
  for (; points > 0; points--) {
    const unit = doc.codePointAt(at);
    if (unit === undefined) throw new OperationError("the operation reaches past the end of the text");
    at += unit > 0xffff ? 2 : 1;
  }
  return at;
}

type UnicodeOp = readonly (number | string | { readonly d: number | string })[];

function fromCodePoints(doc: string, op: UnicodeOp): TextOp {
  const out = new Builder();
  let at = 0;
  for (const component of op) {
    if (typeof component === "string") {
      out.insert(component);
      continue;
    }
    const points = typeof component === "number" ? component : typeof component.d === "number" ? component.d : [...component.d].length;
    const to = forward(doc, at, points);
    out.add((typeof component === "number" ? to - at : at - to) as Component);
    at = to;
  }
  return out.done();
}

function spansFromCodePoints(doc: string, spans: readonly Span[]): Span[] {
  let [points, at] = [0, 0];
  return spans.map((span) => {
    const start = forward(doc, at, span.start - points);
    const end = forward(doc, start, span.length);
    [points, at] = [span.start + span.length, end];
    return { ...span, start, length: end - start };
  });
}

type SingleEdits = readonly { readonly p: number; readonly i?: string; readonly d?: string }[];

function fromSingleEdits(_doc: string, op: SingleEdits): TextOp {
  return op.reduce<TextOp>((all, { p, i = "", d = "" }) => text.compose(all, new Builder().retain(p).insert(i).delete(d.length).done()), []);
}

const jsonKind: Kind<unknown> = {
  shows: "json",
  create: (content) => content,
  apply: (doc, op) => applyJson(doc, op as JsonOp),
  size: (doc) => JSON.stringify(doc).length,
  toUnits: asTheyAre,
  touched: () => null,
};

/** Returns what is known of a type; rejects when its part of the page could not be loaded, undefined when it is unknown. */
export async function kindOf(type: string): Promise<Kind<unknown> | undefined> {
  switch (type) {
    case "text":
      return textKind((_doc, op) => text.operation(op)) as Kind<any>;
    case "text-unicode":
      return textKind((doc, op) => fromCodePoints(doc, op as UnicodeOp), spansFromCodePoints) as Kind<any>;
    case "text0":
      return textKind((doc, op) => fromSingleEdits(doc, op as SingleEdits)) as Kind<any>;
    case "json0":
      return jsonKind;
    case "delta": {
      const { richText } = await import("../../../client/delta.js");
      return {
        shows: "delta",
        create: (content) => richText.create(content),
        apply: (doc, op) => richText.apply(doc as never, richText.operation(op)),
        size: (doc) => richText.plain(doc as never).length,
        toUnits: asTheyAre,
        touched: (_doc, op) => touchedBy(op as DeltaOp),
      };
    }
  }
  return undefined;
}

/** Reports whether a type's documents are one text. */
export function isTextKind(kind: Kind<any>): kind is TextKind {
  return kind.shows === "text";
}
