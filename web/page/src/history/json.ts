// JSON documents in the history: applying operations of the type "json0", and
// printing a document with what changed.

import { byName } from "../../../client/json.js";
import { Builder, OperationError, text } from "../../../client/index.js";
import type { Span } from "./past.js";

/** One component of an operation of "json0" (docs/types.md). */
interface JsonComponent {
  readonly p: readonly (string | number)[];
  readonly na?: number;
  readonly li?: unknown;
  readonly ld?: unknown;
  readonly lm?: number | string;
  readonly oi?: unknown;
  readonly od?: unknown;
  readonly si?: string;
  readonly sd?: string;
  readonly t?: string;
  readonly o?: readonly { readonly p: number; readonly i?: string; readonly d?: string }[];
}

export type JsonOp = readonly JsonComponent[];

/** Returns a document after an operation. What did not change is shared with the document before. Throws OperationError. */
export function applyJson(doc: unknown, op: JsonOp): unknown {
  return op.reduce((value, component) => {
    const { p, si, sd } = component;
    if (si === undefined && sd === undefined) return applyAt(value, component, p);
    // The last step of the path is a place in the text.
    return applyAt(value, { p, t: "text0", o: [{ p: Number(p.at(-1)), ...(si === undefined ? { d: sd! } : { i: si }) }] }, p.slice(0, -1));
  }, doc);
}

/** Returns a value after a component at the rest of its path. */
function applyAt(value: unknown, c: JsonComponent, path: readonly (string | number)[]): unknown {
  if (path.length === 0) return replaced(value, c);
  const [key, ...rest] = path as [string | number, ...(string | number)[]];
  if (Array.isArray(value)) {
    const at = Number(key);
    if (rest.length > 0 || c.na !== undefined || c.t !== undefined) return value.with(within(value, at), applyAt(value[at], c, rest));
    return editedList(value, c, at);
  }
  if (typeof value !== "object" || value === null) throw new OperationError(`nothing lies at ${JSON.stringify(c.p)}`);
  const members = value as { readonly [name: string]: unknown };
  const name = String(key);
  if (rest.length === 0 && c.na === undefined && c.t === undefined) {
    if (c.oi !== undefined) return { ...members, [name]: c.oi };
    const { [name]: _, ...others } = members;
    return others;
  }
  if (!Object.hasOwn(members, name)) throw new OperationError(`nothing lies at ${JSON.stringify(c.p)}`);
  return { ...members, [name]: applyAt(members[name], c, rest) };
}

function within(list: readonly unknown[], at: number): number {
  if (!Number.isSafeInteger(at) || at < 0 || at >= list.length) throw new OperationError(`a list of ${list.length} items has none at ${at}`);
  return at;
}

function editedList(list: readonly unknown[], { li, ld, lm }: JsonComponent, at: number): unknown[] {
  if (lm !== undefined) {
    const item = list[within(list, at)];
    return list.toSpliced(at, 1).toSpliced(Number(lm), 0, item);
  }
  if (ld !== undefined) within(list, at);
  else if (at < 0 || at > list.length) throw new OperationError(`a list of ${list.length} items has no place ${at}`);
  return list.toSpliced(at, ld === undefined ? 0 : 1, ...(li === undefined ? [] : [li]));
}

/** Returns a value after a component that is about the value itself. */
function replaced(value: unknown, { na, t, o = [], oi, od, li, ld }: JsonComponent): unknown {
  if (na !== undefined) {
    if (typeof value !== "number") throw new OperationError("a sum of what is no number");
    return value + na;
  }
  if (t !== undefined) {
    if (typeof value !== "string") throw new OperationError("an edit of what is no text");
    return o.reduce((now, { p, i = "", d = "" }) => text.apply(now, new Builder().retain(p).insert(i).delete(d.length).done()), value);
  }
  // At the root a value is set as a whole.
  if (oi !== undefined || od !== undefined) return oi ?? null;
  if (li !== undefined || ld !== undefined) return li ?? null;
  throw new OperationError("a component that does nothing");
}

/** A printed document: its text, where what is new stands in it, and what is gone. */
export interface Printed {
  readonly text: string;
  /** In the order of the text, disjoint. */
  readonly inserted: readonly { readonly from: number; readonly to: number; readonly span: Span }[];
  readonly deleted: readonly { readonly at: number; readonly text: string }[];
}

const nothing = Symbol("nothing");

/**
 * Prints a value for people, names in order, two spaces to a level. `before` is what
 * it was; `spans` says where what is new comes from.
 */
export function printJson(value: unknown, before: unknown = value, spans: readonly Span[] = []): Printed {
  const printer = new Printer(spans);
  printer.value(value, before, [], 0);
  return printer.done();
}

class Printer {
  readonly #byPath = new Map<string, Span[]>();
  readonly #inserted: { from: number; to: number; span: Span }[] = [];
  readonly #deleted: { at: number; text: string }[] = [];
  #text = "";

  constructor(spans: readonly Span[]) {
    for (const span of spans) {
      const key = JSON.stringify(span.path ?? []);
      const there = this.#byPath.get(key);
      if (there) there.push(span);
      else this.#byPath.set(key, [span]);
    }
  }

  done(): Printed {
    // What is new as a whole covers what is new within it.
    const inserted: { from: number; to: number; span: Span }[] = [];
    for (const range of this.#inserted.sort((a, b) => a.from - b.from || b.to - a.to)) {
      const last = inserted.at(-1);
      if (!last || range.from >= last.to) inserted.push(range);
    }
    return { text: this.#text, inserted, deleted: this.#deleted };
  }

  value(now: unknown, was: unknown, path: (string | number)[], depth: number): void {
    const from = this.#text.length;
    const alike = shape(now) === shape(was);
    if (!alike && was !== nothing) this.#gone(was, depth);
    const old = alike ? was : nothing;
    if (Array.isArray(now)) this.#list(now, alike ? (old as unknown[]) : null, path, depth);
    else if (typeof now === "object" && now !== null) this.#object(now, alike ? (old as object) : null, path, depth);
    else this.#scalar(now, old, depth);
    this.#mark(now, from, path);
  }

  #scalar(now: unknown, was: unknown, depth: number): void {
    if (was !== nothing && was !== now && typeof now !== "string") this.#gone(was, depth);
    if (typeof now === "string" && typeof was === "string" && was !== now) this.#goneWithin(now, was);
    this.#text += JSON.stringify(now);
  }

  /** Says what is gone from the middle of a string. */
  #goneWithin(now: string, was: string): void {
    const [start, end] = unlike(Array.from(now), Array.from(was));
    const old = Array.from(was);
    const text = old.slice(start, old.length - end).join("");
    if (text !== "") this.#deleted.push({ at: this.#text.length + written(Array.from(now).slice(0, start).join("")), text: JSON.stringify(text).slice(1, -1) });
  }

  #list(now: readonly unknown[], was: readonly unknown[] | null, path: (string | number)[], depth: number): void {
    const [start, end] = was ? unlike(now.map(canonical), was.map(canonical)) : [now.length, 0];
    const more = was ? was.slice(start, was.length - end) : [];
    const middle = now.length - start - end;
    const children = now.map((item, i) => {
      let old: unknown = nothing;
      if (!was) old = nothing;
      else if (i < start) old = item;
      else if (i >= now.length - end) old = item;
      else old = i - start < more.length ? more[i - start] : nothing;
      return () => this.value(item, old, [...path, i], depth + 1);
    });
    const rest = more.slice(Math.max(0, middle));
    this.#lines("[", "]", children, depth, rest.length > 0 ? { at: start + Math.max(0, middle), lines: rest.map((item) => pretty(item, depth + 1)) } : null);
  }

  #object(now: object, was: object | null, path: (string | number)[], depth: number): void {
    const members = Object.entries(now).sort(byName);
    const old = new Map(Object.entries(was ?? {}));
    const gone = [...old].filter(([name]) => !Object.hasOwn(now, name)).sort(byName);
    const children = members.map(([name, value]) => () => {
      const from = this.#text.length;
      this.#text += `${JSON.stringify(name)}: `;
      this.value(value, old.has(name) ? old.get(name) : nothing, [...path, name], depth + 1);
      if (was && !old.has(name)) this.#widen(from, [...path, name]);
    });
    const lines = gone.map(([name, value]) => `${JSON.stringify(name)}: ${pretty(value, depth + 1)}`);
    this.#lines("{", "}", children, depth, lines.length > 0 ? { at: members.length, lines } : null);
  }

  /** Lets what is new at a path begin with its name. */
  #widen(from: number, path: readonly (string | number)[]): void {
    const span = this.#byPath.get(JSON.stringify(path))?.[0];
    if (span) this.#inserted.push({ from, to: this.#text.length, span });
  }

  #lines(open: string, close: string, children: readonly (() => void)[], depth: number, gone: { at: number; lines: string[] } | null): void {
    this.#text += open;
    const indent = "  ".repeat(depth + 1);
    children.forEach((child, i) => {
      if (gone?.at === i) this.#goneLines(gone.lines, indent);
      this.#text += `${i > 0 ? "," : ""}\n${indent}`;
      child();
    });
    if (gone && gone.at >= children.length) this.#goneLines(gone.lines, indent);
    this.#text += children.length > 0 ? `\n${"  ".repeat(depth)}${close}` : close;
  }

  #goneLines(lines: readonly string[], indent: string): void {
    this.#deleted.push({ at: this.#text.length, text: lines.map((line) => `\n${indent}${line}`).join(",") });
  }

  #gone(was: unknown, depth: number): void {
    this.#deleted.push({ at: this.#text.length, text: pretty(was, depth) });
  }

  /** Marks what spans say of the value that was just printed, which begins at `from`. */
  #mark(now: unknown, from: number, path: readonly (string | number)[]): void {
    for (const span of this.#byPath.get(JSON.stringify(path)) ?? []) {
      if (span.length === 0 || typeof now !== "string") this.#inserted.push({ from, to: this.#text.length, span });
      else this.#inserted.push({ from: from + written(now.slice(0, span.start)), to: from + written(now.slice(0, span.start + span.length)), span });
    }
  }
}

/** Returns where a part of a string ends when it is written as JSON: the quote before it included. */
const written = (part: string): number => JSON.stringify(part).length - 1;

const shape = (value: unknown): string => (Array.isArray(value) ? "list" : typeof value === "object" && value !== null ? "object" : typeof value === "string" ? "string" : "scalar");

const canonical = (value: unknown): string => JSON.stringify(sorted(value));

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).sort(byName).map(([name, member]) => [name, sorted(member)]));
}

function pretty(value: unknown, depth: number): string {
  return JSON.stringify(sorted(value), null, 2).replaceAll("\n", `\n${"  ".repeat(depth)}`);
}

/** Returns how many items two lists have in common at their start and, of the rest, at their end. */
function unlike(a: readonly unknown[], b: readonly unknown[]): [start: number, end: number] {
  const least = Math.min(a.length, b.length);
  let start = 0;
  while (start < least && a[start] === b[start]) start++;
  let end = 0;
  while (end < least - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  return [start, end];
}
