// The messages of `quire.v1`, one type each. Sections refer to docs/protocol.md.

/** Limits a server names in its `hello` (section 1). Sizes are bytes, `run`, `docs` and `ranges` are counts. */
export interface Limits {
  readonly message: number;
  readonly document: number;
  readonly run: number;
  readonly docs: number;
  readonly ranges: number;
  readonly presence: number;
}

/** A person, as shown to others: a name of at most 64 bytes and a colour `#rrggbb`. */
export interface User {
  readonly name: string;
  readonly color: string;
  /** Who they are recorded as: said by servers that know it, of others. */
  readonly author?: string;
}

/** What somebody may do with a document that is open. */
export type Role = "read" | "write" | "admin";

/** What an error tells its receiver to do (section 7). */
export type ErrorClass = "retry" | "resync" | "fatal";

export interface HelloMessage {
  t: "hello";
  v: number;
  server: string;
  instance: string;
  ping: number;
  limits: Limits;
}

/** Who the client is, and for how many milliseconds the server takes its word; for ever when absent. */
export interface YouMessage {
  t: "you";
  author: string;
  name: string;
  expires?: number;
}

export interface OpenedMessage {
  t: "opened";
  doc: string;
  client: string;
  type: string;
  inc: string;
  rev: number;
  seq: number;
  resumed?: boolean;
  head?: number;
  content?: unknown;
  sum?: string;
  role?: Role;
}

/** One item takes a document on by `n` revisions (1 when absent); `c` and `s` name its author's client and seq. */
export interface Item {
  c?: string;
  s?: number;
  n?: number;
  op: unknown;
}

export interface OpsMessage {
  t: "ops";
  doc: string;
  rev: number;
  ops: Item[];
}

export interface PresenceEntry {
  c: string;
  user?: User;
  cursor?: unknown;
}

export interface PresenceMessage {
  t: "presence";
  doc: string;
  rev: number;
  full?: boolean;
  set?: PresenceEntry[];
  gone?: string[];
}

export interface ErrorMessage {
  t: "error";
  doc?: string;
  code: string;
  class: ErrorClass;
  seq?: number;
  message: string;
}

/** Everything a server may send about one document. */
export type DocumentMessage =
  | OpenedMessage
  | OpsMessage
  | PresenceMessage
  | ErrorMessage
  | { t: "ack"; doc: string; seq: number; rev: number }
  | { t: "check"; doc: string; rev: number; sum: string }
  | { t: "status"; doc: string; saved: boolean }
  | { t: "rights"; doc: string; role: Role }
  | { t: "closed"; doc: string };

/** Everything a client may send. */
export type ClientMessage =
  | { t: "ping" }
  | { t: "auth"; token: string }
  | { t: "open"; doc: string; client: string; create?: string; inc?: string; rev?: number; seq?: number; user?: User }
  | { t: "submit"; doc: string; base: number; seq: number; ops: readonly unknown[]; cursor?: unknown }
  | { t: "presence"; doc: string; base: number; cursor: unknown; user?: User }
  | { t: "check"; doc: string }
  | { t: "close"; doc: string };
