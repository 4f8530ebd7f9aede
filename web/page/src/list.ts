import { countUnsent } from "../../client/index.js";
import { ApiError, createDoc, listDocs, pathOf, type Listed } from "./api.js";
import { ago, count, el } from "./dom.js";
import { importButton } from "./import.js";
import { nameOfType } from "./pane.js";
import { recents, remember } from "./recent.js";

/** The page at `/`: what was opened here, everything there is, and a way to begin something new. */
export function showList(app: HTMLElement): void {
  document.title = "Quire";
  const unsent = storedUnsent();
  const opened = recents();
  app.replaceChildren(
    el("div", { className: "top" },
      el("header", { className: "bar" }, el("a", { className: "home", href: "/" }, el("span", { className: "mark" }), "Quire"))),
    el("main", { className: "list" },
      el("h1", {}, "Documents"),
      newDocument(),
      opened.length > 0 &&
        el("section", { attrs: { "aria-labelledby": "recent" } },
          el("h2", { id: "recent" }, "Opened here"),
          el("ul", { className: "docs" }, ...opened.slice(0, 8).map(({ id, at, type = "text", title }) => row(id, title, type, `opened ${ago(at)}`, unsent)))),
      allDocuments(unsent)),
  );
}

function storedUnsent(): Set<string> {
  try {
    return new Set(countUnsent(localStorage).keys());
  } catch {
    return new Set();
  }
}

function row(id: string, title: string | undefined, type: string, about: string, unsent: Set<string>): HTMLElement {
  return el("li", {},
    el("a", { href: pathOf(id) },
      el("span", { className: "name" }, title || id, title && title !== id && el("span", { className: "id" }, id)),
      type !== "text" && el("span", { className: "kind" }, nameOfType(type)),
      unsent.has(id) && el("span", { className: "badge" }, "unsent changes"),
      el("span", { className: "about" }, about)));
}

function newDocument(): HTMLElement {
  const name = el("input", { id: "new-name", maxLength: 200, placeholder: "Untitled", attrs: { autocomplete: "off", "aria-describedby": "new-problem" } });
  const button = el("button", { type: "submit", className: "primary" }, "New document");
  const problem = el("p", { id: "new-problem", className: "problem", attrs: { role: "alert" } });
  const open = (made: Listed) => {
    remember(made.id, made.type, made.title);
    location.assign(pathOf(made.id));
  };
  const kinds = ["text", "delta"].map((type, i) =>
    el("label", { className: "choice" }, el("input", { type: "radio", name: "type", value: type, checked: i === 0 }), capital(nameOfType(type))));
  const create = async () => {
    const id = name.value.trim();
    const type = String(new FormData(form).get("type"));
    button.disabled = true;
    problem.replaceChildren();
    try {
      const made = await createDoc(type, id || undefined);
      remember(made, type);
      location.assign(pathOf(made));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code === "exists") problem.append(`There is a document “${id}” already. `, el("a", { href: pathOf(id) }, "Open it"));
      else problem.append(`The document was not created. ${error.message}`);
    } finally {
      button.disabled = false;
    }
  };
  const submit = (event: Event) => {
    event.preventDefault();
    void create();
  };
  const form = el("form", { className: "new", on: { submit } },
    el("label", { htmlFor: "new-name" }, "Name of the new document"),
    el("div", { className: "row" }, name, button),
    el("div", { className: "choices" },
      el("div", { className: "kinds", attrs: { role: "radiogroup", "aria-label": "Kind of document" } }, ...kinds),
      importButton(() => name.value.trim(), problem, open)),
    problem);
  return form;
}

const capital = (words: string) => words.charAt(0).toUpperCase() + words.slice(1);

function allDocuments(unsent: Set<string>): HTMLElement {
  const filter = el("input", { type: "search", placeholder: "Begins with…", attrs: { "aria-label": "Show documents whose name begins with", autocomplete: "off" } });
  const list = el("ul", { className: "docs" });
  const note = el("div", { className: "note", attrs: { role: "status" } });
  let current = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;

  const load = async (after: string) => {
    current.abort();
    current = new AbortController();
    const { signal } = current;
    note.replaceChildren(list.childElementCount === 0 || after ? "Loading…" : "");
    try {
      const { docs, next } = await listDocs(filter.value, after, signal);
      const rows = docs.map((doc) => row(doc.id, doc.title, doc.type, describe(doc), unsent));
      if (after) list.append(...rows);
      else list.replaceChildren(...rows);
      note.replaceChildren();
      if (next !== undefined) note.append(el("button", { type: "button", on: { click: () => void load(next) } }, "Show more"));
      else if (list.childElementCount === 0) note.append(filter.value ? "No document’s name begins like that." : empty());
      if (after) rows[0]?.querySelector("a")?.focus();
    } catch (error) {
      if (signal.aborted) return;
      const reason = error instanceof ApiError ? error.message : String(error);
      note.replaceChildren(
        el("p", { className: "problem", attrs: { "data-problem": "list" } }, `The list could not be loaded. ${reason} `),
        el("button", { type: "button", on: { click: () => void load(after) } }, "Try again"));
    }
  };
  filter.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => void load(""), 150);
  });
  addEventListener("online", () => void load(""));
  void load("");
  return el("section", { attrs: { "aria-labelledby": "all" } },
    el("div", { className: "head" }, el("h2", { id: "all" }, "All documents"), filter),
    list,
    note);
}

function describe({ rev, modified }: Listed): string {
  const then = new Date(modified).getTime();
  return rev === 0 ? `made ${ago(then)}` : `${count(rev, "edit")}, last ${ago(then)}`;
}

function empty(): HTMLElement {
  return el("div", { className: "empty", attrs: { "data-empty": "" } },
    el("p", {}, "Nothing is written here yet."),
    el("p", {}, "Give a document a name above, or none, and begin. Whoever has its link can write with you."));
}

