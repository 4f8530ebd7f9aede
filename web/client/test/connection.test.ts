import assert from "node:assert/strict";
import { test } from "node:test";

import { Connection, text } from "../index.js";
import { random } from "./random.js";
import { World } from "./world.js";

function setup() {
  const world = new World(random(1), "Hello");
  const connection = new Connection(world.connection);
  return { world, connection, document: connection.open("d", text), wire: () => world.wires.at(-1)! };
}

test("waits between attempts grow, are jittered and bounded", () => {
  const { world } = setup();
  world.down = true;
  world.wires[0]!.cut(world.rnd);
  const times: number[] = [];
  for (let ms = 0; ms < 120_000; ms += 10) {
    const before = world.wires.length;
    world.clock.advance(10);
    if (world.wires.length > before) times.push(world.clock.time);
  }
  const waits = times.slice(1).map((time, i) => time - times[i]!);
  assert.ok(times[0]! <= 410, `first attempt after ${times[0]}`);
  assert.ok(waits.every((wait) => wait <= 15_020), `${waits}`);
  assert.ok(waits.slice(5).every((wait) => wait >= 6_000), `${waits}`);
});

test("a link that is dead without saying so is noticed and replaced", () => {
  const { world, document, wire } = setup();
  world.settle();
  const dead = wire();
  document.edit(["a"]);
  world.clock.advance(5_000);
  assert.deepEqual(dead.up.map((data) => JSON.parse(data).t), ["submit", "ping"]);
  world.clock.advance(9_999);
  assert.equal(world.wires.length, 1);
  world.clock.advance(1);
  assert.equal(document.state.kind, "offline");
  world.settle();
  assert.equal(world.server.content, "aHello");
});

test("a silent but living link is kept", () => {
  const { world } = setup();
  world.settle();
  assert.equal(world.wires.length, 1);
});

test("a server that never says hello is given up", () => {
  const { world } = setup();
  world.wires[0]!.down.length = 0;
  world.clock.advance(10_000);
  world.settle();
  assert.ok(world.wires.length > 1);
});

test("after bye the client comes back when the server asked it to", () => {
  const { world, wire } = setup();
  world.settle();
  wire().send({ t: "bye", in: 1830, reason: "restarting" });
  wire().moveDown();
  wire().cut(world.rnd);
  world.clock.advance(1829);
  assert.equal(world.wires.length, 1);
  world.clock.advance(1);
  assert.equal(world.wires.length, 2);
});

test("probe connects at once while waiting, and asks a living server for a sign", () => {
  const { world, connection, document, wire } = setup();
  world.settle();
  connection.probe();
  assert.deepEqual(JSON.parse(wire().up[0]!), { t: "ping" });
  world.clock.advance(3_000);
  assert.equal(connection.state.kind, "waiting");
  connection.probe();
  assert.equal(connection.state.kind, "connecting");
  world.settle();
  assert.equal(document.state.kind, "saved");
});

test("close ends everything", () => {
  const { world, connection, document } = setup();
  world.settle();
  connection.close();
  world.settle();
  assert.equal(document.state.code, "left");
  assert.equal(world.wires.length, 1);
  assert.equal(world.clock.timers.size, 0);
});

test("one document is open once per connection", () => {
  const { connection } = setup();
  assert.throws(() => connection.open("d", text), /already open/);
});
