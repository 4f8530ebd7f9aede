import { orderedJSON, type AnyType, type Document } from "../../client/index.js";
import { el } from "./dom.js";
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
    plain: (doc) => (typeof doc === "string" ? doc : JSON.stringify(doc, null, 2)),
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
}
