// What Quire does that ShareDB's server does not, or does otherwise: what docs/sharedb.md says of it.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test, type TestContext } from "node:test";

import { richText, type DeltaDoc } from "../client/delta.js";
import { Connection, text, type Document, type Type } from "../client/index.js";
import { called, Client, fetched, sharedb, state, types } from "./client.js";
import { Quire } from "./servers.js";

async function begin(t: TestContext, ...flags: string[]): Promise<[Quire, Client, Client]> {
  const server = await Quire.start(...flags);
  t.after(() => server.close());
  const clients = [new Client(server), new Client(server)] as const;
  t.after(() => clients.forEach((client) => client.close()));
  return [server, ...clients];
}

/** Opens a document over quire.v1, and returns it when its content is there. */
function open<D>(t: TestContext, server: Quire, id: string, type: Type<D, any, any>): Promise<Document<D, any, any>> {
  const connection = new Connection({ url: server.url.replace("/sharedb", "/ws") });
  t.after(() => connection.close());
  return new Promise((resolve, reject) => {
    const document = connection.open(id, type, {
      events: {
        reset: () => queueMicrotask(() => resolve(document)),
        state: ({ kind, code }) => kind === "closed" && reject(new Error(code)),
      },
    });
  });
}

const api = (server: Quire, path: string, init?: RequestInit) =>
  fetch(`${server.http}/api/docs${path}`, { ...init, headers: { "content-type": "application/json" } });

test("collections and ids are ids of Quire, and types are types of Quire", async (t) => {
  const [server, ada] = await begin(t);
  await ada.create(ada.get("text", "notes"), "🙂", types.textUnicode);
  await ada.create(ada.get("text0", "notes"), "x", types.text0);
  await ada.create(ada.get("rich", "notes"), [{ insert: "x" }], types.richText);
  await ada.create(ada.get("json", "notes"), {}, types.json0);
  await ada.create(ada.get("c/d", "a/b%"), {}, types.json0);
  await ada.create(ada.get("alone", ""), {}, types.json0);
  const { docs } = (await (await api(server, "")).json()) as { docs: { id: string; type: string; rev: number }[] };
  assert.deepEqual(docs.map(({ id, type, rev }) => [id, type, rev]), [
    ["a%2Fb%25/c/d", "json0", 0],
    ["alone", "json0", 0],
    ["notes/json", "json0", 0],
    ["notes/rich", "delta", 0],
    ["notes/text", "text", 0],
    ["notes/text0", "text0", 0],
  ]);
});

test("one text is edited by ShareDB's clients and Quire's", async (t) => {
  const [server, ada] = await begin(t);
  const doc = ada.get("x");
  await ada.create(doc, "🙂", types.textUnicode);
  await ada.subscribe(doc);
  const other = await open(t, server, "notes/x", text);
  assert.deepEqual(other.content, "🙂");
  other.edit([2, "!"]); // Quire counts UTF-16 units, text-unicode code points
  await ada.until(() => doc.version === 2);
  assert.equal(doc.data, "🙂!");
  const op = once(doc as never, "op");
  other.edit([2, " 🌍"]);
  assert.deepEqual((await op)[0], [1, " 🌍"]);
  await ada.submit(doc, [4, "?"]);
  assert.equal((await fetched(server, "x")).data, "🙂 🌍!?");
  while (String(other.content) !== "🙂 🌍!?") await new Promise(setImmediate);
});

test("one rich text is edited by ShareDB's clients and Quire's", async (t) => {
  const [server, ada] = await begin(t);
  const doc = ada.get("x");
  await ada.create(doc, { ops: [{ insert: "Hi\n" }] }, types.richText);
  await ada.subscribe(doc);
  const other: Document<DeltaDoc, any, any> = await open(t, server, "notes/x", richText);
  other.edit([{ retain: 2, attributes: { bold: true } }]);
  await ada.until(() => doc.version === 2);
  assert.deepEqual(state(doc).data, { ops: [{ insert: "Hi", attributes: { bold: true } }, { insert: "\n" }] });
});

test("a document made over HTTP is there for ShareDB's clients, and one removed over HTTP begins anew", async (t) => {
  const [server, ada, bob] = await begin(t);
  const post = (body: object) => api(server, "", { method: "POST", body: JSON.stringify(body) });
  assert.equal((await post({ id: "notes/x", type: "text" })).status, 201);
  await ada.subscribe(ada.get("x"));
  assert.deepEqual(state(ada.get("x")), { type: types.textUnicode.uri, version: 1, data: "" });
  await ada.submit(ada.get("x"), ["hi"]);
  assert.equal((await api(server, "/notes%2Fx", { method: "DELETE" })).status, 204);
  await bob.fetch(bob.get("x"));
  assert.deepEqual(state(bob.get("x")), { type: null, version: 0, data: undefined });
  // Whoever had it sees a deletion.
  await ada.until(() => ada.get("x").type === null);
});

test("text that is no text is refused: unpaired surrogates", async (t) => {
  const [server, ada] = await begin(t);
  const rejected = (start: () => Promise<void>) => assert.rejects(start, (error: any) => /^ERR_OT_OP_(BADLY_FORMED|NOT_APPLIED)$/.test(error.code));
  for (const type of [types.json0, types.text0, types.textUnicode]) await rejected(() => ada.create(ada.get(`bad ${type.name}`), "\ud83d", type));
  await rejected(() => ada.create(ada.get("bad rich"), [{ insert: "\ude00" }], types.richText));
  await ada.create(ada.get("x"), { text: "🙂" });
  await rejected(() => ada.submit(ada.get("x"), [{ p: ["text", 1], si: "x" }])); // between the halves
  assert.deepEqual(ada.get("x").data, { text: "🙂" });
  assert.deepEqual((await fetched(server, "x")).data, { text: "🙂" });
});

test("a deletion in text-unicode is passed on as a number", async (t) => {
  const [, ada, bob] = await begin(t);
  await ada.create(ada.get("x"), "a🙂b", types.textUnicode);
  await bob.subscribe(bob.get("x"));
  const op = once(bob.get("x") as never, "op");
  await ada.submit(ada.get("x"), [1, { d: "🙂" }]);
  assert.deepEqual((await op)[0], [1, { d: 1 }]);
});

test("limits refuse what is too large, before it has any effect", async (t) => {
  const [server, ada, bob] = await begin(t, "--max-document", "1000", "--max-message", "5000");
  await ada.create(ada.get("x"), "begin", types.textUnicode);
  await assert.rejects(ada.submit(ada.get("x"), ["x".repeat(1200)]), (error: any) => error.code === "ERR_OT_OP_NOT_APPLIED" && /1000/.test(error.message));
  assert.equal(ada.get("x").data, "begin");
  await assert.rejects(ada.create(ada.get("y"), "x".repeat(1200), types.textUnicode));
  assert.equal((await fetched(server, "x")).version, 1);
  // A message beyond the limit costs the connection.
  await bob.fetch(bob.get("x"));
  const gone = once(bob.connection as never, "disconnected");
  bob.get("x").submitOp(["x".repeat(6000)] as never);
  await gone;
});

test("names and values have bounds", async (t) => {
  const [, ada] = await begin(t);
  let seq = 0;
  const made = async (d: string, json: string, c = "notes") => {
    const data = JSON.parse(json) as unknown;
    const asked = ++seq;
    const { error } = await ada.exchange({ a: "op", c, d, v: null, seq: asked, x: {}, create: { type: types.json0.uri, data } }, ({ a, seq }) => a === "op" && seq === asked);
    return error?.code;
  };
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  assert.deepEqual(
    [
      await made("x".repeat(512 - "notes/".length), "1"),
      await made("x".repeat(513 - "notes/".length), "1"),
      await made("", "1"),
      await made("control\n", "1"),
      await made("a/b", "1", ""),
      await made("128 deep", nested(128)),
      await made("129 deep", nested(129)),
      await made("proto", '{"__proto__":1}'),
    ],
    [undefined, "ERR_MESSAGE_BADLY_FORMED", "ERR_MESSAGE_BADLY_FORMED", "ERR_MESSAGE_BADLY_FORMED", "ERR_MESSAGE_BADLY_FORMED", undefined, "ERR_OT_OP_BADLY_FORMED", "ERR_OT_OP_BADLY_FORMED"],
  );
});

test("a presence lasts until it is removed or its connection ends", async (t) => {
  const [, ada, bob] = await begin(t);
  const [hers, his] = [ada, bob].map((client) => client.connection.getPresence("room") as any);
  const sees = async (expected: object) => {
    while (JSON.stringify(his.remotePresences) !== JSON.stringify(expected)) await once(his, "receive");
  };
  await called((callback) => hers.subscribe(callback));
  await called((callback) => his.subscribe(callback));
  await called((callback) => hers.create("ada").submit(1, callback));
  await sees({ ada: 1 });
  // ShareDB takes it away when its sender does not listen any more.
  await called((callback) => hers.unsubscribe(callback));
  await called((callback) => hers.create("second").submit(2, callback));
  await sees({ ada: 1, second: 2 });
  // And ShareDB leaves it when its sender never listened.
  ada.wire.cut();
  await sees({});
});

test("queries beyond filters and orders of json0 are refused", async (t) => {
  const [, ada] = await begin(t);
  await ada.create(ada.get("a"), { n: 1 });
  for (const query of [{ $and: [] }, { filter: { "n.m": 1 }, $limit: 1 }, { filter: { n: { $gt: 0 } } }, "all"]) {
    await assert.rejects(ada.query("notes", query, false), (error: any) => error.code === "ERR_DATABASE_METHOD_NOT_IMPLEMENTED", JSON.stringify(query));
  }
  assert.equal((await ada.query("notes", null, false)).results.length, 1);
  const options = { db: "other", pollInterval: 1, pollDebounce: 1 }; // of no meaning here
  await called((callback) => ada.connection.createFetchQuery("notes", {}, options as never, callback as never));
});

test("json1 and other types are refused", async (t) => {
  const [, ada] = await begin(t);
  for (const type of ["http://sharejs.org/types/JSONv1", "http://sharejs.org/types/none"]) {
    const answer = await ada.exchange({ a: "op", c: "notes", d: "x", v: null, seq: 1, x: {}, create: { type, data: null } }, ({ a, seq }) => a === "op" && seq === 1);
    assert.equal(answer.error.code, "ERR_DOC_TYPE_NOT_RECOGNIZED");
  }
  assert.ok(sharedb.types.map["json0"]);
});

test("a server that stops lets its clients come back without loss", async (t) => {
  const [server, ada] = await begin(t);
  await ada.create(ada.get("x"), "a", types.textUnicode);
  const gone = once(ada.connection as never, "disconnected");
  await server.kill("SIGTERM");
  await gone;
  const done = called((callback) => ada.get("x").submitOp(["b"] as never, undefined as never, callback));
  await server.start();
  await ada.settle();
  await done;
  assert.equal((await fetched(server, "x")).data, "ba");
});
