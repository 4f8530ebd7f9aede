import { EditorState, StateEffect, StateField } from "@codemirror/state";
import { Decoration, EditorView, placeholder, WidgetType, type DecorationSet } from "@codemirror/view";

import type { Authors } from "../authors.js";
import { el } from "../dom.js";
import { moment } from "../moment.js";
import { mountStylesWithoutInline } from "../styles.js";
import { printJson } from "./json.js";
import { isTextKind } from "./kinds.js";
import { markText, type Marks } from "./marks.js";
import type { Span } from "./past.js";
import type { Shown } from "./scrubber.js";
import type { RevisionView } from "./view.js";

mountStylesWithoutInline();

const setMarks = StateEffect.define<DecorationSet>();

const marksField = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, tr) {
    for (const effect of tr.effects) if (effect.is(setMarks)) return effect.value;
    return marks.map(tr.changes);
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** The most of what is gone that is shown in one place, in UTF-16 units. */
const mostGone = 5_000;

/** Text that is gone, where it was. */
class Gone extends WidgetType {
  constructor(
    private readonly text: string,
    private readonly className: string,
  ) {
    super();
  }

  override eq(other: Gone): boolean {
    return this.text === other.text && this.className === other.className;
  }

  override toDOM(): HTMLElement {
    const more = this.text.length - mostGone;
    return el("del", { className: `gone ${this.className}` }, more > 0 ? `${this.text.slice(0, mostGone)}… and ${more.toLocaleString("en")} more characters` : this.text);
  }
}

const none: Marks = { inserted: [], deleted: [] };

/** Shows a text, or a JSON document as text, at a revision. Only what is on the screen is in the page. */
export class TextView implements RevisionView {
  readonly element: HTMLElement;
  readonly #view: EditorView;
  readonly #authors: Authors;
  #text = "";
  #first: number | undefined; // where the first mark is

  constructor(authors: Authors, json: boolean) {
    this.#authors = authors;
    this.element = el("div", { className: `history-plain${json ? " history-json" : ""}` });
    this.#view = new EditorView({
      parent: this.element,
      state: EditorState.create({
        extensions: [
          EditorState.lineSeparator.of("\n"),
          EditorState.readOnly.of(true),
          EditorView.editable.of(false),
          EditorView.lineWrapping,
          placeholder("The document was empty."),
          EditorView.contentAttributes.of({ "aria-label": "The document at this revision", role: "document", tabindex: "0" }),
          marksField,
        ],
      }),
    });
  }

  show(shown: Shown): void {
    const { text, marks } = marked(shown);
    const authors = shown.group?.authors ?? [];
    const goneClass = authors.length === 1 ? this.#authors.className(authors[0]!) : "";
    const ranges = [
      ...marks.deleted.map(({ at, text }) => Decoration.widget({ widget: new Gone(text, goneClass), side: -1 }).range(at)),
      ...marks.inserted.filter(({ from, to }) => from < to).map(({ from, to, span }) =>
        Decoration.mark({ tagName: "ins", class: `added ${this.#authors.className(span.author)}`, attributes: { title: this.#about(span) } }).range(from, to)),
    ];
    const change = difference(this.#text, text);
    this.#text = text;
    this.#first = [marks.deleted[0]?.at, marks.inserted[0]?.from].filter((at) => at !== undefined).sort((a, b) => a - b)[0];
    this.#view.dispatch({ ...(change ? { changes: change } : {}), effects: setMarks.of(Decoration.set(ranges, true)) });
  }

  /** Returns who made a part of the document, and when. */
  #about({ author, time, rev }: Span): string {
    return [this.#authors.names.call(author), moment(time), rev >= 0 && `revision ${rev.toLocaleString("en")}`].filter(Boolean).join(", ");
  }

  reveal(): void {
    if (this.#first === undefined) return;
    const at = this.#view.coordsAtPos(this.#first);
    const { top, bottom } = this.#view.scrollDOM.getBoundingClientRect();
    if (!at || at.top < top || at.bottom > bottom) this.#view.dispatch({ effects: EditorView.scrollIntoView(this.#first, { y: "center" }) });
  }

  destroy(): void {
    this.#view.destroy();
  }
}

function marked({ at, group, changes }: Shown): { text: string; marks: Marks } {
  const { kind, doc } = at;
  if (!kind) return { text: at.type === "" ? "" : JSON.stringify(doc, null, 2), marks: none };
  // What a document was created with is all new.
  const all: Span[] = group?.kind === "create" ? [{ start: 0, length: kind.shows === "text" ? (doc as string).length : 0, author: group.authors[0] ?? "", rev: group.to, time: group.end }] : [];
  if (isTextKind(kind)) {
    const text = doc as string;
    if (!changes) return { text, marks: markText("", [], all) };
    const before = changes.before.doc as string;
    return { text, marks: markText(before, kind.toTextOp(before, changes.op), changes.spans) };
  }
  const printed = changes ? printJson(doc, changes.before.doc, changes.spans) : printJson(doc, doc, all);
  return { text: printed.text, marks: printed };
}

/** Returns what makes one text of another, in one piece; null when they are the same. */
function difference(before: string, after: string): { from: number; to: number; insert: string } | null {
  if (before === after) return null;
  const least = Math.min(before.length, after.length);
  let start = 0;
  while (start < least && before.charCodeAt(start) === after.charCodeAt(start)) start++;
  let end = 0;
  while (end < least - start && before.charCodeAt(before.length - 1 - end) === after.charCodeAt(after.length - 1 - end)) end++;
  return { from: start, to: before.length - end, insert: after.slice(start, after.length - end) };
}
