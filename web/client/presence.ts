import type { Clock } from "./clock.js";
import type { PresenceMessage, User } from "./message.js";
import type { Pending } from "./pending.js";
import type { Side, Type } from "./type.js";

/** Somebody else in a document. `cursor` is on what the screen shows; null when there is none. */
export interface Peer<C> {
  readonly client: string;
  readonly user: User | null;
  readonly cursor: C | null;
}

/**
 * Who else is here. Cursors are kept on the committed revision and moved over
 * each committed operation exactly as the server moves them (section 6).
 */
export class Peers<O, C> {
  readonly #type: () => Type<any, O, C>;
  readonly #peers = new Map<string, { user: User | null; cursor: C | null }>();

  /** `type` returns the document's type, which may change when it is opened afresh. */
  constructor(type: () => Type<any, O, C>) {
    this.#type = type;
  }

  /** Takes in what changed, passing over `own`, the client here. Reports whether there was any news of others. */
  receive(message: PresenceMessage, own: string): boolean {
    let news = message.full ? this.clear() : false;
    for (const client of message.gone ?? []) news = this.#peers.delete(client) || news;
    for (const entry of message.set ?? []) {
      if (entry.c === own) continue;
      news = true;
      const cursor = Array.isArray(entry.cursor) && entry.cursor.length === 0 ? null : entry.cursor;
      this.#peers.set(entry.c, { user: entry.user ?? null, cursor: (cursor ?? null) as C | null });
    }
    return news;
  }

  /** Moves every cursor over a committed operation of `author`. */
  move(op: O, author: string | undefined): void {
    for (const [client, peer] of this.#peers) {
      if (peer.cursor === null) continue;
      peer.cursor = this.#type().transformCursor(peer.cursor, op, client === author ? "right" : "left");
    }
  }

  /** Forgets everybody. Reports whether there was anybody. */
  clear(): boolean {
    const any = this.#peers.size > 0;
    this.#peers.clear();
    return any;
  }

  /** Returns everybody, with cursors moved over what is pending here. */
  list(pending: Pending<O>): Peer<C>[] {
    const ops = [...pending.flight, ...pending.waiting];
    return [...this.#peers].map(([client, { user, cursor }]) => ({
      client,
      user,
      cursor: ops.reduce<C | null>((c, { op }) => c && this.#type().transformCursor(c, op, "left"), cursor),
    }));
  }
}

/** The person here: who they are, where their cursor is, and what the server knows of both. */
export class Self<O, C> {
  readonly #type: () => Type<any, O, C>;
  readonly #clock: Clock;
  readonly #every: number;
  readonly #wake: () => void;
  /** On what the screen shows. */
  cursor: C | null = null;
  #told: C | null = null; // the cursor the server knows, moved as it moves it
  #user: User | undefined;
  #userTold = false;
  #sentAt = -Infinity;
  #timer: unknown;

  /** `wake` is called when a cursor that had to wait, at most `every` milliseconds, is due. */
  constructor(type: () => Type<any, O, C>, clock: Clock, every: number, user: User | undefined, wake: () => void) {
    this.#type = type;
    this.#clock = clock;
    this.#every = every;
    this.#user = user;
    this.#wake = wake;
  }

  setUser(user: User): void {
    this.#user = user;
    this.#userTold = false;
  }

  /** The cursor moves over an operation as the screen applies it. */
  move(op: O, side: Side): void {
    if (this.cursor !== null) this.cursor = this.#type().transformCursor(this.cursor, op, side);
    if (this.#told !== null) this.#told = this.#type().transformCursor(this.#told, op, side);
  }

  /** What others are shown of the cursor may be out of place: it is to be sent again. */
  doubt(): void {
    this.#told = null;
  }

  /** Returns the members of an `open`, after which the server knows no cursor. */
  opening(): { user?: User } {
    this.#told = null;
    this.#userTold = true;
    return this.#user ? { user: this.#user } : {};
  }

  /** Returns the members of a `submit` that leaves nothing waiting. */
  forSubmit(): { cursor?: C } {
    this.#told = this.cursor;
    return this.cursor === null ? {} : { cursor: this.cursor };
  }

  /** Returns the members of a `presence` to send now, or null when there is no need yet. */
  due(): { cursor: C | null; user?: User } | null {
    if (this.#userTold && this.#same()) return null;
    const wait = this.#sentAt + this.#every - this.#clock.now();
    if (wait > 0) {
      this.#timer ??= this.#clock.after(wait, () => {
        this.#timer = undefined;
        this.#wake();
      });
      return null;
    }
    this.#sentAt = this.#clock.now();
    this.#told = this.cursor;
    const user = this.#user && !this.#userTold ? { user: this.#user } : {};
    this.#userTold = true;
    return { cursor: this.cursor, ...user };
  }

  stop(): void {
    this.#clock.cancel(this.#timer);
    this.#timer = undefined;
  }

  #same(): boolean {
    if (this.cursor === null || this.#told === null) return this.cursor === this.#told;
    return this.#type().sameCursor(this.cursor, this.#told);
  }
}
