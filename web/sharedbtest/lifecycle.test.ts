// Documents are made, edited, deleted and made again; every version of every life can be read.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test, type TestContext } from "node:test";

import { called, Client, fetched, state, types } from "./client.js";
import { all, random } from "./random.js";
import { kinds, type Server } from "./servers.js";
import { Wire } from "./wire.js";

const require = createRequire(import.meta.url);

/** Returns when the clock shows another millisecond: what is committed before and after has different times. */
async function nextMillisecond(): Promise<number> {
  const now = Date.now();
  while (Date.now() <= now) await new Promise(setImmediate);
  return now;
}

for (const kind of kinds) {
  const some = async (t: TestContext, count: number): Promise<[Server, ...Client[]]> => {
    const server = await kind.start();
    t.after(() => server.close());
    const clients = Array.from({ length: count }, () => new Client(server));
    t.after(() => clients.forEach((client) => client.close()));
    return [server, ...clients];
  };

  test(`${kind.name}: lives of a document: versions count on, every one can be read, by number and by time`, async (t) => {
    const [server, ada, bob] = (await some(t, 2)) as [Server, Client, Client];
    const [mine, theirs] = [ada.get("x"), bob.get("x")];
    await bob.subscribe(theirs);
    assert.deepEqual(state(theirs), { type: null, version: 0, data: undefined });
    const events: string[] = [];
    for (const event of ["create", "del", "op"] as const) theirs.on(event as never, (() => void events.push(event)) as never);

    const steps: (() => Promise<void>)[] = [
      () => ada.create(mine, { a: 1 }),
      () => ada.submit(mine, [{ p: ["a"], na: 2 }]),
      () => ada.del(mine),
      () => ada.create(mine, { ops: [{ insert: "hi 🙂\n" }] }, types.richText),
      () => ada.submit(mine, [{ retain: 3, attributes: { bold: true } }]),
      () => ada.del(mine),
      () => ada.create(mine, "text", types.textUnicode),
      () => ada.submit(mine, [4, "!"]),
      () => ada.del(mine),
      () => ada.create(mine, "zero", types.text0),
      () => ada.submit(mine, [{ p: 4, i: "!" }]),
    ];
    const times: number[] = [await nextMillisecond()];
    const states = [state(theirs)];
    for (const [i, step] of steps.entries()) {
      await step();
      times.push(await nextMillisecond());
      await bob.until(() => theirs.version === i + 1);
      states.push(state(theirs));
      assert.deepEqual(state(mine), states.at(-1));
    }
    assert.deepEqual(events, ["create", "op", "del", "create", "op", "del", "create", "op", "del", "create", "op"]);
    assert.deepEqual(states.map(({ data }) => data), [
      undefined, { a: 1 }, { a: 3 }, undefined,
      { ops: [{ insert: "hi 🙂\n" }] }, { ops: [{ insert: "hi ", attributes: { bold: true } }, { insert: "🙂\n" }] }, undefined,
      "text", "text!", undefined, "zero", "zero!",
    ]);
    const read = async () => {
      for (const [version, { type, data }] of states.entries()) {
        const expected = { id: "x", v: version, type, data, m: null };
        assert.deepEqual(plain(await ada.snapshot("x", version)), expected);
        assert.deepEqual(plain(await ada.snapshotAt("x", times[version]!)), expected);
      }
      assert.equal((await ada.snapshot("x", null)).v, steps.length);
      assert.equal((await ada.snapshotAt("x", null)).v, steps.length);
      assert.equal((await ada.snapshotAt("x", 1000)).v, 0);
      await assert.rejects(ada.snapshot("x", steps.length + 1));
      assert.deepEqual(plain(await ada.snapshot("never", null)), { id: "never", v: 0, type: null, data: undefined, m: null });
    };
    await read();
    const closed = ada.until(() => ada.connection.state !== "connected").catch(() => {});
    await server.kill();
    await server.start();
    ada.wire.cut();
    await ada.settle();
    void closed;
    await read();
    assert.deepEqual(await fetched(server, "x"), states.at(-1));
    assert.deepEqual([...ada.errors], []);
  });

  test(`${kind.name}: a client fetches what it missed over a deletion and another life`, async (t) => {
    const [, ada, bob] = (await some(t, 2)) as [Server, Client, Client];
    await ada.create(ada.get("x"), { n: 1 });
    await bob.fetch(bob.get("x"));
    await ada.del(ada.get("x"));
    await ada.create(ada.get("x"), "second", types.textUnicode);
    await ada.submit(ada.get("x"), ["the "]);
    const events: string[] = [];
    for (const event of ["create", "del", "op"] as const) bob.get("x").on(event as never, (() => void events.push(event)) as never);
    await bob.fetch(bob.get("x"));
    assert.deepEqual(events, ["del", "create", "op"]);
    assert.deepEqual(state(bob.get("x")), { type: types.textUnicode.uri, version: 4, data: "the second" });
  });

  test(`${kind.name}: documents are made and deleted at random while connections break`, async (t) => {
    const rnd = random(Number(process.env["SEED"] ?? 1));
    const [server, observer, ...clients] = (await some(t, 5)) as [Server, Client, ...Client[]];
    for (const client of [observer, ...clients]) await client.subscribe(client.get("x"));
    const sorts = Object.values(all);
    // Whoever loses against somebody else's creation or deletion is told, and starts over.
    const told = () => {};
    for (let step = 0; step < 300; step++) {
      const client = clients[rnd.int(clients.length)]!;
      const doc = client.get("x");
      if (!doc.type) {
        const sort = sorts[rnd.int(sorts.length)]!;
        doc.create(sort.begin(rnd), types[sort.type].uri as never, told);
      } else if (rnd.chance(0.05)) doc.del({}, told);
      else {
        const sort = sorts.find(({ type }) => types[type] === (doc.type as unknown))!;
        doc.submitOp(sort.op(rnd, doc.data) as never, undefined as never, told);
      }
      if (rnd.chance(0.03)) client.wire.cut();
      for (const other of clients) if (!other.online && rnd.chance(0.2)) other.reconnect();
      for (let n = rnd.int(6); n > 0; n--) await new Promise(setImmediate);
    }
    await Promise.all(clients.map((client) => client.settle()));
    const head = await fetched(server, "x");
    for (const client of clients) await client.until(() => client.get("x").version === head.version);
    // A client of ShareDB that takes an operation back takes, now and then, the wrong one back. Who only reads is sure to have it right.
    await observer.until(() => observer.get("x").version === head.version);
    assert.deepEqual(state(observer.get("x")), head);
    assert.deepEqual(observer.errors, []);
    for (let version = 0; version <= head.version; version++) await observer.snapshot("x", version);
  });

  test(`${kind.name}: many documents are subscribed, fetched and left at once`, async (t) => {
    const [, ada, bob] = (await some(t, 2)) as [Server, Client, Client];
    const ids = Array.from({ length: 50 }, (_, i) => `doc ${i} 🙂`);
    await Promise.all(ids.slice(0, 40).map((id, i) => ada.create(ada.get(id), { i })));
    const sent: string[] = [];
    bob.connection.on("send" as never, ((message: { a: string }) => void sent.push(message.a)) as never);
    const bulk = async (work: (id: string) => Promise<void>) => {
      (bob.connection as any).startBulk();
      const done = ids.map(work);
      (bob.connection as any).endBulk();
      await Promise.all(done);
    };
    await bob.until(() => bob.connection.state === "connected");
    sent.length = 0;
    await bulk((id) => bob.fetch(bob.get(id)));
    await bulk((id) => bob.subscribe(bob.get(id)));
    assert.deepEqual(sent, ["bf", "bs"]);
    assert.deepEqual(ids.map((id) => state(bob.get(id)).data), ids.map((_, i) => (i < 40 ? { i } : undefined)));
    await Promise.all(ids.map((id, i) => (i < 40 ? ada.submit(ada.get(id), [{ p: ["i"], na: 100 }]) : ada.create(ada.get(id), { i: i + 100 }))));
    await bob.until(() => ids.every((id) => bob.get(id).data?.i >= 100));
    // Gone, and back: one message subscribes all again, from the versions that are known.
    bob.wire.cut();
    await Promise.all(ids.map((id) => ada.submit(ada.get(id), [{ p: ["i"], na: 100 }])));
    sent.length = 0;
    await bob.settle();
    await bob.until(() => ids.every((id, i) => bob.get(id).data.i === i + 200));
    assert.deepEqual(sent.filter((action) => action !== "hs"), ["bs"]);
    await bulk((id) => called((callback) => bob.get(id).unsubscribe(callback)));
    assert.equal(sent.at(-1), "bu");
    await Promise.all(ids.map((id) => ada.del(ada.get(id))));
    await bulk((id) => bob.fetch(bob.get(id)));
    assert.deepEqual(ids.map((id) => bob.get(id).type), ids.map(() => null));
    assert.deepEqual([...ada.errors, ...bob.errors], []);
  });

  test(`${kind.name}: a client of ShareDB 1 works beside the new ones`, async (t) => {
    const [server, ada] = (await some(t, 1)) as [Server, Client];
    const Legacy = require("sharedb-legacy/lib/client").Connection;
    const old = new Legacy(new Wire(server.url));
    t.after(() => old.close());
    const doc = old.get("notes", "x");
    await called((callback) => doc.create({ list: ["a"] }, callback));
    await called((callback) => doc.subscribe(callback));
    await ada.subscribe(ada.get("x"));
    await Promise.all([
      called((callback) => doc.submitOp([{ p: ["list", 0], li: "old" }], callback)),
      ada.submit(ada.get("x"), [{ p: ["list", 1], li: "new" }]),
    ]);
    await ada.until(() => ada.get("x").version === 3);
    while (doc.version < 3) await new Promise((resolve) => doc.once("op", resolve));
    assert.deepEqual(doc.data, { list: ["old", "a", "new"] });
    assert.deepEqual(ada.get("x").data, doc.data);
  });

  test(`${kind.name}: any name but those of Object's own properties`, async (t) => {
    const [server, ada] = (await some(t, 1)) as [Server, Client];
    for (const [collection, id] of [["a/b", "c"], ["a", "b/c"], ["a%2Fb", "c"], ["100%", "🙂"], ["x", "%2F"], ["with space", "a.b"]] as const) {
      await ada.create(ada.get(id, collection), { collection, id });
    }
    for (const [collection, id] of [["a/b", "c"], ["a", "b/c"], ["a%2Fb", "c"], ["100%", "🙂"], ["x", "%2F"], ["with space", "a.b"]] as const) {
      assert.deepEqual((await fetched(server, id, collection)).data, { collection, id });
      const query = await ada.query(collection, {}, false);
      assert.deepEqual((query.results as any[]).map((doc) => doc.data), [{ collection, id }]);
    }
  });
}

/** A snapshot as plain JSON. */
function plain(snapshot: any): object {
  return { ...snapshot, data: snapshot.data === undefined ? undefined : JSON.parse(JSON.stringify(snapshot.data)) };
}
