import { ApiError, importDoc, pathOf, type Listed } from "./api.js";
import { el } from "./dom.js";

/** The media types of files by the end of their names. */
const types: { readonly [end: string]: string } = {
  txt: "text/plain; charset=utf-8",
  text: "text/plain; charset=utf-8",
  md: "text/markdown; charset=utf-8",
  markdown: "text/markdown; charset=utf-8",
  html: "text/html; charset=utf-8",
  htm: "text/html; charset=utf-8",
  delta: "application/vnd.quire.delta+json",
  quire: "application/vnd.quire.bundle",
  bundle: "application/vnd.quire.bundle",
};

/** What a file is, and what of it makes a document. */
export interface Import {
  readonly contentType: string;
  /** What is sent instead of the file. */
  readonly body?: string;
  readonly title: string;
}

/** Returns what a file is to be imported as, by its name and, where it is JSON, by what it holds; null when nothing can be made of it. */
export function importOf(name: string, text: string | null): Import | null {
  const [, stem, end = ""] = /^(.*?)(?:\.([^.]*))?$/s.exec(name)!;
  const title = stem || name;
  const known = types[end.toLowerCase()];
  if (known) return { contentType: known, title };
  if (text === null) return null;
  if (end.toLowerCase() !== "json") return { contentType: types["txt"]!, title };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const ops = typeof value === "object" && value !== null && "ops" in value ? value.ops : value;
  const delta = Array.isArray(ops) && ops.length > 0 && ops.every((op) => typeof op === "object" && op !== null && "insert" in op);
  if (delta) return { contentType: types["delta"]!, body: JSON.stringify(ops), title };
  return { contentType: "application/json", body: JSON.stringify({ type: "json0", content: value, title }), title };
}

/** Returns a file's text; null when it is none. */
async function textOf(file: File): Promise<string | null> {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    return text.includes("\0") ? null : text;
  } catch {
    return null;
  }
}

/** Makes what lets a person make a document from a file. `name` returns the id it is to have, or nothing, `author` who they are recorded as. */
export function importButton(name: () => string, author: () => string, said: HTMLElement, made: (doc: Listed) => void): HTMLElement {
  const input = el("input", {
    type: "file", id: "import-file", className: "spoken", tabIndex: -1, accept: ".txt,.md,.markdown,.html,.htm,.json,.delta,.quire,.bundle,text/plain,text/markdown,text/html,application/json",
    attrs: { "aria-label": "File to import" },
  });
  const button = el("button", { type: "button", className: "import", on: { click: () => input.click() } }, "Import a file…");
  const run = async (file: File) => {
    const id = name();
    button.disabled = true;
    said.replaceChildren("Importing…");
    try {
      const what = importOf(file.name, await textOf(file));
      if (!what) return said.replaceChildren(`“${file.name}” cannot be imported: it is neither text, Markdown, HTML or JSON nor a document that Quire exported.`);
      const json = what.contentType === "application/json";
      const body = json && id ? JSON.stringify({ ...JSON.parse(what.body!), id }) : (what.body ?? file);
      const doc = await importDoc(body, what.contentType, { author: author(), ...(json ? {} : { ...(id ? { id } : {}), title: what.title }) });
      said.replaceChildren();
      made(doc);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      said.replaceChildren(`“${file.name}” was not imported. ${error.message} `);
      if (error.code === "exists") said.append(el("a", { href: pathOf(id) }, "Open what is there"));
      else said.append(el("button", { type: "button", className: "link", on: { click: () => void run(file) } }, "Try again"));
    } finally {
      button.disabled = false;
      input.value = "";
    }
  };
  input.addEventListener("change", () => {
    const [file] = input.files ?? [];
    if (file) void run(file);
  });
  return el("div", { className: "import-place" }, button, input);
}
