/** Who goes first when two operations insert at one place. */
export type Side = "left" | "right";

/**
 * A kind of document: its content, its operations and their algebra, as the
 * protocol's section about the type defines them. Everything else in this
 * client is written against this interface and knows no type.
 *
 * `D` is a document's content, `O` one operation, `C` where one person's
 * selections are. All three are immutable and are their own JSON wire form,
 * except `D`, which `create` and `content` convert.
 *
 * Laws, where `·` is "one after another":
 *
 *     apply(apply(d, a), b)                          = apply(d, compose(a, b))
 *     apply(apply(d, a), transform(b, a, "right"))   = apply(apply(d, b), transform(a, b, "left"))
 *     apply(apply(d, a), invert(d, a))               = d
 */
export interface Type<D, O, C> {
  /** The name spoken on the wire, for example `"text"`. */
  readonly name: string;
  /** Returns the document with this content in wire form. Throws OperationError. */
  create(content: unknown): D;
  /** Returns the wire form of a document's content. */
  content(doc: D): unknown;
  /** Returns a document as plain text, for a draft that a person can read and copy. */
  plain(doc: D): string;
  /** Returns a checked operation in canonical form. Throws OperationError. */
  operation(json: unknown): O;
  /** Returns the document after `op`. Throws OperationError when it does not fit. */
  apply(doc: D, op: O): D;
  /** Returns the operation that does what `a` and then `b` do. */
  compose(a: O, b: O): O;
  /** Returns `op` as it must read after `over`, both made on one document. */
  transform(op: O, over: O, side: Side): O;
  /** Returns the operation that takes `op` back, `doc` being what it was applied to. */
  invert(doc: D, op: O): O;
  /** Reports whether `op` changes nothing. */
  isIdentity(op: O): boolean;
  /**
   * Returns operations that, one after another, do what `op` does, where none
   * carries more than about `units` units of new content.
   */
  split(op: O, units: number): O[];
  /** Moves a cursor over `op`; on the left it stays before an insert exactly at it. */
  transformCursor(cursor: C, op: O, side: Side): C;
  /** Reports whether two cursors are the same. */
  sameCursor(a: C, b: C): boolean;
  /** Returns the checksum of the protocol's section 8; null when it cannot be told here, and is not compared. */
  checksum(doc: D): string | null;
}

/** A type of which only the name is known. */
export type AnyType = Type<any, any, any>;

/** An operation, or a document's content, that is malformed or does not fit. */
export class OperationError extends Error {
  override readonly name = "OperationError";
}
