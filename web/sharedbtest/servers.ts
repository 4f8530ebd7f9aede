// The servers that the tests run against: ShareDB's own, which says what is right, and
// the `quire` binary, which has to do the same.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server as HttpServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Duplex } from "node:stream";

import { WebSocketServer, type WebSocket } from "ws";

const require = createRequire(import.meta.url);

/** A server of the ShareDB protocol, whose data outlives a kill. */
export interface Server {
  readonly name: string;
  /** Where its WebSocket is. It stays the same over a kill and a start. */
  readonly url: string;
  /** Ends it at once, without any farewell: connections break. */
  kill(): Promise<void>;
  /** Starts it again, with the data that it had. */
  start(): Promise<void>;
  /** Ends it and removes its data. */
  close(): Promise<void>;
}

/** ShareDB's own server behind a WebSocket, with the memory database of its tests, which knows simple queries. */
export class Reference implements Server {
  readonly name = "sharedb";
  readonly #backend: { listen(stream: Duplex): void; close(): void };
  #http: HttpServer | undefined;
  #sockets = new Set<WebSocket>();
  #port = 0;

  private constructor() {
    const Backend = require("sharedb/lib/backend");
    const Database = require("sharedb/test/BasicQueryableMemoryDB");
    this.#backend = new Backend({ db: new Database(), presence: true, doNotForwardSendPresenceErrorsToClient: true, errorHandler: () => {} });
  }

  static async start(): Promise<Reference> {
    const server = new Reference();
    await server.start();
    return server;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#port}/sharedb`;
  }

  async start(): Promise<void> {
    const http = createServer();
    new WebSocketServer({ server: http, path: "/sharedb" }).on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket)).on("error", () => {});
      this.#backend.listen(streamOf(socket));
    });
    http.listen(this.#port, "127.0.0.1");
    await once(http, "listening");
    this.#http = http;
    this.#port = (http.address() as AddressInfo).port;
  }

  async kill(): Promise<void> {
    const http = this.#http;
    this.#http = undefined;
    if (!http) return;
    for (const socket of this.#sockets) socket.terminate();
    http.closeAllConnections();
    const closed = once(http, "close");
    http.close();
    await closed;
  }

  async close(): Promise<void> {
    await this.kill();
    this.#backend.close();
  }
}

/** Makes of a WebSocket the stream of objects that ShareDB's server listens to. */
function streamOf(socket: WebSocket): Duplex {
  const stream = new Duplex({
    objectMode: true,
    read() {},
    write(message, _, done) {
      if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message));
      done();
    },
    final(done) {
      socket.close();
      done();
    },
  });
  socket.on("message", (data) => stream.push(JSON.parse(String(data))));
  socket.on("close", () => {
    stream.push(null);
    stream.destroy();
  });
  return stream;
}

/** The binary, which `npm run test:sharedb` builds. Tests run in web/. */
const binary = process.env["SHAREDBTEST_BINARY"] ?? ".build/sharedb/quire";

/** One `quire` process on a data folder of its own, which survives the process. */
export class Quire implements Server {
  readonly name = "quire";
  readonly #folder = mkdtempSync(join(tmpdir(), "quire-data-"));
  readonly #flags: readonly string[];
  #process: ChildProcess | undefined;
  #port = 0;

  private constructor(flags: readonly string[]) {
    this.#flags = flags;
  }

  static async start(...flags: string[]): Promise<Quire> {
    const server = new Quire(flags);
    await server.start();
    return server;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#port}/sharedb`;
  }

  /** Where its pages and its HTTP API are. */
  get http(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const args = ["serve", "--listen", `127.0.0.1:${this.#port}`, "--data", join(this.#folder, "data"), "--log-level", process.env["SHAREDBTEST_LOG"] ?? "error", ...this.#flags];
    const child = spawn(binary, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#process = child;
    for await (const line of createInterface({ input: child.stdout! })) {
      const port = /^Quire is at http:\/\/127\.0\.0\.1:(\d+)\//.exec(line)?.[1];
      if (!port) continue;
      this.#port = Number(port);
      child.stdout!.resume();
      return;
    }
    throw new Error("the server ended before it said where it is");
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The kinds of servers to test: SHAREDBTEST_SERVERS, a list such as "sharedb,quire", or both. */
export const kinds = [
  { name: "sharedb", start: (): Promise<Server> => Reference.start() },
  { name: "quire", start: (): Promise<Server> => Quire.start() },
].filter(({ name }) => (process.env["SHAREDBTEST_SERVERS"] ?? "sharedb,quire").split(",").includes(name));
