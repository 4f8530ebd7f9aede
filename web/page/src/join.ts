import { ApiError, pathOf } from "./api.js";
import { el } from "./dom.js";
import { notice, plainBar } from "./frame.js";
import { visible } from "./names.js";
import { cleanName, keepMe, me } from "./person.js";
import { join, type Access, type Session } from "./session.js";

/** Takes the invitation's secret out of the address, where others could read it and the browser would keep it. */
export function takeSecret(): string {
  const secret = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  return secret;
}

/** Why an invitation is of no use, by the server's codes. */
const reasons: { readonly [code: string]: string } = {
  rate: "There were too many attempts from here. Wait a minute and try again.",
  unreachable: "The server cannot be reached. Try again in a moment.",
  too_many: "So many people are signed in at this server that nobody else can be. Try again later.",
  busy: "The server has too much to do. Try again in a moment.",
  unavailable: "The server cannot tell at the moment. Try again soon.",
};

/** The page at `/join#SECRET`: takes an invitation up under a name. */
export function showJoin(app: HTMLElement, secret: string, access: Access): void {
  document.title = "Invitation — Quire";
  const main = el("main", { className: "desk" });
  app.replaceChildren(plainBar(), main);
  const all = el("a", { href: "/" }, "All documents");
  if (access.kind === "open") {
    main.append(notice("open", "No invitation is needed", el("p", {}, "Everybody who reaches this server may open its documents."), all));
  } else if (secret === "") {
    main.append(notice("no_secret", "The invitation is not complete", el("p", {}, "Open its whole address again, with everything behind the # sign. This page does not keep it, so that nobody else can read it here."), all));
  } else {
    main.append(new JoinForm(secret, access).element);
  }
}

class JoinForm {
  readonly element: HTMLElement;
  readonly #secret: string;
  readonly #name: HTMLInputElement;
  readonly #button = el("button", { type: "submit", className: "primary" }, "Join");
  readonly #problem = el("p", { id: "join-problem", className: "problem", attrs: { role: "alert" } });

  constructor(secret: string, access: Access) {
    this.#secret = secret;
    this.#name = el("input", { id: "join-name", value: (access.invited && access.name) || me().name, maxLength: 48, required: true, attrs: { autocomplete: "nickname", "aria-describedby": "join-problem" } });
    const submit = (event: Event) => {
      event.preventDefault();
      void this.#join();
    };
    this.element = notice("join", "You are invited",
      el("p", {}, "Somebody invites you to a document. Say what you are called; others see it where you write."),
      access.kind === "known" ? already(access) : "",
      el("form", { className: "join", on: { submit } },
        el("label", { htmlFor: "join-name" }, "Your name"),
        el("div", { className: "row" }, this.#name, this.#button),
        this.#problem));
    queueMicrotask(() => this.#name.select());
  }

  async #join(): Promise<void> {
    const name = guestName(this.#name.value);
    if (name === "") return this.#problem.replaceChildren("A name has at least one letter.");
    this.#button.disabled = true;
    this.#problem.replaceChildren();
    try {
      const session = await join(this.#secret, name);
      keepMe({ ...me(), name });
      location.replace(pathTo(session));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#refused(error);
    } finally {
      this.#button.disabled = false;
    }
  }

  #refused({ code, message }: ApiError): void {
    const name = code === "bad_message" || code === "too_large";
    if (name || code in reasons) return this.#problem.replaceChildren(reasons[code] ?? `The server does not take this name: ${message}.`);
    const refused = notice("refused", "This invitation cannot be used",
      el("p", {}, `${sentence(message)} Ask who sent it to you for another one.`),
      el("a", { href: "/" }, "All documents"));
    refused.tabIndex = -1; // to be read out
    this.element.replaceWith(refused);
    refused.focus();
  }
}

/** Says who somebody is who is signed in already, and becomes by joining: a guest of the same name stays who they are. */
function already(access: Access): HTMLElement {
  const name = visible(access.name!);
  const then = access.invited ? "Under this name you stay that; under another you become somebody new in this browser." : "By joining, this browser becomes the guest you name here instead.";
  return el("p", { className: "reason", attrs: { "data-known": "" } }, `You are signed in as ${name}. ${then} `, el("a", { href: "/" }, "Do not join"));
}

/** Returns a name as guests can have it: short, and without the tilde before what the server adds. */
function guestName(name: string): string {
  return cleanName(name.replace(/[~\p{Cf}]/gu, " "), 48);
}

/** Returns a message of the server as a sentence. */
function sentence(message: string): string {
  const words = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(words) ? words : `${words}.`;
}

/** Returns the path of what an invitation is for: its document, or the list of them. */
function pathTo({ docs = "*" }: Session): string {
  return docs.endsWith("*") ? "/" : pathOf(docs);
}
