// The server dies in the middle of the work, and starts again with what it had on disk.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";

import type { Doc } from "sharedb/lib/client";

import { Client, fetched, state, types } from "./client.js";
import { random, type Random } from "./random.js";
import { kinds } from "./servers.js";

/** How a document of each type begins, gets a character at a random place, and is read. */
const documents: Record<string, { type: keyof typeof types; begin: unknown; add(rnd: Random, data: any, char: string): unknown; read(data: any): string[] }> = {
  unicode: {
    type: "textUnicode",
    begin: "",
    add: (rnd, data: string, char) => [rnd.int([...data].length + 1), char].filter((part) => part !== 0),
    read: (data: string) => [...data],
  },
  plain: {
    type: "text0",
    begin: "",
    add: (rnd, data: string, char) => [{ p: [...data].slice(rnd.int(data.length + 1)).join("").length, i: char }],
    read: (data: string) => [...data],
  },
  rich: {
    type: "richText",
    begin: [],
    add: (rnd, { ops }: { ops: { insert: string }[] }, char) => {
      const length = 2 * rnd.int([...ops.map(({ insert }) => insert).join("")].length + 1);
      const insert = { insert: char, attributes: rnd.chance(0.5) ? { bold: true } : { color: "red" } };
      return length ? [{ retain: length }, insert] : [insert];
    },
    read: ({ ops }: { ops: { insert: string }[] }) => [...ops.map(({ insert }) => insert).join("")],
  },
  json: {
    type: "json0",
    begin: { list: [] },
    add: (rnd, { list }: { list: string[] }, char) => [{ p: ["list", rnd.int(list.length + 1)], li: char }],
    read: ({ list }: { list: string[] }) => list,
  },
};

for (const kind of kinds) {
  test(`${kind.name}: killed under load, it has every acknowledged operation once`, async (t) => {
    const seed = Number(process.env["SEED"] ?? 1);
    const rnd = random(seed);
    const server = await kind.start();
    t.after(() => server.close());
    const clients = Array.from({ length: 4 }, () => new Client(server));
    t.after(() => clients.forEach((client) => client.close()));
    for (const [id, { type, begin }] of Object.entries(documents)) {
      await clients[0]!.create(clients[0]!.get(id), begin, types[type]);
      for (const client of clients) await client.subscribe(client.get(id));
    }
    const sent = new Map<string, string[]>(Object.keys(documents).map((id) => [id, []]));
    const acknowledged = new Map<string, string[]>(Object.keys(documents).map((id) => [id, []]));
    let count = 0; // each operation inserts a character of its own
    let answers = 0;
    const edit = () => {
      const id = Object.keys(documents)[rnd.int(Object.keys(documents).length)]!;
      const client = clients[rnd.int(clients.length)]!;
      const doc = client.get(id) as Doc & { pendingOps: unknown[]; preventCompose: boolean };
      doc.preventCompose = client !== clients[0];
      if (doc.pendingOps.length > 3) return;
      const char = String.fromCodePoint(0x1f000 + count++);
      sent.get(id)!.push(char);
      doc.submitOp(documents[id]!.add(rnd, doc.data, char) as never, undefined as never, (error) => {
        assert.ifError(error);
        answers++;
        acknowledged.get(id)!.push(char);
      });
    };
    for (let round = 0; round < 4; round++) {
      for (const until = answers + 120; answers < until; ) {
        edit();
        await new Promise(setImmediate);
      }
      const broken = clients.map((client) => once(client.connection as never, "disconnected"));
      const killed = server.kill();
      for (let n = 0; n < 10; n++) edit();
      await Promise.all([killed, ...broken]);
      await server.start();
      for (const [id, { read }] of Object.entries(documents)) {
        const stored = read((await fetched(server, id)).data);
        assert.equal(new Set(stored).size, stored.length, `seed ${seed}: ${id} has an operation twice`);
        const missing = acknowledged.get(id)!.filter((char) => !stored.includes(char));
        assert.deepEqual(missing, [], `seed ${seed}: ${id} lost what was acknowledged`);
      }
      for (const client of clients) client.reconnect();
    }
    await Promise.all(clients.map((client) => client.settle()));
    for (const [id, { read }] of Object.entries(documents)) {
      const head = await fetched(server, id);
      const stored = read(head.data);
      assert.deepEqual([...new Set(stored)].length, stored.length, `seed ${seed}: ${id} has an operation twice`);
      assert.deepEqual(sent.get(id)!.filter((char) => !stored.includes(char)), [], `seed ${seed}: ${id} lacks operations`);
      for (const client of clients) {
        const doc = client.get(id);
        await client.until(() => doc.version === head.version);
        assert.deepEqual(state(doc), head);
      }
    }
    assert.deepEqual(clients.flatMap((client) => client.errors), []);
    assert.equal(answers, count);
  });
}
