import type { User } from "../../client/index.js";
import { ApiError } from "./api.js";
import { confirmed } from "./dialog.js";
import { count, el } from "./dom.js";
import { visible } from "./names.js";
import { cleanName, colors, initials, keepMe, me, paint } from "./person.js";
import { forgetAll } from "./recent.js";
import { signOut, type Access } from "./session.js";

export interface SelfOptions {
  readonly access: Access;
  /** The person calls themselves something else, or has another colour. */
  changed?(user: User): void;
  /** How many edits the server does not have. */
  unsaved?(): number;
}

/** The person here: a button in the bar that says who they are, and behind it what they can change about that. */
export class Self {
  readonly element = el("button", { type: "button", className: "avatar self" });
  readonly #options: SelfOptions;
  #access: Access;
  #user: User;

  constructor(options: SelfOptions) {
    this.#options = options;
    this.#access = options.access;
    this.#user = me();
    this.element.addEventListener("click", () => this.#ask());
    this.setAccess(options.access);
  }

  /** How others see them. */
  get user(): User {
    return this.#user;
  }

  /** Who they are recorded as. */
  get author(): string {
    return this.#access.author ?? this.#user.name;
  }

  /** The server knows them as somebody, or as nobody any more. */
  setAccess(access: Access): void {
    this.#access = access;
    this.#user = { ...this.#user, name: access.name ?? this.#user.name };
    this.#show();
  }

  #show(): void {
    const { name, color } = this.#user;
    const shown = visible(name);
    this.element.textContent = initials(shown);
    this.element.title = `You are ${shown}`;
    this.element.setAttribute("aria-label", `You are ${shown}. ${this.#access.kind === "known" ? "Change colour or sign out" : "Change name or colour"}`);
    paint(this.element, color);
  }

  /** Asks for the colour and, where people choose it themselves, the name. */
  #ask(): void {
    const { name, color } = this.#user;
    const known = this.#access.kind === "known";
    const input = el("input", { id: "who-name", value: name, maxLength: 64, required: true, attrs: { autocomplete: "nickname" } });
    const swatches = colors.map((value, i) => {
      const radio = el("input", { type: "radio", name: "color", value, checked: value === color, attrs: { "aria-label": `Colour ${i + 1}` } });
      const swatch = el("label", { className: "swatch" }, radio, el("span"));
      paint(swatch, value);
      return swatch;
    });
    const form = el("form", { method: "dialog", on: { submit: () => apply() } },
      el("h2", { id: "who-title" }, "You, as others see you"),
      ...(known ? this.#identity() : [el("label", { htmlFor: "who-name" }, "Name"), input]),
      el("fieldset", {}, el("legend", {}, "Colour"), el("div", { className: "swatches" }, ...swatches)),
      el("div", { className: "actions" },
        known && el("button", { type: "button", className: "sign-out", on: { click: () => void this.#signOut(problem) } }, "Sign out"),
        el("span", { className: "between" }),
        el("button", { type: "button", className: "quiet", on: { click: () => dialog.close() } }, "Cancel"),
        el("button", { type: "submit", className: "primary" }, "Done")));
    const problem = el("p", { className: "problem", attrs: { role: "alert" } });
    form.append(problem);
    const dialog: HTMLDialogElement = el("dialog", { className: "who", attrs: { "aria-labelledby": "who-title" }, on: { close: () => dialog.remove() } }, form);
    const apply = () => {
      const chosen = new FormData(form).get("color");
      this.#user = { name: known ? name : cleanName(input.value) || name, color: typeof chosen === "string" ? chosen : color };
      keepMe({ ...this.#user, name: known ? me().name : this.#user.name });
      this.#show();
      this.#options.changed?.(this.#user);
    };
    document.body.append(dialog);
    dialog.showModal();
    if (!known) input.select();
  }

  /** Says who they are, as somebody else has said. */
  #identity(): HTMLElement[] {
    const { name, author, invited } = this.#access;
    return [
      el("p", { className: "identity" }, el("strong", {}, visible(name!)), author !== name ? el("span", { className: "id" }, visible(author!)) : ""),
      el("p", { className: "said" }, invited ? "You joined by an invitation, under this name." : "This is how the application that you signed in at calls you."),
    ];
  }

  async #signOut(problem: HTMLElement): Promise<void> {
    const unsaved = this.#options.unsaved?.() ?? 0;
    const left = unsaved > 0 ? `${count(unsaved, "change")} that the server does not have stay in this browser. ` : "";
    const again = this.#access.invited ? "To come back you need the invitation again, and are somebody new then." : "Others at this browser cannot open your documents then.";
    if (!(await confirmed("Sign out?", left + again, "Sign out"))) return;
    try {
      await signOut();
      forgetAll();
      location.assign("/");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problem.replaceChildren(`You are still signed in. ${error.message}`);
    }
  }
}
