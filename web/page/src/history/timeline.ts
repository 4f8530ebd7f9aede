import { el } from "../dom.js";
import type { Label } from "./past.js";

export interface TimelineOptions {
  /** Somebody wants to see a revision. */
  goto(rev: number): void;
  /** Somebody wants to see the end of the edit before or after. */
  step(direction: -1 | 1): void;
}

/** What a key does on the slider: to which revision it goes from one, or which edit it steps to. */
export function keyMove(event: { key: string; shiftKey: boolean }, rev: number, oldest: number, head: number): { rev: number } | { step: -1 | 1 } | null {
  const clamp = (to: number) => ({ rev: Math.min(head, Math.max(oldest, to)) });
  const far = Math.max(1, Math.round((head - oldest) / 20));
  switch (event.key) {
    case "ArrowLeft":
    case "ArrowDown":
      return event.shiftKey ? clamp(rev - 1) : { step: -1 };
    case "ArrowRight":
    case "ArrowUp":
      return event.shiftKey ? clamp(rev + 1) : { step: 1 };
    case "PageDown":
      return clamp(rev - far);
    case "PageUp":
      return clamp(rev + far);
    case "Home":
      return { rev: oldest };
    case "End":
      return { rev: head };
  }
  return null;
}

/** A slider over the revisions of a document, with the labels on it. */
export class Timeline {
  readonly element: HTMLElement;
  readonly #options: TimelineOptions;
  readonly #slider: HTMLInputElement;
  readonly #ticks = el("div", { className: "ticks", attrs: { "aria-hidden": "true" } });
  #oldest = 0;
  #head = 0;
  #rev = 0;
  #labels: readonly Label[] = [];

  constructor(options: TimelineOptions) {
    this.#options = options;
    this.#slider = el("input", {
      type: "range", min: "0", max: "0", step: "1", disabled: true,
      title: "Arrow keys: one edit. With Shift: one revision. Page Up and Page Down: a twentieth.",
      attrs: { "aria-label": "Revision", "aria-keyshortcuts": "ArrowLeft ArrowRight Shift+ArrowLeft Shift+ArrowRight PageUp PageDown Home End" },
      on: {
        input: () => {
          this.#rev = Number(this.#slider.value);
          this.#options.goto(this.#rev);
        },
        keydown: (event) => this.#key(event),
      },
    });
    const step = (words: string, sign: string, direction: -1 | 1) =>
      el("button", { type: "button", className: "step", title: words, attrs: { "aria-label": words }, on: { click: () => options.step(direction) } }, sign);
    this.element = el("div", { className: "timeline" },
      step("Edit before", "‹", -1), el("div", { className: "track" }, this.#slider, this.#ticks), step("Edit after", "›", 1));
  }

  get focused(): boolean {
    return document.activeElement === this.#slider;
  }

  focus(): void {
    this.#slider.focus();
  }

  setBounds(oldest: number, head: number): void {
    [this.#oldest, this.#head] = [oldest, head];
    this.#slider.min = String(oldest);
    this.#slider.max = String(head);
    this.#slider.disabled = false;
    this.#place();
  }

  /** Puts the slider on a revision. */
  point(rev: number): void {
    this.#rev = rev;
    this.#place();
    this.describe(`Revision ${rev.toLocaleString("en")} of ${this.#head.toLocaleString("en")}`);
  }

  /** Says in words what the slider stands on. */
  describe(words: string): void {
    this.#slider.setAttribute("aria-valuetext", words);
  }

  setLabels(labels: readonly Label[]): void {
    this.#labels = labels;
    this.#place();
  }

  /** Puts the slider and the labels where they belong. */
  #place(): void {
    this.#slider.value = String(this.#rev);
    const life = Math.max(1, this.#head - this.#oldest);
    this.#slider.style.setProperty("--done", String(Math.min(1, Math.max(0, (this.#rev - this.#oldest) / life))));
    this.#ticks.replaceChildren(...this.#labels.filter(({ rev }) => rev >= this.#oldest).map(({ name, rev }) => {
      const tick = el("button", { type: "button", className: "tick", title: name, tabIndex: -1, on: { click: () => this.#options.goto(rev) } });
      tick.style.setProperty("--at", String((rev - this.#oldest) / life));
      return tick;
    }));
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const move = keyMove(event, this.#rev, this.#oldest, this.#head);
    if (!move) return;
    event.preventDefault();
    if ("step" in move) this.#options.step(move.step);
    else this.#options.goto(move.rev);
  }
}
