// Unsent edits that outlive their page. The rule that keeps this correct: an
// entry belongs to one client id, and only the page that holds the lock of that
// id may write the entry or speak to the server under that id.

import type { Clock } from "./clock.js";
import type { Connection } from "./connection.js";
import type { Document, Draft, Unsent } from "./document.js";
import type { Type } from "./type.js";

/** The part of the browser's Storage that is used. */
export interface KeyStore {
  readonly length: number;
  key(index: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** The part of the browser's LockManager that is used (Web Locks API, W3C). Locks end with the page that holds them. */
export interface Locks {
  request(name: string, options: { ifAvailable: true }, hold: (lock: unknown) => Promise<void>): Promise<unknown>;
}

/** Milliseconds for which edits may be unsaved before they are kept here as well, and between two writes. */
const keepAfter = 1_000;

/** The same after a write that did not succeed: a text too large for the storage costs time at every attempt. */
const keepAfterFailure = 30_000;

const prefix = "quire:unsent:";
const keyOf = (doc: string, client: string) => `${prefix}${encodeURIComponent(doc)}:${client}`;
const lockOf = (client: string) => `quire:client:${client}`;

/** Unsent edits as they are kept, with whose they are where that is known. */
export interface Kept extends Unsent {
  readonly by?: string;
}

/**
 * Keeps the unsent edits of one document in storage for as long as there are
 * any. Call `changed` from the document's `state` event, `sending` from its
 * `sending` event, and `flush` when the page is about to go.
 */
export class Keeper {
  readonly #storage: KeyStore;
  readonly #locks: Locks;
  readonly #clock: Clock;
  #document: Pick<Document<any, any, any>, "unsent" | "client"> | undefined;
  #locked: string | undefined; // the client id whose lock is held
  #release: (() => void) | undefined;
  #key: string | undefined; // of the entry in storage
  #timer: unknown;
  #failed = false; // the last write
  #renamed: string | undefined; // the document's new id
  readonly #by: string | undefined;

  /** `by` is who makes the edits, where that is known: kept with them. */
  constructor(storage: KeyStore, locks: Locks, clock: Clock, by?: string) {
    this.#by = by;
    this.#storage = storage;
    this.#locks = locks;
    this.#clock = clock;
  }

  /** Whether everything unsent was in storage when it was last looked at. */
  get kept(): boolean {
    return this.#key !== undefined || !this.#document?.unsent;
  }

  /**
   * Begins to keep `document`. With `owned`, the caller holds the lock of its
   * client id, and the entry in storage is this document's.
   */
  watch(document: Pick<Document<any, any, any>, "unsent" | "client" | "id">, owned = false): void {
    this.#document = document;
    if (owned) {
      this.#locked = document.client;
      this.#key = keyOf(document.id, document.client);
    }
    this.changed();
  }

  /** Something about the document changed. */
  changed(): void {
    const document = this.#document;
    if (!document) return;
    if (this.#locked !== document.client) this.#lock(document.client);
    if (document.unsent) {
      this.#timer ??= this.#clock.after(this.#failed ? keepAfterFailure : keepAfter, () => this.flush());
    } else {
      this.#stop();
    }
  }

  /** A run is about to be sent for the first time: an entry must never be behind what the server may have. */
  sending(): void {
    if (this.#key !== undefined) this.flush();
  }

  /** The document has another id now: keeps what is unsent for that one. */
  follow(doc: string): void {
    this.#stop();
    this.#renamed = doc;
    this.flush();
  }

  /** Writes what is unsent now. */
  flush(): void {
    this.#clock.cancel(this.#timer);
    this.#timer = undefined;
    const here = this.#document?.unsent;
    if (!here || this.#locked !== here.client) return;
    const unsent: Kept = { ...here, doc: this.#renamed ?? here.doc, ...(this.#by === undefined ? {} : { by: this.#by }) };
    const key = keyOf(unsent.doc, unsent.client);
    try {
      this.#storage.setItem(key, JSON.stringify(unsent));
      this.#key = key;
      this.#failed = false;
    } catch {
      this.#failed = true;
      this.#storage.removeItem(key); // full: rather nothing than something old
      this.#key = undefined;
    }
  }

  /** Takes the entry out of storage and lets the lock go. */
  forget(): void {
    this.#stop();
    this.#document = undefined;
    this.#release?.();
  }

  /** Lets the lock go and leaves the entry in storage, for later. */
  leave(): void {
    this.flush();
    this.#document = undefined;
    this.#release?.();
  }

  #stop(): void {
    this.#clock.cancel(this.#timer);
    this.#timer = undefined;
    if (this.#key !== undefined) this.#storage.removeItem(this.#key);
    this.#key = undefined;
  }

  #lock(client: string): void {
    this.#stop(); // what is there is of a client id that is no longer used
    this.#release?.();
    this.#release = this.#locked = undefined;
    void this.#locks.request(lockOf(client), { ifAvailable: true }, (lock) => {
      if (lock === null || this.#document?.client !== client) return Promise.resolve();
      this.#locked = client;
      return new Promise<void>((release) => (this.#release = release));
    });
  }
}

/** Returns how many entries of unsent edits there are, by document. */
export function countUnsent(storage: KeyStore): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys(storage)) {
    const doc = decodeURIComponent(key.slice(prefix.length, key.lastIndexOf(":")));
    counts.set(doc, (counts.get(doc) ?? 0) + 1);
  }
  return counts;
}

/**
 * Sends unsent edits that were kept, through a connection that does not have
 * their document open, under the client id that made them. Settles when they
 * are on the server's disk or handed to `onDraft`; the entry is gone then. It stays
 * when the person may only read the document now. The
 * caller holds the lock, as within `recoverUnsent`.
 */
export function sendUnsent<O>(
  connection: Connection,
  type: Type<any, O, any>,
  unsent: Unsent,
  keeper: Keeper,
  onDraft: (draft: Draft<O>) => void,
): Promise<void> {
  return new Promise((resolve) => {
    let over = false;
    const end = (settle: () => void) => {
      if (over) return;
      over = true;
      settle();
      document.close();
      resolve();
    };
    const document: Document<any, O, any> = connection.open(unsent.doc, type, {
      unsent,
      events: {
        sending: () => keeper.sending(),
        state: ({ kind }) => {
          if (kind === "saved" || kind === "closed") end(() => keeper.forget());
          else if (kind === "saving" && document.role === "read") end(() => keeper.leave());
          else keeper.changed();
        },
        draft: (draft) => {
          onDraft(draft);
          document.close();
        },
      },
    });
    keeper.watch(document, true);
  });
}

/**
 * Hands unsent edits that were kept to `onDraft` instead of sending them, and takes their entry out of storage. The
 * caller holds the lock, as within `recoverUnsent`. Throws OperationError when they are not of the type; the entry
 * stays then.
 */
export function putAside<D, O>(
  storage: KeyStore,
  type: Type<D, O, any>,
  unsent: Unsent,
  why: Pick<Draft<O>, "code" | "message">,
  onDraft: (draft: Draft<O>) => void,
): void {
  const ops = [...unsent.flight, ...unsent.waiting].map(({ op }) => type.operation(op));
  onDraft({ doc: unsent.doc, type: type.name, ...why, text: type.plain(type.create(unsent.content)), content: unsent.content, ops });
  storage.removeItem(keyOf(unsent.doc, unsent.client));
}

/**
 * Calls `send` with every entry of `doc` that no living page owns, one after
 * another, holding its lock until `send`, which is to be `sendUnsent` or to call `putAside`, settles.
 */
export async function recoverUnsent(
  storage: KeyStore,
  locks: Locks,
  doc: string,
  send: (unsent: Kept) => Promise<void>,
): Promise<void> {
  for (const key of keys(storage).filter((key) => key.startsWith(keyOf(doc, "")))) {
    await locks.request(lockOf(key.slice(key.lastIndexOf(":") + 1)), { ifAvailable: true }, async (lock) => {
      const entry = storage.getItem(key);
      if (lock !== null && entry !== null) await send(JSON.parse(entry) as Kept);
    });
  }
}

function keys(storage: KeyStore): string[] {
  return Array.from({ length: storage.length }, (_, i) => storage.key(i) ?? "").filter((key) => key.startsWith(prefix));
}
