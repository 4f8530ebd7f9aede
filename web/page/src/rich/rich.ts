// The rich text editor, with everything that only rich text needs: loaded when a
// document of the type "delta" is opened.

import Quill, { Module } from "quill/core.js";

import { deltaLength, richText, toDeltaOp, type DeltaComponent, type DeltaCursor, type DeltaDoc, type DeltaOp } from "../../../client/delta.js";
import { OperationError, orderedJSON, type Document } from "../../../client/index.js";
import type { Authors } from "../authors.js";
import { characterAt, highlight } from "../blame/highlights.js";
import type { Run } from "../blame/runs.js";
import { el } from "../dom.js";
import type { Pane, PaneHost } from "../pane.js";
import { loadSheet } from "../sheet.js";
import { Carets } from "./carets.js";
import { matchers } from "./clipboard.js";
import { endsWithLine, formats, fromView, linesOf, lineView, repair, safeImage, touchesLines, toView } from "./formats.js";
import { Toolbar } from "./toolbar.js";
import { Undo } from "./undo.js";
import { wholeCharacters } from "./whole.js";

type RichDocument = Document<DeltaDoc, DeltaOp, DeltaCursor>;

/** The largest picture that is put into a document itself, in bytes of its file. */
const largestPicture = 256 << 10;

/** What Quill calls its history, handing on to Undo, which knows what came from whom. */
class HandedHistory extends Module<{ cutOff?(): void }> {
  cutoff(): void {
    this.options.cutOff?.();
  }

  clear(): void {}
}
Quill.register("modules/history", HandedHistory, true);

/** Makes the pane for rich text. Rejects when its style sheet could not be loaded. */
export async function richPane(host: PaneHost): Promise<Pane> {
  await loadSheet("rich.css");
  return new RichBinding(host);
}

/** Returns a rich text as HTML, for other programs. */
export function htmlOf(content: DeltaDoc): string {
  const quill = new Quill(el("div"), { formats });
  quill.setContents(toView(content) as never);
  return quill.getSemanticHTML();
}

/**
 * An editor that shows a rich text: what is typed goes to the document, what
 * others do comes from it. While characters are being composed, as input methods
 * do, the editor must be left alone: what others do waits, and is shown after.
 */
class RichBinding implements Pane {
  readonly type = richText;
  readonly element: HTMLElement;
  readonly panel: HTMLElement;
  readonly events: Pane["events"];
  readonly #quill: Quill;
  readonly #carets: Carets;
  readonly #toolbar: Toolbar;
  readonly #host: PaneHost;
  readonly #undo = new Undo();
  #document: RichDocument | undefined;
  /** The document as the editor shows it: without what waits. */
  #shown: DeltaDoc = [];
  /** What others did that is not shown yet. */
  #waiting: DeltaOp = [];
  #resetTo: DeltaDoc | null = null;
  #locked = true;
  /** Whether an operation beyond its end has left the document with what is no content. It can only be read then. */
  #broken = false;
  /** Where the selection is or was, on what is shown. */
  #cursor: DeltaCursor | null = null;

  constructor(host: PaneHost) {
    this.#host = host;
    const mount = el("div", { className: "rich-text" });
    this.#quill = new Quill(mount, {
      formats,
      placeholder: "Write something…",
      readOnly: true,
      modules: {
        clipboard: { matchers },
        history: { cutOff: () => this.#undo.cutOff() },
        keyboard: { bindings: { tab: null } }, // leaves the text, as in every field
        uploader: {
          mimetypes: ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"],
          handler: (range: { index: number; length: number }, files: File[]) => void this.#insertPictures(range, files),
        },
      },
    });
    const { root } = this.#quill;
    for (const [name, value] of [["role", "textbox"], ["aria-multiline", "true"], ["aria-label", "Document"], ["spellcheck", "true"]] as const) root.setAttribute(name, value);
    this.#carets = new Carets(this.#quill);
    this.element = el("div", { className: "rich" }, mount, this.#carets.element);
    this.#toolbar = new Toolbar(this.#quill, {
      selection: () => this.#selection(),
      undo: () => this.#step("undo"),
      redo: () => this.#step("redo"),
      insertPictures: (files) => void this.#insertPictures(this.#selection(), files),
    });
    this.panel = this.#toolbar.element;
    this.#listen();
    this.events = {
      reset: (content: DeltaDoc) => this.#reset(content),
      remote: (op: DeltaOp) => {
        this.#waiting = richText.compose(this.#waiting, op);
        this.#catchUp();
      },
      peers: () => this.#showPeers(),
    };
  }

  bind(document: RichDocument): void {
    this.#document = document;
  }

  lock(locked: boolean): void {
    this.#locked = locked;
    const closed = locked || this.#broken;
    if (this.#quill.isEnabled() === closed) this.#quill.enable(!closed);
    this.#toolbar.lock(closed);
    // What cannot be edited is still to be reached by keyboard, and selected.
    const { root } = this.#quill;
    root.tabIndex = 0;
    root.setAttribute("aria-readonly", String(closed));
    root.dataset["placeholder"] = closed ? "Nothing is written here yet." : "Write something…";
  }

  focus(): void {
    this.#quill.focus();
  }

  reveal(cursor: DeltaCursor): void {
    const caret = cursor[0] && this.#carets.at(cursor[0][1]);
    if (caret) scrollTo({ top: caret.top + scrollY - innerHeight / 2, behavior: "smooth" });
  }

  color(runs: readonly Run[] | null, authors: Authors): void {
    const length = this.#quill.getLength();
    const done = highlight(runs, authors, (from, to) => {
      if (from >= length) return null;
      const [start, startOffset, end, endOffset] = this.#quill.selection.rangeToNative({ index: from, length: Math.min(to, length) - from });
      if (!start || !end) return null;
      const range = document.createRange();
      range.setStart(start, startOffset!);
      range.setEnd(end, endOffset!);
      return range;
    });
    if (!done && runs) this.#host.say("This browser cannot show rich text in the colours of its authors.");
  }

  positionAt(x: number, y: number): number | null {
    const at = characterAt(x, y);
    const blot = at && this.#quill.root.contains(at.node) ? this.#quill.scroll.find(at.node, true) : null;
    return blot ? blot.offset(this.#quill.scroll) + at!.offset : null;
  }

  caret(): number | null {
    return this.#cursor?.[0]?.[1] ?? null;
  }

  #listen(): void {
    const { root, keyboard } = this.#quill;
    this.#quill.on("text-change", (change, _before, source) => {
      if (source === "user") this.#edited(change.ops as DeltaComponent[]);
    });
    this.#quill.on("editor-change", (event: string) => {
      if (event === "selection-change") this.#selected();
      this.#toolbar.update(this.#undo);
    });
    this.#quill.on("composition-end", () => queueMicrotask(() => this.#catchUp()));
    keyboard.addBinding({ key: "z", shortKey: true }, () => this.#step("undo"));
    keyboard.addBinding({ key: ["z", "Z"], shortKey: true, shiftKey: true }, () => this.#step("redo"));
    keyboard.addBinding({ key: "y", shortKey: true }, () => this.#step("redo"));
    keyboard.addBinding({ key: "k", shortKey: true }, () => this.#quill.isEnabled() && this.#toolbar.askLink());
    root.addEventListener("beforeinput", (event) => {
      const direction = event.inputType === "historyUndo" ? "undo" : event.inputType === "historyRedo" ? "redo" : null;
      if (!direction) return;
      event.preventDefault();
      this.#step(direction);
    });
    root.addEventListener("click", (event) => {
      const link = (event.target as Element).closest("a");
      if (link && (event.ctrlKey || event.metaKey)) open(link.href, "_blank", "noopener,noreferrer");
    });
  }

  // From the editor to the document.

  #edited(change: readonly DeltaComponent[]): void {
    const document = this.#document;
    if (!document?.editable || this.#resetTo) return;
    try {
      let op = toDeltaOp(fromView(change));
      if (!endsWithLine(this.#shown)) op = richText.compose(closing(this.#shown), op);
      if (richText.isIdentity(op)) return;
      const said = op;
      op = wholeCharacters(this.#shown, op);
      const inverse = richText.invert(this.#shown, op);
      this.#shown = richText.apply(this.#shown, op);
      this.#undo.edited(inverse, this.#cursor, performance.now());
      const edit = richText.transform(op, this.#waiting, "right");
      this.#waiting = richText.transform(this.#waiting, op, "left");
      document.edit(edit);
      if (orderedJSON(op) !== orderedJSON(said)) this.#showWhole(op);
      else if (touchesLines(op)) this.#repairLines();
      this.#showPeers();
    } catch (error) {
      this.#lost(error);
    }
  }

  /** Shows what became of an edit that the editor has shown with half a character. */
  #showWhole(op: DeltaOp): void {
    if (this.#cursor) this.#cursor = richText.transformCursor(this.#cursor, op, "left");
    queueMicrotask(() => this.#rebuild());
  }

  /** The editor went where the document cannot follow: shows the document again. */
  #lost(error: unknown): void {
    if (!(error instanceof OperationError)) throw error;
    console.error(error);
    queueMicrotask(() => this.#reset(this.#document?.content ?? []));
  }

  #selected(): void {
    if (this.#quill.composition.isComposing || this.#toolbar.asking) return;
    const range = this.#quill.selection.getRange()[0];
    if (!range) return; // the focus is elsewhere: others go on seeing where it was
    const [start, end] = [range.index, range.index + range.length];
    this.#cursor = [backwards() ? [end, start] : [start, end]];
    this.#document?.setCursor(richText.transformCursor(this.#cursor, this.#waiting, "left"));
  }

  /** Where the selection is, or was before the focus went elsewhere. */
  #selection(): { index: number; length: number } {
    const end = this.#quill.getLength() - 1;
    const [anchor, head] = (this.#cursor?.[0] ?? [0, 0]).map((position) => Math.min(position, end)) as [number, number];
    return { index: Math.min(anchor, head), length: Math.abs(anchor - head) };
  }

  #step(direction: "undo" | "redo"): void {
    const document = this.#document;
    if (!document?.editable || !this.#quill.isEnabled() || this.#quill.composition.isComposing) return;
    this.#catchUp();
    try {
      const step = this.#undo.take(direction, (op) => richText.invert(this.#shown, op), this.#cursor);
      if (!step) return;
      document.edit(step.op);
      this.#show(step.op);
      const [anchor, head] = step.cursor?.[0] ?? [lastChange(step.op), lastChange(step.op)];
      this.#quill.setSelection(Math.min(anchor, head), Math.abs(anchor - head), "user");
      this.#showPeers();
      this.#toolbar.update(this.#undo);
    } catch (error) {
      this.#lost(error);
    }
  }

  async #insertPictures(range: { index: number; length: number }, files: File[]): Promise<void> {
    if (!this.#quill.isEnabled()) return;
    const fit = files.filter((file) => file.size <= largestPicture);
    if (fit.length < files.length) this.#host.say(`Pictures of up to ${largestPicture >> 10} KiB can be put into a document. Larger ones can be shown from an address.`);
    const images = (await Promise.all(fit.map(dataUrl))).filter(safeImage);
    if (images.length === 0) return;
    const index = Math.min(range.index, this.#quill.getLength() - 1);
    const length = Math.min(range.length, this.#quill.getLength() - 1 - index);
    const change = [...(index > 0 ? [{ retain: index }] : []), ...images.map((image) => ({ insert: { image } })), ...(length > 0 ? [{ delete: length }] : [])];
    this.#quill.updateContents(change as never, "user");
    this.#quill.setSelection(index + images.length, 0, "user");
  }

  // From the document to the editor.

  #reset(content: DeltaDoc): void {
    this.#waiting = [];
    this.#resetTo = content;
    this.#catchUp();
  }

  /** Shows what waits, unless characters are being composed. */
  #catchUp(): void {
    if (this.#quill.composition.isComposing) return;
    if (this.#resetTo) {
      this.#shown = this.#resetTo;
      this.#undo.clear();
      this.#rebuild();
      this.#resetTo = null;
      this.#showPeers();
    }
    this.#quill.update("user"); // takes in what was typed and not told yet
    const op = this.#waiting;
    if (richText.isIdentity(op)) return;
    this.#waiting = [];
    this.#undo.remote(op);
    this.#show(op);
    this.#showPeers();
    this.#toolbar.update(this.#undo);
  }

  /** Applies an operation to what is shown. */
  #show(op: DeltaOp): void {
    const before = this.#shown;
    const focused = document.activeElement;
    this.#shown = richText.apply(before, op);
    if (this.#cursor) this.#cursor = richText.transformCursor(this.#cursor, op, "left");
    if (endsWithLine(before) && endsWithLine(this.#shown) && !this.#broken) this.#quill.updateContents(toView(op) as never, "api");
    if (this.#quill.getLength() !== this.#length()) this.#rebuild();
    else if (touchesLines(op)) this.#repairLines();
    // The editor takes the focus when it moves its selection.
    if (focused !== document.activeElement && focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  }

  /** Returns the length that the editor's view is to have. */
  #length(): number {
    return deltaLength(this.#shown) + (endsWithLine(this.#shown) ? 0 : 1);
  }

  /** Shows everything anew. */
  #rebuild(): void {
    const selected = this.#quill.hasFocus();
    const content = this.#shown.filter(({ insert }) => insert !== undefined);
    const view = toView(content);
    this.#quill.setContents((endsWithLine(content) ? view : [...view, { insert: "\n" }]) as never, "api");
    // What the editor cannot hold position by position cannot be edited in it.
    const broken = content.length < this.#shown.length || this.#quill.getLength() !== this.#length();
    if (broken && !this.#broken) this.#host.say("This document holds something that cannot be edited here. It is shown for reading.");
    this.#broken = broken;
    this.lock(this.#locked);
    if (broken) return;
    this.#repairLines();
    if (selected && this.#cursor) {
      const [anchor, head] = this.#cursor[0]!;
      this.#quill.setSelection(Math.min(anchor, head), Math.abs(anchor - head), "silent");
    }
  }

  /** Makes lines look as the document has them where the editor took what came in another order for something else. */
  #repairLines(): void {
    const views = this.#quill.getLines();
    linesOf(this.#shown).forEach((line, i) => {
      const have = (views[i]?.formats() ?? {}) as Record<string, unknown>;
      const want = lineView(line.attributes);
      const names = new Set([...Object.keys(have), ...Object.keys(want)]);
      if ([...names].some((name) => have[name] !== want[name])) this.#quill.updateContents(repair(line) as never, "api");
    });
  }

  #showPeers(): void {
    if (richText.isIdentity(this.#waiting)) this.#carets.show(this.#host.called(this.#document?.peers ?? []));
  }
}

/** Returns the operation that gives a document the line end it lacks. */
function closing(doc: DeltaDoc): DeltaOp {
  const length = deltaLength(doc);
  return length > 0 ? [{ retain: length }, { insert: "\n" }] : [{ insert: "\n" }];
}

/** Returns where the last change of an operation ends, in the document after it. */
function lastChange(op: DeltaOp): number {
  return op.reduce((at, component) => at + (component.retain ?? (typeof component.insert === "string" ? component.insert.length : component.insert ? 1 : 0)), 0);
}

/** Reports whether the browser's selection was made from its end to its start. */
function backwards(): boolean {
  const selection = getSelection();
  if (!selection?.anchorNode || !selection.focusNode) return false;
  if (selection.anchorNode === selection.focusNode) return selection.anchorOffset > selection.focusOffset;
  return (selection.anchorNode.compareDocumentPosition(selection.focusNode) & Node.DOCUMENT_POSITION_PRECEDING) !== 0;
}

function dataUrl(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
