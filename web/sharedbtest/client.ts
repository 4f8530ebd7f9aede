// A ShareDB client: the unmodified Connection of npm's `sharedb`, with promises around it.

import { once } from "node:events";
import { createRequire } from "node:module";

import type { Connection, Doc, Query, Snapshot } from "sharedb/lib/client";

import type { Server } from "./servers.js";
import { Wire } from "./wire.js";

const require = createRequire(import.meta.url);

/** ShareDB's client as applications load it. */
export const sharedb: typeof import("sharedb/lib/client") = require("sharedb/lib/client");

/** The types, each registered as an application does. json0 is registered by ShareDB itself. */
export const types = {
  json0: require("ot-json0").type,
  text0: require("ot-json0/lib/text0"),
  richText: require("rich-text").type,
  textUnicode: require("ot-text-unicode").type,
};
// Lost messages and refused operations are what happens here on purpose.
sharedb.logger.setMethods({ info: () => {}, warn: () => {}, error: () => {} });
for (const type of [types.text0, types.richText, types.textUnicode]) sharedb.types.register(type);

/** What Node's callbacks end with. */
type Callback<T extends unknown[]> = (error: any, ...values: T) => void;

/** Calls a function that wants a callback at its end. */
export function called<T = void>(start: (callback: Callback<[T]>) => void): Promise<T> {
  return new Promise((resolve, reject) => start((error, value) => (error ? reject(error) : resolve(value))));
}

/** One client of a server, which can lose its connection and connect again. */
export class Client {
  readonly connection: Connection;
  /** Every error that no callback was there for. */
  readonly errors: unknown[] = [];
  readonly #server: Server;
  readonly #protocols: string[];
  #wire: Wire;

  /** With the subprotocols that it offers: a browser's way to say who it is. */
  constructor(server: Server, protocols: string[] = []) {
    this.#server = server;
    this.#protocols = protocols;
    this.#wire = new Wire(server.url, protocols);
    this.connection = new sharedb.Connection(this.#wire as never);
    this.connection.on("error", (error) => this.errors.push(error));
    this.connection.on("doc" as never, ((doc: Doc) => void doc.on("error", (error) => this.errors.push(error))) as never);
  }

  get wire(): Wire {
    return this.#wire;
  }

  get online(): boolean {
    return this.#wire.readyState < 2;
  }

  get(id: string, collection = "notes"): Doc {
    return this.connection.get(collection, id);
  }

  /** Connects again after the connection broke. */
  reconnect(): void {
    this.#wire = new Wire(this.#server.url, this.#protocols);
    (this.connection as any).bindToSocket(this.#wire);
  }

  /** Holds nothing back any more, connects until the server answers, and returns when nothing is left to send. */
  async settle(): Promise<void> {
    this.#wire.release();
    while (this.connection.state !== "connected") {
      if (!this.online) this.reconnect();
      await once(this.connection as never, "state");
    }
    await new Promise<void>((resolve) => this.connection.whenNothingPending(resolve));
  }

  /** Returns when `done` holds; it is asked again whenever something has arrived. */
  async until(done: () => boolean): Promise<void> {
    const signal = AbortSignal.timeout(60_000);
    while (!done()) {
      await once(this.connection as never, "receive", { signal }).catch((error) => {
        throw signal.aborted ? new Error(`for a minute it did not come about that ${done}; the connection is ${this.connection.state}`) : error;
      });
      await new Promise(setImmediate); // what arrived is worked in now
    }
  }

  fetch(doc: Doc): Promise<void> {
    return called((callback) => doc.fetch(callback));
  }

  subscribe(doc: Doc): Promise<void> {
    return called((callback) => doc.subscribe(callback));
  }

  create(doc: Doc, data: unknown, type: { uri?: string } = types.json0): Promise<void> {
    return called((callback) => doc.create(data, type.uri as never, callback));
  }

  submit(doc: Doc, op: unknown): Promise<void> {
    return called((callback) => doc.submitOp(op as never, undefined as never, callback));
  }

  del(doc: Doc): Promise<void> {
    return called((callback) => doc.del({}, callback));
  }

  snapshot(id: string, version: number | null, collection = "notes"): Promise<Snapshot> {
    return called((callback) => this.connection.fetchSnapshot(collection, id, version, callback));
  }

  snapshotAt(id: string, time: number | null, collection = "notes"): Promise<Snapshot> {
    return called((callback) => this.connection.fetchSnapshotByTimestamp(collection, id, time, callback));
  }

  query(collection: string, query: unknown, live: boolean): Promise<Query> {
    return new Promise((resolve, reject) => {
      const make = live ? "createSubscribeQuery" : "createFetchQuery";
      const made: Query = this.connection[make](collection, query, null, (error) => (error ? reject(error) : resolve(made)));
    });
  }

  /** Sends a message as it is, and returns the first answer that `wanted` takes. */
  async exchange(message: object, wanted: (answer: any) => boolean): Promise<any> {
    await this.until(() => this.connection.state === "connected");
    return new Promise((resolve) => {
      const receive = ({ data }: { data: any }) => {
        if (!wanted(data)) return;
        this.connection.off("receive" as never, receive as never);
        resolve(structuredClone(data));
      };
      this.connection.on("receive" as never, receive as never);
      this.connection.send(message as never);
    });
  }

  close(): void {
    this.connection.close();
  }
}

/** Returns what a client that was never there before fetches: type, version and content. */
export async function fetched(server: Server, id: string, collection = "notes"): Promise<{ type: string | null; version: number; data: any }> {
  const client = new Client(server);
  try {
    const doc = client.get(id, collection);
    await client.fetch(doc);
    return state(doc);
  } finally {
    client.close();
  }
}

/** Returns what a client has of a document, as plain JSON. */
export function state(doc: Doc): { type: string | null; version: number; data: any } {
  const data = doc.data === undefined ? undefined : JSON.parse(JSON.stringify(doc.data));
  return { type: (doc.type as { uri?: string } | null)?.uri ?? null, version: doc.version!, data };
}
