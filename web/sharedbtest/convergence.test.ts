// Several clients edit one document at random while their connections break and messages
// are lost in both directions. In the end everybody has what the server has.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Client, fetched, state, types } from "./client.js";
import { all, random } from "./random.js";
import { kinds } from "./servers.js";

const seed = Number(process.env["SEED"] ?? 1);
const steps = Number(process.env["STEPS"] ?? 400);

for (const server of kinds) {
  for (const [name, kind] of Object.entries(all)) {
    test(`${server.name}: ${name} converges through broken connections`, async (t) => {
      const rnd = random(seed);
      const running = await server.start();
      t.after(() => running.close());
      const clients = Array.from({ length: 3 + rnd.int(3) }, () => new Client(running));
      t.after(() => clients.forEach((client) => client.close()));
      await clients[0]!.create(clients[0]!.get("all"), kind.begin(rnd), types[kind.type]);
      for (const [i, client] of clients.entries()) {
        await client.subscribe(client.get("all"));
        if (i % 2) (client.get("all") as any).preventCompose = true;
      }
      let submitted = 0;
      let accepted = 0;
      for (let step = 0; step < steps; step++) {
        const client = clients[rnd.int(clients.length)]!;
        const doc = client.get("all");
        submitted++;
        doc.submitOp(kind.op(rnd, doc.data) as never, undefined as never, (error) => {
          assert.ifError(error);
          accepted++;
        });
        if (rnd.chance(0.05)) client.wire.hold(rnd.chance(0.5) ? "up" : "down");
        if (rnd.chance(0.05)) client.wire.release();
        if (rnd.chance(0.03)) client.wire.cut();
        for (const other of clients) if (!other.online && rnd.chance(0.2)) other.reconnect();
        for (let n = rnd.int(4); n > 0; n--) await new Promise(setImmediate);
      }
      await Promise.all(clients.map((client) => client.settle()));
      const head = await fetched(running, "all");
      for (const client of clients) {
        const doc = client.get("all");
        await client.until(() => doc.version === head.version);
        assert.deepEqual(state(doc), head, `seed ${seed}`);
        assert.deepEqual(client.errors, []);
      }
      assert.equal(accepted, submitted);
      assert.ok(head.version > 50, `${head.version} versions`);
    });
  }
}
