// Runs ShareDB's own client tests, unmodified and from node_modules, against one server:
//
//   node run.mjs sharedb|quire [pattern]
//
// Prints one line of JSON: for every test, by name, its outcome.

import Mocha from "mocha";
import { createRequire } from "node:module";
import Module from "node:module";
import { dirname, join, relative } from "node:path";

import { Quire, Reference, type Server } from "../servers.js";
import { Backend, present } from "./backend.js";
import { notRun, raced } from "./reasons.js";

/** passed, failed: why, or skipped: what the test asked for. */
export type Outcome = { passed: true } | { failed: string } | { skipped: string };

const require = createRequire(import.meta.url);
const folder = dirname(require.resolve("sharedb/test/util"));
const clients = [
  "connection", "doc", "pending", "query", "query-subscribe", "projections", "submit", "submit-json1", "subscribe",
  "snapshot-version-request", "snapshot-timestamp-request", "presence/presence", "presence/doc-presence", "presence/doc-presence-emitter",
].map((name) => join(folder, "client", `${name}.js`));

const start = process.argv[2] === "quire" ? () => Quire.start() : () => Reference.start();
const pattern = process.argv[3];

// Where a test loads ShareDB's server, it gets the stand-in; all else is what it is.
const load = (Module as any)._load;
(Module as any)._load = function (request: string, parent: { filename?: string } | undefined, ...rest: unknown[]) {
  if (parent?.filename?.startsWith(folder)) {
    if (/\/lib\/backend$/.test(request)) return Backend;
    // The second version of json0 is not on npm. The tests need it on the client only for the same operations to mean the same.
    if (request === "ot-json0-v2") return load.call(this, "ot-json0", parent, ...rest);
  }
  return load.call(this, request, parent, ...rest);
};

const mocha = new Mocha({ timeout: 5000, reporter: class {} as never, ...(pattern ? { grep: new RegExp(pattern) } : {}) });
const outcomes: Record<string, Outcome> = {};
const asked = new Map<Mocha.Test, string>();
let running: Mocha.Test | undefined;

const nameOf = (test: Mocha.Test) => `${relative(folder, test.file!)}: ${test.fullTitle().trim()}`;

let next: Promise<Server> | undefined;
mocha.suite.beforeEach(async function () {
  const test = this.currentTest!;
  running = test;
  const why = notRun[nameOf(test)];
  if (why) {
    asked.set(test, "");
    return this.skip();
  }
  if (raced.has(nameOf(test))) test.retries(50);
  present.dressed = test.file!.endsWith("doc-presence.js");
  present.server = await (next ?? start());
  next = start();
  servers.add(present.server);
});
const servers = new Set<Server>();
mocha.suite.afterEach(async () => {
  running = undefined;
  for (const wire of present.wires) {
    wire.onclose = wire.onmessage = wire.onerror = () => {};
    wire.cut();
  }
  present.wires.clear();
  await Promise.all([...servers].map((server) => server.close()));
  servers.clear();
});
mocha.suite.afterAll(async () => (await next)?.close());

for (const file of [join(folder, "setup.js"), ...clients]) {
  mocha.suite.emit("pre-require", globalThis, file, mocha);
  const exported = require(file);
  if (typeof exported !== "function") continue;
  describe("", () => {
    beforeEach(function () {
      this["backend"] = new Backend();
    });
    exported({ getQuery: ({ query, sort }: { query: object; sort?: unknown }) => ({ filter: query, sort }) }); // as ShareDB's test of its memory database has it
  });
}
const runner = mocha.run(async () => {
  process.stdout.write(`${JSON.stringify(outcomes)}\n`, () => process.exit(0));
});
present.needs = (what) => {
  if (running && !asked.has(running)) asked.set(running, what);
  (runner as any).currentRunnable.skip();
  throw new Error(what);
};
const put = (test: Mocha.Test, outcome: Outcome) => {
  const name = nameOf(test);
  let key = name;
  for (let n = 2; key in outcomes; n++) key = `${name} (${n})`;
  outcomes[key] = outcome;
  if (pattern) console.error(key, JSON.stringify(outcome));
};
if (pattern) runner.on("retry", (test) => console.error("again", nameOf(test)));
runner.on("pass", (test) => put(test, { passed: true }));
runner.on("pending", (test) => put(test, { skipped: asked.get(test) ?? "" }));
runner.on("fail", (test, error) => {
  // What was on its way when a try of a raced test failed may fail it once more: the next try tells.
  if (raced.has(nameOf(test as Mocha.Test)) && /called (multiple times|already)|already called/.test(error?.message)) return;
  put(test as Mocha.Test, { failed: String(error?.stack ?? error) });
});
