// The history of a document: loaded when somebody asks for it.

import { systemClock } from "../../../client/index.js";
import { ApiError } from "../api.js";
import type { Authors } from "../authors.js";
import { confirmed } from "../dialog.js";
import { el } from "../dom.js";
import { visible } from "../names.js";
import { moment } from "../moment.js";
import { Edits } from "./edits.js";
import { kindOf } from "./kinds.js";
import { LabelPanel } from "./labels.js";
import { EditList, namesOf } from "./list.js";
import { ServerPast, type Group, type Label } from "./past.js";
import { Scrubber, type Shown } from "./scrubber.js";
import { Timeline } from "./timeline.js";

/** Shows a document at a revision. */
export interface RevisionView {
  readonly element: HTMLElement;
  show(shown: Shown): void;
  /** Scrolls to what changed, unless some of it is to be seen. */
  reveal(): void;
  destroy(): void;
}

/** What the history needs of the page. */
export interface HistoryHost {
  readonly id: string;
  /** What the document is called. */
  readonly title: string;
  readonly authors: Authors;
  /** Whether the person may only read. */
  readonly locked: boolean;
  /** Who the person here is recorded as. */
  author(): string;
  /** The newest revision and the oldest that can be read. Rejects with ApiError. */
  bounds(): Promise<{ head: number; oldest: number }>;
  /** Shows a sentence on the page, with a way to undo what it tells of. */
  say(words: string, undo?: () => void): void;
  /** It was closed. */
  closed(): void;
}

/** Milliseconds for which a revision is shown before it is said aloud. */
const speakAfter = 600;

/** The history over the document: a slider over its life, the document at a revision, and a list of edits. */
export class HistoryView {
  readonly #host: HistoryHost;
  readonly #past: ServerPast;
  readonly #scrubber: Scrubber;
  readonly #timeline: Timeline;
  readonly #labels: LabelPanel;
  #edits: Edits | undefined;
  #list: EditList | undefined;
  #view: { readonly shows: string; readonly view: RevisionView } | undefined;
  #shown: Shown | undefined;
  #bounds = { head: 0, oldest: 0 };
  #stepping: Promise<void> = Promise.resolve();
  #speak: ReturnType<typeof setTimeout> | undefined;
  #catching: ReturnType<typeof setTimeout> | undefined;
  #saying: ReturnType<typeof setTimeout> | undefined;
  #loading = 0;
  #locked: boolean;

  readonly #dialog: HTMLDialogElement;
  readonly #paper = el("div", { className: "history-paper" });
  readonly #notice = el("div", { className: "history-notice", attrs: { role: "alert" } });
  readonly #edge = el("p", { className: "history-edge", hidden: true });
  readonly #done = el("p", { className: "toast", hidden: true });
  readonly #about = el("div", { className: "history-about" });
  readonly #side = el("div", { className: "history-edits" });
  readonly #spoken = el("p", { className: "spoken", attrs: { role: "status", "aria-live": "polite", "data-spoken": "" } });
  readonly #restore = el("button", { type: "button", className: "primary", disabled: true, on: { click: () => void this.#askRestore() }, attrs: { "aria-label": "Restore this version" } }, "Restore", el("span", { className: "restore-word" }, " this version"));
  readonly #toggle = el("button", { type: "button", className: "toggle-edits", attrs: { "aria-expanded": "false", "aria-controls": "history-side" }, on: { click: () => this.#toggleSide() } }, "Edits");

  constructor(host: HistoryHost) {
    this.#host = host;
    this.#locked = host.locked;
    this.#past = new ServerPast(host.id, () => host.author(), host.authors.names);
    this.#scrubber = new Scrubber({
      past: this.#past,
      clock: systemClock,
      kindOf,
      show: (shown) => void this.#show(shown),
      failed: (error) => this.#failed("This revision could not be loaded.", error, () => this.#scrubber.retry()),
      busy: (busy) => (this.#dialog.dataset["busy"] = String(busy)),
    });
    this.#timeline = new Timeline({
      goto: (rev) => this.#goto(rev),
      step: (direction) => this.#step(direction),
    });
    this.#labels = new LabelPanel({
      past: this.#past,
      names: host.authors.names,
      rev: () => this.#scrubber.wanted ?? this.#bounds.head,
      goto: (rev) => this.#goto(rev),
      changed: (labels) => this.#showLabels(labels),
      say: (words) => this.#say(words),
    });
    this.#dialog = el("dialog", { className: "history", attrs: { "aria-labelledby": "history-title", "data-busy": "true" }, on: { close: () => this.#closed() } },
      el("header", { className: "bar" },
        el("button", { type: "button", className: "back", on: { click: () => this.#dialog.close() }, attrs: { "aria-label": "Back to the document" } }, el("span", { attrs: { "aria-hidden": "true" } }, "←"), el("span", { className: "back-word" }, " Back")),
        el("h2", { id: "history-title", title: visible(host.title) }, el("span", { className: "history-of" }, "History of "), visible(host.title)),
        this.#toggle,
        this.#restore),
      el("div", { className: "history-body" },
        el("div", { className: "history-main" }, this.#edge, this.#notice, this.#paper),
        el("aside", { id: "history-side", className: "history-side", attrs: { "aria-label": "Labels and edits" } },
          this.#labels.element,
          el("section", { className: "edit-panel", attrs: { "aria-labelledby": "edits-title" } }, el("h3", { id: "edits-title" }, "Edits"), this.#side))),
      el("footer", { className: "history-foot" }, this.#timeline.element, this.#about, this.#done),
      this.#spoken);
    this.lock(host.locked);
    document.body.append(this.#dialog);
    this.#dialog.showModal();
    addEventListener("online", this.#online);
    void this.#begin();
  }

  /** Lets the person change nothing from here, or lets them again. */
  lock(locked: boolean): void {
    this.#locked = this.#restore.hidden = locked;
    this.#labels.lock(locked);
    if (this.#shown) this.#describe(this.#shown);
  }

  /** The document has come to a revision. */
  reached(head: number): void {
    if (head <= this.#bounds.head || !this.#edits) return;
    const follows = this.#scrubber.wanted === this.#bounds.head;
    this.#setBounds({ ...this.#bounds, head });
    if (follows) this.#goto(head);
    // The list is brought up to date when it has been quiet for a moment.
    clearTimeout(this.#catching);
    this.#catching = setTimeout(() => void this.#list?.reached(this.#bounds.head), 700);
  }

  readonly #online = () => {
    if (this.#notice.childElementCount > 0) this.#notice.querySelector("button")?.click();
  };

  /** Finds out how far the history reaches, and shows the newest of it. */
  async #begin(): Promise<void> {
    this.#notice.replaceChildren();
    this.#paper.replaceChildren(el("p", { className: "history-empty" }, "Loading…"));
    try {
      this.#setBounds(await this.#host.bounds());
    } catch (error) {
      this.#paper.replaceChildren();
      return this.#failed("The history could not be loaded.", error, () => void this.#begin());
    }
    const { head, oldest } = this.#bounds;
    this.#edge.hidden = oldest <= 0;
    this.#edge.textContent = `What came before revision ${oldest.toLocaleString("en")} is not kept any more: the history begins there.`;
    this.#edits = new Edits(this.#past, head);
    this.#list = new EditList({
      edits: this.#edits,
      authors: this.#host.authors,
      choose: (group) => this.#choose(group),
      failed: (error, again) => this.#failed("The list of edits could not be loaded.", error, again),
    });
    this.#side.replaceChildren(this.#list.element);
    this.#timeline.focus();
    this.#goto(head);
    await Promise.all([this.#list.begin(head).then(() => this.#scrubber.learn(this.#edits!.groups)), this.#labels.load()]);
    this.#pointOut();
  }

  #setBounds(bounds: { head: number; oldest: number }): void {
    this.#bounds = bounds;
    this.#timeline.setBounds(Math.max(0, bounds.oldest), bounds.head);
  }

  #goto(rev: number): void {
    this.#timeline.point(rev);
    this.#scrubber.goto(rev);
  }

  #choose(group: Group): void {
    this.#scrubber.learn([group]);
    this.#goto(group.to);
    if (matchMedia("(max-width: 48rem)").matches) this.#toggleSide(false);
  }

  /** Goes to the end of the edit before or after, one step after another. */
  #step(direction: -1 | 1): void {
    this.#stepping = this.#stepping.then(async () => {
      const rev = this.#scrubber.wanted;
      if (rev === undefined || !this.#edits) return;
      try {
        const group = direction < 0 ? (this.#edits.find(rev) ?? (await this.#scrubber.groupAt(rev))) : await this.#edits.next(rev);
        if (!group) return;
        if (direction > 0) this.#scrubber.learn([group]);
        this.#goto(direction > 0 ? group.to : Math.max(group.from, this.#bounds.oldest, 0));
      } catch (error) {
        this.#failed("The edits could not be loaded.", error, () => this.#step(direction));
      }
    });
  }

  async #show(shown: Shown): Promise<void> {
    const shows = shown.at.kind?.shows ?? "none";
    if (this.#view?.shows !== shows) {
      const turn = ++this.#loading;
      let view: RevisionView;
      try {
        view = await viewFor(shows, this.#host.authors);
      } catch (error) {
        return this.#failed("What shows this document could not be loaded.", error, () => void this.#show(shown));
      }
      if (turn !== this.#loading) return view.destroy();
      this.#view?.view.destroy();
      this.#view = { shows, view };
      this.#paper.replaceChildren(view.element);
    }
    this.#loading++;
    this.#shown = shown;
    this.#notice.replaceChildren();
    this.#view.view.show(shown);
    if (shown.settled) this.#view.view.reveal();
    this.#dialog.dataset["rev"] = String(shown.at.rev);
    this.#dialog.dataset["settled"] = String(shown.settled);
    this.#describe(shown);
  }

  /** Says which revision is shown, from when and by whom. */
  #describe({ at, group, changes, settled }: Shown): void {
    const { head } = this.#bounds;
    const names = group?.authors.map((author) => this.#call(author)) ?? [];
    const when = group ? moment(group.end) : "";
    const words = [`Revision ${at.rev.toLocaleString("en")} of ${head.toLocaleString("en")}`, when, names.join(", ")].filter(Boolean);
    this.#timeline.describe(words.join(", "));
    this.#restore.disabled = !settled || at.rev >= head || !at.kind;
    if (settled) {
      clearTimeout(this.#speak);
      // The slider speaks for itself.
      if (!this.#timeline.focused) this.#speak = setTimeout(() => (this.#spoken.textContent = words.join(", ")), speakAfter);
      this.#pointOut();
    }
    const legend = group ? namesOf(group, this.#host.authors) : [];
    const size = group?.kind === "edit" && el("span", { className: "size" },
      el("span", { className: "in" }, `+${group.inserted.toLocaleString("en")}`), " ", el("span", { className: "out" }, `−${group.deleted.toLocaleString("en")}`));
    const undo = !this.#locked && settled && changes && names.length > 0 && el("button", { type: "button", className: "undo-edits", on: { click: () => void this.#askRevert(group!) } }, names.length > 1 ? "Undo edits…" : "Undo these edits");
    this.#about.replaceChildren(
      el("p", { className: "history-words" }, el("strong", {}, words[0]!), when && el("time", { dateTime: new Date(group!.end).toISOString() }, when)),
      el("p", { className: "legend" }, ...legend, size),
      undo || "");
  }

  /** Shows in the list which edit the revision belongs to. */
  #pointOut(): void {
    const rev = this.#shown?.at.rev;
    if (rev !== undefined && rev === this.#scrubber.wanted) void this.#list?.point(rev);
  }

  #call(author: string): string {
    return this.#host.authors.names.call(author);
  }

  #showLabels(labels: readonly Label[]): void {
    this.#timeline.setLabels(labels);
    this.#list?.setLabels(labels);
  }

  async #askRestore(): Promise<void> {
    const rev = this.#shown?.at.rev;
    if (rev === undefined) return;
    const yes = await confirmed(
      `Restore revision ${rev.toLocaleString("en")}?`,
      "Everybody who has the document open sees it change. What is there now stays in the history.",
      "Restore");
    if (!yes) return;
    try {
      const author = this.#host.author();
      const made = await this.#past.restore(rev);
      this.#host.say(`The document is what it was at revision ${rev.toLocaleString("en")}. This is revision ${made.rev.toLocaleString("en")} now.`, () => void this.#takeBack(author, made.rev));
      this.#dialog.close();
    } catch (error) {
      this.#failed("The version was not restored.", error, () => void this.#askRestore());
    }
  }

  /** Undoes what was just restored, from the page: what others did since stays. */
  async #takeBack(author: string, restored: number): Promise<void> {
    try {
      const { rev } = await this.#past.revert(author, restored - 1, restored);
      this.#host.say(`The version was put back. This is revision ${rev.toLocaleString("en")} now.`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#host.say(`The version was not put back. ${reasons[error.code] ?? error.message}`);
    }
  }

  async #askRevert({ authors, from, to }: Pick<Group, "authors" | "from" | "to">): Promise<void> {
    const several = authors.length > 1;
    const whose = el("select", { id: "whose-edits" }, ...authors.map((author) => el("option", { value: author }, this.#call(author))));
    const where = to === from + 1 ? `revision ${to.toLocaleString("en")}` : `revisions ${(from + 1).toLocaleString("en")} to ${to.toLocaleString("en")}`;
    const yes = await confirmed(
      several ? "Undo whose edits?" : `Undo ${this.#call(authors[0]!)}’s edits?`,
      `What ${several ? "this author" : this.#call(authors[0]!)} did in ${where} is taken back. What everybody else did stays.`,
      "Undo",
      several ? el("p", {}, el("label", { htmlFor: "whose-edits" }, "Author"), whose) : undefined);
    if (!yes) return;
    const author = whose.value;
    try {
      const { head } = this.#bounds;
      const made = await this.#past.revert(author, from, to);
      this.#say(made.rev > head ? `The edits were undone. This is revision ${made.rev.toLocaleString("en")} now.` : "There was nothing left of these edits to undo.");
      this.reached(made.rev);
      this.#goto(made.rev);
    } catch (error) {
      this.#failed("The edits were not undone.", error, () => void this.#askRevert({ authors: [author], from, to }));
    }
  }

  /** Says what went wrong, with a way to try again. */
  #failed(what: string, error: unknown, again: () => void): void {
    if (!(error instanceof ApiError)) console.error(error);
    const reason = error instanceof ApiError ? reasons[error.code] ?? error.message : "The page could not do it.";
    const retry = () => {
      this.#notice.replaceChildren();
      again();
    };
    this.#notice.replaceChildren(el("p", { className: "problem", attrs: { "data-problem": error instanceof ApiError ? error.code : "page" } }, `${what} ${reason} `, el("button", { type: "button", on: { click: retry } }, "Try again")));
  }

  /** Says something that was done. */
  #say(words: string): void {
    clearTimeout(this.#speak);
    clearTimeout(this.#saying);
    this.#spoken.textContent = this.#done.textContent = words;
    this.#done.hidden = false;
    this.#saying = setTimeout(() => (this.#done.hidden = true), 6_000);
  }

  #toggleSide(open = this.#toggle.getAttribute("aria-expanded") !== "true"): void {
    this.#toggle.setAttribute("aria-expanded", String(open));
    this.#dialog.classList.toggle("side-open", open);
    if (open) this.#pointOut();
  }

  #closed(): void {
    clearTimeout(this.#speak);
    clearTimeout(this.#catching);
    clearTimeout(this.#saying);
    removeEventListener("online", this.#online);
    this.#view?.view.destroy();
    this.#dialog.remove();
    this.#host.closed();
  }
}

/** Why something of the past is not to be had, for people. */
const reasons: Record<string, string> = {
  unreachable: "The server cannot be reached.",
  gone: "That part of the history is not kept any more.",
  moved: "The document has another name now.",
  not_found: "The document is not on the server any more.",
  stale: "Too much has happened since for that to be worked out.",
};

/** Makes what shows documents. Rejects when it could not be loaded. */
async function viewFor(shows: string, authors: Authors): Promise<RevisionView> {
  if (shows === "delta") return new (await import("./richview.js")).RichView(authors);
  if (shows === "none") return new NothingView();
  return new (await import("./textview.js")).TextView(authors, shows === "json");
}

/** Stands where there is no document to show. */
class NothingView implements RevisionView {
  readonly element = el("p", { className: "history-empty" });

  show({ at, group }: Shown): void {
    if (at.type !== "") this.element.textContent = `A document of the type ${at.type} cannot be shown here.`;
    else this.element.textContent = group?.kind === "delete" ? "The document was deleted here." : "There was no document at this revision.";
  }

  reveal(): void {}

  destroy(): void {
    this.element.remove();
  }
}
