// Who wrote what, as stretches of a document one after another.

import type { DeltaOp } from "../../../client/delta.js";
import type { TextOp } from "../../../client/index.js";
import type { Span } from "../history/past.js";

/** A stretch of what is shown, in UTF-16 units, and where it comes from; null where that is not known yet. */
export interface Run {
  readonly length: number;
  readonly span: Span | null;
}

/** What an operation does, without what it puts in: lengths of what stays, is formatted, is new, is gone. */
export type Shape = readonly { readonly does: "retain" | "format" | "insert" | "delete"; readonly length: number }[];

/** Returns the shape of an operation on a plain or a rich text. */
export function shapeOf(op: TextOp | DeltaOp): Shape {
  return op.map((component) => {
    if (typeof component === "string") return { does: "insert", length: component.length };
    if (typeof component === "number") return component > 0 ? { does: "retain", length: component } : { does: "delete", length: -component };
    const { insert, retain, delete: gone, attributes } = component;
    if (insert !== undefined) return { does: "insert", length: typeof insert === "string" ? insert.length : 1 };
    if (retain !== undefined) return { does: attributes ? "format" : "retain", length: retain };
    return { does: "delete", length: gone! };
  });
}

/** Returns spans, which are in order and disjoint, as runs; what lies between them is nobody's. */
export function runsOf(spans: readonly { readonly from: number; readonly to: number; readonly span: Span }[]): Run[] {
  const out = new Collector();
  let at = 0;
  for (const { from, to, span } of spans) {
    out.add(from - at, null);
    out.add(to - from, span);
    at = to;
  }
  return out.runs;
}

/** Returns the runs after an operation; what it puts in or formats comes from `span`. */
export function applyShape(runs: readonly Run[], shape: Shape, span: Span | null): Run[] {
  const out = new Collector();
  let index = 0;
  let offset = 0;
  const walk = (length: number, keep: boolean) => {
    while (length > 0) {
      const run = runs[index];
      // What lies behind the last run is nobody's.
      const n = run ? Math.min(length, run.length - offset) : length;
      if (keep) out.add(n, run?.span ?? null);
      length -= n;
      offset += n;
      if (run && offset === run.length) {
        index++;
        offset = 0;
      }
    }
  };
  for (const { does, length } of shape) {
    if (does === "insert") out.add(length, span);
    else walk(length, does === "retain");
    if (does === "format") out.add(length, span);
  }
  if (offset > 0 && runs[index]) walk(runs[index]!.length - offset, true);
  for (; index < runs.length; index++) out.add(runs[index]!.length, runs[index]!.span);
  return out.runs;
}

/** Returns the run at a position, or undefined behind the last. */
export function runAt(runs: readonly Run[], position: number): Run | undefined {
  let end = 0;
  return position < 0 ? undefined : runs.find(({ length }) => (end += length) > position);
}

/** Returns the stretches by one author each, without what is nobody's. */
export function stretches(runs: readonly Run[]): { from: number; to: number; author: string }[] {
  const out: { from: number; to: number; author: string }[] = [];
  let at = 0;
  for (const { length, span } of runs) {
    const last = out.at(-1);
    if (span && last?.to === at && last.author === span.author) last.to += length;
    else if (span && length > 0) out.push({ from: at, to: at + length, author: span.author });
    at += length;
  }
  return out;
}

class Collector {
  readonly runs: Run[] = [];

  add(length: number, span: Span | null): void {
    if (length <= 0) return;
    const last = this.runs.at(-1);
    if (last?.span === span) this.runs[this.runs.length - 1] = { length: last.length + length, span };
    else this.runs.push({ length, span });
  }
}
