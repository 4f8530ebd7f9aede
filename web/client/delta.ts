// The document type "delta": rich text. A module of its own, because it brings
// Quill's Delta with it, which is its algebra. Positions and lengths count UTF-16
// code units; an embed is one.

import Delta, { type AttributeMap, type Op } from "quill-delta";

import { crc32c } from "./crc32c.js";
import { byName, orderedJSON, wholeNumber } from "./json.js";
import { halfCharacter, inPair, type TextCursor } from "./text.js";
import { OperationError, type Type } from "./type.js";

/** Formats by name. In a retain null takes a format away. */
export type Attributes = { readonly [name: string]: unknown };

/** An insert (text, or an embed: an object of one member), a retain or a delete. */
export interface DeltaComponent {
  readonly insert?: string | { readonly [name: string]: unknown };
  readonly retain?: number;
  readonly delete?: number;
  readonly attributes?: Attributes;
}

/** One whole edit of a rich text, in canonical form; components walk from its start. */
export type DeltaOp = readonly DeltaComponent[];

/** A rich text: inserts, neighbours of equal attributes joined. */
export type DeltaDoc = readonly DeltaComponent[];

/** Where selections are; as in a text. */
export type DeltaCursor = TextCursor;

const delta = (op: DeltaOp): Delta => new Delta(op as Op[]);

/** Returns how much of a document a component walks over or puts in. */
const lengthOf = (component: DeltaComponent): number => Delta.Op.length(component as Op);

/** Returns the length of a document. */
export function deltaLength(doc: DeltaDoc): number {
  return doc.reduce((length, component) => length + (component.delete === undefined ? lengthOf(component) : 0), 0);
}

/** Reports whether an object's names are in order, as far as JavaScript keeps it. */
function namesInOrder(value: object): boolean {
  let before = "";
  for (const name of Object.keys(value)) {
    if (wholeNumber.test(name)) continue;
    if (name < before) return false;
    before = name;
  }
  return true;
}

/** Returns a value with the names of every object in order, as far as JavaScript keeps it. */
function inOrder(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(inOrder);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(members.sort(byName).map(([name, member]) => [name, inOrder(member)]));
}

/** Returns a component in canonical order: what it does, then its attributes. */
function componentInOrder({ attributes, insert, ...rest }: DeltaComponent): DeltaComponent {
  return {
    ...(insert === undefined ? rest : { insert: inOrder(insert) as string }),
    ...(attributes ? { attributes: inOrder(attributes) as Attributes } : {}),
  };
}

/** Puts what the algebra returned in canonical order; what was in it already is. */
function tidy({ ops }: Delta): DeltaOp {
  return (ops as DeltaComponent[]).map((component) => {
    const { attributes } = component;
    return !attributes || (Object.keys(component)[0] !== "attributes" && namesInOrder(attributes)) ? component : componentInOrder(component);
  });
}

/**
 * Returns components from anywhere, such as an editor, as an operation in
 * canonical form. What is empty vanishes, inserts lose attributes that are null,
 * and half characters become U+FFFD. Throws OperationError when they are no operation even so.
 */
export function toDeltaOp(components: readonly object[]): DeltaOp {
  const out = new Delta();
  for (const component of components as readonly DeltaComponent[]) {
    const { insert, attributes, ...rest } = componentInOrder(component);
    if (insert === "" || rest.retain === 0 || rest.delete === 0) continue;
    const kept = Object.entries(attributes ?? {}).filter(([, value]) => insert === undefined || value !== null);
    const formats = kept.length > 0 ? { attributes: Object.fromEntries(kept) } : {};
    if (insert === undefined) out.push({ ...rest, ...formats });
    else out.push({ insert: typeof insert === "string" ? insert.replace(halfCharacters, "\ufffd") : insert, ...formats });
  }
  return operation(tidy(out.chop()));
}

const halfCharacters = new RegExp(halfCharacter, "g");

/** Checks a value within an operation, and reports whether its names are in order. */
function checkValue(value: unknown): boolean {
  if (typeof value === "string" && halfCharacter.test(value)) throw new OperationError("a string holds an unpaired surrogate");
  if (typeof value === "number" && !Number.isFinite(value)) throw new OperationError("a number is too large");
  if (typeof value !== "object" || value === null) return true;
  let ordered = Array.isArray(value) || namesInOrder(value);
  for (const [name, member] of Object.entries(value)) {
    if (name === "__proto__") throw new OperationError("a member is called __proto__");
    checkValue(name);
    if (!checkValue(member)) ordered = false;
  }
  return ordered;
}

type Action = "insert" | "retain" | "delete";

/** The most units that an operation may walk over. */
const maxLength = 2 ** 31 - 1;

/** Checks a component, and returns what it does and whether its names are in order. */
function checkComponent(component: unknown): { action: Action; ordered: boolean } {
  if (typeof component !== "object" || component === null || Array.isArray(component)) throw new OperationError("a component is an object");
  const names = Object.keys(component);
  const actions = names.filter((name): name is Action => name === "insert" || name === "retain" || name === "delete");
  const [action] = actions;
  if (!action || actions.length > 1) throw new OperationError("a component inserts, retains or deletes");
  const other = names.find((name) => name !== action && (name !== "attributes" || action === "delete"));
  if (other !== undefined) throw new OperationError(`a ${action} with the member ${other}`);
  const { attributes, [action]: value } = component as DeltaComponent;
  if (action === "insert") {
    const embed = typeof value === "object" && value !== null && !Array.isArray(value);
    if (!embed && (typeof value !== "string" || value === "")) throw new OperationError("an insert is a text or an object");
  } else if (!Number.isSafeInteger(value) || (value as number) <= 0) {
    throw new OperationError(`a ${action} is a positive whole number`);
  }
  if (names.length > 1 && (typeof attributes !== "object" || attributes === null || Array.isArray(attributes) || Object.keys(attributes).length === 0)) {
    throw new OperationError("attributes are an object that is not empty");
  }
  const valueOrdered = checkValue(value);
  return { action, ordered: checkValue(attributes) && valueOrdered && names[0] === action };
}

function operation(json: unknown): DeltaOp {
  if (!Array.isArray(json)) throw new OperationError("an operation is an array");
  let before: DeltaComponent = {};
  let reach = 0;
  let inPlace = true;
  for (const component of json as DeltaComponent[]) {
    const { action, ordered } = checkComponent(component);
    inPlace &&= ordered;
    if (before.delete !== undefined && action === "insert") throw new OperationError("an insert behind a delete");
    if (action !== "insert") reach += component[action]!;
    if (joins(before, component)) throw new OperationError(`two neighbours that are one ${action}`);
    before = component;
  }
  if (reach > maxLength) throw new OperationError(`reaches to ${reach}, the most is ${maxLength}`);
  if (before.retain !== undefined && !before.attributes) throw new OperationError("a retain at the end");
  return inPlace ? (json as DeltaOp) : (json as DeltaComponent[]).map(componentInOrder);
}

/** Reports whether two neighbours are to be one component. */
function joins(a: DeltaComponent, b: DeltaComponent): boolean {
  if (a.delete !== undefined && b.delete !== undefined) return true;
  const alike = (typeof a.insert === "string" && typeof b.insert === "string") || (a.retain !== undefined && b.retain !== undefined);
  return alike && orderedJSON(inOrder(a.attributes ?? {})) === orderedJSON(inOrder(b.attributes ?? {}));
}

/**
 * Throws OperationError when `op` reaches into the middle of a character. It may
 * reach past the end: such a document holds what is no insert from there on, as
 * Quill's algebra has it.
 */
function checkFit(doc: DeltaDoc, op: DeltaOp): void {
  const spans = doc.filter((component) => component.delete === undefined);
  let index = 0; // the component of spans that `from` is the start of
  let from = 0;
  let at = 0;
  for (const component of op) {
    if (component.insert !== undefined) continue;
    at += lengthOf(component);
    while (index < spans.length && from + lengthOf(spans[index]!) <= at) from += lengthOf(spans[index++]!);
    const { insert } = spans[index] ?? {};
    if (typeof insert === "string" && inPair(insert, at - from)) throw new OperationError(`operation splits the surrogate pair at ${at}`);
  }
}

function apply(doc: DeltaDoc, op: DeltaOp): DeltaDoc {
  checkFit(doc, op);
  return tidy(delta(doc).compose(delta(op)));
}

function split(op: DeltaOp, units: number): DeltaOp[] {
  const parts: DeltaOp[] = [];
  let rest = new Delta();
  let room = units;
  let position = 0; // in the document that the parts so far have made
  const next = () => {
    parts.push(tidy(rest.chop()));
    rest = new Delta().retain(position);
    room = units;
  };
  for (const component of op) {
    const { insert, attributes } = component;
    const overhead = attributes ? orderedJSON(attributes).length : 0;
    if (typeof insert !== "string") {
      const weight = overhead + (insert ? orderedJSON(insert).length : 0);
      if (weight > room && room < units) next();
      rest.push(component as Op);
      room -= weight;
      if (component.delete === undefined) position += lengthOf(component);
      continue;
    }
    for (let from = 0; from < insert.length; ) {
      if (overhead >= room && room < units) next();
      let to = Math.min(insert.length, from + Math.max(room - overhead, 2));
      if (inPair(insert, to)) to--;
      rest.insert(insert.slice(from, to), attributes as AttributeMap | undefined);
      position += to - from;
      room -= to - from + overhead;
      from = to;
      if (room <= 0 && from < insert.length) next();
    }
  }
  const last = tidy(rest.chop());
  if (last.length > 0 || parts.length === 0) parts.push(last);
  return parts;
}

/** Returns what stands for an embed in a plain text: its name, and its address if it has a short one. */
function plainEmbed(embed: { readonly [name: string]: unknown }): string {
  const [name, value] = Object.entries(embed)[0]!;
  return typeof value === "string" && value.length <= 200 ? `[${name}: ${value}]` : `[${name}]`;
}

/** The document type "delta": a document is an array of inserts, as Quill's Delta has them. */
export const richText: Type<DeltaDoc, DeltaOp, DeltaCursor> = {
  name: "delta",
  create: operation,
  content: (doc) => doc,
  plain: (doc) => doc.map(({ insert = "" }) => (typeof insert === "string" ? insert : plainEmbed(insert))).join(""),
  operation,
  apply,
  compose: (a, b) => tidy(delta(a).compose(delta(b))),
  transform: (op, over, side) => tidy(delta(over).transform(delta(op), side === "right")),
  invert: (doc, op) => tidy(delta(op).invert(delta(doc))),
  isIdentity: (op) => op.length === 0,
  split,
  transformCursor(cursor, op, side) {
    const over = delta(op);
    const moved = (position: number) => over.transformPosition(position, side === "left");
    return cursor.map(([anchor, head]) => [moved(anchor), moved(head)] as const);
  },
  sameCursor: (a, b) => a.length === b.length && a.every(([anchor, head], i) => anchor === b[i]![0] && head === b[i]![1]),
  checksum: (doc) => crc32c(orderedJSON(doc)),
};
