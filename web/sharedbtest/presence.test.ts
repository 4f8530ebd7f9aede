// Presence: who is here, and where their cursors are.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test, type TestContext } from "node:test";

import { called, Client, types } from "./client.js";
import { kinds, type Server } from "./servers.js";

/** What npm's types leave out. */
type Presence = any;

/** Waits until a client sees these presences on a channel, and no others. */
async function sees(presence: Presence, expected: object): Promise<void> {
  const now = () => JSON.stringify(Object.fromEntries(Object.entries(presence.remotePresences).sort()));
  while (now() !== JSON.stringify(expected)) await once(presence, "receive");
}

for (const kind of kinds) {
  const three = async (t: TestContext): Promise<[Server, Client, Client, Client]> => {
    const server = await kind.start();
    t.after(() => server.close());
    const clients = [new Client(server), new Client(server), new Client(server)] as const;
    t.after(() => clients.forEach((client) => client.close()));
    return [server, ...clients];
  };
  const subscribe = (presence: Presence) => called((callback) => presence.subscribe(callback));
  const submit = (local: any, value: unknown) => called((callback) => local.submit(value, callback));

  test(`${kind.name}: presence on a channel comes, changes and goes`, async (t) => {
    const [, ada, bob, cay] = await three(t);
    const [hers, his, late] = [ada, bob, cay].map((client) => client.connection.getPresence("room 1") as Presence);
    await subscribe(hers);
    await subscribe(his);
    const local = hers.create("ada");
    await submit(local, { name: "Ada 🙂", at: [1, null, { deep: true }] });
    await sees(his, { ada: { name: "Ada 🙂", at: [1, null, { deep: true }] } });
    await submit(local, "anything");
    await submit(hers.create("second"), 0);
    await sees(his, { ada: "anything", second: 0 });
    assert.deepEqual(Object.keys(hers.remotePresences), [], "one's own is not remote");
    // Who comes late is told by those who are there.
    await subscribe(late);
    await sees(late, { ada: "anything", second: 0 });
    await called((callback) => local.destroy(callback));
    await sees(his, { second: 0 });
    // Another channel is another matter.
    const elsewhere = bob.connection.getPresence("room 2") as Presence;
    await subscribe(elsewhere);
    await submit(elsewhere.create("bob"), 1);
    await called((callback) => late.unsubscribe(callback));
    await submit(his.create("bob"), 2);
    await sees(hers, { bob: 2 });
    assert.deepEqual(late.remotePresences.bob, undefined);
    // Whoever's connection ends is gone.
    const gone = sees(his, {});
    ada.wire.cut();
    await gone;
    // And comes back with it: each is asked for what it shows.
    await submit(his.create("while away"), 3);
    await ada.settle();
    await Promise.all([sees(his, { second: 0 }), sees(hers, { bob: 2, "while away": 3 })]);
  });

  test(`${kind.name}: a cursor in rich text moves with the text`, async (t) => {
    const [, ada, bob, cay] = await three(t);
    const clients = [ada, bob, cay];
    await ada.create(ada.get("x"), [{ insert: "Hello 🌍 world\n" }], types.richText);
    for (const client of clients) await client.subscribe(client.get("x"));
    const presences = clients.map((client) => client.connection.getDocPresence("notes", "x") as Presence);
    for (const presence of presences) await subscribe(presence);
    const [hers, his, theirs] = presences;
    const local = hers.create("ada");
    await submit(local, { index: 9, length: 5, name: "Ada" });
    await sees(his, { ada: { index: 9, length: 5, name: "Ada" } });
    await sees(theirs, { ada: { index: 9, length: 5, name: "Ada" } });

    // An insert before it moves it, for the one who inserts as for the others.
    await bob.submit(bob.get("x"), [{ insert: ">> " }]);
    await sees(theirs, { ada: { index: 12, length: 5, name: "Ada" } });
    await sees(his, { ada: { index: 12, length: 5, name: "Ada" } });
    await ada.until(() => local.value.index === 12);
    // A deletion within it makes it smaller; an embed and a format do what their lengths say.
    await bob.submit(bob.get("x"), [{ retain: 13 }, { delete: 2 }]);
    await bob.submit(bob.get("x"), [{ retain: 3, attributes: { bold: true } }, { insert: { image: "x" } }]);
    await sees(theirs, { ada: { index: 13, length: 3, name: "Ada" } });

    // Bob has not heard of an edit yet: the server moves his cursor over it.
    bob.wire.hold("down");
    await ada.submit(ada.get("x"), [{ insert: "12345" }]);
    const mine = his.create("bob");
    mine.submit({ index: 4, length: 0 }, () => {}); // its acknowledgement is held, too
    await sees(theirs, { ada: { index: 18, length: 3, name: "Ada" }, bob: { index: 9, length: 0 } });
    bob.wire.release();
    await bob.until(() => mine.value.index === 9);

    // Cay has not heard of an edit yet, and gets a cursor from after it: she catches up.
    await called((callback) => cay.get("x").unsubscribe(callback));
    await ada.submit(ada.get("x"), [{ insert: "6" }]);
    await submit(local, { index: 0, length: 1 });
    await sees(theirs, { ada: { index: 0, length: 1 }, bob: { index: 10, length: 0 } });
    assert.equal(cay.get("x").version, ada.get("x").version);
  });

  test(`${kind.name}: cursors come back after the server was killed`, async (t) => {
    const [server, ada, bob] = await three(t);
    await ada.create(ada.get("x"), [{ insert: "Hello\n" }], types.richText);
    for (const client of [ada, bob]) await client.subscribe(client.get("x"));
    const [hers, his] = [ada, bob].map((client) => client.connection.getDocPresence("notes", "x") as Presence);
    await subscribe(hers);
    await subscribe(his);
    await submit(hers.create("ada"), { index: 2, length: 0 });
    await sees(his, { ada: { index: 2, length: 0 } });
    await Promise.all([server.kill(), ...[ada, bob].map((client) => once(client.connection as never, "disconnected"))]);
    await server.start();
    await Promise.all([ada.settle(), bob.settle()]);
    await bob.submit(bob.get("x"), [{ insert: "12" }]);
    await submit(his.create("bob"), { index: 1, length: 0 });
    await Promise.all([sees(his, { ada: { index: 4, length: 0 } }), sees(hers, { bob: { index: 1, length: 0 } })]);
  });

  test(`${kind.name}: a ping is answered`, async (t) => {
    const [, ada] = await three(t);
    await ada.until(() => ada.connection.state === "connected");
    const pong = once(ada.connection as never, "pong");
    ada.connection.ping();
    await pong;
  });
}
