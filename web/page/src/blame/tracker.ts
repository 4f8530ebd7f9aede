import type { DeltaOp } from "../../../client/delta.js";
import type { Clock, Document, TextOp } from "../../../client/index.js";
import { printJson } from "../history/json.js";
import { kindOf, type Kind } from "../history/kinds.js";
import type { Span } from "../history/past.js";
import { applyShape, runsOf, shapeOf, type Run, type Shape } from "./runs.js";

export interface TrackerOptions {
  readonly clock: Clock;
  /** Asks the server who made each part of a revision. */
  blame(rev: number): Promise<{ type: string; spans: readonly Span[] }>;
  /** The name of the person here. */
  author(): string;
  /** These are the runs of what is shown now. */
  show(runs: readonly Run[]): void;
  /** The server could not be asked; it is asked again. */
  failed(error: unknown): void;
}

/** Least milliseconds between two questions, and how many times as long as the last answer took the pause is. */
const pause = { least: 2_000, times: 20 };

type Blamed = Pick<Document<any, any, any>, "rev" | "content" | "unsent" | "typeName">;

/**
 * Knows who wrote what of a document that is edited here. The server says it of a
 * revision; what is done meanwhile is followed here, until the server is asked again.
 */
export class Tracker {
  readonly #options: TrackerOptions;
  readonly #document: Blamed;
  #runs: readonly Run[] = [];
  /** What was done since the server was asked; null while it is not being asked. */
  #since: { shape: Shape; span: Span | null }[] | null = null;
  #mine: Span;
  #timer: unknown;
  #wait = pause.least;
  #stopped = false;
  #turn = 0;

  constructor(document: Blamed, options: TrackerOptions) {
    this.#document = document;
    this.#options = options;
    this.#mine = this.#newMine();
    void this.#ask();
  }

  get runs(): readonly Run[] {
    return this.#runs;
  }

  /** An operation was applied to what is shown: one of the person here, or somebody else's. */
  edited(op: unknown, here: boolean): void {
    const edit = { shape: shapeOf(op as TextOp | DeltaOp), span: here ? this.#mine : null };
    this.#since?.push(edit);
    this.#runs = applyShape(this.#runs, edit.shape, edit.span);
    this.#options.show(this.#runs);
    this.#askLater();
  }

  stop(): void {
    this.#stopped = true;
    this.#turn++;
    this.#options.clock.cancel(this.#timer);
  }

  #newMine(): Span {
    return { start: 0, length: 0, author: this.#options.author(), rev: -1, time: "" };
  }

  #askLater(): void {
    if (this.#stopped || this.#since) return; // what is asked now asks again if need be
    this.#timer ??= this.#options.clock.after(this.#wait, () => {
      this.#timer = undefined;
      void this.#ask();
    });
  }

  async #ask(): Promise<void> {
    const { clock, blame, show, failed } = this.#options;
    const turn = ++this.#turn;
    const document = this.#document;
    const asked = clock.now();
    const { rev } = document;
    const unsent = [...(document.unsent?.flight ?? []), ...(document.unsent?.waiting ?? [])].map(({ op }) => shapeOf(op));
    const { content } = document; // with what is unsent in it: of the types that need it here nothing ever is
    this.#since = [];
    try {
      const { type, spans } = await blame(rev);
      const kind = await kindOf(type);
      if (turn !== this.#turn) return;
      this.#mine = this.#newMine();
      let runs = runsOf(placed(kind, content, spans));
      for (const shape of unsent) runs = applyShape(runs, shape, this.#mine);
      const since = this.#since;
      for (const { shape, span } of since) runs = applyShape(runs, shape, span && this.#mine);
      this.#runs = runs;
      show(runs);
      this.#since = null;
      this.#wait = Math.max(pause.least, pause.times * (clock.now() - asked));
      if (since.length + unsent.length > 0) this.#askLater();
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#since = null;
      failed(error);
      this.#wait = Math.max(this.#wait, 5_000);
      this.#askLater();
    }
  }
}

/** Returns where spans of a document lie in what is shown of it. */
function placed(kind: Kind<any> | undefined, content: unknown, spans: readonly Span[]): { from: number; to: number; span: Span }[] {
  if (!kind) return [];
  if (kind.shows === "json") return [...printJson(content, content, spans).inserted];
  return kind.toUnits(content, spans).map((span) => ({ from: span.start, to: span.start + span.length, span }));
}
