// No browser here: many of our clients against the real server, so that the two
// implementations of the algebra and of the protocol are held against each other.

import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { test } from "node:test";

import { Connection, text, type Draft, type TextOp } from "../client/index.js";
import { random, randomOp } from "../client/test/random.js";
import { QuireServer, Way } from "./harness.js";

test("eight clients edit at random through cuts and a crash, and end with the store's text", async () => {
  const seed = Number(process.env["SEED"] ?? 1);
  const rnd = random(seed);
  const server = await QuireServer.start();
  await server.create("all", "Hello 🌍\n");
  const drafts: Draft<TextOp>[] = [];
  const changes = new EventEmitter().setMaxListeners(0);
  const editors = await Promise.all(
    Array.from({ length: 8 }, async (_, i) => {
      const way = await Way.to(server);
      const connection = new Connection({ url: `${way.url.replace("http", "ws")}/ws` });
      const document = connection.open("all", text, {
        compose: i % 2 === 0,
        events: { draft: (draft) => drafts.push(draft), state: () => changes.emit("change") },
      });
      return { way, connection, document };
    }),
  );
  const everybody = async (kinds: string[]) => {
    while (editors.some(({ document }) => !kinds.includes(document.state.kind))) await once(changes, "change");
  };
  await everybody(["saved"]);
  const clients = () => editors.map(({ document }) => document.client);
  const begun = clients();
  for (let step = 0; step < 1500; step++) {
    const { way, document } = editors[rnd.int(editors.length)]!;
    document.edit(randomOp(rnd, document.content!));
    if (rnd.chance(0.01)) way.cut();
    for (const { way } of editors) if (rnd.chance(0.02)) way.restore();
    if (step === 700) {
      await server.kill();
      await everybody(["offline"]);
      await server.start();
    }
    await new Promise(setImmediate);
  }
  for (const { way, connection } of editors) {
    way.restore();
    connection.probe();
  }
  const stored = async () => {
    await everybody(["saved"]);
    return server.content("all");
  };
  let content = await stored();
  while (editors.some(({ document }) => document.content !== content)) {
    // Somebody has not had the last of the others yet.
    await new Promise(setImmediate);
    content = await stored();
  }
  assert.deepEqual(drafts, [], `seed ${seed}`);
  assert.deepEqual(clients(), begun, "nobody had to begin afresh");
  for (const { connection } of editors) connection.close();
});
