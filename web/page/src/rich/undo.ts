import { richText, type DeltaCursor, type DeltaOp } from "../../../client/delta.js";

/** What takes one edit back, or does it again, and where the selections were. */
interface Step {
  readonly op: DeltaOp;
  readonly cursor: DeltaCursor | null;
}

/** Milliseconds within which edits are taken back together. */
const together = 1_000;

/** The most steps that are kept. */
const most = 200;

/**
 * The edits of the person here, to be taken back and done again. Each step is on
 * the document as it is when its turn comes: steps are moved over what others do,
 * and that is never taken back.
 */
export class Undo {
  #undo: Step[] = [];
  #redo: Step[] = [];
  #begun = -Infinity;

  get canUndo(): boolean {
    return this.#undo.length > 0;
  }

  get canRedo(): boolean {
    return this.#redo.length > 0;
  }

  /** An edit was made here; `inverse` takes it back, `cursor` is where the selections were before it. */
  edited(inverse: DeltaOp, cursor: DeltaCursor | null, now: number): void {
    this.#redo = [];
    const last = now - this.#begun < together ? this.#undo.pop() : undefined;
    if (!last) this.#begun = now;
    const step = last ? { op: richText.compose(inverse, last.op), cursor: last.cursor } : { op: inverse, cursor };
    if (!richText.isIdentity(step.op)) this.#undo.push(step);
    if (this.#undo.length > most) this.#undo.shift();
  }

  /** Somebody else's edit was shown. */
  remote(op: DeltaOp): void {
    this.#undo = over(this.#undo, op);
    this.#redo = over(this.#redo, op);
  }

  /**
   * Takes the next step back, or forth, and returns it to be carried out; null
   * when there is none. `invert` returns what takes an operation on the document
   * back, `cursor` is where the selections are.
   */
  take(direction: "undo" | "redo", invert: (op: DeltaOp) => DeltaOp, cursor: DeltaCursor | null): Step | null {
    const step = (direction === "undo" ? this.#undo : this.#redo).pop();
    if (!step) return null;
    (direction === "undo" ? this.#redo : this.#undo).push({ op: invert(step.op), cursor });
    this.#begun = -Infinity;
    return step;
  }

  /** What is done next is taken back by itself. */
  cutOff(): void {
    this.#begun = -Infinity;
  }

  clear(): void {
    this.#undo = [];
    this.#redo = [];
    this.cutOff();
  }
}

/** Moves steps over an operation, the last, which is on the document as it is, first. */
function over(steps: readonly Step[], op: DeltaOp): Step[] {
  const moved: Step[] = [];
  for (const step of [...steps].reverse()) {
    const next = richText.transform(step.op, op, "right");
    if (!richText.isIdentity(next)) moved.unshift({ op: next, cursor: step.cursor && richText.transformCursor(step.cursor, op, "left") });
    op = richText.transform(op, step.op, "left");
  }
  return moved;
}
