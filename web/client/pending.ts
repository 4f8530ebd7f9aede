import { orderedJSON } from "./json.js";
import { OperationError, type Type } from "./type.js";

/** An operation that is not acknowledged, and how many edits of the person it holds. */
export interface PendingOp<O> {
  readonly op: O;
  readonly edits: number;
}

/** A run to submit: operations with the sequence numbers `seq`, `seq + 1`, …. */
export interface Run<O> {
  readonly seq: number;
  readonly ops: readonly O[];
}

/**
 * A client's operations that the server has not acknowledged: the run in
 * flight, whose operations stay apart because each has its seq, and what waits
 * behind it. The screen shows the committed document with all of them applied.
 */
export class Pending<O> {
  readonly #type: Type<unknown, O, unknown>;
  readonly #compose: boolean;
  #seq: number;
  #flight: PendingOp<O>[];
  #waiting: PendingOp<O>[];

  /**
   * `seq` is the last acknowledged sequence number. With `compose`, what waits
   * is kept as one composed operation; without, each edit keeps its own.
   */
  constructor(
    type: Type<unknown, O, unknown>,
    compose: boolean,
    seq = 0,
    flight: readonly PendingOp<O>[] = [],
    waiting: readonly PendingOp<O>[] = [],
  ) {
    this.#type = type;
    this.#compose = compose;
    this.#seq = seq;
    this.#flight = [...flight];
    this.#waiting = [...waiting];
  }

  /** The sequence number of the last acknowledged operation. */
  get seq(): number {
    return this.#seq;
  }

  get flight(): readonly PendingOp<O>[] {
    return this.#flight;
  }

  get waiting(): readonly PendingOp<O>[] {
    return this.#waiting;
  }

  get empty(): boolean {
    return this.#flight.length === 0 && this.#waiting.length === 0;
  }

  /** How many edits of the person are not acknowledged. */
  get edits(): number {
    let edits = 0;
    for (const pending of this.#flight) edits += pending.edits;
    for (const pending of this.#waiting) edits += pending.edits;
    return edits;
  }

  /** Adds an edit made on what the screen shows. */
  add(op: O): void {
    const last = this.#compose ? this.#waiting.pop() : undefined;
    const joined = last ? { op: this.#type.compose(last.op, op), edits: last.edits + 1 } : { op, edits: 1 };
    if (!this.#type.isIdentity(joined.op)) this.#waiting.push(joined);
  }

  /**
   * Takes in a committed operation of somebody else. It goes left of what is
   * pending (section 5). Returns it as the screen must apply it.
   */
  receive(op: O): O {
    const over = (pending: PendingOp<O>): PendingOp<O> => {
      const moved = this.#type.transform(pending.op, op, "right");
      op = this.#type.transform(op, pending.op, "left");
      return { op: moved, edits: pending.edits };
    };
    this.#flight = this.#flight.map(over);
    this.#waiting = this.#waiting.map(over).filter((pending) => !this.#type.isIdentity(pending.op));
    return op;
  }

  /**
   * Acknowledges operation `seq`, committed as `op`. Throws OperationError when
   * it is not the first in flight, or does not read as it reads here: both
   * sides have transformed it over the same operations.
   */
  acknowledge(seq: number | undefined, op: O): void {
    const first = this.#flight[0];
    if (!first || seq !== this.#seq + 1) throw new OperationError(`unexpected own operation ${seq}`);
    if (orderedJSON(first.op) !== orderedJSON(op)) throw new OperationError(`own operation ${seq} came back different`);
    this.#flight.shift();
    this.#seq = seq;
  }

  /** Returns the run in flight, to be sent again, or null when there is none. */
  inFlight(): Run<O> | null {
    if (this.#flight.length === 0) return null;
    return { seq: this.#seq + 1, ops: this.#flight.map((pending) => pending.op) };
  }

  /**
   * Moves what waits into flight and returns it, or null when nothing waits or
   * something is in flight. At most `run` operations of together about `bytes`
   * bytes go at once; an operation larger than that is split.
   */
  launch(run: number, bytes: number): Run<O> | null {
    if (this.#flight.length > 0 || this.#waiting.length === 0) return null;
    let room = bytes;
    while (this.#waiting.length > 0 && this.#flight.length < run) {
      const next = this.#waiting[0]!;
      const size = jsonBytes(next.op);
      if (size <= room) {
        room -= size;
        this.#flight.push(this.#waiting.shift()!);
        continue;
      }
      if (this.#flight.length > 0) break;
      // A unit of text takes at most 6 bytes of JSON.
      const parts = this.#type.split(next.op, Math.max(2, Math.floor(bytes / 8)));
      if (parts.length < 2) {
        this.#flight.push(this.#waiting.shift()!); // cannot be made smaller: let the server judge
        break;
      }
      this.#waiting.splice(0, 1, ...parts.map((op, i) => ({ op, edits: i === parts.length - 1 ? next.edits : 0 })));
    }
    return this.inFlight();
  }
}

/** Returns the size of a value's JSON in bytes of UTF-8, exact only where it might matter. */
function jsonBytes(value: unknown): number {
  const json = JSON.stringify(value);
  return json.length < 4096 ? json.length * 3 : new TextEncoder().encode(json).length;
}
