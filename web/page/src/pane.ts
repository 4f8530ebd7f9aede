import type { AnyType, Document, DocumentEvents, Peer } from "../../client/index.js";
import type { Authors } from "./authors.js";
import type { Run } from "./blame/runs.js";

/** What shows a document of one type on the page and, if it can, lets a person edit it. */
export interface Pane {
  /** The type of the documents it is for. */
  readonly type: AnyType;
  /** What the person sees. */
  readonly element: HTMLElement;
  /** What hangs under the bar on top, such as tools. */
  readonly panel: HTMLElement;
  /** What a document has to tell it. */
  readonly events: Pick<DocumentEvents<any, any, any>, "reset" | "remote" | "peers">;
  /** Connects it with a document, whose events are to be `events`. */
  bind(document: Document<any, any, any>): void;
  /** Lets nobody edit, or lets them again. */
  lock(locked: boolean): void;
  focus(): void;
  /** Scrolls to where somebody's cursor is. */
  reveal(cursor: unknown): void;
  /** Shows who wrote what: runs over the whole of what is shown, or no more with null. */
  color(runs: readonly Run[] | null, authors: Authors): void;
  /** Returns the position of the character under a point in the window; null when there is none. */
  positionAt(x: number, y: number): number | null;
  /** Returns where the cursor is, or was; null when nowhere. */
  caret(): number | null;
}

/** What a pane needs of the page. */
export interface PaneHost {
  /** Stays on top of the window, over the text. */
  readonly top: HTMLElement;
  /** Shows a sentence to the person for a while. */
  say(words: string): void;
  /** Opens the document afresh. */
  reopen(): void;
  /** Returns others with the names that are to be shown. */
  called<C>(peers: readonly Peer<C>[]): Peer<C>[];
}

/** What the page calls a type in sentences and lists. */
export function nameOfType(type: string): string {
  return { text: "plain text", delta: "rich text" }[type] ?? type;
}

/** Makes the pane for documents of a type. Rejects when it could not be loaded. */
export async function paneFor(type: string, host: PaneHost): Promise<Pane> {
  if (type === "text") return new (await import("./binding.js")).Binding(host);
  if (type === "delta") return (await import("./rich/rich.js")).richPane(host);
  return new (await import("./foreign.js")).ForeignPane(type, host);
}
