import { Backoff, systemClock, type Clock } from "./clock.js";
import { Document, type DocumentOptions, type Host, type Link } from "./document.js";
import { orderedJSON } from "./json.js";
import type { ClientMessage, DocumentMessage, ErrorMessage, HelloMessage, YouMessage } from "./message.js";
import { Credential, tokenProtocol, type TokenSource } from "./token.js";
import type { AnyType, Type } from "./type.js";

/** The name of the WebSocket subprotocol. */
export const subprotocol = "quire.v1";

/** The part of the browser's WebSocket that is used, so that another may stand in for it. */
export interface Socket {
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: unknown) => void) | null;
  send(data: string): void;
  close(code?: number): void;
}

export interface ConnectionOptions {
  /** Address of the endpoint, `ws:` or `wss:`. */
  readonly url: string;
  /** Default: the global WebSocket. */
  readonly WebSocket?: new (url: string, protocols: string[]) => Socket;
  /** Default: the machine's clock. */
  readonly clock?: Clock;
  /** Makes random client ids. Default: 96 random bits. */
  readonly newClient?: () => string;
  /**
   * Says who this is, to a server that asks: a token, or what returns one. That is called
   * again before the token runs out, for the connection to go on with the next one, and
   * after the server has refused one. Leave it out where a cookie says it.
   */
  readonly token?: TokenSource;
  /**
   * The author whom the server is to take this for. Default: whom it does at first. A connection is one person's: what
   * they wrote is not sent as another's, as when somebody else has signed in at the same browser since.
   */
  readonly author?: string | undefined;
  /**
   * Told that the server does not know who this is, not even by what `token` has just returned, or takes it for somebody
   * else than `author`, and why. Nothing is tried any more until `probe` is called; documents keep what they have to send.
   */
  readonly onUnauthenticated?: (reason: string) => void;
  /** Told who this is, as the server says: at first, and when that or its end has changed. */
  readonly onIdentity?: (identity: Identity) => void;
  /** Told whenever the connection comes or goes. */
  readonly onState?: (state: ConnectionState) => void;
}

/** Who somebody is to a server that asks: as whom they are recorded, and what others see. */
export interface Identity {
  readonly author: string;
  readonly name: string;
}

/** Why a connection ends whose server takes it for another author than before. */
export const somebodyElse = "somebody else is signed in here now";

/** The close code of a server that does not know who this is. */
const closeUnauthenticated = 4401;

/** `waiting` is between two attempts, `closed` after `close`. */
export interface ConnectionState {
  readonly kind: "connecting" | "connected" | "waiting" | "closed";
  /** Why the last connection ended. */
  readonly reason?: string;
}

/** Milliseconds within which a server must say something after it was asked. */
const patience = 10_000;

/** Milliseconds without an answer to a submission after which the server is asked for a sign. */
const slow = 5_000;

/** Milliseconds after which a connection counts as having worked. */
const settled = 5_000;

/** Returns a random client id: 16 of the characters that section 2 allows. */
export function newClient(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  return Array.from(bytes, (byte) => digits[byte & 63]).join("");
}

/**
 * One WebSocket to a Quire server, kept up for as long as `close` is not
 * called: it reconnects with growing, jittered waits, notices a link that is
 * dead without saying so, and carries any number of documents.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #documents = new Map<string, Document<any, any, any>>();
  readonly #host: Host;

  #socket: Socket | null = null;
  #link: Link | null = null; // after hello
  #state: ConnectionState = { kind: "connecting" };
  #connectedAt = 0;
  #quiet = 25_000; // milliseconds of silence after which the server is asked for a sign
  #watch: unknown; // fires when the server has been silent for too long
  #asked = false; // for a sign of life, and none has come
  #reconnect: unknown;
  readonly #credential: Credential;
  #attempt = 0; // counts connections, so that a token that comes late is for none
  #author: string | undefined; // whose connection this is, once that is known
  #why = ""; // the last error that is about no document
  #comeBackAt: number | null = null; // the server's own wish, from `bye`

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#author = options.author;
    this.#clock = options.clock ?? systemClock;
    this.#backoff = new Backoff(this.#clock, 400, 15_000);
    this.#credential = new Credential(options.token, this.#clock, (token) => this.#renew(token));
    this.#host = {
      clock: this.#clock,
      newClient: options.newClient ?? newClient,
      gone: (doc) => this.#documents.delete(doc),
    };
    this.#connect();
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /**
   * Opens a document of a type, or of whichever of several types the server says
   * it has. One of another type ends up `closed` with the code `bad_type`, and
   * `Document.typeName` tells its type. Throws when the document is open here already.
   */
  open<D, O, C>(id: string, type: Type<D, O, C>, options?: DocumentOptions<D, O, C>): Document<D, O, C>;
  open(id: string, types: readonly AnyType[], options?: DocumentOptions<any, any, any>): Document<any, any, any>;
  open(id: string, types: AnyType | readonly AnyType[], options?: DocumentOptions<any, any, any>): Document<any, any, any> {
    if (this.#documents.has(id)) throw new Error(`document ${id} is already open`);
    const registry = "name" in types ? [types] : types;
    const document = new Document(id, registry, this.#host, options, this.#state.kind === "waiting");
    this.#documents.set(id, document);
    if (this.#link) document.attach(this.#link);
    return document;
  }

  /**
   * Call when there is reason to doubt: the network went or came, the machine
   * woke up. Connects at once if not connected, else asks for a sign of life.
   */
  probe(): void {
    if (this.#state.kind === "waiting") {
      this.#backoff.reset();
      this.#connect();
    } else if (this.#link) {
      this.#ask(Math.min(patience, 3_000));
    }
  }

  /** Closes the connection and every document, for good. */
  close(): void {
    for (const document of [...this.#documents.values()]) document.close();
    this.#drop();
    this.#clock.cancel(this.#reconnect);
    this.#tell({ kind: "closed" });
  }

  #connect(): void {
    this.#clock.cancel(this.#reconnect);
    this.#comeBackAt = null;
    this.#tell({ ...this.#state, kind: "connecting" });
    const attempt = ++this.#attempt;
    const token = this.#credential.take();
    if (!(token instanceof Promise)) return this.#dial(token);
    this.#watchFor(patience, () => this.#lost("no token"));
    token.then(
      (token) => attempt === this.#attempt && this.#dial(token),
      (error: unknown) => attempt === this.#attempt && this.#lost(`no token: ${error instanceof Error ? error.message : String(error)}`),
    );
  }

  #dial(token: string | undefined): void {
    this.#why = "";
    const socket = new (this.#options.WebSocket ?? (WebSocket as unknown as new (url: string, protocols: string[]) => Socket))(
      this.#options.url,
      token === undefined ? [subprotocol] : [subprotocol, tokenProtocol + token],
    );
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      if (this.#socket === socket) this.#receive(String(data));
    };
    socket.onclose = ({ code, reason }) => {
      if (this.#socket !== socket) return;
      if (code === closeUnauthenticated) this.#unauthenticated(reason);
      else this.#lost(reason || (code === 1006 ? "" : `closed with code ${code}`));
    };
    socket.onerror = () => {}; // onclose follows
    this.#watchFor(patience, () => this.#lost("no answer"));
  }

  #receive(data: string): void {
    const message = JSON.parse(data) as { t: string; doc?: string };
    this.#asked = false;
    if (this.#link) this.#watchFor(this.#quiet, () => this.#ask(patience));
    if (message.t === "hello") this.#hello(message as HelloMessage);
    else if (message.t === "bye") this.#comeBackAt = this.#clock.now() + Number((message as unknown as { in: number }).in);
    else if (message.t === "you") this.#you(message as YouMessage);
    else if (message.t === "error" && message.doc === undefined) this.#why = (message as ErrorMessage).message;
    else if (message.doc !== undefined) this.#documents.get(message.doc)?.receive(message as DocumentMessage);
  }

  #hello({ ping, limits }: HelloMessage): void {
    this.#quiet = ping;
    this.#connectedAt = this.#clock.now();
    const link: Link = { limits, send: (message) => this.#link === link && this.#send(message) };
    this.#link = link;
    this.#watchFor(this.#quiet, () => this.#ask(patience));
    this.#tell({ kind: "connected" });
    for (const document of [...this.#documents.values()]) document.attach(link);
  }

  #you({ author, name, expires }: YouMessage): void {
    if (author !== (this.#author ??= author)) return this.#unauthenticated(somebodyElse);
    this.#credential.accepted(expires);
    this.#options.onIdentity?.({ author, name });
  }

  /** Goes on as the same person with another token. */
  #renew(token: string): void {
    if (this.#link) this.#send({ t: "auth", token });
  }

  /** The server does not know who this is: tries a token that it has not refused, if there may be one. */
  #unauthenticated(reason: string): void {
    const another = this.#credential.refused();
    this.#lost(reason);
    if (another) return;
    this.#clock.cancel(this.#reconnect);
    this.#options.onUnauthenticated?.(this.#why || reason);
  }

  #send(message: ClientMessage): void {
    this.#socket?.send(orderedJSON(message));
    const answered = message.t === "submit" || message.t === "open";
    if (answered && !this.#asked) this.#watchFor(slow, () => this.#ask(patience));
  }

  /** Asks for a sign of life and gives the link up when none comes within `ms`. */
  #ask(ms: number): void {
    this.#asked = true;
    this.#send({ t: "ping" });
    this.#watchFor(ms, () => this.#lost("no answer"));
  }

  #watchFor(ms: number, then: () => void): void {
    this.#clock.cancel(this.#watch);
    this.#watch = this.#clock.after(ms, then);
  }

  #lost(reason: string): void {
    const worked = this.#link !== null && this.#clock.now() - this.#connectedAt >= settled;
    this.#drop();
    if (worked) this.#backoff.reset();
    const wait = this.#comeBackAt === null ? this.#backoff.next() : Math.max(0, this.#comeBackAt - this.#clock.now());
    this.#reconnect = this.#clock.after(wait, () => this.#connect());
    this.#tell({ kind: "waiting", reason });
    for (const document of [...this.#documents.values()]) document.detach();
  }

  #drop(): void {
    this.#attempt++;
    this.#credential.pause();
    this.#clock.cancel(this.#watch);
    this.#asked = false;
    const socket = this.#socket;
    this.#socket = this.#link = null;
    socket?.close();
  }

  #tell(state: ConnectionState): void {
    if (state.kind === this.#state.kind && state.reason === this.#state.reason) return;
    this.#state = state;
    this.#options.onState?.(state);
  }
}
