import type { Authors } from "../authors.js";
import { count, el } from "../dom.js";
import { stretch } from "../moment.js";
import { visible } from "../names.js";
import type { Edits } from "./edits.js";
import type { Group, Label } from "./past.js";

export interface EditListOptions {
  readonly edits: Edits;
  readonly authors: Authors;
  /** Somebody chose an edit. */
  choose(group: Group): void;
  /** Edits could not be fetched. `again` is what to try again. */
  failed(error: unknown, again: () => void): void;
}

const kinds = { edit: "", create: "Created", delete: "Deleted" } as const;

/** A list of edits, newest first, which fetches more of them as it is scrolled. One stop for the Tab key, with the arrow keys from edit to edit. */
export class EditList {
  readonly element: HTMLElement;
  readonly #options: EditListOptions;
  readonly #list = el("ol", { className: "edits" });
  readonly #newer = el("button", { type: "button", className: "more-edits", on: { click: () => this.#fetch((edits) => edits.newer()) } }, "Later edits");
  readonly #older = el("button", { type: "button", className: "more-edits", on: { click: () => this.#fetch((edits) => edits.older()) } }, "Earlier edits");
  readonly #rows = new Map<string, HTMLElement>();
  #labels: readonly Label[] = [];
  /** With which version of the names the rows were made. */
  #named = 0;
  #current: number | undefined;
  #fetching: Promise<void> = Promise.resolve();

  constructor(options: EditListOptions) {
    this.#options = options;
    this.element = el("div", { className: "edit-list" }, this.#newer, this.#list, this.#older);
    this.#newer.hidden = this.#older.hidden = true;
    this.#list.addEventListener("keydown", (event) => this.#walk(event));
    new IntersectionObserver(([entry]) => entry?.isIntersecting && this.#older.click(), { root: this.element, rootMargin: "300px" }).observe(this.#older);
  }

  /** Fetches edits, one request after another, and shows what is there then. */
  #fetch(what: (edits: Edits) => Promise<void>): Promise<void> {
    this.#fetching = this.#fetching.then(async () => {
      try {
        await what(this.#options.edits);
        this.#draw();
      } catch (error) {
        this.#options.failed(error, () => void this.#fetch(what));
      }
    });
    return this.#fetching;
  }

  /** Shows the edits around a revision. */
  async begin(rev: number): Promise<void> {
    await this.#fetch((edits) => edits.begin(rev));
  }

  /** The document has come to a revision: shows the newest edits if the newest were shown. */
  async reached(head: number): Promise<void> {
    const { edits } = this.#options;
    const follows = !edits.hasNewer;
    edits.reached(head);
    if (follows) await this.#fetch((edits) => edits.newer());
    else this.#draw();
  }

  /** Fetches the newest edits again. */
  async refresh(): Promise<void> {
    await this.#fetch((edits) => edits.newer());
  }

  setLabels(labels: readonly Label[]): void {
    this.#labels = labels;
    this.#rows.clear();
    this.#draw();
  }

  /** Shows which edit the revision that is shown belongs to, fetching the edits around it when they are not here. */
  async point(rev: number): Promise<void> {
    this.#current = rev;
    if (this.#options.edits.groups.length > 0 && !this.#options.edits.find(rev)) await this.begin(rev);
    this.#pointOut(true);
  }

  #draw(): void {
    const { edits, authors } = this.#options;
    if (this.#named !== authors.names.version) {
      this.#named = authors.names.version;
      this.#rows.clear();
    }
    const rows = edits.groups.map((group) => this.#row(group));
    const keep = new Set(rows);
    for (const row of [...this.#list.children]) if (!keep.has(row as HTMLElement)) row.remove();
    let at = this.#list.firstChild;
    for (const row of rows) {
      if (row === at) at = at.nextSibling;
      else this.#list.insertBefore(row, at);
    }
    this.#newer.hidden = !edits.hasNewer;
    this.#older.hidden = !edits.hasOlder;
    this.#pointOut(false);
  }

  #pointOut(scroll: boolean): void {
    const group = this.#current === undefined ? undefined : this.#options.edits.find(this.#current);
    const current = group && this.#rows.get(keyOf(group));
    const buttons = [...this.#list.querySelectorAll("button")];
    for (const button of buttons) {
      const here = button.parentElement === current;
      if (here) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
      button.tabIndex = here ? 0 : -1;
    }
    if (!current && buttons[0]) buttons[0].tabIndex = 0;
    if (!scroll || !current) return;
    const [row, list] = [current.getBoundingClientRect(), this.element.getBoundingClientRect()];
    if (row.top < list.top || row.bottom > list.bottom) this.element.scrollTop += row.top - list.top - list.height / 2;
  }

  #row(group: Group): HTMLElement {
    const known = this.#rows.get(keyOf(group));
    if (known) return known;
    const { authors } = this.#options;
    const names = namesOf(group, authors);
    const labels = this.#labels.filter(({ rev }) => group.from < rev && rev <= group.to).map(({ name }) => el("span", { className: "label" }, visible(name)));
    const size = group.kind === "edit"
      ? el("span", { className: "size", attrs: { "aria-label": `${count(group.inserted, "character")} in, ${group.deleted.toLocaleString("en")} out` } },
        el("span", { className: "in" }, `+${group.inserted.toLocaleString("en")}`), " ", el("span", { className: "out" }, `−${group.deleted.toLocaleString("en")}`))
      : el("span", { className: "size" }, kinds[group.kind]);
    const row = el("li", { attrs: { "data-from": String(group.from), "data-to": String(group.to) } },
      el("button", { type: "button", tabIndex: -1, on: { click: () => this.#options.choose(group) } },
        el("span", { className: "when" }, stretch(group.start, group.end)), size,
        el("span", { className: "names" }, ...names, ...labels)));
    this.#rows.set(keyOf(group), row);
    // Rows that were dropped from the list are not kept for ever.
    if (this.#rows.size > 4_000) this.#rows.delete(this.#rows.keys().next().value!);
    return row;
  }

  #walk(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const buttons = [...this.#list.querySelectorAll("button")];
    const next = buttons[buttons.indexOf(document.activeElement as HTMLButtonElement) + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.click();
  }
}

/** The most authors of an edit that are named. */
const mostNamed = 6;

/** Returns the names of a group's authors in their colours; of very many, the first. */
export function namesOf(group: Group, authors: Authors): HTMLElement[] {
  const named = group.authors.slice(0, mostNamed).map((author) => authors.named("span", author));
  if (group.authors.length > mostNamed) named.push(el("span", {}, `and ${group.authors.length - mostNamed} more`));
  return named;
}

/** Names a group as it is now: the newest may grow. */
const keyOf = ({ from, to, end, inserted, deleted }: Group): string => `${from} ${to} ${end} ${inserted} ${deleted}`;
