import type { Draft } from "../../client/index.js";
import { el } from "./dom.js";
import { moment } from "./moment.js";
import type { Access } from "./session.js";

interface Kept {
  readonly text: string;
  /** The same with its formats, of a rich text. */
  readonly content?: unknown;
  readonly code: string;
  readonly message: string;
  readonly at: number;
  /** Whose it is, where that is known. */
  readonly by?: string;
}

/** Why an edit could not be merged, for the person who made it. */
const reasons: Record<string, string> = {
  too_large: "The document would have become larger than this server allows.",
  deleted: "The document was deleted while you had it open.",
  forbidden: "Your right to change the document was taken away.",
  bad_id: "You are recorded as somebody new since you joined again, so that changes of before are not sent any more.",
  moved: "The document was renamed while you had it open.",
  not_found: "The document is not on the server any more.",
  incarnation: "The document was deleted and another was made under its name.",
  future: "The server holds an older state of the document than you had, as after a restore from a backup.",
  mismatch: "The server does not know all of your earlier edits, as after a restore from a backup.",
  gone: "What was done while you were away is not kept any more, so that your edits could not be merged.",
  checksum: "The text here had come to differ from the server’s.",
  diverged: "The text here had come to differ from the server’s.",
};

const prefixOf = (doc: string) => `quire:draft:${encodeURIComponent(doc)}:`;

/** Shows texts that could not be merged, and keeps them in this browser until the person discards them. */
export class Drafts {
  /** Where the panels go. */
  readonly element = el("div", { className: "drafts" });
  readonly #doc: string;
  #access: Access;
  /** Drafts that could not be kept outside the page. */
  #loose = 0;

  constructor(doc: string, access: Access) {
    this.#doc = doc;
    this.#access = access;
    this.setAccess(access);
  }

  /** Shows what is kept of the one who is here. What others left in this browser is for them. */
  setAccess(access: Access): void {
    this.#access = access;
    this.element.replaceChildren(...[...this.element.children].filter((panel) => !(panel as HTMLElement).dataset["key"]));
    const keys = Array.from({ length: safely(() => localStorage.length) ?? 0 }, (_, i) => localStorage.key(i) ?? "");
    for (const key of keys.filter((key) => key.startsWith(prefixOf(this.#doc))).sort()) {
      const kept = safely(() => JSON.parse(localStorage.getItem(key) ?? "") as Kept);
      if (kept && access.continues(kept.by)) this.#show(kept, key);
    }
  }

  /** Whether closing the page would lose a draft. */
  get loose(): boolean {
    return this.#loose > 0;
  }

  /** Takes a draft in. */
  add({ type, text, content, code, message }: Draft<unknown>): void {
    const kept: Kept = { text, ...(type === "delta" ? { content } : {}), code, message, at: Date.now(), ...(this.#access.author === undefined ? {} : { by: this.#access.author }) };
    const key = `${prefixOf(this.#doc)}${kept.at}-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
    const stored = safely(() => (localStorage.setItem(key, JSON.stringify(kept)), true));
    if (!stored) this.#loose++;
    this.#show(kept, stored ? key : null);
  }

  /** The document has another id now: keeps the drafts under that, and returns them. */
  moveTo(doc: string): Drafts {
    for (const panel of this.element.children) {
      const key = (panel as HTMLElement).dataset["key"];
      const kept = key && safely(() => localStorage.getItem(key));
      if (!kept) continue;
      const moved = safely(() => (localStorage.setItem(prefixOf(doc) + key.slice(prefixOf(this.#doc).length), kept), true));
      if (moved) localStorage.removeItem(key);
    }
    return new Drafts(doc, this.#access);
  }

  #show({ text, content, code, message, at }: Kept, key: string | null): void {
    const file = `${this.#doc.replace(/[^\p{L}\p{N} ._-]/gu, "_")} (draft).txt`;
    const area = el("textarea", { readOnly: true, value: text, rows: 5, attrs: { "aria-label": "Your text" } });
    const said = el("span", { className: "said", attrs: { role: "status" } });
    const copy = async () => {
      const copied = await copyText(text, area);
      said.textContent = copied ? "Copied" : "Select the text and copy it by hand";
    };
    const copyRich = async () => {
      const { htmlOf } = await import("./rich/rich.js");
      said.textContent = copyHtml(htmlOf(content as never), text) ? "Copied" : "This browser does not copy formatting";
    };
    const download = () => {
      const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
      el("a", { href: url, download: file }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    };
    const discard = () => {
      if (!confirm("Discard this draft? Its text will be gone.")) return;
      if (key) localStorage.removeItem(key);
      else this.#loose--;
      panel.remove();
    };
    const button = (label: string, click: () => void) => el("button", { type: "button", on: { click } }, label);
    const panel: HTMLElement = el("section", { className: "draft", attrs: { role: "alert", "data-draft": code, ...(key ? { "data-key": key } : {}) } },
      el("h2", {}, code === "forbidden" ? "Some of your changes were not taken in" : "Some of your changes could not be merged"),
      el("p", {}, `${reasons[code] ?? `The server refused them: ${message}.`} This is your text as you last saw it, ${moment(at)}.`),
      area,
      el("div", { className: "actions" },
        button("Copy text", () => void copy()),
        content !== undefined && button("Copy with formatting", () => void copyRich()), button("Download", download), button("Discard", discard), said));
    this.element.append(panel);
  }
}

function safely<T>(run: () => T): T | null {
  try {
    return run();
  } catch {
    return null;
  }
}

/** Copies HTML to the clipboard, and the text for who takes none. Reports whether the browser did. */
function copyHtml(html: string, text: string): boolean {
  let done = false;
  const fill = (event: ClipboardEvent) => {
    event.clipboardData?.setData("text/html", html);
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
    event.stopImmediatePropagation();
    done = true;
  };
  document.addEventListener("copy", fill, { capture: true });
  document.execCommand("copy");
  document.removeEventListener("copy", fill, { capture: true });
  return done;
}

/** Copies text to the clipboard; through `area` where the page may not write to it directly. */
export async function copyText(text: string, area: HTMLTextAreaElement | HTMLInputElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    area.select();
    return document.execCommand("copy");
  }
}
