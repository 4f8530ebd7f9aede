// A client that is far too fast has its connection closed: it keeps what it has not sent, and nothing is lost.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";

import { Client, fetched, state, types } from "./client.js";
import { Quire } from "./servers.js";

test("quire: operations past a rate are sent again over another connection", async (t) => {
  const server = await Quire.start("--max-run", "1", "--max-client-rate", "1"); // two at once
  t.after(() => server.close());
  const ada = new Client(server);
  t.after(() => ada.close());
  const doc = ada.get("x");
  await ada.create(doc, "", types.textUnicode);
  await ada.subscribe(doc);
  await ada.submit(doc, ["a"]);
  await ada.submit(doc, [1, "b"]);
  const lost = once(ada.connection as never, "disconnected").then(() => true);
  // On a slow machine the first two may not be too fast yet.
  let want = "ab";
  const all: Promise<void>[] = [];
  for (let tooFast = false; !tooFast; ) {
    const two = ["c", "d"].map((letter) => {
      want += letter;
      return ada.submit(doc, [want.length - 1, letter]);
    });
    all.push(...two);
    tooFast = await Promise.race([lost, Promise.all(two).then(() => false)]);
  }
  await ada.settle();
  await Promise.all(all);
  assert.equal(doc.data, want);
  assert.deepEqual(await fetched(server, "x"), state(doc));
  assert.deepEqual(ada.errors, []);
});
