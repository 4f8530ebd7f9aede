import { Backoff, type Clock } from "./clock.js";
import type { ClientMessage, DocumentMessage, ErrorMessage, Limits, OpenedMessage, OpsMessage, Role, User } from "./message.js";
import { Pending, type PendingOp, type Run } from "./pending.js";
import { Peers, Self, type Peer } from "./presence.js";
import { OperationError, type AnyType, type Type } from "./type.js";

/**
 * What a person should be told about a document. `unsaved` counts edits that
 * the server has not confirmed to be on disk.
 *
 * - `connecting`: not here yet, or being brought up to date
 * - `saved`: everything is on the server's disk
 * - `saving`: sent or about to be, not confirmed; while `role` is `read`, kept until the person may write again
 * - `offline`: no connection; edits are kept and sent later
 * - `failing`: connected, but the server cannot write; edits are kept and retried
 * - `unreadable`: the server has the document but cannot read it now; retried
 * - `closed`: over; `code` and `message` say why (`left` after `close`; `moved` when the document has another id
 *   now, which is the message: `unsent` is still there, to be sent to that one)
 */
export interface State {
  readonly kind: "connecting" | "saved" | "saving" | "offline" | "failing" | "unreadable" | "closed";
  readonly unsaved: number;
  readonly code?: string;
  readonly message?: string;
}

/** What could not be merged, handed back so that nothing vanishes. */
export interface Draft<O> {
  readonly doc: string;
  /** The name of the document's type. */
  readonly type: string;
  readonly code: string;
  readonly message: string;
  /** The whole document as the person last saw it, as plain text. */
  readonly text: string;
  /** The same in the type's wire form. */
  readonly content: unknown;
  /** The edits in it that the server does not have, oldest first. */
  readonly ops: readonly O[];
}

/** All that is needed to send a document's unsent edits later, from another page. JSON. */
export interface Unsent<O = unknown> {
  readonly doc: string;
  /** The name of the document's type. Absent means "text". */
  readonly type?: string;
  readonly client: string;
  readonly inc: string;
  readonly rev: number;
  readonly seq: number;
  /** The document with the unsent edits, in the type's wire form. */
  readonly content: unknown;
  readonly flight: readonly PendingOp<O>[];
  readonly waiting: readonly PendingOp<O>[];
}

/** What a document tells. Handlers are called in order and must not throw. */
export interface DocumentEvents<D, O, C> {
  /** The whole content: at first, and whenever the document had to be opened afresh. */
  reset?(content: D): void;
  /** An operation to apply to the screen. The peers have been moved over it already. */
  remote?(op: O): void;
  /** An edit made here was taken in. */
  edited?(op: O): void;
  state?(state: State): void;
  peers?(peers: Peer<C>[]): void;
  draft?(draft: Draft<O>): void;
  /** The person may do something else with it now. */
  role?(role: Role): void;
  /** A run is about to be sent for the first time; `unsent` holds it in flight already. */
  sending?(): void;
}

export interface DocumentOptions<D, O, C> {
  readonly events?: DocumentEvents<D, O, C>;
  /** Create the document when it is not there: of the type so called, or with true of the first that `open` was given. Default false. */
  readonly create?: boolean | string;
  readonly user?: User;
  /** Join what waits into one operation. Default true; false keeps every edit a revision of its own. */
  readonly compose?: boolean;
  /** Edits of an earlier page to go on from, instead of a fresh start. */
  readonly unsent?: Unsent;
  /** Least milliseconds between two cursors sent. Default 60. */
  readonly presenceEvery?: number;
  /** Milliseconds of quiet after which an edited document's checksum is compared. Default 20 000. */
  readonly checkAfter?: number;
}

/** The connection as a document sees it. */
export interface Link {
  readonly limits: Limits;
  send(message: ClientMessage): void;
}

/** What a document needs from whoever made it. */
export interface Host {
  readonly clock: Clock;
  /** Makes a new client id (section 2). */
  newClient(): string;
  /** Called once, when the document is closed for good. */
  gone(doc: string): void;
}

/** Codes of fatal errors that no `open` can have. */
const notOfOpen = new Set(["replaced", "not_open", "bad_cursor"]);

/**
 * Where the conversation about this document stands: `idle` without a
 * connection, `opening` after `open`, `live` after `opened`, `leaving` after a
 * `close` that is to be followed by a fresh `open`, `pausing` before another
 * try, `closed` for good.
 */
type Phase = "idle" | "opening" | "live" | "leaving" | "pausing" | "closed";

/**
 * One document that is edited here: what the screen shows, the edits that the
 * server has not confirmed, and who else is here. It outlives its connections.
 * Everything happens in the caller's thread; nothing is asynchronous but the
 * messages themselves.
 */
export class Document<D, O, C> {
  // Static after construction.
  readonly id: string;
  readonly #types: readonly AnyType[];
  readonly #host: Host;
  readonly #options: DocumentOptions<D, O, C>;
  readonly #backoff: Backoff;

  // Which of the types it is, and what is held of it. Undefined before the first content.
  #type: Type<D, O, C>;
  #typeName: string | undefined;
  #held: { doc: D; inc: string; rev: number } | undefined;
  #client: string;
  #pending: Pending<O>;

  // The conversation.
  #link: Link | null = null;
  #phase: Phase = "idle";
  #everFailed: boolean; // to connect, or to stay connected
  #submitted = false; // the run in flight was sent in this opening
  #catchUp = { rev: 0, seq: 0 }; // nothing is sent before both are reached
  #storeFails = false;
  #role: Role | undefined;
  #unreadable: ErrorMessage | null = null;
  #end: { code: string; message: string } | null = null;
  #resyncedAt = -Infinity;
  #retry: unknown; // pausing, or holding a submission back
  #check: unknown;
  #told: State | undefined; // by the last state event

  // Presence.
  readonly #peers: Peers<O, C>;
  readonly #self: Self<O, C>;

  /** For Connection, which documents are opened through. */
  constructor(id: string, types: readonly AnyType[], host: Host, options: DocumentOptions<D, O, C> = {}, offline = false) {
    const unsent = options.unsent as Unsent<O> | undefined;
    this.id = id;
    this.#types = types;
    this.#type = unsent ? this.#typeCalled(unsent.type ?? "text") : types[0]!;
    if (typeof options.create === "string") this.#typeCalled(options.create);
    this.#host = host;
    this.#options = options;
    this.#everFailed = offline;
    this.#backoff = new Backoff(host.clock, 500, 15_000);
    this.#peers = new Peers(() => this.#type);
    const every = options.presenceEvery ?? 60;
    this.#self = new Self(() => this.#type, host.clock, every, options.user, () => this.#flush());
    this.#client = unsent?.client ?? host.newClient();
    this.#pending = this.#newPending(unsent);
    if (unsent) this.#held = { doc: this.#type.create(unsent.content), inc: unsent.inc, rev: unsent.rev };
  }

  #typeCalled(name: string): AnyType {
    const type = this.#types.find((type) => type.name === name);
    if (!type) throw new Error(`document ${this.id}: the type ${name} is not among those it may be opened with`);
    return type;
  }

  /** The name of the document's type as the server said it, also of one that cannot be opened here. Undefined before that. */
  get typeName(): string | undefined {
    return this.#typeName;
  }

  /** What the screen shows: the committed document with everything pending. Undefined before the first `reset`. */
  get content(): D | undefined {
    return this.#held?.doc;
  }

  /** The newest revision received. */
  get rev(): number {
    return this.#held?.rev ?? 0;
  }

  /** The id under which this document is edited here. It changes when the document has to be opened afresh. */
  get client(): string {
    return this.#client;
  }

  get state(): State {
    const unsaved = this.#pending.edits;
    if (this.#end) return { kind: "closed", unsaved, ...this.#end };
    if (this.#unreadable) {
      return { kind: "unreadable", unsaved, code: this.#unreadable.code, message: this.#unreadable.message };
    }
    if (this.#phase === "idle") return { kind: this.#everFailed ? "offline" : "connecting", unsaved };
    const caughtUp = this.rev >= this.#catchUp.rev && this.#pending.seq >= this.#catchUp.seq;
    if (this.#phase !== "live" || !caughtUp) return { kind: "connecting", unsaved };
    if (this.#storeFails) return { kind: "failing", unsaved };
    return { kind: unsaved > 0 || !this.#pending.empty ? "saving" : "saved", unsaved };
  }

  /** Whether `edit` is possible: from the first `reset` on, with or without a connection. */
  get editable(): boolean {
    return this.#held !== undefined && this.#phase !== "closed";
  }

  /** What the person may do with it; undefined while that is not known, and where nobody is asked. */
  get role(): Role | undefined {
    return this.#role;
  }

  /** Who else is here, with their cursors on what the screen shows. */
  get peers(): Peer<C>[] {
    return this.#peers.list(this.#pending);
  }

  /** What has to be kept to send the unsent edits later; null when there are none. */
  get unsent(): Unsent<O> | null {
    if (!this.#held || this.#pending.empty) return null;
    const { doc, inc, rev } = this.#held;
    const { seq, flight, waiting } = this.#pending;
    return { doc: this.id, type: this.#type.name, client: this.#client, inc, rev, seq, content: this.#type.content(doc), flight, waiting };
  }

  /**
   * Takes in an edit that the screen already shows, with where the selections
   * are after it. Throws OperationError, and changes nothing, when it does not
   * fit what `content` holds.
   */
  edit(op: O, cursor?: C): void {
    if (!this.#held || !this.editable) throw new Error(`document ${this.id} is not open`);
    op = this.#type.operation(op);
    this.#held.doc = this.#type.apply(this.#held.doc, op);
    this.#pending.add(op);
    this.#self.move(op, "right");
    if (cursor !== undefined) this.#self.cursor = cursor;
    this.#options.events?.edited?.(op);
    this.#flush();
    this.#tell();
  }

  /** Says where the person's selections are on what the screen shows; null when nowhere. */
  setCursor(cursor: C | null): void {
    this.#self.cursor = cursor;
    this.#flush();
  }

  /** Changes who the person is, as others see it. */
  setUser(user: User): void {
    this.#self.setUser(user);
    this.#flush();
  }

  /** Tries again at once to read a document that is `unreadable`. */
  retry(): void {
    if (this.#phase === "pausing") this.#open();
    this.#tell();
  }

  /** Closes the document. Unsent edits are lost unless `unsent` was kept. */
  close(): void {
    if (this.#phase === "live" || this.#phase === "opening") this.#link?.send({ t: "close", doc: this.id });
    this.#finish("left", "");
  }

  /** For Connection: there is a connection, and the server has said hello. */
  attach(link: Link): void {
    this.#link = link;
    this.#open();
  }

  /** For Connection: there is none any more. */
  detach(): void {
    if (this.#phase === "closed") return;
    this.#link = null;
    this.#everFailed = true;
    this.#phase = "idle";
    this.#unreadable = null;
    this.#stopTimers();
    if (this.#peers.clear()) this.#options.events?.peers?.([]);
    this.#tell();
  }

  /** For Connection: a message about this document. */
  receive(message: DocumentMessage): void {
    if (message.t === "error") {
      this.#failed(message);
    } else if (this.#phase === "opening") {
      // What is still said about an earlier opening is of no use any more.
      if (message.t === "opened") this.#guard(() => this.#opened(message));
    } else if (this.#phase === "leaving") {
      if (message.t === "closed") this.#open();
    } else if (this.#phase === "live") {
      this.#guard(() => this.#live(message));
    }
    this.#tell();
  }

  #live(message: DocumentMessage): void {
    switch (message.t) {
      case "ops":
        this.#ops(message);
        break;
      case "presence":
        if (this.#peers.receive(message, this.#client)) this.#options.events?.peers?.(this.peers);
        break;
      case "status":
        this.#storeFails = !message.saved;
        break;
      case "rights":
        this.#setRole(message.role);
        break;
      case "check":
        if (this.#pending.empty && message.rev === this.rev && this.#differs(this.#held!.doc, message.sum)) {
          this.#startAfresh("checksum", "the text here differs from the server's", true);
        }
        break;
      case "closed":
        this.#resync();
        break;
    }
  }

  // Opening.

  #open(): void {
    this.#stopTimers();
    if (!this.#link) {
      this.#phase = "idle";
      return;
    }
    this.#phase = "opening";
    this.#submitted = false;
    this.#storeFails = false;
    const user = this.#self.opening();
    if (this.#held) {
      const { inc, rev } = this.#held;
      this.#link.send({ t: "open", doc: this.id, client: this.#client, inc, rev, seq: this.#pending.seq, ...user });
    } else {
      const { create: wanted } = this.#options;
      const create = wanted ? { create: wanted === true ? this.#types[0]!.name : wanted } : {};
      this.#link.send({ t: "open", doc: this.id, client: this.#client, ...create, ...user });
    }
  }

  #opened(message: OpenedMessage): void {
    const type = this.#types.find((type) => type.name === message.type);
    this.#typeName = message.type;
    if (!type) {
      this.#link?.send({ t: "close", doc: this.id });
      return this.#refused({ t: "error", code: "bad_type", class: "fatal", message: `this document is of type ${message.type}` }, false);
    }
    if (message.resumed && this.#held) {
      this.#catchUp = { rev: message.head ?? message.rev, seq: message.seq };
    } else {
      const doc = type.create(message.content);
      if (this.#differs(doc, message.sum, type)) {
        const fault: ErrorMessage = { t: "error", code: "checksum", class: "retry", message: "the text arrived damaged" };
        this.#link?.send({ t: "close", doc: this.id });
        return this.#pause(fault);
      }
      this.#handBack("not_resumed", "the server did not take the unsent edits up again");
      this.#type = type;
      this.#held = { doc, inc: message.inc, rev: message.rev };
      this.#pending = this.#newPending({ seq: message.seq, flight: [], waiting: [] });
      this.#catchUp = { rev: message.rev, seq: message.seq };
      this.#self.cursor = null;
      this.#options.events?.reset?.(doc);
    }
    this.#phase = "live";
    this.#unreadable = null;
    this.#setRole(message.role);
    this.#flush();
  }

  #setRole(role: Role | undefined): void {
    if (role === this.#role) return;
    this.#role = role;
    if (role) this.#options.events?.role?.(role);
    this.#flush();
  }

  /** Opens again, keeping everything: at once, or after a moment if that was done just now. */
  #resync(): void {
    const now = this.#host.clock.now();
    const justNow = now - this.#resyncedAt < 1_000;
    this.#resyncedAt = now;
    if (justNow) this.#pause(null);
    else this.#open();
  }

  #pause(unreadable: ErrorMessage | null): void {
    this.#stopTimers();
    this.#phase = "pausing";
    this.#unreadable = unreadable;
    this.#retry = this.#host.clock.after(this.#backoff.next(), () => {
      this.#open();
      this.#tell();
    });
  }

  /** Hands back what is unsent and opens as somebody who has never been here. */
  #startAfresh(code: string, message: string, always = false): void {
    const live = this.#phase === "live";
    this.#handBack(code, message, always);
    if (this.#phase === "closed") return; // by the receiver of the draft
    this.#client = this.#host.newClient();
    this.#held = undefined;
    this.#pending = this.#newPending();
    if (!live) return this.#pause(null);
    this.#stopTimers();
    this.#phase = "leaving";
    this.#link?.send({ t: "close", doc: this.id });
  }

  #handBack(code: string, message: string, always = false): void {
    if (!this.#held || (this.#pending.empty && !always)) return;
    const ops = [...this.#pending.flight, ...this.#pending.waiting].map((pending) => pending.op);
    const text = this.#type.plain(this.#held.doc);
    this.#pending = this.#newPending();
    const content = this.#type.content(this.#held.doc);
    this.#options.events?.draft?.({ doc: this.id, type: this.#type.name, code, message, text, content, ops });
  }

  #finish(code: string, message: string): void {
    if (this.#phase === "closed") return;
    this.#stopTimers();
    this.#phase = "closed";
    this.#end = { code, message };
    this.#link = null;
    if (this.#peers.clear()) this.#options.events?.peers?.([]);
    this.#tell();
    this.#host.gone(this.id);
  }

  // Receiving.

  #ops(message: OpsMessage): void {
    const held = this.#held!;
    if (message.rev !== held.rev) return this.#resync();
    for (const item of message.ops) {
      const op = this.#type.operation(item.op);
      this.#peers.move(op, item.c);
      held.rev += item.n ?? 1;
      if (item.c === this.#client) {
        this.#pending.acknowledge(item.s, op);
        continue;
      }
      if (item.n !== undefined) this.#self.doubt();
      const shown = this.#pending.receive(op);
      held.doc = this.#type.apply(held.doc, shown);
      this.#self.move(shown, "left");
      this.#options.events?.remote?.(shown);
    }
    this.#backoff.reset();
    this.#armCheck();
    this.#flush();
  }

  /** Runs `handle`; when what the server said does not fit what is held, opens afresh. */
  #guard(handle: () => void): void {
    try {
      handle();
    } catch (error) {
      if (!(error instanceof OperationError)) throw error;
      this.#startAfresh("diverged", error.message, true);
    }
  }

  #failed(error: ErrorMessage): void {
    if (error.code === "moved" && this.#phase !== "closed") {
      this.#finish(error.code, error.message); // what is unsent is for the new id
    } else if (this.#phase === "leaving") {
      if (error.code === "not_open") this.#open();
    } else if (this.#phase === "opening") {
      if (error.seq !== undefined || notOfOpen.has(error.code)) return; // speaks of the opening before this one
      if (error.class !== "fatal") this.#pause(error);
      else if (["incarnation", "future", "mismatch", "gone"].includes(error.code)) this.#startAfresh(error.code, error.message);
      else this.#refused(error, true);
    } else if (this.#phase === "live") {
      if (error.class === "resync" || error.code === "not_open") this.#resync();
      else if (error.code === "forbidden" && error.seq !== undefined) this.#keepBack();
      else if (error.code === "forbidden") this.#refused(error, false);
      else if (error.class === "retry") this.#holdBack();
      else if (error.seq !== undefined) this.#startAfresh(error.code, error.message);
      else if (error.code === "gone") this.#startAfresh(error.code, error.message);
      else if (["deleted", "replaced"].includes(error.code)) this.#refused(error, error.code === "deleted");
      // What is left speaks of a cursor, which the next one mends.
    }
  }

  #refused(error: ErrorMessage, always: boolean): void {
    this.#handBack(error.code, error.message, always);
    this.#finish(error.code, error.message);
  }

  /** The run in flight was not taken: it is sent when the person may write again. */
  #keepBack(): void {
    if (this.#role === "read") this.#submitted = false;
    else this.#holdBack(); // the right may have come back already
  }

  /** Sends the run in flight again after a moment. */
  #holdBack(): void {
    this.#host.clock.cancel(this.#retry);
    this.#retry = this.#host.clock.after(this.#backoff.next(), () => {
      this.#retry = undefined;
      this.#submitted = false;
      this.#flush();
    });
  }

  // Sending.

  /** Sends what can be sent now: the run in flight again, the next run, or the cursor. */
  #flush(): void {
    const held = this.#held;
    if (this.#phase !== "live" || !this.#link || !held || this.#retry !== undefined) return;
    if (held.rev < this.#catchUp.rev || this.#pending.seq < this.#catchUp.seq) return;
    const { run, message } = this.#link.limits;
    if (this.#role === "read" && !this.#pending.empty) return;
    let next = this.#submitted ? null : this.#pending.inFlight();
    if (!next) {
      next = this.#pending.launch(run, Math.max(message / 2, message - 16_384));
      if (next) this.#options.events?.sending?.();
    }
    if (next) return this.#submit(next);
    const entry = this.#pending.empty ? this.#self.due() : null;
    if (entry) this.#link.send({ t: "presence", doc: this.id, base: held.rev, ...entry });
  }

  #submit(run: Run<O>): void {
    this.#submitted = true;
    // Behind a run that is not all there is, the cursor would be out of place.
    const cursor = this.#pending.waiting.length === 0 ? this.#self.forSubmit() : {};
    this.#link!.send({ t: "submit", doc: this.id, base: this.rev, seq: run.seq, ops: run.ops, ...cursor });
  }

  // Housekeeping.

  #differs(doc: D, sum: string | undefined, type: Type<D, O, C> = this.#type): boolean {
    const own = type.checksum(doc);
    return own !== null && own !== sum;
  }

  #newPending(from: Pick<Unsent<O>, "seq" | "flight" | "waiting"> = { seq: 0, flight: [], waiting: [] }): Pending<O> {
    const type = this.#type as Type<unknown, O, unknown>;
    return new Pending(type, this.#options.compose ?? true, from.seq, from.flight, from.waiting);
  }

  #armCheck(): void {
    const { clock } = this.#host;
    clock.cancel(this.#check);
    this.#check = clock.after(this.#options.checkAfter ?? 20_000, () => {
      if (this.#phase === "live" && this.#pending.empty) this.#link?.send({ t: "check", doc: this.id });
    });
  }

  #stopTimers(): void {
    for (const timer of [this.#retry, this.#check]) this.#host.clock.cancel(timer);
    this.#retry = this.#check = undefined;
    this.#self.stop();
  }

  #tell(): void {
    const { state } = this;
    const told = this.#told;
    if (state.kind === told?.kind && state.unsaved === told.unsaved && state.code === told.code) return;
    this.#told = state;
    this.#options.events?.state?.(state);
  }
}
