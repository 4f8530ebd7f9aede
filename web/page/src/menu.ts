import { apiOf } from "./api.js";
import { el } from "./dom.js";

export interface MenuOptions {
  readonly id: string;
  /** Whether the text is shown in the colours of its authors. */
  readonly colors: boolean;
  setColors(on: boolean): void;
  /** Somebody wants to let others open the document. */
  openShare(): void;
}

/** What a document of a type can be saved as: the format, and what people call it. */
const exports: { readonly [type: string]: readonly (readonly [format: string, words: string])[] } = {
  text: [["text", "Plain text"]],
  delta: [["text", "Plain text"], ["markdown", "Markdown"], ["html", "HTML"], ["delta", "Delta (JSON)"]],
  json0: [["json", "JSON"]],
};

/** What else can be done with a document, behind a button. */
export class Menu {
  readonly element: HTMLElement;
  readonly #options: MenuOptions;
  readonly #colors: HTMLInputElement;
  readonly #exports = el("ul", {});
  readonly #share = el("button", { type: "button", className: "copy-link" });
  readonly #panel: HTMLElement;

  constructor(options: MenuOptions) {
    this.#options = options;
    this.#colors = el("input", { type: "checkbox", checked: options.colors, on: { change: () => options.setColors(this.#colors.checked) } });
    const close = () => this.#panel.hidePopover();
    this.#share.addEventListener("click", () => {
      close();
      options.openShare();
    });
    this.#panel = el("div", { id: "menu", className: "menu", popover: "auto", attrs: { role: "group", "aria-label": "More" } },
      el("label", { className: "choice" }, this.#colors, "Colours by author"),
      this.#share,
      el("h2", {}, "Export as"),
      this.#exports);
    this.#exports.addEventListener("click", close);
    const button = el("button", { type: "button", className: "menu-button", title: "More", attrs: { "aria-label": "More" } });
    button.popoverTargetElement = this.#panel;
    this.#panel.addEventListener("toggle", (event) => {
      if ((event as ToggleEvent).newState !== "open") return;
      const box = button.getBoundingClientRect();
      this.#panel.style.top = `${box.bottom + 6}px`;
      this.#panel.style.right = `${Math.max(8, document.documentElement.clientWidth - box.right)}px`;
    });
    this.element = el("div", { className: "menu-place" }, button, this.#panel);
    this.setType("text");
  }

  /** Offers what a document of a type can be saved as. */
  setType(type: string): void {
    const formats = [...(exports[type] ?? exports["text"]!), ["bundle", "Everything, with its history"] as const];
    this.#exports.replaceChildren(...formats.map(([format, words]) =>
      el("li", {}, el("a", { href: `${apiOf(this.#options.id)}?format=${format}`, download: "", attrs: { "data-format": format } }, words))));
  }

  /** Says what the person can do to let others open the document. */
  showShare(words: string): void {
    this.#share.textContent = words;
  }

  /** Shows whether the text is shown in the colours of its authors. */
  showColors(on: boolean): void {
    this.#colors.checked = on;
  }
}
