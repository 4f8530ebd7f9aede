import { Connection, Keeper, recoverUnsent, sendUnsent, systemClock, text, type Document, type Draft, type Peer, type State, type TextCursor, type TextOp, type User } from "../../client/index.js";
import { ApiError, createDoc } from "./api.js";
import { Binding } from "./binding.js";
import { count, el } from "./dom.js";
import { copyText, Drafts } from "./drafts.js";
import { askWho, initials, me, paint } from "./person.js";
import { remember } from "./recent.js";

/** Address of the server's WebSocket. */
const socketUrl = () => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;

/**
 * Returns what keeps unsent edits in this browser; null where pages cannot have
 * locks (plain HTTP to another machine) or storage. There, leaving with unsaved
 * edits is warned about.
 */
function newKeeper(): Keeper | null {
  try {
    return navigator.locks ? new Keeper(localStorage, navigator.locks, systemClock) : null;
  } catch {
    return null;
  }
}

/** The page at `/d/<id>`: one document to write in, together. */
export function showEditor(app: HTMLElement, id: string): void {
  new EditorPage(app, id);
}

class EditorPage {
  readonly #id: string;
  #user: User = me();
  readonly #connection: Connection;
  #document!: Document<string, TextOp, TextCursor>;
  readonly #binding: Binding;
  readonly #drafts: Drafts;
  readonly #keeper = newKeeper();

  readonly #state = el("p", { className: "state", attrs: { "data-state": "connecting", "data-unsaved": "0" } });
  readonly #spoken = el("p", { className: "spoken", attrs: { role: "status", "aria-live": "polite" } });
  #speak: ReturnType<typeof setTimeout> | undefined;
  readonly #people = el("ul", { className: "people", attrs: { "aria-label": "Who is here" } });
  readonly #self = el("button", { type: "button", className: "avatar self" });
  readonly #notice = el("div", { className: "notice" });
  readonly #paper = el("div", { className: "paper" });

  constructor(app: HTMLElement, id: string) {
    this.#id = id;
    this.#drafts = new Drafts(id);
    const top = el("div", { className: "top" }, this.#header(), el("div", { className: "panels" }));
    app.replaceChildren(top, el("main", { className: "desk" }, this.#drafts.element, this.#notice, this.#paper), this.#spoken);
    this.#binding = new Binding(this.#paper, top);
    this.#showSelf();
    this.#connection = new Connection({ url: socketUrl() });
    this.#open();
    this.#followPage();
    if (this.#keeper) void this.#recover();
  }

  #open(): void {
    const document = this.#connection.open(this.#id, text, {
      user: this.#user,
      events: {
        ...this.#binding.events,
        reset: (content) => {
          this.#binding.events.reset?.(content);
          this.#arrive();
        },
        peers: (peers) => {
          this.#binding.events.peers?.(peers);
          this.#showPeople(peers);
        },
        sending: () => this.#keeper?.sending(),
        state: (state) => this.#show(state),
        draft: (draft) => this.#drafts.add(draft),
      },
    });
    this.#document = document;
    this.#binding.bind(document);
    this.#keeper?.watch(document);
    this.#show(document.state);
  }

  /** The text is there to be written in. */
  #arrive(): void {
    remember(this.#id, true);
    this.#paper.hidden = false;
    // A keyboard on glass should not jump up unasked.
    if (document.activeElement === document.body && matchMedia("(pointer: fine)").matches) this.#binding.view.focus();
  }

  /** Sends what earlier pages of this browser could not. */
  async #recover(): Promise<void> {
    await recoverUnsent(localStorage, navigator.locks, this.#id, async (unsent) => {
      const connection = new Connection({ url: socketUrl() });
      const keeper = newKeeper()!;
      await sendUnsent(connection, text, unsent, keeper, (draft: Draft<TextOp>) => this.#drafts.add(draft));
      connection.close();
    });
  }

  /** Reacts to what happens to the page as a whole. */
  #followPage(): void {
    const probe = () => this.#connection.probe();
    addEventListener("online", probe);
    addEventListener("offline", probe);
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") probe();
      else this.#keeper?.flush();
    });
    addEventListener("pagehide", () => this.#keeper?.flush());
    addEventListener("beforeunload", (event) => {
      this.#keeper?.flush();
      const lost = this.#document.state.unsaved > 0 && !this.#keeper?.kept;
      if (lost || this.#drafts.loose) event.preventDefault();
    });
  }

  #header(): HTMLElement {
    return el("header", { className: "bar" },
      el("a", { className: "home", href: "/", title: "All documents" }, el("span", { className: "mark" }), el("span", { className: "word" }, "Quire")),
      el("div", { className: "titles" }, el("h1", { title: this.#id }, this.#id), this.#state),
      this.#people,
      this.#shareButton(),
      this.#self);
  }

  #shareButton(): HTMLElement {
    const label = el("span", { attrs: { role: "status" } }, "Copy link");
    const share = async () => {
      const field = el("input", { value: location.href, className: "spoken", readOnly: true });
      document.body.append(field);
      const copied = await copyText(location.href, field);
      field.remove();
      label.textContent = copied ? "Copied" : "Copy it from the address bar";
      label.className = "done";
      setTimeout(() => {
        label.textContent = "Copy link";
        label.className = "";
      }, 2500);
    };
    return el("button", { type: "button", className: "share", on: { click: () => void share() } }, label);
  }

  #showSelf(): void {
    this.#self.textContent = initials(this.#user.name);
    this.#self.title = `You are ${this.#user.name}`;
    this.#self.setAttribute("aria-label", `You are ${this.#user.name}. Change name or colour`);
    paint(this.#self, this.#user.color);
    this.#self.onclick = () =>
      askWho(this.#user, (user) => {
        this.#user = user;
        this.#showSelf();
        this.#document.setUser(user);
      });
  }

  #showPeople(peers: Peer<TextCursor>[]): void {
    const most = 5;
    const avatars = peers.slice(0, most).map(({ client, user }) => {
      const name = user?.name || "Somebody";
      const go = () => {
        const cursor = this.#document.peers.find((peer) => peer.client === client)?.cursor?.[0];
        if (cursor) this.#binding.reveal(cursor[1]);
      };
      const avatar = el("button", { type: "button", className: "avatar", title: name, attrs: { "aria-label": `${name}: go to their cursor`, "data-peer": name }, on: { click: go } }, initials(name));
      paint(avatar, user?.color ?? "");
      return el("li", {}, avatar);
    });
    const rest = peers.slice(most).map(({ user }) => user?.name || "Somebody");
    if (rest.length > 0) avatars.push(el("li", { className: "more", title: rest.join(", ") }, `+${rest.length}`));
    this.#people.replaceChildren(...avatars);
  }

  #show(state: State): void {
    const { kind, unsaved } = state;
    const words = this.#words(state);
    this.#state.dataset["state"] = kind;
    this.#state.dataset["unsaved"] = String(unsaved);
    this.#state.replaceChildren(words);
    if (kind === "offline") this.#state.append(" ", this.#link("Try now", () => this.#connection.probe()));
    document.title = `${unsaved > 0 ? "• " : ""}${this.#id} — Quire`;
    this.#binding.lock(!this.#document.editable);
    this.#paper.hidden = !this.#document.editable;
    this.#notice.replaceChildren(...(this.#document.editable ? [] : [this.#panel(state, words)]));
    this.#keeper?.changed();
    // Said aloud only when it has lasted: between keystrokes it changes several times a second.
    clearTimeout(this.#speak);
    this.#speak = setTimeout(() => (this.#spoken.textContent = words), 1200);
  }

  #words({ kind, unsaved, code, message }: State): string {
    const edits = count(unsaved, "unsaved change");
    const here = this.#document.editable;
    switch (kind) {
      case "connecting":
        if (!here) return "Opening…";
        return unsaved > 0 ? `Reconnecting… ${edits}` : "Reconnecting…";
      case "saved":
        return "Saved";
      case "saving":
        return "Saving…";
      case "offline":
        if (!here) return "The server cannot be reached. Trying again…";
        return unsaved > 0 ? `Offline — ${edits}` : "Offline — you can go on writing";
      case "failing":
        return unsaved > 0 ? `Not saved: the server cannot write. ${edits}, trying again…` : "The server cannot write. Changes will wait…";
      case "unreadable":
        return "Could not read this document. Trying again…";
      case "closed":
        return code === "not_found" ? "There is no such document" : code === "deleted" ? "This document was deleted" : `Closed: ${message || code}`;
    }
  }

  /** What stands in place of the text while there is none to show. */
  #panel({ kind, code, message }: State, words: string): HTMLElement {
    const panel = (...more: (Node | string)[]) => el("section", { className: "panel", attrs: { "data-panel": code ?? kind } }, el("h2", {}, words), ...more);
    const again = (label: string, act: () => void) => el("button", { type: "button", className: "primary", on: { click: act } }, label);
    const all = el("a", { href: "/" }, "All documents");
    switch (kind) {
      case "connecting":
        return panel();
      case "offline":
        return panel(el("p", {}, "The document appears here as soon as the server answers."), again("Try now", () => this.#connection.probe()));
      case "unreadable":
        return panel(
          el("p", {}, `It is there, but the server could not load it: ${message ?? code}. Nothing is lost by waiting.`),
          again("Try again", () => this.#document.retry()));
      default:
        if (code !== "not_found" && code !== "deleted") return panel(again("Open again", () => location.reload()), all);
        remember(this.#id, false);
        return panel(el("p", {}, code === "deleted" ? "You can begin anew under its name." : "You can begin it, under this name."), again("Create it", () => void this.#create()), all);
    }
  }

  async #create(): Promise<void> {
    try {
      await createDoc(this.#id);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code !== "exists") {
        this.#notice.append(el("p", { className: "problem", attrs: { role: "alert" } }, `The document was not created. ${error.message}`));
        return;
      }
    }
    this.#open();
    this.#binding.view.focus();
  }

  #link(label: string, click: () => void): HTMLElement {
    return el("button", { type: "button", className: "link", on: { click } }, label);
  }
}
