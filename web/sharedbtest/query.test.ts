// Queries: every document of a collection, once or for as long as somebody listens.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import { isDeepStrictEqual } from "node:util";

import type { Doc, Query } from "sharedb/lib/client";

import { called, Client, types } from "./client.js";
import { kinds, type Server } from "./servers.js";

/** What a query has, by id. */
const found = (query: Query) => Object.fromEntries((query.results as Doc[]).map((doc) => [doc.id, doc.data && JSON.parse(JSON.stringify(doc.data))]));

for (const kind of kinds) {
  const two = async (t: TestContext): Promise<[Server, Client, Client]> => {
    const server = await kind.start();
    t.after(() => server.close());
    const [ada, bob] = [new Client(server), new Client(server)];
    t.after(() => [ada, bob].forEach((client) => client.close()));
    return [server, ada, bob];
  };

  test(`${kind.name}: a query finds what exists, of every type`, async (t) => {
    const [, ada, bob] = await two(t);
    await ada.create(ada.get("a", "pets"), { n: 1 });
    await ada.create(ada.get("b", "pets"), "text", types.textUnicode);
    await ada.create(ada.get("c", "pets"), [{ insert: "rich\n" }], types.richText);
    await ada.create(ada.get("d", "pets"), "plain", types.text0);
    await ada.create(ada.get("e", "pets"), { n: 2 });
    await ada.del(ada.get("e", "pets"));
    await ada.create(ada.get("f", "petshop"), { n: 3 });
    await bob.fetch(bob.get("g", "pets")); // looked at, never made
    const query = await bob.query("pets", {}, false);
    assert.deepEqual(found(query), { a: { n: 1 }, b: "text", c: { ops: [{ insert: "rich\n" }] }, d: "plain" });
    assert.equal(bob.get("c", "pets").type, types.richText);
    assert.deepEqual(found(await bob.query("nobody", {}, false)), {});
  });

  test(`${kind.name}: a live query follows documents that come, change and go`, async (t) => {
    const [, ada, bob] = await two(t);
    await ada.create(ada.get("a", "pets"), { n: 1 });
    const query = await bob.query("pets", {}, true);
    const events: [string, string[]][] = [];
    for (const event of ["insert", "remove"] as const) query.on(event as never, ((docs: Doc[]) => void events.push([event, docs.map(({ id }) => id)])) as never);
    await ada.create(ada.get("b", "pets"), { n: 2 });
    await bob.until(() => query.results.length === 2);
    await ada.submit(ada.get("b", "pets"), [{ p: ["n"], na: 5 }]); // the query carries the operations of what it found
    await bob.until(() => bob.get("b", "pets").version === 2);
    assert.deepEqual(found(query), { a: { n: 1 }, b: { n: 7 } });
    await ada.del(ada.get("a", "pets"));
    await bob.until(() => query.results.length === 1);
    await ada.create(ada.get("a", "pets"), "again", types.textUnicode);
    await bob.until(() => query.results.length === 2);
    assert.deepEqual(found(query), { a: "again", b: { n: 7 } });
    assert.deepEqual(events, [["insert", ["b"]], ["remove", ["a"]], ["insert", ["a"]]]);
    await called((callback) => query.destroy(callback as never));
    await ada.create(ada.get("c", "pets"), { n: 3 });
    await ada.create(ada.get("other", "room"), {});
    await bob.fetch(bob.get("other", "room")); // what would come for the query has come by now
    assert.equal(bob.connection.collections["pets"]?.["c"], undefined);
  });

  test(`${kind.name}: a live query catches up after its connection broke`, async (t) => {
    const [server, ada, bob] = await two(t);
    for (const id of ["a", "b", "c"]) await ada.create(ada.get(id, "pets"), { id, n: 1 });
    const query = await bob.query("pets", {}, true);
    for (const restart of [false, true]) {
      if (restart) {
        await Promise.all([server.kill(), once(bob.connection as never, "disconnected"), once(ada.connection as never, "disconnected")]);
        await server.start();
        await ada.settle();
      } else bob.wire.cut();
      await ada.del(ada.get("a", "pets"));
      await ada.create(ada.get(`new ${restart}`, "pets"), { id: "new", n: 1 });
      await ada.submit(ada.get("b", "pets"), [{ p: ["n"], na: 1 }]);
      await bob.settle();
      await bob.until(() => isDeepStrictEqual(found(query), {
        b: { id: "b", n: 2 + Number(restart) },
        c: { id: "c", n: 1 },
        "new false": { id: "new", n: 1 },
        ...(restart ? { "new true": { id: "new", n: 1 } } : {}),
      }));
      await ada.create(ada.get("a", "pets"), { id: "a", n: 1 });
      await bob.until(() => query.results.length === 4 + Number(restart));
    }
  });

  test(`${kind.name}: a live query with a filter and an order`, async (t) => {
    const [, ada, bob] = await two(t);
    await Promise.all(Array.from({ length: 12 }, (_, i) => ada.create(ada.get(`d${i}`, "pets"), { sort: i % 2 ? "cat" : "dog", age: i % 3, name: `n${i}` })));
    const ids = (query: Query) => (query.results as Doc[]).map(({ id }) => id);
    const cats = await bob.query("pets", { filter: { sort: "cat" }, sort: [["age", -1], ["name", 1]] }, true);
    assert.deepEqual(ids(cats), ["d11", "d5", "d1", "d7", "d3", "d9"]);
    assert.deepEqual(ids(await bob.query("pets", { filter: { sort: "dog", age: 1 }, sort: [["name", 1]] }, false)), ["d10", "d4"]);
    await ada.submit(ada.get("d4", "pets"), [{ p: ["sort"], od: "dog", oi: "cat" }]);
    await bob.until(() => isDeepStrictEqual(ids(cats), ["d11", "d5", "d1", "d4", "d7", "d3", "d9"]));
    await ada.submit(ada.get("d9", "pets"), [{ p: ["age"], na: 7 }]);
    await bob.until(() => isDeepStrictEqual(ids(cats), ["d9", "d11", "d5", "d1", "d4", "d7", "d3"]));
    await ada.submit(ada.get("d1", "pets"), [{ p: ["sort"], od: "cat" }]);
    await bob.until(() => isDeepStrictEqual(ids(cats), ["d9", "d11", "d5", "d4", "d7", "d3"]));
  });

  test(`${kind.name}: a live query over many documents, several writers`, async (t) => {
    const [server, ada, bob] = await two(t);
    const cay = new Client(server);
    t.after(() => cay.close());
    const query = await bob.query("pets", {}, true);
    await Promise.all(Array.from({ length: 60 }, async (_, i) => {
      const writer = i % 2 ? ada : cay;
      const doc = writer.get(String(i), "pets");
      await writer.create(doc, { i });
      await writer.submit(doc, [{ p: ["i"], na: 100 }]);
      if (i % 3 === 0) await writer.del(doc);
    }));
    const expected = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [String(i), { i: i + 100 }] as const).filter(([id]) => Number(id) % 3));
    await bob.until(() => query.results.length === 40 && (query.results as Doc[]).every((doc) => doc.version === 2));
    assert.deepEqual(found(query), expected);
  });
}
