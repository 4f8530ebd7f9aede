import { Connection, Keeper, putAside, recoverUnsent, sendUnsent, somebodyElse, systemClock, text, type Document, type Draft, type Peer, type State } from "../../client/index.js";
import { ApiError, createDoc, describeDoc, pathOf } from "./api.js";
import { Authors } from "./authors.js";
import type { Blame } from "./blame/blame.js";
import { count, el } from "./dom.js";
import { copyText, Drafts } from "./drafts.js";
import { signInNotice } from "./frame.js";
import type { HistoryView } from "./history/view.js";
import { Menu } from "./menu.js";
import { visible } from "./names.js";
import { paneFor, type Pane, type PaneHost } from "./pane.js";
import { called, People } from "./people.js";
import { forget, recents, remember } from "./recent.js";
import { Self } from "./self.js";
import { includes, whoAmI, type Access, type Role } from "./session.js";
import { loadSheet } from "./sheet.js";
import { panelOf, troubleOf, wordsOf, type Circumstances } from "./states.js";
import { Title } from "./title.js";

/** Address of the server's WebSocket. */
const socketUrl = () => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;

/**
 * Returns what keeps unsent edits in this browser; null where pages cannot have
 * locks (plain HTTP to another machine) or storage. There, leaving with unsaved
 * edits is warned about.
 */
function newKeeper(by: string | undefined): Keeper | null {
  try {
    return navigator.locks ? new Keeper(localStorage, navigator.locks, systemClock, by) : null;
  } catch {
    return null;
  }
}

/** Milliseconds of saving after which the server is asked what is wrong. */
const slowSaving = 4_000;

/** Under which name this browser keeps whether texts are shown in the colours of their authors. */
const colorsKey = "quire:colors";

/** The page at `/d/<id>`: one document to write in, together. */
export function showEditor(app: HTMLElement, id: string, access: Access): void {
  new EditorPage(app, id, access);
}

class EditorPage {
  readonly #id: string;
  readonly #connection: Connection;
  #document: Document<any, any, any> | undefined;
  /** The panes that are loaded, by type, and the one that is shown. */
  readonly #panes = new Map<string, Pane>();
  #pane: Pane | undefined;
  #reopening = false;
  readonly #host: PaneHost;
  readonly #drafts: Drafts;
  readonly #keeper: Keeper | null;
  readonly #authors = new Authors((author) => this.#colorOf(author));
  #history: HistoryView | undefined;
  #historyOpening = false;
  #blame: Blame | undefined;
  #colors = localStorageSays(colorsKey);
  #access: Access;
  /** Why the server does not know the person any more, and what is shown of that; undefined while it does. */
  #signedOut: { readonly reason: string; readonly notice: HTMLElement } | undefined;
  #trouble = "";
  #asking: ReturnType<typeof setTimeout> | undefined;

  readonly #title: Title;
  readonly #menu: Menu;
  readonly #state = el("p", { className: "state", attrs: { "data-state": "connecting", "data-unsaved": "0" } });
  readonly #spoken = el("p", { className: "spoken", attrs: { role: "status", "aria-live": "polite" } });
  #speak: ReturnType<typeof setTimeout> | undefined;
  #saying: ReturnType<typeof setTimeout> | undefined;
  readonly #people = new People((client) => this.#goTo(client));
  readonly #self: Self;
  readonly #share = el("button", { type: "button", className: "share", on: { click: () => void this.#openShare() } });
  readonly #reading = el("div", { className: "reading", hidden: true, attrs: { role: "status" } });
  readonly #notice = el("div", { className: "notice" });
  readonly #paper = el("div", { className: "paper", hidden: true });
  readonly #panels = el("div", { className: "panels" });
  readonly #blamePlace = el("div", { className: "blame-place" });
  readonly #said = el("p", { className: "toast", hidden: true });

  constructor(app: HTMLElement, id: string, access: Access) {
    this.#id = id;
    this.#access = access;
    this.#learnOwnName();
    this.#keeper = newKeeper(access.author);
    this.#drafts = new Drafts(id, access);
    this.#self = new Self({ access, changed: (user) => this.#document?.setUser(user), unsaved: () => this.#document?.state.unsaved ?? 0 });
    this.#title = new Title({ id, author: () => this.#self.author, changed: () => this.#titleChanged(), say: (words) => this.#say(words) });
    this.#menu = new Menu({ id, colors: this.#colors, setColors: (on) => this.#setColors(on), openShare: () => void this.#openShare() });
    const top = el("div", { className: "top" }, this.#header(), this.#reading, this.#panels, this.#blamePlace);
    app.replaceChildren(top, el("main", { className: "desk" }, this.#drafts.element, this.#notice, this.#paper), this.#said, this.#spoken);
    this.#host = { top, say: (words) => this.#say(words), reopen: () => this.#reopen(), called: (peers) => this.#called(peers) };
    this.#connection = this.#connect();
    this.#followPage();
    void this.#title.load();
    void this.#begin(recents().find((one) => one.id === id)?.type);
    if (this.#keeper) void this.#recover();
  }

  #connect(): Connection {
    return new Connection({
      url: socketUrl(),
      author: this.#access.author,
      onUnauthenticated: (reason) => this.#signOut(reason),
      onIdentity: () => this.#signedIn(),
      onState: ({ kind }) => kind === "connected" && this.#access.kind === "unknown" && void this.#askWho(),
    });
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
      user: this.#self.user,
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
          this.#people.show(this.#called(peers));
        },
        role: () => this.#show(opened.state),
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
    const draft = this.#draftOf(opened, "moved", "the document was renamed");
    if (draft) {
      this.#keeper?.follow(to);
      if (!this.#keeper?.kept) drafts.add({ ...draft, doc: to });
    }
    forget(this.#id);
    if (!this.#drafts.loose && !drafts.loose) location.replace(pathOf(to));
    else this.#show({ kind: "closed", unsaved: 0, code: "moved", message: `it is called ${to} now` });
  }

  /** Returns what is unsent as a draft; null when everything is sent. */
  #draftOf(opened: Document<any, any, any>, code: string, message: string): Draft<unknown> | null {
    const { unsent } = opened;
    if (!unsent) return null;
    const ops = [...unsent.flight, ...unsent.waiting].map(({ op }) => op);
    return { doc: this.#id, type: opened.typeName!, code, message, text: this.#pane!.type.plain(opened.content), content: unsent.content, ops };
  }

  /** Makes a draft of what is unsent, and shows the document as the server has it. */
  #putAside(): void {
    const draft = this.#document && this.#draftOf(this.#document, "forbidden", "you may not change this document");
    if (!draft) return;
    this.#drafts.add(draft);
    this.#reopen();
  }

  /** Sends what earlier pages of this browser could not. */
  async #recover(): Promise<void> {
    await recoverUnsent(localStorage, navigator.locks, this.#id, async (unsent) => {
      if (!this.#access.continues(unsent.by)) return; // somebody else's, who may come back
      const pane = await this.#load(unsent.type ?? "text");
      if (!pane) return; // what is unsent stays where it is
      if (unsent.by !== undefined && unsent.by !== this.#access.author) {
        const why = { code: "bad_id", message: "it was made by somebody who is recorded as another now" };
        return putAside(localStorage, pane.type, unsent, why, (draft) => this.#drafts.add(draft));
      }
      const connection = this.#connect();
      const keeper = newKeeper(unsent.by)!;
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
      this.#people.element,
      this.#historyButton(),
      this.#share,
      this.#menu.element,
      this.#self.element);
  }

  /** Who may invite others is shown how; everybody else gets the address. */
  get #shares(): boolean {
    const { kind, session } = this.#access;
    return kind === "open" || (session?.invites === true && includes(this.#role, "admin"));
  }

  async #openShare(): Promise<void> {
    if (!this.#shares) return this.#copyLink();
    try {
      const { showShare } = await import("./share.js");
      showShare({ id: this.#id, title: this.#title.text, open: this.#access.kind === "open" });
    } catch (error) {
      console.error(error);
      this.#say("The dialog could not be loaded from the server. Try again in a moment.");
    }
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
        locked: !this.#mayWrite,
        author: () => this.#self.author,
        bounds: async () => {
          const doc = await describeDoc(this.#id);
          if (!doc) throw new ApiError("not_found", "There is no such document.");
          return { head: doc.rev, oldest: doc.oldest ?? 0 };
        },
        say: (words, undo) => this.#say(words, undo),
        closed: () => {
          this.#history = undefined;
          // The focus is back in the editor by now, the selection only when the editor has looked.
          if (this.#pane?.element.contains(document.activeElement)) this.#pane.focus();
        },
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
      this.#blame = new Blame(this.#document!, this.#pane!, { id: this.#id, authors: this.#authors, author: () => this.#self.author, off: () => this.#setColors(false) });
      this.#blamePlace.replaceChildren(this.#blame.element);
    } catch (error) {
      console.error(error);
      this.#setColors(false);
      this.#say("The colours could not be loaded from the server. Try again in a moment.");
    }
  }

  // Who is who, and who may what.

  /** Returns others with the names that are to be shown. */
  #called<C>(peers: readonly Peer<C>[]): Peer<C>[] {
    return called(peers, { name: this.#self.user.name, author: this.#access.author });
  }

  /** What the person here writes has their name before the server was asked for it. */
  #learnOwnName(): void {
    const { author, name } = this.#access;
    if (author !== undefined && name !== undefined) this.#authors.names.learn({ [author]: name });
  }

  #colorOf(author: string): string | undefined {
    if (author === this.#self.author) return this.#self.user.color;
    return this.#document?.peers.find(({ user }) => (user?.author ?? user?.name) === author)?.user?.color;
  }

  #goTo(client: string): void {
    const cursor = this.#document?.peers.find((peer) => peer.client === client)?.cursor;
    if (cursor) this.#pane?.reveal(cursor);
  }

  /** What the person may do with the document: as the server says of it, or before that of the session. */
  get #role(): Role {
    return this.#document?.role ?? this.#access.role(this.#id);
  }

  get #mayWrite(): boolean {
    return includes(this.#role, "write");
  }

  /** The server does not know the person any more. What is unsent is kept, and shown until the page goes. */
  #signOut(reason: string): void {
    this.#keeper?.flush();
    // Asked again, as when they come back from where they have got a token: what they fill in there stays.
    if (this.#signedOut && (this.#signedOut.reason === somebodyElse) === (reason === somebodyElse)) return;
    const notice = signInNotice(reason, () => void this.#signInAgain(), this.#access, this.#keeper !== null);
    this.#signedOut = { reason, notice };
    if (this.#document) this.#show(this.#document.state);
    // When the editor has put what was seen back to where it was.
    requestAnimationFrame(() => requestAnimationFrame(() => this.#showNotice()));
  }

  #showNotice(): void {
    this.#signedOut?.notice.scrollIntoView({ block: "center" });
  }

  /** The server knows the person. */
  #signedIn(): void {
    if (!this.#signedOut) return;
    this.#signedOut = undefined;
    if (this.#document) this.#show(this.#document.state);
  }

  /** Asks again who the person is, of a server that could not say it at first. */
  async #askWho(): Promise<void> {
    this.#access = await whoAmI();
    this.#learnOwnName();
    this.#self.setAccess(this.#access);
    this.#drafts.setAccess(this.#access);
    if (this.#document) this.#show(this.#document.state);
  }

  /** Goes on when the person has signed in elsewhere in this browser. */
  async #signInAgain(): Promise<void> {
    const access = await whoAmI();
    if (access.kind === "nobody") return this.#say("The server still does not know you.");
    if (access.kind === "unknown") return this.#say(access.reason);
    // Somebody else does not go on with what this one left.
    if (access.author !== this.#access.author) return location.reload();
    this.#connection.probe();
  }

  #show(state: State): void {
    // The text may be here before what shows it.
    if (this.#document?.editable && !this.#here) state = { kind: "connecting", unsaved: state.unsaved };
    const { kind, unsaved } = state;
    const here = this.#here;
    this.#ask(kind);
    const out = this.#signedOut !== undefined && kind !== "closed";
    const words = out ? `Signed out${unsaved > 0 ? ` — ${count(unsaved, "unsaved change")}` : ""}` : wordsOf(state, this.#around);
    this.#state.dataset["state"] = out ? "signed-out" : kind;
    this.#state.dataset["unsaved"] = String(unsaved);
    this.#state.replaceChildren(words);
    if (out) this.#state.append(" ", this.#link("Sign in again", () => this.#showNotice()));
    else if (kind === "offline") this.#state.append(" ", this.#link("Try now", () => this.#connection.probe()));
    this.#showTitle();
    this.#showRights(here, out || state.code === "forbidden", unsaved);
    this.#paper.hidden = this.#panels.hidden = this.#blamePlace.hidden = !here;
    if (!out || !this.#signedOut!.notice.isConnected) this.#notice.replaceChildren(...(out ? [this.#signedOut!.notice] : here ? [] : [this.#panel(state)]));
    this.#keeper?.changed();
    // Said aloud only when it has lasted: between keystrokes it changes several times a second.
    clearTimeout(this.#speak);
    this.#speak = setTimeout(() => (this.#spoken.textContent = words), 1200);
  }

  /** Lets the person do what they may, and says what they may not. */
  #showRights(here: boolean, out: boolean, unsaved: number): void {
    const { kind } = this.#access;
    const writes = here && this.#mayWrite && !out;
    this.#pane?.lock(!writes);
    this.#title.lock(!this.#mayWrite || out);
    this.#history?.lock(!this.#mayWrite || out);
    this.#share.disabled = out;
    this.#share.textContent = this.#shares ? "Share" : "Copy link";
    this.#menu.showShare(this.#shares ? "Share…" : "Copy link");
    this.#self.element.hidden = kind === "nobody";
    const reads = here && !this.#mayWrite && !out;
    const late = el("span", {}, `${count(unsaved, "change")} of yours came too late. They are kept in this ${this.#keeper ? "browser" : "window"}, and sent if you may write again. `, this.#link("Put them aside", () => this.#putAside()));
    this.#reading.hidden = !reads;
    // Said again only when there is something else to say.
    const said = String(reads && unsaved);
    if (this.#reading.dataset["unsent"] === said) return;
    this.#reading.dataset["unsent"] = said;
    this.#reading.replaceChildren(el("span", {}, "You may read this document, not change it."), reads && unsaved > 0 ? late : "");
  }

  /** Asks the server what is wrong with it, once each time that it cannot write or takes long to. */
  #ask(kind: State["kind"]): void {
    if (kind === this.#state.dataset["state"]) return;
    this.#trouble = "";
    clearTimeout(this.#asking);
    if (kind !== "failing" && kind !== "saving") return;
    this.#asking = setTimeout(async () => {
      const trouble = await troubleOf();
      if (this.#document?.state.kind !== kind) return;
      this.#trouble = trouble;
      this.#show(this.#document.state);
    }, kind === "saving" ? slowSaving : 0);
  }

  get #around(): Circumstances {
    return { here: this.#here, mayWrite: this.#mayWrite, guarded: this.#access.kind !== "open", trouble: this.#trouble };
  }

  #titleChanged(): void {
    this.#showTitle();
    if (this.#pane) remember(this.#id, this.#pane.type.name, this.#title.text);
  }

  #showTitle(): void {
    document.title = `${(this.#document?.state.unsaved ?? 0) > 0 ? "• " : ""}${visible(this.#title.text)} — Quire`;
  }

  /** Whether there is a text to write in. */
  get #here(): boolean {
    return this.#pane !== undefined && (this.#document?.editable ?? false);
  }

  /** What stands in place of the text while there is none to show. */
  #panel(state: State): HTMLElement {
    if (state.code === "not_found" || state.code === "deleted") forget(this.#id);
    return panelOf(state, this.#around, {
      probe: () => this.#connection.probe(),
      retry: () => this.#document?.retry(),
      create: (type) => void this.#create(type),
    });
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

  /** Says a sentence for a while; with a button by which what it tells of is undone, for longer. */
  #say(words: string, undo?: () => void): void {
    const hide = () => (this.#said.hidden = true);
    this.#spoken.textContent = words;
    this.#said.replaceChildren(words);
    if (undo) this.#said.append(" ", this.#link("Undo", () => { hide(); undo(); }));
    this.#said.hidden = false;
    clearTimeout(this.#saying);
    this.#saying = setTimeout(hide, undo ? 20_000 : 6_000);
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
