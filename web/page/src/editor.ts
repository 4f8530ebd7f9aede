import { Connection, Keeper, recoverUnsent, sendUnsent, systemClock, text, type Document, type Peer, type State, type User } from "../../client/index.js";
import { ApiError, createDoc, describeDoc, pathOf } from "./api.js";
import { Authors } from "./authors.js";
import type { Blame } from "./blame/blame.js";
import { count, el } from "./dom.js";
import { copyText, Drafts } from "./drafts.js";
import type { HistoryView } from "./history/view.js";
import { Menu } from "./menu.js";
import { nameOfType, paneFor, type Pane, type PaneHost } from "./pane.js";
import { askWho, initials, me, paint } from "./person.js";
import { forget, recents, remember } from "./recent.js";
import { loadSheet } from "./sheet.js";
import { Title } from "./title.js";

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

/** Under which name this browser keeps whether texts are shown in the colours of their authors. */
const colorsKey = "quire:colors";

/** The page at `/d/<id>`: one document to write in, together. */
export function showEditor(app: HTMLElement, id: string): void {
  new EditorPage(app, id);
}

class EditorPage {
  readonly #id: string;
  #user: User = me();
  readonly #connection: Connection;
  #document: Document<any, any, any> | undefined;
  /** The panes that are loaded, by type, and the one that is shown. */
  readonly #panes = new Map<string, Pane>();
  #pane: Pane | undefined;
  #reopening = false;
  readonly #host: PaneHost;
  readonly #drafts: Drafts;
  readonly #keeper = newKeeper();
  readonly #authors = new Authors((name) => (name === this.#user.name ? this.#user : this.#document?.peers.find(({ user }) => user?.name === name)?.user)?.color);
  #history: HistoryView | undefined;
  #historyOpening = false;
  #blame: Blame | undefined;
  #colors = localStorageSays(colorsKey);

  readonly #title: Title;
  readonly #menu: Menu;
  readonly #state = el("p", { className: "state", attrs: { "data-state": "connecting", "data-unsaved": "0" } });
  readonly #spoken = el("p", { className: "spoken", attrs: { role: "status", "aria-live": "polite" } });
  #speak: ReturnType<typeof setTimeout> | undefined;
  #saying: ReturnType<typeof setTimeout> | undefined;
  readonly #people = el("ul", { className: "people", attrs: { "aria-label": "Who is here" } });
  readonly #self = el("button", { type: "button", className: "avatar self" });
  readonly #notice = el("div", { className: "notice" });
  readonly #paper = el("div", { className: "paper", hidden: true });
  readonly #panels = el("div", { className: "panels" });
  readonly #blamePlace = el("div", { className: "blame-place" });
  readonly #said = el("p", { className: "toast", hidden: true });

  constructor(app: HTMLElement, id: string) {
    this.#id = id;
    this.#drafts = new Drafts(id);
    this.#title = new Title({ id, author: () => this.#user.name, changed: () => this.#titleChanged(), say: (words) => this.#say(words) });
    this.#menu = new Menu({ id, colors: this.#colors, setColors: (on) => this.#setColors(on), copyLink: () => void this.#copyLink() });
    const top = el("div", { className: "top" }, this.#header(), this.#panels, this.#blamePlace);
    app.replaceChildren(top, el("main", { className: "desk" }, this.#drafts.element, this.#notice, this.#paper), this.#said, this.#spoken);
    this.#host = { top, say: (words) => this.#say(words), reopen: () => this.#reopen() };
    this.#showSelf();
    this.#connection = new Connection({ url: socketUrl() });
    this.#followPage();
    void this.#title.load();
    void this.#begin(recents().find((one) => one.id === id)?.type);
    if (this.#keeper) void this.#recover();
  }

  /** Opens the document, after loading what its type needs if that is known. */
  async #begin(type?: string): Promise<void> {
    if (type === undefined || (await this.#load(type))) this.#open();
  }

  /** Makes the pane for a type ready. Tells the person, and answers null, when it could not be loaded. */
  async #load(type: string): Promise<Pane | null> {
    try {
      const pane = this.#panes.get(type) ?? (await paneFor(type, this.#host));
      this.#panes.set(type, pane);
      return pane;
    } catch (error) {
      console.error(error);
      this.#document?.close();
      this.#show({ kind: "closed", unsaved: 0, code: "not_loaded", message: "the editor could not be loaded from the server" });
      return null;
    }
  }

  #open(): void {
    const types = [text, ...[...this.#panes.values()].map((pane) => pane.type).filter((type) => type !== text)];
    const opened: Document<any, any, any> = this.#connection.open(this.#id, types, {
      user: this.#user,
      events: {
        reset: (content) => this.#arrive(opened, content),
        remote: (op) => {
          this.#pane?.events.remote?.(op);
          this.#blame?.edited(op, false);
          this.#history?.reached(opened.rev);
        },
        edited: (op) => this.#blame?.edited(op, true),
        peers: (peers) => {
          this.#pane?.events.peers?.(peers);
          this.#showPeople(peers);
        },
        sending: () => this.#keeper?.sending(),
        state: (state) => {
          this.#history?.reached(opened.rev);
          if (state.code === "moved" && state.kind === "closed") this.#follow(opened, state.message!);
          else if (state.code === "bad_type" && opened.typeName && !this.#panes.has(opened.typeName)) void this.#begin(opened.typeName);
          else if (state.code !== "left" && !(this.#reopening && state.kind === "connecting")) this.#show(state);
        },
        draft: (draft) => this.#drafts.add(draft),
      },
    });
    this.#document = opened;
    this.#keeper?.watch(opened);
    if (!this.#reopening) this.#show(opened.state);
  }

  /** Fetches the whole document again, leaving what is shown until it is there. */
  #reopen(): void {
    this.#reopening = true;
    this.#document?.close();
    this.#open();
  }

  /** The document is there to be written in. */
  #arrive(opened: Document<any, any, any>, content: unknown): void {
    const type = opened.typeName!;
    const pane = this.#panes.get(type);
    if (!pane) return void this.#load(type).then((pane) => pane && opened.editable && this.#arrive(opened, opened.content));
    this.#reopening = false;
    if (pane !== this.#pane) {
      this.#pane = pane;
      this.#paper.replaceChildren(pane.element);
      this.#panels.replaceChildren(pane.panel);
    }
    pane.bind(opened);
    pane.events.reset?.(content);
    this.#show(opened.state);
    this.#menu.setType(pane.type.name);
    remember(this.#id, pane.type.name, this.#title.text);
    void this.#showColors();
    // A keyboard on glass should not jump up unasked.
    if (document.activeElement === document.body && matchMedia("(pointer: fine)").matches) pane.focus();
  }

  /** Goes on under the document's new id, with everything that is unsent. */
  #follow(opened: Document<any, any, any>, to: string): void {
    const drafts = this.#drafts.moveTo(to);
    const { unsent } = opened;
    if (unsent) {
      this.#keeper?.follow(to);
      const { content } = unsent;
      const ops = [...unsent.flight, ...unsent.waiting].map(({ op }) => op);
      if (!this.#keeper?.kept) drafts.add({ doc: to, type: opened.typeName!, code: "moved", message: "the document was renamed", text: this.#pane!.type.plain(opened.content), content, ops });
    }
    forget(this.#id);
    if (!this.#drafts.loose && !drafts.loose) location.replace(pathOf(to));
    else this.#show({ kind: "closed", unsaved: 0, code: "moved", message: `it is called ${to} now` });
  }

  /** Sends what earlier pages of this browser could not. */
  async #recover(): Promise<void> {
    await recoverUnsent(localStorage, navigator.locks, this.#id, async (unsent) => {
      const pane = await this.#load(unsent.type ?? "text");
      if (!pane) return; // what is unsent stays where it is
      const connection = new Connection({ url: socketUrl() });
      const keeper = newKeeper()!;
      await sendUnsent(connection, pane.type, unsent, keeper, (draft) => this.#drafts.add(draft));
      connection.close();
    });
  }

  /** Reacts to what happens to the page as a whole. */
  #followPage(): void {
    const probe = () => this.#connection.probe();
    addEventListener("online", probe);
    addEventListener("offline", probe);
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") {
        probe();
        void this.#title.load();
      } else this.#keeper?.flush();
    });
    addEventListener("pagehide", () => this.#keeper?.flush());
    addEventListener("beforeunload", (event) => {
      this.#keeper?.flush();
      const lost = this.#document?.state.code !== "moved" && (this.#document?.state.unsaved ?? 0) > 0 && !this.#keeper?.kept;
      if (lost || this.#drafts.loose) event.preventDefault();
    });
  }

  #header(): HTMLElement {
    return el("header", { className: "bar" },
      el("a", { className: "home", href: "/", title: "All documents" }, el("span", { className: "mark" }), el("span", { className: "word" }, "Quire")),
      el("div", { className: "titles" }, this.#title.element, this.#state),
      this.#people,
      this.#historyButton(),
      el("button", { type: "button", className: "share", on: { click: () => void this.#copyLink() } }, "Copy link"),
      this.#menu.element,
      this.#self);
  }

  async #copyLink(): Promise<void> {
    const field = el("input", { value: location.href, className: "spoken", readOnly: true });
    document.body.append(field);
    const copied = await copyText(location.href, field);
    field.remove();
    this.#say(copied ? "The link was copied." : "The link could not be copied. It is in the address bar.");
  }

  #historyButton(): HTMLElement {
    const button = el("button", { type: "button", className: "history-button", title: "History", on: { click: () => void this.#openHistory() } }, el("span", {}, "History"));
    // The cursor is to be where it was when the history is closed again.
    button.addEventListener("mousedown", (event) => event.preventDefault());
    return button;
  }

  /** Shows the document's past over it. */
  async #openHistory(): Promise<void> {
    if (this.#history || this.#historyOpening) return;
    this.#historyOpening = true;
    try {
      const [{ HistoryView }] = await Promise.all([import("./history/view.js"), loadSheet("history.css")]);
      this.#history = new HistoryView({
        id: this.#id,
        title: this.#title.text,
        authors: this.#authors,
        author: () => this.#user.name,
        bounds: async () => {
          const doc = await describeDoc(this.#id);
          if (!doc) throw new ApiError("not_found", "There is no such document.");
          return { head: doc.rev, oldest: doc.oldest ?? 0 };
        },
        say: (words) => this.#say(words),
        closed: () => (this.#history = undefined),
      });
    } catch (error) {
      console.error(error);
      this.#say("The history could not be loaded from the server. Try again in a moment.");
    } finally {
      this.#historyOpening = false;
    }
  }

  #setColors(on: boolean): void {
    this.#colors = on;
    try {
      if (on) localStorage.setItem(colorsKey, "1");
      else localStorage.removeItem(colorsKey);
    } catch {
      // no storage: it lasts as long as the page
    }
    this.#menu.showColors(on);
    void this.#showColors();
  }

  /** Shows the text in the colours of its authors, or not, as the person wants it. */
  async #showColors(): Promise<void> {
    this.#blame?.destroy();
    this.#blame = undefined;
    if (!this.#colors) return;
    try {
      const { Blame } = await import("./blame/blame.js");
      if (!this.#colors || this.#blame || !this.#here) return;
      this.#blame = new Blame(this.#document!, this.#pane!, { id: this.#id, authors: this.#authors, author: () => this.#user.name, off: () => this.#setColors(false) });
      this.#blamePlace.replaceChildren(this.#blame.element);
    } catch (error) {
      console.error(error);
      this.#setColors(false);
      this.#say("The colours could not be loaded from the server. Try again in a moment.");
    }
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
        this.#document?.setUser(user);
      });
  }

  #showPeople(peers: Peer<unknown>[]): void {
    const most = 5;
    const avatars = peers.slice(0, most).map(({ client, user }) => {
      const name = user?.name || "Somebody";
      const go = () => {
        const cursor = this.#document?.peers.find((peer) => peer.client === client)?.cursor;
        if (cursor) this.#pane?.reveal(cursor);
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
    // The text may be here before what shows it.
    if (this.#document?.editable && !this.#here) state = { kind: "connecting", unsaved: state.unsaved };
    const { kind, unsaved } = state;
    const words = this.#words(state);
    this.#state.dataset["state"] = kind;
    this.#state.dataset["unsaved"] = String(unsaved);
    this.#state.replaceChildren(words);
    if (kind === "offline") this.#state.append(" ", this.#link("Try now", () => this.#connection.probe()));
    this.#showTitle();
    const editable = this.#here;
    this.#pane?.lock(!editable);
    this.#paper.hidden = this.#panels.hidden = this.#blamePlace.hidden = !editable;
    this.#notice.replaceChildren(...(editable ? [] : [this.#panel(state, words)]));
    this.#keeper?.changed();
    // Said aloud only when it has lasted: between keystrokes it changes several times a second.
    clearTimeout(this.#speak);
    this.#speak = setTimeout(() => (this.#spoken.textContent = words), 1200);
  }

  #titleChanged(): void {
    this.#showTitle();
    if (this.#pane) remember(this.#id, this.#pane.type.name, this.#title.text);
  }

  #showTitle(): void {
    document.title = `${(this.#document?.state.unsaved ?? 0) > 0 ? "• " : ""}${this.#title.text} — Quire`;
  }

  /** Whether there is a text to write in. */
  get #here(): boolean {
    return this.#pane !== undefined && (this.#document?.editable ?? false);
  }

  #words({ kind, unsaved, code, message }: State): string {
    const edits = count(unsaved, "unsaved change");
    const here = this.#here;
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
          again("Try again", () => this.#document?.retry()));
      default:
        if (code !== "not_found" && code !== "deleted") return panel(again("Open again", () => location.reload()), all);
        forget(this.#id);
        return panel(
          el("p", {}, code === "deleted" ? "You can begin anew under its name." : "You can begin it, under this name."),
          again("Create it", () => void this.#create("text")),
          el("button", { type: "button", on: { click: () => void this.#create("delta") } }, `Create as ${nameOfType("delta")}`),
          all);
    }
  }

  async #create(type: string): Promise<void> {
    try {
      await createDoc(type, this.#id);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code !== "exists") {
        this.#notice.append(el("p", { className: "problem", attrs: { role: "alert" } }, `The document was not created. ${error.message}`));
        return;
      }
    }
    void this.#begin(type);
  }

  #say(words: string): void {
    this.#said.textContent = this.#spoken.textContent = words;
    this.#said.hidden = false;
    clearTimeout(this.#saying);
    this.#saying = setTimeout(() => (this.#said.hidden = true), 6_000);
  }

  #link(label: string, click: () => void): HTMLElement {
    return el("button", { type: "button", className: "link", on: { click } }, label);
  }
}

/** Reports whether this browser keeps something under a name. */
function localStorageSays(key: string): boolean {
  try {
    return localStorage.getItem(key) !== null;
  } catch {
    return false;
  }
}
