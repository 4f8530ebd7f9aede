import { history, historyKeymap, defaultKeymap } from "@codemirror/commands";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Annotation, Compartment, EditorState, Transaction, type Extension } from "@codemirror/state";
import { EditorView, highlightSpecialChars, keymap, panels, placeholder } from "@codemirror/view";

import { OperationError, text, type Document, type DocumentEvents, type TextCursor, type TextOp } from "../../client/index.js";
import type { Authors } from "./authors.js";
import type { Run } from "./blame/runs.js";
import { authorColors, colorText } from "./blame/textcolors.js";
import { peerCarets, setPeers } from "./carets.js";
import { changesToOp, onlyWholeCharacters, opToChanges, selectionToCursor } from "./convert.js";
import { el } from "./dom.js";
import type { Pane, PaneHost } from "./pane.js";
import { mountStylesWithoutInline } from "./styles.js";

type TextDocument = Document<string, TextOp, TextCursor>;

/** Marks what came from the server. */
const remote = Annotation.define<boolean>();

mountStylesWithoutInline();

/**
 * An editor that shows a document: what is typed goes to the document, what
 * others do comes from it. Undo takes back what was typed here, never what
 * others did.
 */
export class Binding implements Pane {
  readonly type = text;
  readonly element = el("div", {});
  readonly panel = el("div", {});
  readonly view: EditorView;
  readonly #host: PaneHost;
  readonly #locked = new Compartment();
  #document: TextDocument | undefined;

  constructor(host: PaneHost) {
    this.#host = host;
    this.view = new EditorView({ parent: this.element, state: this.#state("", true) });
  }

  bind(document: TextDocument): void {
    this.#document = document;
  }

  get events(): Pick<DocumentEvents<string, TextOp, TextCursor>, "reset" | "remote" | "peers"> {
    return {
      reset: (content) => {
        const { anchor, head } = this.view.state.selection.main;
        const focused = this.view.hasFocus;
        this.view.setState(this.#state(content, false));
        const end = this.view.state.doc.length;
        this.view.dispatch({ selection: { anchor: Math.min(anchor, end), head: Math.min(head, end) } });
        if (focused) this.view.focus();
      },
      remote: (op) =>
        this.view.dispatch({
          changes: opToChanges(op),
          effects: setPeers.of(this.#host.called(this.#document?.peers ?? [])),
          annotations: [remote.of(true), Transaction.addToHistory.of(false)],
        }),
      peers: (peers) => this.view.dispatch({ effects: setPeers.of(this.#host.called(peers)) }),
    };
  }

  lock(locked: boolean): void {
    if (this.view.state.readOnly !== locked) this.view.dispatch({ effects: this.#locked.reconfigure(lockedAs(locked)) });
  }

  focus(): void {
    this.view.focus();
  }

  reveal(cursor: TextCursor): void {
    const at = Math.min(cursor[0]?.[1] ?? 0, this.view.state.doc.length);
    this.view.dispatch({ effects: EditorView.scrollIntoView(at, { y: "center" }) });
  }

  color(runs: readonly Run[] | null, authors: Authors): void {
    // A change around what an input method composes would end the composition.
    if (!this.view.composing) colorText(this.view, runs, authors);
  }

  positionAt(x: number, y: number): number | null {
    const at = this.view.posAtCoords({ x, y });
    if (at === null) return null;
    const box = this.view.coordsAtPos(at, 1);
    return box && x < box.left && y >= box.top && y <= box.bottom ? at - 1 : at;
  }

  caret(): number {
    return this.view.state.selection.main.head;
  }

  #state(doc: string, locked: boolean): EditorState {
    return EditorState.create({
      doc,
      extensions: [
        EditorState.lineSeparator.of("\n"), // so that a carriage return stays what it is
        this.#locked.of(lockedAs(locked)),
        onlyWholeCharacters,
        history(),
        search({ top: true }),
        panels({ topContainer: this.panel }),
        EditorView.scrollMargins.of(() => ({ top: this.#host.top.offsetHeight + 16, bottom: 32 })),
        highlightSelectionMatches(),
        highlightSpecialChars(),
        EditorView.lineWrapping,
        authorColors,
        peerCarets,
        EditorView.clipboardInputFilter.of((pasted) => pasted.replace(/\r\n?/g, "\n")),
        EditorView.contentAttributes.of({
          tabindex: "0", // what cannot be edited is still to be reached by keyboard, and keeps the focus
          "aria-label": "Document",
          spellcheck: "true",
          autocorrect: "on",
          autocapitalize: "on",
        }),
        keymap.of([...defaultKeymap, ...historyKeymap, ...searchKeymap]),
        EditorView.updateListener.of((update) => this.#tell(update.transactions)),
      ],
    });
  }

  /** Passes on what was typed here, one operation for each transaction. */
  #tell(transactions: readonly Transaction[]): void {
    const document = this.#document;
    if (!document?.editable) return;
    for (const tr of transactions) {
      if (tr.annotation(remote)) continue;
      if (tr.docChanged) this.#edit(document, tr);
      else if (tr.selection) document.setCursor(selectionToCursor(tr.state));
    }
  }

  #edit(document: TextDocument, tr: Transaction): void {
    try {
      document.edit(changesToOp(tr.changes), selectionToCursor(tr.state));
    } catch (error) {
      if (!(error instanceof OperationError)) throw error;
      // The editor went where the document cannot follow: show the document again.
      console.error(error);
      queueMicrotask(() => this.events.reset?.(document.content ?? ""));
    }
  }
}

function lockedAs(locked: boolean): Extension {
  return [
    EditorState.readOnly.of(locked),
    EditorView.editable.of(!locked),
    placeholder(locked ? "Nothing is written here yet." : "Write something…"),
    EditorView.contentAttributes.of({ "aria-readonly": String(locked) }),
  ];
}
