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
  const lost = once(ada.connection as never, "disconnected");
  const [c, d] = [ada.submit(doc, [2, "c"]), ada.submit(doc, [3, "d"])];
  await lost;
  await ada.settle();
  await Promise.all([c, d]);
  assert.equal(doc.data, "abcd");
  assert.deepEqual(await fetched(server, "x"), state(doc));
  assert.deepEqual(ada.errors, []);
});
