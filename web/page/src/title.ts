import { ApiError, describeDoc, setTitle } from "./api.js";
import { el } from "./dom.js";
import { stripped, visible } from "./names.js";

export interface TitleOptions {
  readonly id: string;
  /** Who the person here is recorded as. */
  author(): string;
  /** It is called something else now. */
  changed(title: string): void;
  say(words: string): void;
}

/** The most bytes of a title. */
const most = 200;

/** What a document is called, to be changed where it stands. A document without a title is called by its id. */
export class Title {
  readonly element = el("h1", {});
  readonly #options: TitleOptions;
  #title: string;
  #input: HTMLInputElement | undefined;
  #locked = false;

  constructor(options: TitleOptions) {
    this.#options = options;
    this.#title = options.id;
    this.#show();
  }

  get text(): string {
    return this.#title;
  }

  /** Lets nobody change it, or lets them again. */
  lock(locked: boolean): void {
    if (locked === this.#locked) return;
    this.#locked = locked;
    this.#show();
  }

  /** Asks the server what the document is called. What it does not answer stays as it is. */
  async load(): Promise<void> {
    try {
      const doc = await describeDoc(this.#options.id);
      if (doc && !this.#input) this.#set(doc.title || doc.id);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  #set(title: string): void {
    const changed = title !== this.#title;
    this.#title = title;
    this.#show();
    if (changed) this.#options.changed(title);
  }

  #show(): void {
    this.#input = undefined;
    const shown = visible(this.#title);
    const id = visible(this.#options.id);
    if (this.#locked) return this.element.replaceChildren(el("span", { title: id }, shown));
    const words = this.#title === this.#options.id ? "Give a title" : `Change the title (the document is ${id})`;
    this.element.replaceChildren(el("button", { type: "button", className: "title", title: words, attrs: { "aria-description": words }, on: { click: () => this.#edit() } }, shown));
  }

  #edit(): void {
    const { id } = this.#options;
    const input = el("input", { className: "title", value: this.#title === id ? "" : this.#title, placeholder: id, maxLength: most, attrs: { "aria-label": "Title of the document", autocomplete: "off" } });
    const done = (save: boolean) => {
      if (this.#input !== input) return;
      const focused = document.activeElement === input;
      const title = clean(input.value);
      this.#show();
      if (focused) this.element.querySelector("button")?.focus();
      if (save && (title || id) !== this.#title) void this.#save(title);
    };
    input.addEventListener("blur", () => done(true));
    input.addEventListener("keydown", ({ key }) => {
      if (key === "Enter" || key === "Escape") done(key === "Enter");
    });
    this.#input = input;
    this.element.replaceChildren(input);
    input.select();
    input.focus();
  }

  async #save(title: string): Promise<void> {
    const { id, author, say } = this.#options;
    const before = this.#title;
    this.#set(title || id);
    try {
      const doc = await setTitle(id, title, author());
      this.#set(doc.title || id);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#set(before);
      say(`The title was not changed. ${error.message}`);
    }
  }
}

/** Returns a title as the server takes it. */
function clean(title: string): string {
  let out = stripped(title.replaceAll("\ufffd", " "));
  while (new TextEncoder().encode(out).length > most) out = [...out].slice(0, -1).join("");
  return out;
}
