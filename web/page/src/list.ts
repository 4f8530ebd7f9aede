import { countUnsent } from "../../client/index.js";
import { ApiError, createDoc, listDocs, pathOf, type Listed } from "./api.js";
import { ago, count, el } from "./dom.js";
import { plainBar, showSignIn } from "./frame.js";
import { importButton } from "./import.js";
import { visible } from "./names.js";
import { nameOfType } from "./pane.js";
import { recents, remember } from "./recent.js";
import { Self } from "./self.js";
import { includes, type Access } from "./session.js";

/** The page at `/`: what was opened here, everything there is, and a way to begin something new. */
export function showList(app: HTMLElement, access: Access): void {
  document.title = "Quire";
  const unsent = storedUnsent();
  const opened = recents().filter(({ id }) => includes(access.role(id), "read"));
  const { beginnings } = access;
  const self = new Self({ access });
  app.replaceChildren(
    plainBar(access.kind === "known" && self.element),
    el("main", { className: "list" },
      el("h1", {}, "Documents"),
      beginnings.length > 0 && newDocument(beginnings, () => self.author),
      opened.length > 0 &&
        el("section", { attrs: { "aria-labelledby": "recent" } },
          el("h2", { id: "recent" }, "Opened here"),
          el("ul", { className: "docs" }, ...opened.slice(0, 8).map(({ id, at, type = "text", title }) => row(id, title, type, `opened ${ago(at)}`, unsent)))),
      allDocuments(unsent, beginnings.length > 0, (reason) => showSignIn(app, reason))),
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
      el("span", { className: "name" }, visible(title || id), title && title !== id && el("span", { className: "id" }, visible(id))),
      type !== "text" && el("span", { className: "kind" }, nameOfType(type)),
      unsent.has(id) && el("span", { className: "badge" }, "unsent changes"),
      el("span", { className: "about" }, about)));
}

/** Returns a form that makes documents whose ids begin in one of some ways. */
function newDocument(beginnings: readonly string[], author: () => string): HTMLElement {
  const name = el("input", { id: "new-name", maxLength: 200, placeholder: "Untitled", attrs: { autocomplete: "off", "aria-describedby": "new-problem" } });
  const beginning = el("select", { id: "new-beginning", attrs: { "aria-label": "What the name begins with" } }, ...beginnings.map((start) => el("option", { value: start }, visible(start))));
  const free = beginnings.length === 1 && beginnings[0] === "";
  /** Returns the id that is asked for: none where the server is to make one up. */
  const wanted = () => {
    const own = name.value.trim();
    return free ? own : `${beginning.value}${own || randomName()}`;
  };
  const button = el("button", { type: "submit", className: "primary" }, "New document");
  const problem = el("p", { id: "new-problem", className: "problem", attrs: { role: "alert" } });
  const open = (made: Listed) => {
    remember(made.id, made.type, made.title);
    location.assign(pathOf(made.id));
  };
  const kinds = ["text", "delta"].map((type, i) =>
    el("label", { className: "choice" }, el("input", { type: "radio", name: "type", value: type, checked: i === 0 }), capital(nameOfType(type))));
  const create = async () => {
    const id = wanted();
    const type = String(new FormData(form).get("type"));
    button.disabled = true;
    problem.replaceChildren();
    try {
      const made = await createDoc(type, id || undefined);
      remember(made, type);
      location.assign(pathOf(made));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code === "exists") problem.append(`There is a document “${visible(id)}” already. `, el("a", { href: pathOf(id) }, "Open it"));
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
    el("div", { className: "row" }, !free && beginning, name, button),
    el("div", { className: "choices" },
      el("div", { className: "kinds", attrs: { role: "radiogroup", "aria-label": "Kind of document" } }, ...kinds),
      importButton(wanted, author, problem, open)),
    problem);
  return form;
}

/** Returns a name that nobody has thought of. */
const randomName = () => crypto.getRandomValues(new Uint32Array(2)).reduce((words, n) => words + n.toString(36), "");

const capital = (words: string) => words.charAt(0).toUpperCase() + words.slice(1);

/** Returns the list of all documents. `signedOut` is called when the server does not know the person any more. */
function allDocuments(unsent: Set<string>, mayCreate: boolean, signedOut: (reason: string) => void): HTMLElement {
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
      else if (list.childElementCount === 0) note.append(filter.value ? "No document’s name begins like that." : empty(mayCreate));
      if (after) rows[0]?.querySelector("a")?.focus();
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.code === "unauthenticated") return signedOut(error.message);
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

function empty(mayCreate: boolean): HTMLElement {
  return el("div", { className: "empty", attrs: { "data-empty": "" } },
    ...(mayCreate
      ? [el("p", {}, "Nothing is written here yet."), el("p", {}, "Give a document a name above, or none, and begin.")]
      : [el("p", {}, "There is no document that you may open."), el("p", {}, "Open the address of an invitation, or ask who runs the application that you come from.")]));
}

