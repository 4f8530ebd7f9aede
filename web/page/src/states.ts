// What the page says of the state of a document.

import type { State } from "../../client/index.js";
import { count, el } from "./dom.js";
import { notice } from "./frame.js";
import { nameOfType } from "./pane.js";

/** What else there is to know for saying it. */
export interface Circumstances {
  /** Whether there is a text to see. */
  readonly here: boolean;
  /** Whether the person may write in the document, as far as it is known. */
  readonly mayWrite: boolean;
  /** Whether the server asks people who they are. */
  readonly guarded: boolean;
  /** What keeps the server from writing, in a few words; empty when that is not known. */
  readonly trouble: string;
}

/** Returns the state in words. */
export function wordsOf({ kind, unsaved, code, message }: State, { here, mayWrite, trouble }: Circumstances): string {
  const edits = count(unsaved, "unsaved change");
  const cannot = `the server cannot write${trouble && ` (${trouble})`}`;
  switch (kind) {
    case "connecting":
      if (!here) return "Opening…";
      return unsaved > 0 ? `Reconnecting… ${edits}` : "Reconnecting…";
    case "saved":
      return mayWrite ? "Saved" : "Up to date";
    case "saving":
      if (mayWrite && trouble) return `Saving takes long (${trouble})…`;
      return mayWrite ? "Saving…" : `Not sent: ${edits}`;
    case "offline":
      if (!here) return "The server cannot be reached. Trying again…";
      if (unsaved > 0) return `Offline — ${edits}`;
      return mayWrite ? "Offline — you can go on writing" : "Offline";
    case "failing":
      return unsaved > 0 ? `Not saved: ${cannot}. ${edits}, trying again…` : `${cannot.charAt(0).toUpperCase()}${cannot.slice(1)}. Changes will wait…`;
    case "unreadable":
      return "Could not read this document. Trying again…";
    case "closed":
      if (code === "not_found") return "There is no such document";
      if (code === "deleted") return "This document was deleted";
      if (code === "forbidden") return "You may not see this document any more";
      return `Closed: ${message || code}`;
  }
}

/** What can be done about a state. */
export interface Remedies {
  probe(): void;
  retry(): void;
  create(type: string): void;
}

/** Returns what stands in place of the text while there is none to show. */
export function panelOf(state: State, around: Circumstances, remedies: Remedies): HTMLElement {
  const { kind, code, message } = state;
  const panel = (...more: (Node | string)[]) => notice(code ?? kind, wordsOf(state, around), ...more);
  const button = (label: string, act: () => void, className = "primary") => el("button", { type: "button", className, on: { click: act } }, label);
  const words = (text: string) => el("p", {}, text);
  const all = el("a", { href: "/" }, "All documents");
  const again = () => location.reload();
  switch (kind) {
    case "connecting":
      return panel();
    case "offline":
      return panel(words("The document appears here as soon as the server answers."), button("Try now", remedies.probe));
    case "unreadable":
      return panel(words(`It is there, but the server could not load it: ${message ?? code}. Nothing is lost by waiting.`), button("Try again", remedies.retry));
  }
  if (code === "forbidden") return panel(words("Your right to it was taken away. What you had written and the server did not have stands above, if there was any."), button("Open again", again), all);
  if (code !== "not_found" && code !== "deleted") return panel(button("Open again", again), all);
  if (!around.mayWrite) return panel(words("Or you may not see it. If somebody invited you, open the address of the invitation."), button("Open again", again), all);
  return panel(
    words(`${around.guarded && code === "not_found" ? "Or you may not see it. " : ""}${code === "deleted" ? "You can begin anew under its name." : "You can begin it, under this name."}`),
    button("Create it", () => remedies.create("text")),
    button(`Create as ${nameOfType("delta")}`, () => remedies.create("delta"), ""),
    all);
}

/** Asks the server what keeps it from writing, and returns it in a few words; empty when it does not say. */
export async function troubleOf(): Promise<string> {
  try {
    const response = await fetch("/readyz", { cache: "no-store", signal: AbortSignal.timeout(5_000) });
    return response.ok ? "" : troubleIn(await response.text());
  } catch {
    return "";
  }
}

/** Returns what a server's own words about its trouble come down to. */
export function troubleIn(words: string): string {
  if (/no space|disk is full|quota|too large/i.test(words)) return "its disk is full";
  if (/read-only/i.test(words)) return "its disk can only be read";
  if (/reports errors|disk failed|input\/output|i\/o error/i.test(words)) return "its disk fails";
  if (/slow/i.test(words)) return "its disk is slow";
  return "";
}
