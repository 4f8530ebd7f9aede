// What the browser tests share: the real server, the real browser, and a
// connection between them that can be cut.

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after } from "node:test";

import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";

import { richText, type DeltaDoc, type DeltaOp } from "../client/delta.js";
import { Connection, text, type TextOp, type Type } from "../client/index.js";

const folder = mkdtempSync(join(tmpdir(), "quire-browsertest-"));

/** The program that is driven: BROWSERTEST_BINARY, or what the sources make. */
export const binary = process.env["BROWSERTEST_BINARY"] ?? join(folder, "quire");

/** Where screenshots go: BROWSERTEST_SHOTS, or the tests' own temporary folder. */
const shots = process.env["BROWSERTEST_SHOTS"] ?? join(folder, "shots");
mkdirSync(shots, { recursive: true });

// Tests run in web/; the module's root is above it.
if (!process.env["BROWSERTEST_BINARY"]) execFileSync("go", ["build", "-trimpath", "-o", binary, "./cmd/quire"], { cwd: "..", env: { ...process.env, CGO_ENABLED: "0" }, stdio: ["ignore", "inherit", "inherit"] });

/** How many milliseconds are waited for what has to come, before a test fails. */
const patience = Number(process.env["BROWSERTEST_TIMEOUT"] ?? 45_000);

let browser: Browser | undefined;
const closers: (() => Promise<unknown> | unknown)[] = [];

after(async () => {
  for (const close of closers.reverse()) await close();
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** One `quire` process on a data folder of its own, which survives the process. */
export class QuireServer {
  #process: ChildProcess | undefined;
  #port = 0;
  readonly #data = mkdtempSync(join(folder, "data-"));
  readonly #flags: readonly string[];

  /** The key that tokens are signed with, and an operator's token; of a server that asks people who they are. */
  #key: string | undefined;
  #operator: string | undefined;

  private constructor(flags: readonly string[]) {
    this.#flags = flags;
  }

  /** Starts a server that asks people who they are, by tokens or invitations. */
  static async guarded(...flags: string[]): Promise<QuireServer> {
    const key = join(mkdtempSync(join(folder, "key-")), "quire.key");
    execFileSync(binary, ["genkey", key], { stdio: ["ignore", "ignore", "inherit"] });
    const server = new QuireServer(["--auth-keys", `${key}.pub`, "--auth-links", ...flags]);
    server.#key = key;
    server.#operator = server.token("operator", ["*=admin"]);
    closers.push(() => server.kill());
    await server.start();
    return server;
  }

  /** Makes a token of a guarded server; a grant is a pattern and a role: `plans/*=write`. */
  token(author: string, grants: readonly string[], name = ""): string {
    const args = ["token", "--key", this.#key!, "--author", author, "--expires", "1h", ...(name ? ["--name", name] : []), ...grants.flatMap((grant) => ["--grant", grant])];
    return execFileSync(binary, args, { encoding: "utf8" }).trim();
  }

  /** Signs somebody's browser in, as an application would, at the address that it will use. */
  async signIn({ context }: Person, author: string, grants: readonly string[], name = "", base = this.url): Promise<void> {
    for (;;) {
      const response = await context.request.post(`${base}/api/session`, { data: { token: this.token(author, grants, name) }, headers: { origin: base } });
      if (response.status() === 200) return;
      const why = await response.text();
      // Tokens say in whole seconds when they were made: one of the second of a revocation is of no use.
      if (!why.includes("was withdrawn")) throw new Error(`signing in: ${response.status()} ${why}`);
    }
  }

  /** Ends everything that an author was given until now. */
  async revoke(author: string): Promise<void> {
    const response = await fetch(`${this.url}/api/revocations`, { method: "POST", headers: { "content-type": "application/json", ...this.#authorization }, body: JSON.stringify({ author }) });
    if (!response.ok) throw new Error(`revoking: ${response.status} ${await response.text()}`);
  }

  get #authorization(): Record<string, string> {
    return this.#operator ? { authorization: `Bearer ${this.#operator}` } : {};
  }

  /** Connects over the protocol, as an operator where people are asked. */
  connect(): Connection {
    return new Connection({ url: `ws://127.0.0.1:${this.#port}/ws`, ...(this.#operator ? { token: this.#operator } : {}) });
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts the process, on the port it had before if it had one, and waits until it serves. */
  static async start(...flags: string[]): Promise<QuireServer> {
    const server = new QuireServer(flags);
    closers.push(() => server.kill());
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    const args = ["serve", "--listen", `127.0.0.1:${this.#port}`, "--data", this.#data, "--log-level", "warn", ...this.#flags];
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

  /** Ends the process, the hard way unless asked otherwise. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }

  /** Returns what the server holds of a text, asked over the protocol. */
  content(id: string): Promise<string> {
    return this.#content(id, text);
  }

  /** Returns what the server holds of a rich text. */
  richContent(id: string): Promise<DeltaDoc> {
    return this.#content(id, richText);
  }

  async #content<D>(id: string, type: Type<D, any, any>): Promise<D> {
    const connection = this.connect();
    try {
      return await new Promise((resolve, reject) => {
        connection.open(id, type, {
          events: {
            reset: resolve,
            state: (state) => state.kind === "closed" && reject(new Error(`${state.code}: ${state.message}`)),
          },
        });
      });
    } finally {
      connection.close();
    }
  }

  /** Makes a document, with a text in it that arrives as somebody's edit. */
  async create(id: string, content = ""): Promise<void> {
    await this.#create(id, "text");
    if (content) await this.edit(id, [content]);
  }

  /** Makes a rich text, with an operation on the one line end in it. */
  async createRich(id: string, op: DeltaOp = []): Promise<void> {
    await this.#create(id, "delta");
    if (op.length > 0) await this.edit(id, op);
  }

  async #create(id: string, type: string): Promise<void> {
    const response = await fetch(`${this.url}/api/docs`, { method: "POST", headers: { "content-type": "application/json", ...this.#authorization }, body: JSON.stringify({ id, type }) });
    if (response.status !== 201) throw new Error(`creating ${id}: ${response.status} ${await response.text()}`);
  }

  /** Edits a document over the protocol, and returns when that is on disk. */
  async edit(id: string, op: TextOp | DeltaOp): Promise<void> {
    const connection = this.connect();
    try {
      await new Promise<void>((resolve, reject) => {
        let edited = false;
        const document = connection.open(id, [text, richText], {
          events: {
            state: ({ kind, code }) => {
              if (kind === "closed") reject(new Error(code));
              if (kind !== "saved") return;
              if (edited) return resolve();
              edited = true;
              queueMicrotask(() => {
                try {
                  document.edit(op);
                } catch (error) {
                  reject(error as Error);
                }
              });
            },
          },
        });
      });
    } finally {
      connection.close();
    }
  }
}

/** A way to a server that can be cut, with everything that is on it, and restored. */
export class Way {
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();
  #cut = false;

  private constructor(to: QuireServer) {
    this.#listener = createServer((near) => {
      if (this.#cut) return void near.destroy();
      const far = connect(to.port, "127.0.0.1");
      for (const [socket, other] of [[near, far], [far, near]] as const) {
        this.#sockets.add(socket);
        socket.on("error", () => {}).on("close", () => {
          this.#sockets.delete(socket);
          other.destroy();
        });
        socket.pipe(other);
      }
    });
  }

  static async to(server: QuireServer): Promise<Way> {
    const way = new Way(server);
    way.#listener.listen(0, "127.0.0.1");
    await once(way.#listener, "listening");
    closers.push(() => {
      way.cut();
      way.#listener.close();
    });
    return way;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  cut(): void {
    this.#cut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  restore(): void {
    this.#cut = false;
  }
}

/** A person at a browser of their own: fresh storage, a name, and a page. */
export interface Person {
  readonly context: BrowserContext;
  readonly page: Page;
  /** What the browser complained about: errors, and violations of the Content-Security-Policy. */
  readonly complaints: string[];
}

export interface PersonOptions {
  readonly color?: string;
  readonly dark?: boolean;
  readonly phone?: boolean;
}

/** Seats a new person. */
export async function person(name: string, { color = "#1c7391", dark = false, phone = false }: PersonOptions = {}): Promise<Person> {
  browser ??= await chromium.launch({
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const context = await browser.newContext({
    viewport: phone ? { width: 390, height: 780 } : { width: 1180, height: 780 },
    colorScheme: dark ? "dark" : "light",
    hasTouch: phone,
  });
  context.setDefaultTimeout(patience);
  closers.push(() => context.close());
  await context.addInitScript(
    (me) => localStorage.getItem("quire:me") ?? localStorage.setItem("quire:me", me),
    JSON.stringify({ name, color }),
  );
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    // A server that is away is what some tests are about.
    if (message.type() === "error" && !/ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_SOCKET_NOT_CONNECTED|WebSocket connection|status of (4\d\d|503)/.test(message.text())) {
      complaints.push(message.text());
    }
  });
  return { context, page, complaints };
}

/** Goes to a document and waits until it can be written in. */
export async function visit(page: Page, base: string, id: string): Promise<void> {
  await page.goto(`${base}/d/${encodeURIComponent(id)}`);
  await untilState(page, "saved");
}

/** Waits for what the state line says. */
export async function untilState(page: Page, state: string): Promise<void> {
  await page.locator(`[data-state="${state}"]`).waitFor();
}

/** Returns the text that a page shows. For documents that fit on the screen. */
export function shown(page: Page): Promise<string> {
  return page.locator(".cm-content").evaluate((content) =>
    [...content.querySelectorAll(".cm-line")].map((line) => (line.querySelector(".cm-placeholder") ? "" : line.textContent)).join("\n"),
  );
}

/** Looks again and again until what is seen fulfils `done`, and returns it; fails with what was seen last. */
export async function until<T>(look: () => Promise<T>, done: (seen: T) => boolean): Promise<T> {
  for (const begun = Date.now(); ; ) {
    const seen = await look();
    if (done(seen)) return seen;
    if (Date.now() - begun > patience) throw new Error(`it did not come about in ${patience} ms: ${done}; seen at last: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Waits until every page shows one text that fulfils `done`, everything saved, and returns it. */
export async function untilEqual(pages: Page[], done: (text: string) => boolean): Promise<string> {
  const look = () => Promise.all(pages.map(async (page) => ({ text: await shown(page), state: await page.locator("[data-state]").getAttribute("data-state") })));
  const seen = await until(look, (all) => all.every(({ text, state }) => text === all[0]!.text && state === "saved") && done(all[0]!.text));
  return seen[0]!.text;
}

/** Waits until a page shows a text that fulfils `done`, and returns it. */
export function untilShown(page: Page, done: (text: string) => boolean): Promise<string> {
  return until(() => shown(page), done);
}

/** Takes a picture, for a person to look at. */
export async function picture(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(shots, `${name}.png`), caret: "initial" });
}

/** Returns the lines of a rich text that a page shows, each as its kind and its text, embeds as `*`: `h1 Title`. */
export function richShown(page: Page): Promise<string[]> {
  return page.locator(".ql-editor").evaluate((editor) => {
    const textOf = (node: Node): string => {
      if (node instanceof Text) return node.data.replaceAll("\ufeff", "");
      if (!(node instanceof Element) || node.matches(".ql-ui")) return "";
      if (node.matches("img, .foreign")) return "*";
      return [...node.childNodes].map(textOf).join("");
    };
    return [...editor.querySelectorAll("p, h1, h2, h3, h4, h5, h6, li, blockquote, .ql-code-block")].map((line) => {
      const kind = line.getAttribute("data-list") ?? (line.matches(".ql-code-block") ? "code" : line.tagName.toLowerCase());
      return `${kind} ${textOf(line)}`;
    });
  });
}

/** Returns the lines of a rich text as a page has to show them, in the form of `richShown`. */
export function richLines(doc: DeltaDoc): string[] {
  const lines: string[] = [];
  let line = "";
  const end = (attributes: { readonly [name: string]: any }) => {
    const list = ["ordered", "bullet", "checked", "unchecked"].find((one) => attributes["list"] === one);
    const header = [1, 2, 3, 4, 5, 6].find((one) => attributes["header"] === one);
    lines.push(`${attributes["code-block"] ? "code" : (list ?? (header ? `h${header}` : attributes["blockquote"] ? "blockquote" : "p"))} ${line}`);
    line = "";
  };
  for (const { insert, attributes = {} } of doc) {
    for (const part of typeof insert === "string" ? insert.split(/(\n)/) : ["*"]) {
      if (part === "\n") end(attributes);
      else line += part.replaceAll("\r", "␍");
    }
  }
  if (line !== "" || doc.length === 0) end({});
  return lines;
}

/** Waits until every page shows what the server holds of a rich text, everything saved, and it fulfils `done`; returns it. */
export async function untilRich(server: QuireServer, id: string, pages: Page[], done: (lines: string[]) => boolean = () => true): Promise<DeltaDoc> {
  const look = async () => {
    for (const page of pages) await untilState(page, "saved");
    const doc = await server.richContent(id);
    return { doc, want: richLines(doc), shown: await Promise.all(pages.map(richShown)) };
  };
  const { doc } = await until(look, ({ want, shown }) => done(want) && shown.every((lines) => lines.join("\n") === want.join("\n")));
  return doc;
}

/** Resolves when the name beside somebody's caret is in the window from side to side. */
export async function untilNamed(page: Page): Promise<void> {
  await until(
    () =>
      page.evaluate(() => {
        const box = document.querySelector(".peer-label")?.getBoundingClientRect();
        return { left: box?.left, right: box?.right, width: innerWidth };
      }),
    ({ left, right, width }) => left !== undefined && right !== undefined && left >= 0 && right <= width && right > left,
  );
}
