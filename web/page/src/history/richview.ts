import Quill, { Parchment } from "quill/core.js";

import type { DeltaDoc, DeltaOp } from "../../../client/delta.js";
import type { Authors } from "../authors.js";
import { el } from "../dom.js";
import { endsWithLine, formats, toView } from "../rich/formats.js";
import { markDelta, type MarkedComponent } from "./marks.js";
import type { Shown } from "./scrubber.js";
import type { RevisionView } from "./view.js";

/** The format under which the view knows marks: what a part is, and the class of its author. */
const markName = "quire-mark";

Quill.register({ [`formats/${markName}`]: new Parchment.Attributor(markName, "data-mark", { scope: Parchment.Scope.INLINE }) }, true);

/** Shows a rich text at a revision, as the editor does, with what changed in it. */
export class RichView implements RevisionView {
  readonly element = el("div", { className: "history-rich" });
  readonly #quill: Quill;
  readonly #authors: Authors;

  constructor(authors: Authors) {
    this.#authors = authors;
    const mount = el("div", { className: "rich-text" });
    this.element.append(mount);
    this.#quill = new Quill(mount, { formats: [...formats, markName], readOnly: true });
    const { root } = this.#quill;
    root.tabIndex = 0;
    root.setAttribute("role", "document");
    root.setAttribute("aria-label", "The document at this revision");
  }

  show({ at, group, changes }: Shown): void {
    const doc = (at.doc ?? []) as DeltaDoc;
    const authors = group?.authors ?? [];
    let parts: MarkedComponent[];
    if (changes) parts = markDelta(changes.before.doc as DeltaDoc, doc, changes.op as DeltaOp, changes.spans);
    else parts = doc.map((component) => (group?.kind === "create" ? { ...component, mark: "new" } : component));
    const view = parts.flatMap(({ mark, span, ...component }) => {
      const author = span?.author ?? (authors.length === 1 ? authors[0] : undefined);
      return toView([component]).flatMap((part) => marked(part, mark && `${mark} ${author === undefined ? "" : this.#authors.className(author)}`));
    });
    if (!endsWithLine(view)) view.push({ insert: "\n" });
    const top = this.element.scrollTop;
    this.#quill.setContents(view as never, "silent");
    this.element.scrollTop = top;
  }

  reveal(): void {
    const first = this.element.querySelector("[data-mark]");
    if (!first) return;
    const [mark, view] = [first.getBoundingClientRect(), this.element.getBoundingClientRect()];
    if (mark.top < view.top || mark.bottom > view.bottom) first.scrollIntoView({ block: "center" });
  }

  destroy(): void {
    this.element.remove();
  }
}

/** Returns a part with its mark; a line end that is gone is shown as a sign. */
function marked(part: MarkedComponent, mark: string | undefined): MarkedComponent[] {
  const { insert, attributes = {} } = part;
  if (!mark) return [part];
  const whole = { ...part, attributes: { ...attributes, [markName]: mark } };
  if (!mark.startsWith("gone") || typeof insert !== "string" || !insert.includes("\n")) return [whole];
  return insert.split(/(\n)/).filter(Boolean).flatMap((piece) =>
    piece === "\n" ? [{ insert: "¶", attributes: { [markName]: mark } }, { insert: "\n", attributes }] : [{ ...whole, insert: piece }]);
}
