import { ApiError } from "../api.js";
import { confirmed } from "../dialog.js";
import { el } from "../dom.js";
import { moment } from "../moment.js";
import { visible, type AuthorNames } from "../names.js";
import type { Label, ServerPast } from "./past.js";

export interface LabelPanelOptions {
  readonly past: ServerPast;
  readonly names: AuthorNames;
  /** Returns the revision that is shown. */
  rev(): number;
  /** Somebody wants to see a revision. */
  goto(rev: number): void;
  /** These are the labels now. */
  changed(labels: readonly Label[]): void;
  say(words: string): void;
}

/** The names that revisions were given: to jump to, give, change and take away. */
export class LabelPanel {
  readonly element: HTMLElement;
  readonly #options: LabelPanelOptions;
  readonly #list = el("ul", { className: "labels" });
  readonly #name = el("input", { id: "label-name", maxLength: 100, placeholder: "Name this revision", required: true, attrs: { autocomplete: "off", "aria-label": "Name for the revision that is shown", "aria-describedby": "label-problem" } });
  readonly #problem = el("p", { id: "label-problem", className: "problem", attrs: { role: "alert" } });
  readonly #form: HTMLElement;
  #labels: readonly Label[] = [];
  #locked = false;

  constructor(options: LabelPanelOptions) {
    this.#options = options;
    const submit = (event: Event) => {
      event.preventDefault();
      void this.#add();
    };
    this.#form = el("form", { on: { submit } }, this.#name, el("button", { type: "submit" }, "Add"));
    this.element = el("section", { className: "label-panel", attrs: { "aria-labelledby": "labels-title" } },
      el("h3", { id: "labels-title" }, "Labels"),
      this.#form,
      this.#problem,
      this.#list);
  }

  /** Lets the person change nothing, or lets them again. */
  lock(locked: boolean): void {
    this.#locked = this.#form.hidden = locked;
    this.#draw();
  }

  /** Fetches the labels. */
  async load(): Promise<void> {
    await this.#try(async () => {});
  }

  async #add(): Promise<void> {
    const name = this.#name.value.trim();
    if (name === "") return;
    if (this.#labels.some((label) => label.name === name)) return this.#refuse(`There is a label “${name}” already. It can be moved here.`);
    const rev = this.#options.rev();
    await this.#try(async () => {
      await this.#options.past.setLabel(name, rev);
      this.#name.value = "";
      this.#options.say(`Revision ${rev.toLocaleString("en")} is called “${name}”.`);
    });
  }

  async #move({ name }: Label): Promise<void> {
    const rev = this.#options.rev();
    await this.#try(async () => {
      await this.#options.past.setLabel(name, rev);
      this.#options.say(`“${name}” is revision ${rev.toLocaleString("en")} now.`);
    });
  }

  async #rename(label: Label, name: string): Promise<void> {
    if (name === "" || name === label.name) return this.#draw();
    if (this.#labels.some((other) => other.name === name)) return this.#refuse(`There is a label “${name}” already.`);
    // The new name is there before the old one goes: nothing is lost if only one of the two happens.
    await this.#try(async () => {
      await this.#options.past.setLabel(name, label.rev);
      await this.#options.past.removeLabel(label.name);
      this.#options.say(`“${label.name}” is called “${name}” now.`);
    });
  }

  async #remove({ name }: Label): Promise<void> {
    if (!(await confirmed(`Remove the label “${name}”?`, "The revision stays.", "Remove"))) return;
    await this.#try(async () => {
      await this.#options.past.removeLabel(name);
      this.#options.say(`The label “${name}” was removed.`);
    });
  }

  /** Does something and shows the labels as they are then. */
  async #try(act: () => Promise<void>): Promise<void> {
    this.#problem.replaceChildren();
    try {
      await act();
      this.#labels = await this.#options.past.labels();
      this.#draw();
      this.#options.changed(this.#labels);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#refuse(error.message);
      this.#problem.append(" ", el("button", { type: "button", className: "link", on: { click: () => void this.#try(act) } }, "Try again"));
    }
  }

  #refuse(words: string): void {
    this.#problem.replaceChildren(words);
  }

  #draw(): void {
    this.element.hidden = this.#locked && this.#labels.length === 0;
    this.#list.replaceChildren(...this.#labels.map((label) => this.#row(label)));
  }

  #row(label: Label): HTMLElement {
    const { name, rev, author, time } = label;
    const about = `revision ${rev.toLocaleString("en")} · ${this.#options.names.call(author)}`;
    const tool = (words: string, sign: string, click: () => void) =>
      el("button", { type: "button", className: "tiny", title: words, attrs: { "aria-label": `${words}: ${name}` }, on: { click } }, sign);
    const rename = () => {
      const input = el("input", { value: name, maxLength: 100, attrs: { "aria-label": `New name for ${name}` } });
      const done = (save: boolean) => {
        input.onblur = null;
        void (save ? this.#rename(label, input.value.trim()) : this.#draw());
      };
      input.onblur = () => done(false);
      input.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== "Escape") return;
        event.preventDefault();
        event.stopPropagation();
        done(event.key === "Enter");
      });
      row.replaceChildren(input);
      input.select();
    };
    const row = el("li", { attrs: { "data-label": name } },
      el("button", { type: "button", className: "label", title: visible(name), on: { click: () => this.#options.goto(rev) } }, visible(name)),
      el("span", { className: "about", title: `Set ${moment(time)}` }, about),
      ...(this.#locked ? [] : [
        tool("Move to the revision that is shown", "⇤", () => void this.#move(label)),
        tool("Rename", "✎", rename),
        tool("Remove", "×", () => void this.#remove(label)),
      ]));
    return row;
  }
}
