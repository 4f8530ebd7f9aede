// A small model of the server, true to docs/protocol.md: it orders, removes
// duplicates, transforms over what each reader was or will be sent, and
// composes for readers at random where it has not transformed for them.

import type { AnyType } from "../index.js";
import type { ClientMessage, ErrorClass, Item, Role } from "../message.js";
import type { Random } from "./random.js";

interface Entry {
  op: unknown;
  client: string;
  seq: number;
}

interface Present {
  user: unknown;
  cursor: unknown;
}

/** What one opening was sent and will be sent: pieces [from, to) in order. */
interface Reader {
  connection: ServerSide;
  client: string;
  at: number;
  pieces: { from: number; to: number }[];
  told: Map<string, string>;
  /** Below it nothing is composed: a submission was transformed over it. */
  single: number;
}

type Message = ClientMessage & Record<string, any>;

export interface ServerSide {
  send(message: unknown): void;
}

export const limits = { message: 4096, document: 1 << 20, run: 4, docs: 8, ranges: 8, presence: 4096 };

/** A server of one document, called "d". */
export class Server {
  /** The document as its type holds it. */
  content: any;
  inc = "inc1";
  /** The oldest revision that can be gone on from. */
  oldest = 0;
  readonly log: Entry[] = [];
  /** Operations from here on are accepted but not durable. */
  head = 0;
  saved = true;
  /** Code and class of the error that the next request is to be refused with. */
  fault: { code: string; class: ErrorClass } | null = null;
  readonly people = new Map<string, Present>();
  readonly #readers: Reader[] = [];
  readonly #rnd: Random;
  #tip: unknown;
  readonly #type: AnyType;
  /** What each connection may do; everything when absent. */
  readonly #roles = new Map<ServerSide, Role | "none">();
  /** The tokens that were sent to renew, on any connection. */
  readonly tokens: string[] = [];
  /** Operations that were refused for want of a right, by client and seq. */
  readonly refused: string[] = [];
  /** How many submissions were refused because a composite was on its way. */
  stale = 0;

  constructor(rnd: Random, type: AnyType, content: unknown) {
    this.#rnd = rnd;
    this.#type = type;
    this.content = this.#tip = type.create(content);
  }

  get quiet(): boolean {
    return this.head === this.log.length && this.#readers.every((reader) => reader.at === this.head && !this.#news(reader));
  }

  greet(connection: ServerSide): void {
    connection.send({ t: "hello", v: 1, server: "model", instance: "m", ping: 25_000, limits });
  }

  /** Makes everything accepted durable. */
  commit(): void {
    for (; this.head < this.log.length; this.head++) {
      const { op, client } = this.log[this.head]!;
      this.content = this.#type.apply(this.content, op);
      for (const [who, present] of this.people) {
        present.cursor = this.#type.transformCursor(present.cursor, op, who === client ? "right" : "left");
      }
    }
  }

  /** Sends one reader some of what it has not had. */
  deliver(): void {
    const reader = this.#readers[this.#rnd.int(this.#readers.length)];
    if (!reader) return;
    this.#decide(reader, this.head);
    const ready = reader.pieces.filter((piece) => piece.from >= reader.at && piece.to <= this.head);
    const pieces = ready.slice(0, 1 + this.#rnd.int(3));
    if (pieces.length > 0) {
      const ops = pieces.map(({ from, to }): Item => {
        const { op, client, seq } = this.log[from]!;
        return to === from + 1 ? { c: client, s: seq, op } : { n: to - from, op: this.#composed(from, to) };
      });
      reader.connection.send({ t: "ops", doc: "d", rev: reader.at, ops });
      reader.at = pieces.at(-1)!.to;
      if (pieces.some(({ from, to }) => to > from + 1)) reader.told = new Map([["nobody", ""]]);
    }
    const news = reader.at === this.head ? this.#news(reader) : null;
    if (news) {
      reader.connection.send({ t: "presence", doc: "d", rev: reader.at, ...news });
      reader.told = this.#presence(reader.client);
    }
  }

  /** Gives or takes a right. */
  grant(connection: ServerSide, role: Role | "none"): void {
    this.#roles.set(connection, role);
    for (const reader of this.#readers.filter((reader) => reader.connection === connection)) {
      if (role !== "none") {
        connection.send({ t: "rights", doc: "d", role });
        continue;
      }
      this.#leave(reader);
      connection.send({ t: "error", doc: "d", code: "forbidden", class: "fatal", message: "forbidden" });
    }
  }

  /** The connection is gone. */
  drop(connection: ServerSide): void {
    for (const reader of this.#readers.filter((reader) => reader.connection === connection)) this.#leave(reader);
  }

  receive(connection: ServerSide, message: Message): void {
    const reader = this.#readers.find((reader) => reader.connection === connection);
    const role = this.#roles.get(connection);
    const fail = (code: string, errorClass: ErrorClass, more = {}) =>
      connection.send({ t: "error", doc: "d", code, class: errorClass, message: code, ...more });
    if (message.t === "ping") return connection.send({ t: "pong" });
    if (message.t === "auth") return void this.tokens.push(message.token);
    if (message.t === "open" && role === "none") return fail("not_found", "fatal");
    if (message.t === "open") return this.#open(connection, message, fail);
    if (!reader) return fail("not_open", "fatal");
    switch (message.t) {
      case "submit":
        if (role === "read") {
          this.refused.push(`${reader.client} ${message.seq}`);
          return fail("forbidden", "fatal", { seq: message.seq });
        }
        return this.#submit(reader, message, (code, errorClass) => fail(code, errorClass, { seq: message.seq }));
      case "presence": {
        let cursor = message.cursor;
        for (const { op } of this.log.slice(message.base, this.head)) cursor = this.#type.transformCursor(cursor, op, "left");
        this.people.set(reader.client, { user: message.user ?? this.people.get(reader.client)?.user, cursor });
        return;
      }
      case "check":
        if (reader.at === this.head) connection.send({ t: "check", doc: "d", rev: this.head, sum: this.#type.checksum(this.content) });
        return;
      case "close":
        this.#leave(reader);
        return connection.send({ t: "closed", doc: "d" });
    }
  }

  #open(connection: ServerSide, message: Message, fail: (code: string, errorClass: ErrorClass) => void): void {
    const { client } = message;
    for (const reader of this.#readers.filter((reader) => reader.client === client)) {
      this.#leave(reader);
      reader.connection.send({ t: "error", doc: "d", code: "replaced", class: "fatal", message: "replaced" });
    }
    if (this.#readers.some((reader) => reader.connection === connection)) return fail("already_open", "fatal");
    if (this.fault) {
      fail(this.fault.code, this.fault.class);
      this.fault = null;
      return;
    }
    const own = (to: number) => this.log.slice(0, to).reduce((seq, entry) => (entry.client === client ? entry.seq : seq), 0);
    const common = { t: "opened", doc: "d", client, role: this.#roles.get(connection), type: this.#type.name, inc: this.inc, seq: own(this.head), head: this.head };
    let at = this.head;
    if (message.inc === undefined) {
      connection.send({ ...common, rev: at, content: this.#type.content(this.content), sum: this.#type.checksum(this.content) });
    } else {
      if (message.inc !== this.inc) return fail("incarnation", "fatal");
      if (message.rev < this.oldest) return fail("gone", "fatal");
      if (message.rev > this.head) return fail("future", "fatal");
      if (message.seq !== own(message.rev)) return fail("mismatch", "fatal");
      at = message.rev;
      connection.send({ ...common, rev: at, resumed: true });
    }
    if (message.user) this.people.set(client, { user: message.user, cursor: [] });
    const single = this.log.reduce((last, entry, i) => (entry.client === client ? i + 1 : last), 0);
    this.#readers.push({ connection, client, at, pieces: [], told: new Map([["nobody", ""]]), single });
  }

  #submit(reader: Reader, message: Message, fail: (code: string, errorClass: ErrorClass) => void): void {
    const { base, seq } = message;
    const ops: unknown[] = message["ops"];
    const mine = this.log.filter((entry) => entry.client === reader.client).length;
    if (JSON.stringify(message).length > limits.message) throw new Error("a message larger than the limit");
    if (ops.length > limits.run) throw new Error("a run longer than the limit");
    if (this.fault) {
      fail(this.fault.code, this.fault.class);
      this.fault = null;
      return;
    }
    if (seq + ops.length - 1 <= mine) return; // meets it in the stream
    if (seq !== mine + 1) throw new Error(`seq ${seq} after ${mine}`);
    if (reader.pieces.some(({ from, to }) => to > base && to > from + 1)) {
      this.stale++;
      return fail("stale", "resync");
    }
    reader.single = this.log.length + ops.length;
    let xs = this.log.slice(base).map(({ op }) => op);
    const out: unknown[] = [];
    for (const op of ops) {
      let p = this.#type.operation(op);
      xs = xs.map((x) => {
        const moved = this.#type.transform(x, p, "left");
        p = this.#type.transform(p, x, "right");
        return moved;
      });
      out.push(p);
    }
    let cursor = message["cursor"];
    out.forEach((op, i) => {
      this.#tip = this.#type.apply(this.#tip, op);
      this.log.push({ op, client: reader.client, seq: seq + i });
    });
    if (!cursor) return;
    for (const x of xs) cursor = this.#type.transformCursor(cursor, x, "left");
    this.commit();
    this.people.set(reader.client, { user: this.people.get(reader.client)?.user, cursor });
  }

  #composed(from: number, to: number): unknown {
    return this.log.slice(from, to).map(({ op }) => op).reduce((all, op) => this.#type.compose(all, op));
  }

  /** Fixes in which pieces a reader gets everything up to `to`. */
  #decide(reader: Reader, to: number): void {
    let from = reader.pieces.at(-1)?.to ?? reader.at;
    while (from < to) {
      const most = 1 + this.#rnd.int(4);
      let end = from + 1;
      if (this.log[from]!.client !== reader.client && from >= reader.single) {
        while (end < to && end - from < most && this.log[end]!.client !== reader.client) end++;
      }
      reader.pieces.push({ from, to: end });
      from = end;
    }
  }

  #presence(except: string): Map<string, string> {
    const entries = [...this.people].filter(([client]) => client !== except);
    return new Map(entries.map(([client, { user, cursor }]) => [client, JSON.stringify({ c: client, user, cursor })]));
  }

  #news(reader: Reader): object | null {
    const now = this.#presence(reader.client);
    const full = reader.told.has("nobody");
    const set = [...now].filter(([client, entry]) => full || reader.told.get(client) !== entry).map(([, entry]) => JSON.parse(entry));
    const gone = full ? [] : [...reader.told.keys()].filter((client) => !now.has(client));
    return full || set.length > 0 || gone.length > 0 ? { full, set, gone } : null;
  }

  #leave(reader: Reader): void {
    this.#readers.splice(this.#readers.indexOf(reader), 1);
    this.people.delete(reader.client);
  }
}
