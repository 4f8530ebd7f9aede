// A document's past in memory, for the tests of what shows it.

import { text, type Clock, type TextOp } from "../../client/index.js";
import { random, randomOp } from "../../client/test/random.js";
import { ApiError } from "../src/api.js";
import type { Content, Difference, Group, Groups, Past, Span } from "../src/history/past.js";

/** Who made a unit of the text, and with which revision. */
interface Origin {
  readonly author: string;
  readonly rev: number;
}

export const timeOf = (rev: number): string => new Date(Date.UTC(2026, 10, 20) + Math.max(0, rev) * 1_000).toISOString();

/** A clock that moves when it is told to. */
export class HandClock implements Clock {
  #now = 0;
  readonly #timers = new Map<object, { at: number; run: () => void }>();
  now(): number {
    return this.#now;
  }
  random(): number {
    return 0.5;
  }
  after(ms: number, run: () => void): unknown {
    const key = {};
    this.#timers.set(key, { at: this.#now + ms, run });
    return key;
  }
  cancel(timer: unknown): void {
    this.#timers.delete(timer as object);
  }
  get waiting(): number {
    return this.#timers.size;
  }
  /** Lets the next timer fire. */
  next(): void {
    const [key, timer] = [...this.#timers].sort(([, a], [, b]) => a.at - b.at)[0]!;
    this.#timers.delete(key);
    this.#now = timer.at;
    timer.run();
  }
}

/** The past of a text that two people write at random. Every question is counted, and waits for `open` when there is a gate. */
export class FakePast implements Past {
  /** The text at each revision. */
  readonly texts: string[] = [""];
  readonly asked: string[] = [];
  oldest = 0;
  gate: Promise<void> = Promise.resolve();
  fault: ApiError | null = null;
  readonly #ops: TextOp[] = [];
  readonly #origins: Origin[][] = [[]];
  readonly #most: number;
  readonly #aligned: boolean;

  /** Groups have `most` steps, and boundaries at its multiples where they are `aligned`, else counted from where one asks. */
  constructor(seed: number, revisions: number, { most = 7, sizes = 3, aligned = true } = {}) {
    this.#most = most;
    this.#aligned = aligned;
    const rnd = random(seed);
    for (let rev = 1; rev <= revisions; rev++) {
      const before = this.texts.at(-1)!;
      let op = before.length > 200 ? ([-2 * sizes] as TextOp) : randomOp(rnd, before);
      if (op.length === 0) op = ["x"];
      try {
        this.append(op);
      } catch {
        this.append(["y"]); // a pair would have been split
      }
    }
  }

  get head(): number {
    return this.texts.length - 1;
  }

  authorOf(rev: number): string {
    return Math.floor((rev - 1) / 3) % 2 === 0 ? "Ada" : "Bob";
  }

  append(op: TextOp): void {
    const rev = this.texts.length;
    const after = text.apply(this.texts.at(-1)!, op);
    const old = this.#origins.at(-1)!;
    const origins: Origin[] = [];
    let at = 0;
    for (const component of op) {
      if (typeof component === "string") for (let i = 0; i < component.length; i++) origins.push({ author: this.authorOf(rev), rev });
      else if (component > 0) origins.push(...old.slice(at, (at += component)));
      else at -= component;
    }
    this.#origins.push([...origins, ...old.slice(at)]);
    this.texts.push(after);
    this.#ops.push(op);
  }

  spans(rev: number, since = -1): Span[] {
    const spans: Span[] = [];
    this.#origins[rev]!.forEach((origin, start) => {
      if (origin.rev <= since) return;
      const last = spans.at(-1);
      if (last?.rev === origin.rev && last.start + last.length === start) spans[spans.length - 1] = { ...last, length: last.length + 1 };
      else spans.push({ start, length: 1, author: origin.author, rev: origin.rev, time: timeOf(origin.rev) });
    });
    return spans;
  }

  async #ask<T>(question: string, answer: () => T): Promise<T> {
    this.asked.push(question);
    await this.gate;
    if (this.fault) throw this.fault;
    return answer();
  }

  #check(...revisions: number[]): void {
    for (const rev of revisions) {
      if (rev < this.oldest) throw new ApiError("gone", `the oldest revision is ${this.oldest}`, { oldest: this.oldest });
      if (rev > this.head) throw new ApiError("future", `the head is ${this.head}`);
    }
  }

  groups(before: number, limit: number): Promise<Groups> {
    return this.#ask(`groups ${before} ${limit}`, () => {
      if (before <= this.oldest && this.oldest > 0) throw new ApiError("gone", "not kept");
      const edits: Group[] = [];
      let to = before;
      for (; edits.length < limit && to > Math.max(-1, this.oldest > 0 ? this.oldest : -1); ) {
        const begins = this.#aligned ? Math.floor((to - 1) / this.#most) * this.#most : to - this.#most;
        const from = to === 0 ? -1 : Math.max(this.oldest, begins);
        const authors = [...new Set(Array.from({ length: to - from }, (_, i) => this.authorOf(from + 1 + i)))];
        edits.push({ from, to, start: timeOf(from + 1), end: timeOf(to), authors, kind: to === 0 ? "create" : "edit", operations: to - from, inserted: 1, deleted: 0 });
        to = from;
      }
      return to >= 0 && to > this.oldest || (to === 0 && this.oldest === 0) ? { edits, next: to } : { edits };
    });
  }

  difference(from: number, to: number, withSpans: boolean): Promise<Difference> {
    return this.#ask(`difference ${from} ${to}${withSpans ? " spans" : ""}`, () => {
      this.#check(from, to);
      const [low, high] = [Math.min(from, to), Math.max(from, to)];
      let op = this.#ops.slice(low, high).reduce<TextOp>((all, op) => text.compose(all, op), []);
      if (from > to) op = text.invert(this.texts[low]!, op);
      return { type: "text", op, ...(withSpans ? { spans: this.spans(to, from) } : {}) };
    });
  }

  content(rev: number): Promise<Content> {
    return this.#ask(`content ${rev}`, () => {
      this.#check(rev);
      return { type: "text", content: this.texts[rev]! };
    });
  }
}
