// Documents move from ShareDB to Quire: the script that the example's README names.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

import { Client, fetched, types } from "./client.js";
import { all, random } from "./random.js";
import { Quire, Reference } from "./servers.js";

const copy = (...args: string[]) => promisify(execFile)(process.execPath, ["examples/sharedb-quill/copy.mjs", ...args]);

test("documents of every type are copied from ShareDB to Quire", async (t) => {
  const [from, to] = await Promise.all([Reference.start(), Quire.start()]);
  t.after(() => Promise.all([from.close(), to.close()]));
  const [ada, bob] = [new Client(from), new Client(to)];
  t.after(() => [ada, bob].forEach((client) => client.close()));
  const rnd = random(1);
  const ids: string[] = [];
  for (const [name, kind] of Object.entries(all)) {
    for (let i = 0; i < 5; i++) {
      const id = `${name} ${i}`;
      const doc = ada.get(id, "a/b");
      ids.push(id);
      await ada.create(doc, kind.begin(rnd), types[kind.type]);
      for (let n = 0; n < 10; n++) await ada.submit(doc, kind.op(rnd, doc.data));
    }
  }
  await ada.create(ada.get("deleted", "a/b"), {});
  await ada.del(ada.get("deleted", "a/b"));
  await ada.create(ada.get("there", "more"), { from: "sharedb" });
  await bob.create(bob.get("there", "more"), { from: "quire" });
  const { stdout } = await copy(from.url, to.url, "a/b", "more");
  assert.equal(stdout, "a/b: 20 copied, 0 already there\nmore: 0 copied, 1 already there\n");
  for (const id of ids) {
    const [was, is] = await Promise.all([fetched(from, id, "a/b"), fetched(to, id, "a/b")]);
    assert.deepEqual(is, { ...was, version: 1 });
  }
  assert.deepEqual((await fetched(to, "there", "more")).data, { from: "quire" });
  assert.equal((await fetched(to, "deleted", "a/b")).type, null);
  // Both go on from there with the clients that they have.
  const doc = bob.get(ids[0]!, "a/b");
  await bob.subscribe(doc);
  await bob.submit(doc, ["on "]);
  assert.match((await fetched(to, ids[0]!, "a/b")).data, /^on /);
});

test("copying tells of a server that is not there", async () => {
  await assert.rejects(copy("ws://127.0.0.1:9", "ws://127.0.0.1:9", "x"), /ECONNREFUSED|127\.0\.0\.1:9/);
  await assert.rejects(copy("ws://127.0.0.1:9"), /usage/);
});
