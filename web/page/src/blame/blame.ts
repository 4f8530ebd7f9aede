// Who wrote what, in the colours of the authors: loaded when somebody switches it on.

import { systemClock, type Document } from "../../../client/index.js";
import { apiOf, call, ApiError } from "../api.js";
import type { Authors } from "../authors.js";
import { el } from "../dom.js";
import type { Span } from "../history/past.js";
import { moment } from "../moment.js";
import type { NamesByAuthor } from "../names.js";
import type { Pane } from "../pane.js";
import { paint } from "../person.js";
import { runAt, stretches, type Run } from "./runs.js";
import { Tracker } from "./tracker.js";

export interface BlameHost {
  readonly id: string;
  readonly authors: Authors;
  /** The name of the person here. */
  author(): string;
  /** Switches the colours off. */
  off(): void;
}

/** The most authors that are named in the legend. */
const mostNamed = 12;

/** Colours what a pane shows by who wrote it, as long as it is there. */
export class Blame {
  /** Says who is who, and who wrote what is at the cursor. */
  readonly element: HTMLElement;
  readonly #host: BlameHost;
  readonly #pane: Pane;
  readonly #tracker: Tracker;
  readonly #legend = el("ul", { className: "legend", attrs: { "aria-label": "Authors" } });
  readonly #here = el("p", { className: "blame-here" });
  readonly #tip = el("div", { className: "blame-tip", hidden: true, attrs: { "aria-hidden": "true" } });
  readonly #stop = new AbortController();
  #frame: number | undefined;

  constructor(document: Document<any, any, any>, pane: Pane, host: BlameHost) {
    this.#host = host;
    this.#pane = pane;
    this.element = el("section", { className: "blame-bar", attrs: { "aria-label": "Who wrote what" } },
      this.#legend, this.#here,
      el("button", { type: "button", className: "link", on: { click: () => host.off() } }, "Hide colours"));
    this.#tracker = new Tracker(document, {
      clock: systemClock,
      blame: async (rev) => {
        const said = await call<{ type: string; spans: Span[]; names?: NamesByAuthor }>(`${apiOf(host.id)}/blame?rev=${rev}`);
        host.authors.names.learn(said.names);
        return said;
      },
      author: () => host.author(),
      show: () => this.#drawSoon(),
      failed: (error) => {
        if (!(error instanceof ApiError)) console.error(error);
        this.#here.textContent = `Who wrote what could not be loaded. ${error instanceof ApiError ? error.message : ""}`;
      },
    });
    const { signal } = this.#stop;
    pane.element.addEventListener("pointermove", (event) => this.#hover(event), { signal });
    pane.element.addEventListener("pointerleave", () => (this.#tip.hidden = true), { signal });
    addEventListener("scroll", () => (this.#tip.hidden = true), { signal, passive: true });
    globalThis.document.addEventListener("selectionchange", () => this.#showHere(), { signal });
    globalThis.document.body.append(this.#tip);
  }

  /** An operation was applied to what is shown: one of the person here, or somebody else's. */
  edited(op: unknown, here: boolean): void {
    this.#tracker.edited(op, here);
  }

  destroy(): void {
    this.#stop.abort();
    this.#tracker.stop();
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#pane.color(null, this.#host.authors);
    this.#tip.remove();
    this.element.remove();
  }

  /** Draws once before the next frame. */
  #drawSoon(): void {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      const { runs } = this.#tracker;
      this.#pane.color(runs, this.#host.authors);
      const sizes = new Map<string, number>();
      for (const { from, to, author } of stretches(runs)) sizes.set(author, (sizes.get(author) ?? 0) + to - from);
      const authors = [...sizes].sort(([, a], [, b]) => b - a).map(([author]) => author);
      const named = authors.slice(0, mostNamed).map((author) => this.#host.authors.named("li", author));
      if (authors.length > mostNamed) named.push(el("li", {}, `and ${authors.length - mostNamed} more`));
      this.#legend.replaceChildren(...named);
      this.#showHere();
    });
  }

  #showHere(): void {
    const at = this.#pane.caret();
    // At the end of what somebody wrote the cursor stands behind it.
    const run = at === null ? undefined : (runAt(this.#tracker.runs, at - 1) ?? runAt(this.#tracker.runs, at));
    this.#here.textContent = run?.span ? `At the cursor: ${this.#about(run)}` : "";
  }

  #hover({ clientX, clientY, pointerType }: PointerEvent): void {
    const at = pointerType === "touch" ? null : this.#pane.positionAt(clientX, clientY);
    const run = at === null ? undefined : runAt(this.#tracker.runs, at);
    this.#tip.hidden = !run;
    if (!run) return;
    this.#tip.textContent = this.#about(run);
    paint(this.#tip, this.#host.authors.color(run.span?.author ?? ""));
    const { width, height } = this.#tip.getBoundingClientRect();
    this.#tip.style.left = `${Math.max(8, Math.min(clientX + 12, innerWidth - width - 8))}px`;
    this.#tip.style.top = `${clientY + 20 + height > innerHeight ? clientY - height - 12 : clientY + 20}px`;
  }

  /** Returns who wrote a stretch, when, and with which revision. */
  #about({ span }: Run): string {
    if (!span) return "Written just now";
    const name = this.#host.authors.names.call(span.author);
    if (span.rev < 0) return `${name}, just now`;
    return [name, moment(span.time), `revision ${span.rev.toLocaleString("en")}`].filter(Boolean).join(", ");
  }
}
