// An operation is in flight when the connection breaks: whatever was lost, it counts once.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test, type TestContext } from "node:test";

import { called, Client, fetched, state, types } from "./client.js";
import { kinds, type Server } from "./servers.js";

for (const kind of kinds) {
  /** Ada and Bob at one document, which says "ab". */
  const two = async (t: TestContext): Promise<[Server, Client, Client]> => {
    const server = await kind.start();
    t.after(() => server.close());
    const [ada, bob] = [new Client(server), new Client(server)];
    t.after(() => [ada, bob].forEach((client) => client.close()));
    await ada.create(ada.get("x"), "ab", types.textUnicode);
    for (const client of [ada, bob]) await client.subscribe(client.get("x"));
    return [server, ada, bob];
  };

  for (const what of ["request", "acknowledgement"] as const) {
    for (const [name, others, restart] of [["", false, false], [", while others edit", true, false], [", over a restart of the server", true, true]] as const) {
      test(`${kind.name}: the ${what} is lost${name}`, async (t) => {
        const [server, ada, bob] = await two(t);
        ada.wire.hold(what === "request" ? "up" : "down");
        const sent = once(ada.connection as never, "send");
        const submitted = ada.submit(ada.get("x"), ["🙂"]);
        await sent;
        if (what === "acknowledgement") await bob.until(() => bob.get("x").version === 2);
        ada.wire.cut();
        const more = ada.submit(ada.get("x"), [3, "!"]);
        if (others) await bob.submit(bob.get("x"), ["B"]);
        if (restart) {
          await Promise.all([server.kill(), once(bob.connection as never, "disconnected")]);
          await server.start();
          await bob.settle();
        }
        await ada.settle();
        await Promise.all([submitted, more]);
        const version = others ? 4 : 3;
        await bob.until(() => bob.get("x").version === version);
        // Bob's was committed first if Ada's never arrived: what is committed later goes first.
        const text = !others ? "🙂ab!" : what === "request" ? "🙂Bab!" : "B🙂ab!";
        for (const client of [ada, bob]) assert.deepEqual(state(client.get("x")), { type: types.textUnicode.uri, version, data: text });
        assert.deepEqual(await fetched(server, "x"), state(ada.get("x")));
        assert.deepEqual([...ada.errors, ...bob.errors], []);
      });
    }

    test(`${kind.name}: the ${what} of a creation and of a deletion is lost`, async (t) => {
      const [server, ada, bob] = await two(t);
      await bob.subscribe(bob.get("new"));
      const lose = async (start: () => Promise<void>, version: number) => {
        ada.wire.hold(what === "request" ? "up" : "down");
        const sent = once(ada.connection as never, "send");
        const done = start();
        await sent;
        if (what === "acknowledgement") await bob.until(() => bob.get("new").version === version);
        ada.wire.cut();
        await ada.settle();
        await done;
        await bob.until(() => bob.get("new").version === version);
      };
      await lose(() => ada.create(ada.get("new"), { made: 1 }), 1);
      assert.deepEqual(state(bob.get("new")), { type: types.json0.uri, version: 1, data: { made: 1 } });
      await lose(() => ada.del(ada.get("new")), 2);
      assert.deepEqual(state(bob.get("new")), { type: null, version: 2, data: undefined });
      await lose(() => ada.create(ada.get("new"), "text", types.text0), 3);
      assert.deepEqual(state(bob.get("new")), { type: types.text0.uri, version: 3, data: "text" });
      assert.deepEqual(await fetched(server, "new"), state(ada.get("new")));
      assert.deepEqual([...ada.errors, ...bob.errors], []);
    });
  }

  test(`${kind.name}: the acknowledgement of a creation is lost, and somebody deletes what it made`, async (t) => {
    const [server, ada, bob] = await two(t);
    await bob.subscribe(bob.get("new"));
    ada.wire.hold("down");
    const made = ada.create(ada.get("new"), { made: "by ada" });
    await bob.until(() => bob.get("new").version === 1);
    ada.wire.cut();
    await bob.del(bob.get("new"));
    await ada.settle();
    await made;
    await ada.fetch(ada.get("new"));
    // ShareDB makes it a second time. With Quire an operation counts once.
    const expected = kind.name === "quire" ? { type: null, version: 2, data: undefined } : { type: types.json0.uri, version: 3, data: { made: "by ada" } };
    assert.deepEqual(state(ada.get("new")), expected);
    assert.deepEqual(await fetched(server, "new"), expected);
    assert.deepEqual(ada.errors, []);
  });

  test(`${kind.name}: the acknowledgement of another life's creation is lost`, async (t) => {
    const [server, ada, bob] = await two(t);
    await bob.create(bob.get("new"), { first: true });
    await bob.del(bob.get("new"));
    await bob.subscribe(bob.get("new"));
    ada.wire.hold("down");
    const made = ada.create(ada.get("new"), { second: true });
    await bob.until(() => bob.get("new").version === 3);
    ada.wire.cut();
    await ada.settle();
    await made;
    assert.deepEqual(state(ada.get("new")), { type: types.json0.uri, version: 3, data: { second: true } });
    assert.deepEqual(await fetched(server, "new"), state(ada.get("new")));
    assert.deepEqual(ada.errors, []);
  });

  test(`${kind.name}: the same operation comes over two connections at once`, async (t) => {
    const [server, ada, bob] = await two(t);
    const op = { a: "op", c: "notes", d: "x", v: 1, src: ada.connection.id, seq: 77, x: {}, op: ["1"] };
    const again = new Client(server);
    t.after(() => again.close());
    const isAck = (answer: any) => answer.a === "op" && answer.seq === 77 && !("op" in answer);
    await again.until(() => again.connection.state === "connected");
    const acks = await Promise.all([ada.exchange(op, isAck), again.exchange(op, isAck), ada.exchange(op, isAck)]);
    assert.deepEqual(acks.map(({ v, error }) => [v, error]), [[1, undefined], [1, undefined], [1, undefined]]);
    await bob.until(() => bob.get("x").version === 2);
    assert.equal(bob.get("x").data, "1ab");
  });

  test(`${kind.name}: a client missed operations: they come before the acknowledgement`, async (t) => {
    const [server, ada, bob] = await two(t);
    const cay = new Client(server);
    t.after(() => cay.close());
    await cay.fetch(cay.get("x"));
    await ada.submit(ada.get("x"), ["1"]);
    await bob.submit(bob.get("x"), ["2"]);
    await called((callback) => cay.get("x").submitOp(["3"] as never, undefined as never, callback));
    assert.deepEqual(state(cay.get("x")), { type: types.textUnicode.uri, version: 4, data: "321ab" });
  });
}
