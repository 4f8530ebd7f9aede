// What ShareDB's tests get for `new Backend()`: something that can only connect, over a
// WebSocket, to a server that runs somewhere else. A test that asks for more is skipped
// on the spot, and what it asked for is written down.

import { createRequire } from "node:module";

import type { Connection } from "sharedb/lib/client";

import type { Server } from "../servers.js";
import { Wire } from "../wire.js";
import { dressed, undressed } from "./dress.js";

const require = createRequire(import.meta.url);
/** Whether the running test has set the clock of its process, which ShareDB's own server would share. */
const sinonClock = () => Boolean(require("sinon").clock);
const RealBackend = require("sharedb/lib/backend");
const RealConnection = require("sharedb/lib/client/connection");

/** The types that both servers know, by what clients call them. */
const known = new Set(["json0", "text0", "text-unicode", "rich-text"].flatMap((name) => {
  const type = { json0: require("ot-json0").type, text0: require("ot-json0/lib/text0"), "text-unicode": require("ot-text-unicode").type, "rich-text": require("rich-text").type }[name];
  return [type.name, type.uri];
}));

/** What the test that runs now has: set by the runner. */
export const present: {
  server: Server | undefined;
  /** Ends the running test as skipped. Does not return. */
  needs: (what: string) => never;
  /** Whether the running test's documents have ShareDB's test type for presence, which goes over the wire as rich text. */
  dressed: boolean;
  wires: Set<Wire>;
} = { server: undefined, needs: () => { throw new Error("no test is running"); }, dressed: false, wires: new Set() };

type Middleware = (request: object, next: (error?: unknown) => void) => void;

/** A connection's socket, which delays what the test's own middleware delays. */
class TestWire extends Wire {
  readonly #sendPresence: Middleware[];
  readonly #connection: () => Connection | undefined;
  /** What was sent too early: ShareDB's socket inside the process takes messages at once. */
  #early: string[] = [];

  constructor(url: string, sendPresence: Middleware[], connection: () => Connection | undefined) {
    super(url);
    this.#sendPresence = sendPresence;
    this.#connection = connection;
  }

  protected override opened(): void {
    super.opened();
    for (const data of this.#early.splice(0)) this.send(data);
  }

  /** Tests reach here for the stream inside ShareDB's own server. */
  get stream(): never {
    return present.needs("socket.stream");
  }

  override send(data: string): void {
    if (this.readyState === 0) return void this.#early.push(data);
    const message = JSON.parse(data);
    const out = present.dressed ? dressed(message) : message;
    if (out.create?.type && !known.has(out.create.type)) present.needs("types.register");
    if (out.a === "nt" && out.ts !== null && sinonClock()) present.needs("clock");
    super.send(JSON.stringify(out));
  }

  protected override arrived(data: string): void {
    const message = present.dressed ? undressed(JSON.parse(data)) : JSON.parse(data);
    const deliver = () => this.readyState === 1 && this.onmessage({ data: JSON.stringify(message) });
    const own = message.a !== "p" || message.error || message.src === this.#connection()?.id;
    if (own) return void deliver();
    const pass = (i: number): void => {
      const middleware = this.#sendPresence[i];
      if (!middleware) return void deliver();
      middleware({ action: "sendPresence", presence: message }, (error) => (error ? present.needs(`backend.use("sendPresence")`) : pass(i + 1)));
    };
    pass(0);
  }
}

/** What both kinds of Backend have, as tests read it. */
const constants = ["MIDDLEWARE_ACTIONS", "SNAPSHOT_TYPES"];

class RemoteBackend {
  readonly #server: Server | undefined;
  /** What this cannot be, if anything. */
  readonly #needs: string;
  readonly #sendPresence: Middleware[] = [];

  constructor(options: Record<string, unknown> = {}) {
    const [other] = Object.keys(options).filter((name) => name !== "presence");
    this.#needs = other ? `new Backend({${other}})` : "two backends";
    if (other) return;
    this.#server = present.server;
    present.server = undefined;
  }

  connect(connection?: any, request?: unknown, callback?: (connection: any) => void): unknown {
    if (request) present.needs("backend.connect(request)");
    const url = this.#server?.url ?? present.needs(this.#needs);
    const wire = new TestWire(url, this.#sendPresence, () => connection);
    present.wires.add(wire);
    if (connection) connection.bindToSocket(wire);
    else connection = new RealConnection(wire);
    Object.defineProperty(connection, "agent", { configurable: true, get: () => present.needs("connection.agent"), set: () => {} });
    if (callback) connection.once("connected", () => callback(connection));
    return connection;
  }

  use(action: string, middleware: Middleware): void {
    if (action !== "sendPresence") present.needs(`backend.use("${action}")`);
    this.#sendPresence.push(middleware);
  }

  close(callback: () => void = () => {}): void {
    setImmediate(callback);
  }
}

function guarded(backend: RemoteBackend): unknown {
  return new Proxy(backend, {
    get(target, name) {
      if (constants.includes(String(name))) return RealBackend.prototype[name];
      if (name === "connect" || name === "use" || name === "close") return target[name].bind(target);
      if (typeof name === "symbol" || name === "then" || name === "inspect") return undefined;
      return present.needs(`backend.${name}`);
    },
    set(_, name, value) {
      // What a Backend does anyhow may be asked for.
      if (name === "doNotCommitNoOps" && value === false) return true;
      return present.needs(`backend.${String(name)}`);
    },
  });
}

/** Stands in for the class Backend. */
export const Backend = new Proxy(function () {} as unknown as typeof RemoteBackend, {
  construct: (_, [options]) => guarded(new RemoteBackend(options)) as object,
  get: (target, name) => (name === "prototype" ? new Proxy(target.prototype, { get: (_, method) => (typeof method === "symbol" ? undefined : present.needs(`backend.${method}`)) }) : Reflect.get(target, name)),
});
