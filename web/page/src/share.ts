// Who else may open a document, and inviting them: for those who have the say over it.

import { apiOf, ApiError, call, saying } from "./api.js";
import { confirmed } from "./dialog.js";
import { count, el } from "./dom.js";
import { copyText } from "./drafts.js";
import { moment } from "./moment.js";
import { AuthorNames, visible, type NamesByAuthor } from "./names.js";

/** An invitation as the server describes it (docs/http.md). */
interface Invitation {
  readonly id: string;
  readonly role: string;
  /** The documents it is for, where that is a pattern. */
  readonly docs?: string;
  readonly note?: string;
  /** How often it may be used, and how often it was. */
  readonly uses?: number | null;
  readonly used?: number;
  readonly expires?: string | null;
  readonly created?: string;
  /** Who made it. */
  readonly by?: string;
  /** Only in the answer to the request that made it. */
  readonly secret?: string;
}

export interface ShareOptions {
  readonly id: string;
  readonly title: string;
  /** Whether the server asks nobody who they are. */
  readonly open: boolean;
}

const day = 86_400_000;

/** How long an invitation may be used: milliseconds, 0 for ever. */
const lifetimes = [["1 day", day], ["7 days", 7 * day], ["30 days", 30 * day], ["No end", 0]] as const;

/** How often: 0 is without a limit. */
const uses = [["Once", 1], ["10 times", 10], ["Without a limit", 0]] as const;

const roleNames: { readonly [role: string]: string } = { read: "May read", write: "May write", admin: "May write and share" };

/** Opens the dialog. */
export function showShare(options: ShareOptions): void {
  const close = () => dialog.close();
  const dialog: HTMLDialogElement = el("dialog", { className: "who share-dialog", attrs: { "aria-labelledby": "share-title" }, on: { close: () => dialog.remove() } },
    el("h2", { id: "share-title" }, `Share “${visible(options.title)}”`),
    addressSection(options),
    ...(options.open ? [] : new Invitations(options.id).elements),
    el("div", { className: "actions" }, el("button", { type: "button", className: "quiet", on: { click: close } }, "Close")));
  document.body.append(dialog);
  dialog.showModal();
}

/** A field with an address and a button that copies it. */
function copyField(label: string, address: string): HTMLElement {
  const field = el("input", { value: address, readOnly: true, attrs: { "aria-label": label }, on: { focus: () => field.select() } });
  const said = el("span", { className: "said", attrs: { role: "status" } });
  const copy = async () => {
    said.textContent = (await copyText(address, field)) ? "Copied" : "Select the address and copy it by hand";
  };
  return el("div", { className: "copy-field" }, field, el("button", { type: "button", on: { click: () => void copy() } }, "Copy"), said);
}

function addressSection({ open }: ShareOptions): HTMLElement {
  return el("section", { attrs: { "data-share": open ? "open" : "address" } },
    el("h3", {}, "Address of the document"),
    copyField("Address of the document", location.href),
    el("p", { className: "said" }, open
      ? "This server asks nobody who they are: everybody who can reach it may open this document and change it."
      : "It opens for those who may see this document already. Others need an invitation."));
}

/** The invitations to a document: making, listing and withdrawing them. */
class Invitations {
  readonly #base: string;
  readonly #names = new AuthorNames();
  readonly #list = el("ul", { className: "invitations" });
  readonly #note = el("div", { className: "note", attrs: { role: "status" } });
  readonly #made = el("div", { className: "made", attrs: { role: "status" } });
  readonly #problem = el("p", { className: "problem", attrs: { role: "alert" } });
  readonly #button = el("button", { type: "submit", className: "primary" }, "Make invitation");
  readonly #form: HTMLFormElement;

  constructor(id: string) {
    this.#base = `${apiOf(id)}/links`;
    const choice = (name: string, label: string, options: readonly (readonly [words: string, value: string | number])[], chosen: number) =>
      el("label", { className: "choice-of" }, el("span", {}, label),
        el("select", { name }, ...options.map(([words, value], i) => el("option", { value: String(value), selected: i === chosen }, words))));
    const submit = (event: Event) => {
      event.preventDefault();
      void this.#make();
    };
    this.#form = el("form", { className: "invite", on: { submit } },
      choice("role", "Whoever has it", [[roleNames["read"]!, "read"], [roleNames["write"]!, "write"]], 1),
      choice("lifetime", "It ends after", lifetimes, 1),
      choice("uses", "It can be used", uses, 1),
      el("label", { className: "choice-of" }, el("span", {}, "For whom (guests do not see it)"), el("input", { name: "note", maxLength: 100, attrs: { autocomplete: "off" } })),
      this.#button);
    void this.#load();
  }

  get elements(): HTMLElement[] {
    return [
      el("section", { attrs: { "aria-labelledby": "invite-title" } }, el("h3", { id: "invite-title" }, "Invite somebody"), this.#form, this.#problem, this.#made),
      el("section", { attrs: { "aria-labelledby": "invitations-title" } }, el("h3", { id: "invitations-title" }, "Invitations"), this.#list, this.#note),
    ];
  }

  async #load(): Promise<void> {
    this.#note.replaceChildren(this.#list.childElementCount === 0 ? "Loading…" : "");
    try {
      const { links, names } = await call<{ links: Invitation[]; names?: NamesByAuthor }>(this.#base);
      this.#names.learn(names);
      this.#list.replaceChildren(...links.map((link) => this.#row(link)));
      this.#note.replaceChildren(links.length === 0 ? "There are no invitations." : "");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#note.replaceChildren(
        el("p", { className: "problem" }, `The invitations could not be loaded. ${error.message} `),
        el("button", { type: "button", on: { click: () => void this.#load() } }, "Try again"));
    }
  }

  async #make(): Promise<void> {
    const said = new FormData(this.#form);
    const [lifetime, most] = [Number(said.get("lifetime")), Number(said.get("uses"))];
    const wanted = {
      role: said.get("role"),
      expires: lifetime > 0 ? new Date(Date.now() + lifetime).toISOString() : null,
      uses: most > 0 ? most : null,
      note: String(said.get("note")).trim(),
    };
    this.#button.disabled = true;
    this.#problem.replaceChildren();
    this.#made.replaceChildren();
    try {
      const made = await call<Invitation>(this.#base, saying("POST", wanted));
      const address = `${location.origin}/join#${made.secret}`;
      this.#made.replaceChildren(
        copyField("Address of the invitation", address),
        el("p", { className: "said" }, "Send this address to whom you mean. It is shown this once: the server does not keep it. Whoever has it can use it."));
      this.#made.querySelector("input")!.focus();
      (this.#form.elements.namedItem("note") as HTMLInputElement).value = "";
      await this.#load();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#problem.replaceChildren(`The invitation was not made. ${error.message}`);
    } finally {
      this.#button.disabled = false;
    }
  }

  #row(link: Invitation): HTMLElement {
    const { id, role, docs, note, by, created } = link;
    const who = visible(note || "Without a note");
    const about = [
      docs?.endsWith("*") && `for all documents that begin with ${visible(docs.slice(0, -1))}`,
      state(link),
      used(link),
      by && `made by ${this.#names.call(by)}${created ? `, ${moment(created)}` : ""}`,
    ].filter(Boolean).join(" · ");
    return el("li", { attrs: { "data-link": id } },
      el("div", { className: "what" }, el("strong", {}, who), el("span", { className: "kind" }, roleNames[role] ?? role), el("p", { className: "said" }, about)),
      el("button", { type: "button", className: "withdraw", attrs: { "aria-label": `Withdraw the invitation: ${who}` }, on: { click: () => void this.#withdraw(id, who) } }, "Withdraw"));
  }

  async #withdraw(id: string, who: string): Promise<void> {
    if (!(await confirmed(`Withdraw “${who}”?`, "Nobody can use the invitation any more, and those who joined by it lose the document at once. What they wrote stays.", "Withdraw"))) return;
    this.#problem.replaceChildren();
    try {
      await call(`${this.#base}/${encodeURIComponent(id)}`, { method: "DELETE" });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code !== "not_found") this.#problem.replaceChildren(`The invitation was not withdrawn. ${error.message}`);
    }
    await this.#load();
    (this.#list.querySelector<HTMLElement>(".withdraw") ?? this.#button).focus();
  }
}

/** Says until when an invitation can be used. */
function state({ expires }: Invitation): string {
  if (!expires) return "no end";
  return new Date(expires).getTime() <= Date.now() ? `ended ${moment(expires)}` : `until ${moment(expires)}`;
}

/** Says how often an invitation was used. */
function used({ uses, used = 0 }: Invitation): string {
  return uses ? `used ${used.toLocaleString("en")} of ${uses.toLocaleString("en")}` : `used ${count(used, "time")}`;
}
