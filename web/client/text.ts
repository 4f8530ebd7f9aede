// The document type "text" of section 9 of the protocol. Positions and lengths
// count UTF-16 code units, as JavaScript strings do.

import { crc32c } from "./crc32c.js";
import { OperationError, type Side, type Type } from "./type.js";

/** Retain (positive), delete (negative) or insert (a string). */
export type Component = number | string;

/** One whole edit of a text, in canonical form; components walk from its start. */
export type TextOp = readonly Component[];

/** Selections `[anchor, head]`, the main one first; empty when there is none. */
export type TextCursor = readonly (readonly [number, number])[];

/** Collects components and keeps them canonical, whatever is appended. */
export class Builder {
  readonly #op: Component[] = [];

  retain(length: number): this {
    if (length <= 0) return this;
    const last = this.#op.length - 1;
    const before = this.#op[last];
    if (typeof before === "number" && before > 0) this.#op[last] = before + length;
    else this.#op.push(length);
    return this;
  }

  insert(text: string): this {
    if (text === "") return this;
    const last = this.#op.length - 1;
    const before = this.#op[last];
    if (typeof before === "string") this.#op[last] = before + text;
    else this.#op.push(text);
    return this;
  }

  delete(length: number): this {
    if (length <= 0) return this;
    const last = this.#op.length - 1;
    const before = this.#op[last];
    if (typeof before === "number" && before < 0) this.#op[last] = before - length;
    else this.#op.push(-length);
    return this;
  }

  /** Appends a component of any kind. */
  add(component: Component): this {
    if (typeof component === "string") return this.insert(component);
    return component > 0 ? this.retain(component) : this.delete(-component);
  }

  /** Returns the operation. The builder is not to be used after it. */
  done(): TextOp {
    const last = this.#op[this.#op.length - 1];
    if (typeof last === "number" && last > 0) this.#op.pop();
    return this.#op;
  }
}

type Kind = "retain" | "insert" | "delete" | "end";

/** Walks over an operation, handing out parts of components. After its end it retains for ever. */
class Walk {
  readonly #op: TextOp;
  #index = 0;
  #offset = 0;

  constructor(op: TextOp) {
    this.#op = op;
  }

  get kind(): Kind {
    const component = this.#op[this.#index];
    if (component === undefined) return "end";
    if (typeof component === "string") return "insert";
    return component > 0 ? "retain" : "delete";
  }

  /** Units left in the component under the cursor. */
  get left(): number {
    const component = this.#op[this.#index];
    if (component === undefined) return Infinity;
    return (typeof component === "string" ? component.length : Math.abs(component)) - this.#offset;
  }

  /** Takes up to `length` units off the component under the cursor. */
  take(length: number = this.left): Component {
    const component = this.#op[this.#index];
    if (component === undefined) return length;
    const from = this.#offset;
    if (length >= this.left) {
      length = this.left;
      this.#index++;
      this.#offset = 0;
    } else {
      this.#offset += length;
    }
    if (typeof component === "string") return component.slice(from, from + length);
    return component > 0 ? length : -length;
  }
}

/** Matches an unpaired surrogate. */
export const halfCharacter = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

function compose(a: TextOp, b: TextOp): TextOp {
  const out = new Builder();
  const first = new Walk(a);
  const second = new Walk(b);
  while (first.kind !== "end" || second.kind !== "end") {
    if (second.kind === "insert") {
      out.add(second.take());
    } else if (first.kind === "delete") {
      out.add(first.take());
    } else {
      const length = Math.min(first.left, second.left);
      const deletes = second.kind === "delete";
      const made = first.kind === "insert";
      const under = first.take(length);
      const over = second.take(length);
      if (!deletes) out.add(under);
      else if (!made) out.add(over);
    }
  }
  return out.done();
}

function transform(op: TextOp, over: TextOp, side: Side): TextOp {
  const out = new Builder();
  const mine = new Walk(op);
  const other = new Walk(over);
  while (mine.kind !== "end") {
    if (mine.kind === "insert" && (other.kind !== "insert" || side === "left")) {
      out.add(mine.take());
    } else if (other.kind === "insert") {
      out.retain(other.left);
      other.take();
    } else {
      const length = Math.min(mine.left, other.left);
      const gone = other.kind === "delete";
      const component = mine.take(length);
      other.take(length);
      if (!gone) out.add(component);
    }
  }
  return out.done();
}

/** Calls `visit` for each component with the position in `doc` at which it stands. Checks that it fits. */
function walkOver(doc: string, op: TextOp, visit: (component: Component, at: number) => void): number {
  let at = 0;
  for (const component of op) {
    visit(component, at);
    if (typeof component === "string") continue;
    at += Math.abs(component);
    if (at > doc.length) throw new OperationError(`operation reaches to ${at}, the text ends at ${doc.length}`);
    if (inPair(doc, at)) throw new OperationError(`operation splits the surrogate pair at ${at}`);
  }
  return at;
}

/** Reports whether a position is in the middle of a surrogate pair. */
export function inPair(doc: string, at: number): boolean {
  return (doc.charCodeAt(at) & 0xfc00) === 0xdc00 && (doc.charCodeAt(at - 1) & 0xfc00) === 0xd800;
}

function apply(doc: string, op: TextOp): string {
  let out = "";
  const end = walkOver(doc, op, (component, at) => {
    if (typeof component === "string") out += component;
    else if (component > 0) out += doc.slice(at, at + component);
  });
  return out + doc.slice(end);
}

function invert(doc: string, op: TextOp): TextOp {
  const out = new Builder();
  walkOver(doc, op, (component, at) => {
    if (typeof component === "string") out.delete(component.length);
    else if (component > 0) out.retain(component);
    else out.insert(doc.slice(at, at - component));
  });
  return out.done();
}

function split(op: TextOp, units: number): TextOp[] {
  const parts: TextOp[] = [];
  let rest = new Builder();
  let room = units;
  let position = 0; // in the document that the parts so far have made
  const next = () => {
    parts.push(rest.done());
    rest = new Builder().retain(position);
    room = units;
  };
  for (const component of op) {
    if (typeof component === "number") {
      rest.add(component);
      if (component > 0) position += component;
      continue;
    }
    for (let from = 0; from < component.length; ) {
      let to = Math.min(component.length, from + Math.max(room, 2));
      if (inPair(component, to)) to--;
      rest.insert(component.slice(from, to));
      position += to - from;
      room -= to - from;
      from = to;
      if (room <= 0 && from < component.length) next();
    }
    if (room <= 0) next();
  }
  const last = rest.done();
  if (last.length > 0 || parts.length === 0) parts.push(last);
  return parts;
}

/** The most units that an operation may walk over. */
const maxLength = 2 ** 31 - 1;

function operation(json: unknown): TextOp {
  if (!Array.isArray(json)) throw new OperationError("an operation is an array");
  let before: Kind = "end";
  let reach = 0;
  for (const component of json) {
    let kind: Kind;
    if (typeof component === "string" && component !== "") kind = "insert";
    else if (Number.isSafeInteger(component) && component !== 0) kind = component > 0 ? "retain" : "delete";
    else throw new OperationError("a component is a string or a whole number, and not empty or zero");
    if (kind === before) throw new OperationError(`two neighbours both ${kind}`);
    if (kind === "insert" && halfCharacter.test(component)) throw new OperationError("an insert holds an unpaired surrogate");
    if (kind !== "insert") reach += Math.abs(component);
    before = kind;
  }
  if (reach > maxLength) throw new OperationError(`reaches to ${reach}, the most is ${maxLength}`);
  if (before === "retain") throw new OperationError("a retain at the end");
  return json as TextOp;
}

function moved(position: number, op: TextOp, side: Side): number {
  let at = 0; // in the text before op
  let out = position;
  for (const component of op) {
    if (at > position || (at === position && typeof component !== "string")) break;
    if (typeof component === "string") {
      if (at < position || side === "right") out += component.length;
    } else if (component > 0) {
      at += component;
    } else {
      out -= Math.min(-component, position - at);
      at -= component;
    }
  }
  return out;
}

/** The document type "text": a document is a string. */
export const text: Type<string, TextOp, TextCursor> = {
  name: "text",
  create(content) {
    if (typeof content !== "string") throw new OperationError("the content of a text is a string");
    return content;
  },
  content: (doc) => doc,
  plain: (doc) => doc,
  operation,
  apply,
  compose,
  transform,
  invert,
  isIdentity: (op) => op.length === 0,
  split,
  transformCursor: (cursor, op, side) =>
    cursor.map(([anchor, head]) => [moved(anchor, op, side), moved(head, op, side)] as const),
  sameCursor: (a, b) => a.length === b.length && a.every(([anchor, head], i) => anchor === b[i]![0] && head === b[i]![1]),
  checksum: crc32c,
};
