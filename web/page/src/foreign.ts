import { orderedJSON, type AnyType, type Document } from "../../client/index.js";
import type { Authors } from "./authors.js";
import { characterAt, highlight } from "./blame/highlights.js";
import type { Run } from "./blame/runs.js";
import { el } from "./dom.js";
import { printJson } from "./history/json.js";
import type { Pane, PaneHost } from "./pane.js";

/** Milliseconds after a change within which more of them are waited for before the document is fetched again. */
const gather = 1_000;

/** A type that is known by name only: content can be shown, operations cannot be understood. */
function foreignType(name: string): AnyType {
  const none = () => {
    throw new Error(`operations of the type ${name} are not understood here`);
  };
  return {
    name,
    create: (content) => content,
    content: (doc) => doc,
    plain: (doc) => (typeof doc === "string" ? doc : printJson(doc).text),
    operation: (json) => json,
    apply: (doc) => doc,
    compose: none,
    transform: none,
    invert: none,
    isIdentity: () => false,
    split: none,
    transformCursor: (cursor) => cursor,
    sameCursor: (a, b) => orderedJSON(a) === orderedJSON(b),
    checksum: () => null,
  };
}

/**
 * Shows a document of a type that the page cannot edit. When somebody changes
 * it, it is fetched again as a whole, once a second at most.
 */
export class ForeignPane implements Pane {
  readonly type: AnyType;
  readonly element: HTMLElement;
  readonly panel = el("div", {});
  readonly events: Pane["events"];
  readonly #content = el("pre", { className: "foreign-content", tabIndex: 0, attrs: { "aria-label": "Document, for reading" } });
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(type: string, host: PaneHost) {
    this.type = foreignType(type);
    this.element = el("div", { className: "foreign-pane", attrs: { "data-foreign": type } },
      el("p", { className: "foreign-note" },
        "This document is of the type ", el("code", {}, type), ". This page shows it for reading and keeps it up to date; ",
        "programs that know the type, such as ShareDB clients, can edit it."),
      this.#content);
    this.events = {
      reset: (content) => {
        clearTimeout(this.#timer);
        this.#timer = undefined;
        this.#content.textContent = this.type.plain(content);
      },
      remote: () => (this.#timer ??= setTimeout(() => host.reopen(), gather)),
    };
  }

  bind(_document: Document<any, any, any>): void {}

  lock(_locked: boolean): void {}

  focus(): void {}

  reveal(_cursor: unknown): void {}

  color(runs: readonly Run[] | null, authors: Authors): void {
    const node = this.#content.firstChild;
    highlight(node ? runs : null, authors, (from, to) => {
      if (!(node instanceof Text) || from >= node.length) return null;
      const range = document.createRange();
      range.setStart(node, from);
      range.setEnd(node, Math.min(to, node.length));
      return range;
    });
  }

  positionAt(x: number, y: number): number | null {
    const at = characterAt(x, y);
    return at && at.node === this.#content.firstChild ? at.offset : null;
  }

  caret(): number | null {
    const { focusNode, focusOffset } = getSelection() ?? {};
    return focusNode && focusNode === this.#content.firstChild ? focusOffset! : null;
  }
}
