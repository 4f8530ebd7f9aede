// Rights that change while ShareDB's own client edits: what becomes of what it has not sent.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test, type TestContext } from "node:test";

import { Client, state, types } from "./client.js";
import { Quire } from "./servers.js";

/** The application that Quire asks what people may do, by the names that their tokens are. */
class Application {
  readonly #server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { token } = JSON.parse(Buffer.concat(chunks).toString()) as { token: string };
    const role = this.#roles[token];
    if (role === undefined) response.writeHead(401).end();
    else response.setHeader("content-type", "application/json").end(JSON.stringify({ sub: token, ttl: 1, grants: role ? [{ docs: "notes/*", role }] : [] }));
    for (const wait of this.#asked) if (wait.who === token && --wait.times === 0) wait.done();
  });
  readonly #roles: Record<string, string | undefined> = {};
  readonly #asked: { who: string; times: number; done: () => void }[] = [];

  async start(t: TestContext): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    t.after(() => this.#server.close().closeAllConnections());
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** Gives somebody a role; "" lets them do nothing, undefined says that it is nobody. */
  give(who: string, role: "read" | "write" | "" | undefined): void {
    this.#roles[who] = role;
  }

  /** Does that, and returns when the server acts on it: when it asks for the second time. */
  given(who: string, role: "read" | "write" | ""): Promise<void> {
    this.give(who, role);
    return new Promise((done) => this.#asked.push({ who, times: 2, done }));
  }
}

/** Ada and Bob at one document, which both may write. */
async function begin(t: TestContext, type: { uri?: string }, data: unknown): Promise<[Application, Client, Client]> {
  const application = new Application();
  application.give("ada", "write");
  application.give("bob", "write");
  const server = await Quire.start("--auth-url", await application.start(t));
  t.after(() => server.close());
  const [ada, bob] = ["ada", "bob"].map((who) => new Client(server, ["sharedb", `quire.token.${who}`])) as [Client, Client];
  t.after(() => [ada, bob].forEach((client) => client.close()));
  await ada.create(ada.get("x"), data, type);
  for (const client of [ada, bob]) await client.subscribe(client.get("x"));
  return [application, ada, bob];
}

/** Puts Ada's "1" before and Bob's "2" behind what is there, "ab" at first, in each type. */
const edits = [
  {
    name: "rich text",
    type: types.richText,
    data: [{ insert: "ab" }],
    one: [{ insert: "1" }],
    two: (doc: any) => [{ retain: doc.ops[0].insert.length }, { insert: "2" }],
    results: [{ ops: [{ insert: "1ab" }] }, { ops: [{ insert: "1ab2" }] }],
  },
  { name: "text", type: types.textUnicode, data: "ab", one: ["1"], two: (doc: any) => [doc.length, "2"], results: ["1ab", "1ab2"] },
  {
    name: "JSON",
    type: types.json0,
    data: ["a", "b"],
    one: [{ p: [0], li: "1" }],
    two: (doc: any) => [{ p: [doc.length], li: "2" }],
    results: [["1", "a", "b"], ["1", "a", "b", "2"]],
  },
];

const codes = (client: Client) => client.errors.map((error) => (error as { code?: string }).code);

describe("rights", { concurrency: true }, () => {
  for (const { name, type, data, one, two, results } of edits) {
    const expect = (clients: Client[], version: 2 | 3) => {
      for (const client of clients) assert.deepEqual(state(client.get("x")), { type: type.uri, version, data: results[version - 2] });
    };

    for (const how of ["", undefined] as const) {
      test(`${name}: ${how === "" ? "the right to read goes" : "the token is withdrawn"} and comes back, and what was typed meanwhile counts`, async (t) => {
        const [application, ada, bob] = await begin(t, type, data);
        const doc = bob.get("x");
        application.give("bob", how);
        await (how === "" ? new Promise((resolve) => doc.once("error", resolve)) : once(bob.connection as never, "disconnected"));
        const submitted = bob.submit(doc, two(doc.data));
        await ada.submit(ada.get("x"), one);
        application.give("bob", "write");
        if (how === "") await once(bob.connection as never, "disconnected");
        await bob.settle();
        await submitted;
        await ada.until(() => ada.get("x").version === 3);
        expect([ada, bob], 3);
        assert.deepEqual(codes(bob), how === "" ? ["forbidden"] : []);
      });
    }

    test(`${name}: the acknowledgement is lost with the right to write`, async (t) => {
      const [application, ada, bob] = await begin(t, type, data);
      await ada.submit(ada.get("x"), one);
      await bob.until(() => bob.get("x").version === 2);
      bob.wire.hold("down");
      const submitted = bob.submit(bob.get("x"), two(bob.get("x").data));
      await ada.until(() => ada.get("x").version === 3);
      await application.given("bob", "read");
      bob.wire.cut();
      await bob.settle();
      await submitted;
      expect([ada, bob], 3);
      assert.deepEqual(codes(bob), []);
    });

    test(`${name}: the right to write goes, and who types learns which operation was refused`, async (t) => {
      const [application, ada, bob] = await begin(t, type, data);
      await application.given("bob", "read");
      const doc = bob.get("x");
      const op = two(doc.data);
      await assert.rejects(bob.submit(doc, op), ({ code, data }: any) => {
        assert.equal(code, "forbidden");
        assert.deepEqual(data.op.ops ?? data.op, op);
        return true;
      });
      await ada.submit(ada.get("x"), one);
      await bob.until(() => doc.version === 2);
      expect([ada, bob], 2);
      await application.given("bob", "write");
      await bob.submit(doc, two(doc.data));
      await ada.until(() => ada.get("x").version === 3);
      expect([ada, bob], 3);
      assert.deepEqual(codes(bob), []);
    });
  }
});
