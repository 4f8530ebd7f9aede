import type Quill from "quill/core.js";

import { el } from "../dom.js";
import { askImage, askLink } from "./dialogs.js";
import { icon, type IconName } from "./icons.js";
import type { Undo } from "./undo.js";

interface Span {
  readonly index: number;
  readonly length: number;
}

export interface ToolbarHost {
  /** Where the selection is, or was before the focus went elsewhere. */
  selection(): Span;
  undo(): void;
  redo(): void;
  insertPictures(files: File[]): void;
}

/** Colours of text and behind it that are readable on light and dark paper. */
const inks = [["Red", "#c8402f"], ["Orange", "#b8650f"], ["Green", "#4d8a34"], ["Teal", "#2c8a86"], ["Blue", "#3f74d1"], ["Violet", "#8a5fd0"], ["Grey", "#807a70"]] as const;
const washes = [["Yellow", "#f2d75e80"], ["Orange", "#f0a35e80"], ["Red", "#e8827880"], ["Green", "#8fca7a80"], ["Blue", "#7fb3ee80"], ["Violet", "#b79cec80"], ["Grey", "#a8a29880"]] as const;

const blocks: readonly (readonly [label: string, format: string, value: unknown])[] = [
  ["Text", "header", false],
  ["Heading 1", "header", 1],
  ["Heading 2", "header", 2],
  ["Heading 3", "header", 3],
];

const alignments = [["Align to the start", ""], ["Centre", "center"], ["Align right", "right"], ["Justify", "justify"]] as const;

type Formats = Record<string, unknown>;
type Control = HTMLButtonElement | HTMLSelectElement;

const mac = /Mac|iP(hone|ad|od)/.test(navigator.platform);
const shortcut = (key: string) => ` (${mac ? "⌘" : "Ctrl+"}${key})`;

/**
 * The tools of the rich text editor: one stop for the Tab key, with the arrow
 * keys from tool to tool (ARIA Authoring Practices, toolbar pattern).
 */
export class Toolbar {
  readonly element = el("div", { className: "tools", attrs: { role: "toolbar", "aria-label": "Formatting", "aria-orientation": "horizontal" } });
  #asking = false;
  readonly #quill: Quill;
  readonly #host: ToolbarHost;
  readonly #refresh: ((formats: Formats, undo: Undo) => void)[] = [];
  readonly #controls: Control[] = [];

  constructor(quill: Quill, host: ToolbarHost) {
    this.#quill = quill;
    this.#host = host;
    const group = (...controls: Node[]) => this.element.append(el("div", { className: "group" }, ...controls));
    group(this.#step("undo", `Undo${shortcut("Z")}`, () => host.undo(), (undo) => undo.canUndo), this.#step("redo", `Redo${shortcut(mac ? "⇧Z" : "Y")}`, () => host.redo(), (undo) => undo.canRedo));
    group(this.#blocks());
    group(
      this.#toggle("bold", `Bold${shortcut("B")}`, "bold"), this.#toggle("italic", `Italic${shortcut("I")}`, "italic"),
      this.#toggle("underline", `Underline${shortcut("U")}`, "underline"), this.#toggle("strike", "Strikethrough", "strike"),
      this.#toggle("code", "Code", "code"));
    group(
      this.#choice("color", "Text colour", "color", inks.map(([label, value]) => [label, value] as const), "Default colour"),
      this.#choice("background", "Highlight", "background", washes.map(([label, value]) => [label, value] as const), "No highlight"));
    group(
      this.#toggle("bullet", "Bulleted list", "list", "bullet"), this.#toggle("ordered", "Numbered list", "list", "ordered"),
      this.#toggle("check", "Checklist", "list", "unchecked", "checked"), this.#toggle("quote", "Quote", "blockquote"),
      this.#toggle("block", "Code block", "code-block"));
    group(this.#alignment(), this.#toggle("rtl", "Right to left", "direction", "rtl"));
    const link = this.#button("link", `Link${shortcut("K")}`, () => this.askLink());
    this.#refresh.push((formats) => press(link, Boolean(formats["link"])));
    group(
      link,
      this.#button("image", "Picture", () => this.#askImage()),
      this.#button("clear", "Clear formatting", () => this.#clear()));
    this.element.addEventListener("keydown", (event) => this.#walk(event));
    this.element.addEventListener("focusin", ({ target }) => this.#stop(target as Control));
    this.#stop(this.#controls[0]!);
  }

  /** Shows what holds where the selection is, and what can be undone. */
  update(undo: Undo): void {
    const { index, length } = this.#host.selection();
    const formats: Formats = this.#quill.getFormat(index, length);
    for (const refresh of this.#refresh) refresh(formats, undo);
  }

  lock(locked: boolean): void {
    this.element.inert = this.element.hidden = locked;
  }

  /** Whether a dialog is open, or just closing: what the browser does to the selection then is nobody's doing. */
  get asking(): boolean {
    return this.#asking;
  }

  /** Puts the selection back that a dialog took away. */
  #asked(): void {
    if (!this.#asking) return;
    this.#asking = false;
    const { index, length } = this.#host.selection();
    this.#quill.setSelection(index, length, "silent");
  }

  #askImage(): void {
    this.#asking = true;
    const first = <A extends unknown[]>(act: (...args: A) => void) => (...args: A) => (this.#asked(), act(...args));
    askImage(first((address, alt) => this.#insertImage(address, alt)), first(this.#host.insertPictures), () => this.#asked());
  }

  /** Asks where the selection is to lead, or what to do with the link that is there. */
  askLink(): void {
    const quill = this.#quill;
    this.#asking = true;
    const { index, length, address: current } = this.#linkHere();
    askLink({
      current,
      text: quill.getText(index, length),
      done: (address, text) => {
        this.#asked();
        const { index, length } = this.#linkHere();
        if (length > 0) quill.formatText(index, length, "link", address, "user");
        else quill.insertText(index, text || address, { link: address }, "user");
        quill.setSelection(index + (length || (text || address).length), 0, "user");
      },
      remove: () => {
        this.#asked();
        const { index, length } = this.#linkHere();
        quill.formatText(index, length, "link", false, "user");
      },
      closed: () => this.#asked(),
    });
  }

  /** Returns what a link is asked for: what is selected, or all of the link where the caret is. */
  #linkHere(): Span & { readonly address: string } {
    const selection = this.#host.selection();
    const here = this.#quill.getFormat(selection)["link"];
    const address = Array.isArray(here) ? String(here[0]) : typeof here === "string" ? here : "";
    if (!address || selection.length > 0) return { ...selection, address };
    const [index, length] = linkAround(this.#quill, selection.index);
    return { index, length, address };
  }

  #insertImage(address: string, alt: string): void {
    const { index, length } = this.#host.selection();
    const insert = { insert: { image: address }, ...(alt ? { attributes: { alt } } : {}) };
    this.#quill.updateContents([...(index > 0 ? [{ retain: index }] : []), insert, ...(length > 0 ? [{ delete: length }] : [])] as never, "user");
    this.#quill.setSelection(index + 1, 0, "user");
  }

  #clear(): void {
    const { index, length } = this.#host.selection();
    if (length > 0) return void this.#quill.removeFormat(index, length, "user");
    for (const name of Object.keys(this.#quill.getFormat(index))) this.#format(name, false);
  }

  #format(name: string, value: unknown): void {
    this.#quill.focus({ preventScroll: true });
    this.#quill.format(name, value, "user");
  }

  #button(name: IconName, label: string, click: () => void): HTMLButtonElement {
    const button = el("button", { type: "button", className: "tool", title: label, attrs: { "aria-label": label, "data-tool": name }, on: { click } }, icon(name));
    // The selection in the text is to stay where it is.
    button.addEventListener("mousedown", (event) => event.preventDefault());
    this.#controls.push(button);
    return button;
  }

  #step(name: "undo" | "redo", label: string, click: () => void, can: (undo: Undo) => boolean): HTMLElement {
    const button = this.#button(name, label, click);
    this.#refresh.push((_, undo) => button.setAttribute("aria-disabled", String(!can(undo))));
    return button;
  }

  /** A button that gives a format a value or takes it away; `also` counts as pressed, too. */
  #toggle(name: IconName, label: string, format: string, value: unknown = true, also?: unknown): HTMLElement {
    const button = this.#button(name, label, () => this.#format(format, button.getAttribute("aria-pressed") === "true" ? false : value));
    this.#refresh.push((formats) => press(button, formats[format] === value || (also !== undefined && formats[format] === also)));
    return button;
  }

  #select(name: string, label: string, options: readonly (readonly [label: string, value: string])[], change: (value: string) => void): HTMLSelectElement {
    const select = el("select", { title: label, attrs: { "aria-label": label, "data-tool": name } }, ...options.map(([words, value]) => el("option", { value }, words)));
    select.addEventListener("change", () => change(select.value));
    this.#controls.push(select);
    return select;
  }

  #blocks(): HTMLElement {
    const select = this.#select("style", "Paragraph style", blocks.map(([label], i) => [label, String(i)]), (value) => {
      const [, format, set] = blocks[Number(value)]!;
      this.#format(format, set);
    });
    this.#refresh.push((formats) => {
      select.value = String(Math.max(0, blocks.findIndex(([, format, value]) => value && formats[format] === value)));
    });
    return select;
  }

  #alignment(): HTMLElement {
    const select = this.#select("align", "Alignment", alignments, (value) => this.#format("align", value || false));
    this.#refresh.push(({ align }) => (select.value = typeof align === "string" ? align : ""));
    return pick("align", select);
  }

  /** A choice of colours, behind an icon that shows the one that holds. */
  #choice(name: IconName, label: string, format: string, values: readonly (readonly [string, string])[], none: string): HTMLElement {
    const select = this.#select(name, label, [[none, ""], ...values], (value) => this.#format(format, value || false));
    const shell = pick(name, select);
    this.#refresh.push((formats) => {
      const value = formats[format];
      const color = typeof value === "string" ? value : "";
      select.value = values.some(([, known]) => known === color) ? color : "";
      shell.style.setProperty("--chosen", color || "transparent");
    });
    return shell;
  }

  /** Goes from tool to tool with the arrow keys; Escape goes back into the text. */
  #walk(event: KeyboardEvent): void {
    const at = this.#controls.indexOf(event.target as Control);
    const count = this.#controls.length;
    const to = { ArrowRight: (at + 1) % count, ArrowLeft: (at + count - 1) % count, Home: 0, End: count - 1 }[event.key];
    if (event.key === "Escape") this.#quill.focus();
    else if (to === undefined || at < 0) return;
    else this.#controls[to]!.focus();
    event.preventDefault();
  }

  /** Makes one tool the one that Tab stops at. */
  #stop(at: Control): void {
    for (const control of this.#controls) control.tabIndex = control === at ? 0 : -1;
  }
}

function press(button: HTMLElement, pressed: boolean): void {
  button.setAttribute("aria-pressed", String(pressed));
}

/** Puts an icon in front of a choice that lies over it unseen. */
function pick(name: IconName, select: HTMLSelectElement): HTMLElement {
  return el("span", { className: "pick", attrs: { "data-pick": name } }, icon(name), select);
}

/** Returns where the link around a position begins, and its length. */
function linkAround(quill: Quill, position: number): [index: number, length: number] {
  const address = quill.getFormat(position)["link"];
  const holds = (index: number) => quill.getFormat(index, 1)["link"] === address;
  let start = position;
  while (start > 0 && holds(start - 1)) start--;
  let end = position;
  while (end < quill.getLength() - 1 && holds(end)) end++;
  return [start, end - start];
}
