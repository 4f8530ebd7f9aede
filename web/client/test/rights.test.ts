import assert from "node:assert/strict";
import { test } from "node:test";

import { Connection, sendUnsent, text, type ConnectionOptions, type Draft, type Keeper, type Role, type State, type TextOp } from "../index.js";
import { random } from "./random.js";
import { World, type Wire } from "./world.js";

/** Lets promises that have settled run what waits for them. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

function setup(options: Partial<ConnectionOptions> = {}, content = "Hello") {
  const world = new World(random(1), content);
  const refusals: string[] = [];
  const connection = new Connection({ ...world.connection, onUnauthenticated: (reason) => refusals.push(reason), ...options });
  const roles: Role[] = [];
  const states: State[] = [];
  const drafts: Draft<TextOp>[] = [];
  const document = connection.open("d", text, {
    events: { role: (role) => roles.push(role), state: (state) => states.push(state), draft: (draft) => drafts.push(draft) },
  });
  const wire = (): Wire => world.wires.at(-1)!;
  /** Moves everything that is on its way now, without time passing. */
  const move = () => {
    for (let moved = true; moved; ) {
      moved = world.wires.reduce((any, wire) => wire.moveUp() || wire.moveDown() || any, false);
      world.server.commit();
      for (; !world.server.quiet; moved = true) world.server.deliver();
    }
  };
  /** Lets time pass while everything works. */
  const pass = async (ms: number) => {
    for (; ms > 0; ms -= 1_000) {
      world.clock.advance(Math.min(ms, 1_000));
      await settled();
      move();
    }
  };
  return { world, connection, document, roles, states, drafts, refusals, wire, move, pass };
}

/** A source of tokens one, two, …, and how often it was asked. */
function tokens() {
  const names = ["one", "two", "three", "four", "five"];
  const source = { asked: 0, fails: false, get: () => Promise.resolve("") };
  source.get = () => (source.fails ? Promise.reject(new Error("no")) : Promise.resolve(names[source.asked++]!));
  return source;
}

const you = (expires?: number) => ({ t: "you", author: "ada", name: "Ada", ...(expires === undefined ? {} : { expires }) });

test("a token is offered beside the protocol, and nothing where there is none", () => {
  assert.deepEqual(setup({ token: "a.b-c_d" }).wire().protocols, ["quire.v1", "quire.token.a.b-c_d"]);
  assert.deepEqual(setup().wire().protocols, ["quire.v1"]);
});

test("a token is used again after an interruption, and renewed on the connection before it runs out", async () => {
  const source = tokens();
  const told: unknown[] = [];
  const { world, wire, move, pass } = setup({ token: () => source.get(), onIdentity: (identity) => told.push(identity) });
  assert.equal(world.wires.length, 0);
  await settled();
  assert.deepEqual(wire().protocols, ["quire.v1", "quire.token.one"]);
  move();
  wire().cut(world.rnd);
  world.clock.advance(1_000);
  await settled();
  assert.deepEqual(wire().protocols, ["quire.v1", "quire.token.one"]);
  wire().send(you(600_000));
  move();
  assert.deepEqual(told, [{ author: "ada", name: "Ada" }]);
  assert.equal(source.asked, 1);
  await pass(569_999);
  assert.deepEqual(world.server.tokens, []);
  await pass(1);
  assert.deepEqual(world.server.tokens, ["two"]);
  wire().send(you(40_000));
  move();
  await pass(19_999);
  assert.deepEqual(world.server.tokens, ["two"]);
  await pass(1);
  assert.deepEqual(world.server.tokens, ["two", "three"]);
  wire().send(you());
  move();
  await pass(1_000_000);
  assert.equal(source.asked, 3, "the last one holds for ever");
});

test("a token that comes for a connection that is no more is kept for the next one", async () => {
  const source = tokens();
  const { world, wire, move, pass } = setup({ token: () => source.get() });
  await settled();
  move();
  wire().send(you(60_000));
  move();
  await pass(29_999);
  world.clock.advance(1); // another is asked for
  wire().cut(world.rnd);
  await settled();
  assert.deepEqual(world.server.tokens, []);
  world.clock.advance(1_000);
  await settled();
  assert.deepEqual(wire().protocols, ["quire.v1", "quire.token.two"]);
});

test("when no token can be had, it is tried again: to connect, and to go on", async () => {
  const source = tokens();
  source.fails = true;
  const { world, connection, wire, move, pass } = setup({ token: () => source.get() });
  await settled();
  assert.deepEqual(connection.state, { kind: "waiting", reason: "no token: no" });
  source.fails = false;
  world.clock.advance(1_000);
  await settled();
  move();
  assert.equal(connection.state.kind, "connected");
  wire().send(you(10_000));
  move();
  source.fails = true;
  await pass(5_000);
  source.fails = false;
  await pass(1_000);
  assert.deepEqual(world.server.tokens, ["two"]);
});

test("a source that never answers is not waited for without end", async () => {
  const { world, connection } = setup({ token: () => new Promise(() => {}) });
  world.clock.advance(10_000);
  assert.deepEqual(connection.state, { kind: "waiting", reason: "no token" });
});

test("after the server's no another token is asked for; if that is refused, too, nothing is tried until probe", async () => {
  const source = tokens();
  const { world, connection, document, refusals, wire, move } = setup({ token: () => source.get() });
  await settled();
  wire().send(you(60_000));
  move();
  document.edit(["a"]);
  wire().refuse("the token has run out");
  assert.equal(document.state.kind, "offline");
  world.clock.advance(1_000);
  await settled();
  assert.deepEqual(wire().protocols, ["quire.v1", "quire.token.two"]);
  assert.deepEqual(refusals, []);
  wire().down.length = 0;
  wire().refuse("revoked");
  assert.deepEqual(refusals, ["revoked"]);
  world.clock.advance(1_000_000);
  await settled();
  assert.equal(world.wires.length, 2);
  assert.deepEqual(document.state, { kind: "offline", unsaved: 1 });
  connection.probe();
  await settled();
  assert.deepEqual(wire().protocols, ["quire.v1", "quire.token.three"]);
  world.settle();
  assert.equal(world.server.content, "aHello");
});

test("a token that does not change is not tried again by itself", () => {
  const { world, connection, refusals, wire } = setup({ token: "one" });
  wire().down.length = 0;
  wire().refuse("revoked");
  world.clock.advance(1_000_000);
  assert.equal(world.wires.length, 1);
  assert.deepEqual(refusals, ["revoked"]);
  connection.probe();
  assert.equal(world.wires.length, 2);
});

test("what one person wrote is not sent in the name of another", () => {
  for (const author of [undefined, "ada"]) {
    const { world, connection, document, refusals, wire, move } = setup(author === undefined ? {} : { author });
    wire().send(you());
    move();
    document.edit(["a"]);
    wire().up.length = 0;
    wire().cut(world.rnd);
    world.clock.advance(1_000); // the browser's cookie is somebody else's by now
    wire().send({ t: "you", author: "bob", name: "Bob" });
    move();
    world.clock.advance(1_000_000);
    assert.equal(world.wires.length, 2, "nothing is tried any more");
    assert.deepEqual(refusals, ["somebody else is signed in here now"]);
    assert.deepEqual(document.state, { kind: "offline", unsaved: 1 });
    assert.equal(world.server.content, "Hello");
    connection.probe();
    wire().send(you());
    world.settle();
    assert.equal(world.server.content, "aHello", "and when it is the same person again, it is");
  }
  const { world, refusals, wire, move } = setup({ author: "ada" });
  wire().send({ t: "you", author: "bob", name: "Bob" });
  move();
  world.clock.advance(1_000_000);
  assert.equal(world.wires.length, 1);
  assert.deepEqual(refusals, ["somebody else is signed in here now"]);
});

test("what is written without the right is kept, and sent when the right is there", () => {
  const { world, document, roles, drafts, wire, move } = setup();
  world.server.grant(wire(), "write");
  world.settle();
  document.edit(["a"]);
  world.server.grant(wire(), "read"); // while it is on its way
  document.edit(["b"]);
  move();
  assert.deepEqual(roles, ["write", "read"]);
  assert.equal(document.role, "read");
  assert.deepEqual(world.server.refused, [`${document.client} 1`]);
  world.settle();
  assert.deepEqual(document.state, { kind: "saving", unsaved: 2 });
  assert.equal(world.server.content, "Hello");
  assert.equal(world.server.refused.length, 1, "nothing is sent without the right");
  world.server.grant(wire(), "write");
  world.settle();
  assert.equal(world.server.content, "baHello");
  assert.deepEqual(document.state, { kind: "saved", unsaved: 0 });
  assert.deepEqual(drafts, []);
});

test("a reader has a cursor", () => {
  const { world, document, wire, move } = setup();
  world.server.grant(wire(), "read");
  move();
  document.setCursor([[2, 2]]);
  move();
  assert.deepEqual(world.server.people.get(document.client)?.cursor, [[2, 2]]);
});

test("a document that may not be read any more is closed, and what was not sent handed back", () => {
  const { world, connection, document, drafts, wire, move } = setup();
  world.server.grant(wire(), "read");
  move();
  document.edit(["a"]);
  world.server.grant(wire(), "none");
  move();
  assert.equal(document.state.code, "forbidden");
  assert.deepEqual(drafts.map(({ code, text, ops }) => ({ code, text, ops })), [{ code: "forbidden", text: "aHello", ops: [["a"]] }]);
  const again = connection.open("d", text);
  move();
  assert.equal(again.state.code, "not_found");
});

test("edits of an earlier page stay in storage while the person may only read", async () => {
  const { world, connection, document, wire, move } = setup();
  move();
  wire().cut(world.rnd);
  document.edit(["a"]);
  const unsent = document.unsent!;
  document.close();
  world.clock.advance(1_000);
  world.server.grant(wire(), "read");
  const calls: string[] = [];
  const keeper = { watch() {}, changed() {}, sending() {}, forget: () => calls.push("forget"), leave: () => calls.push("leave") };
  const send = () => sendUnsent(connection, text, unsent, keeper as unknown as Keeper, () => calls.push("draft"));
  const first = send();
  world.settle();
  await first;
  assert.deepEqual(calls, ["leave"]);
  world.server.grant(wire(), "write");
  const second = send();
  world.settle();
  await second;
  assert.deepEqual(calls, ["leave", "forget"]);
  assert.equal(world.server.content, "aHello");
});

test("rights come and go while several write: nothing is lost, nothing counts twice", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const rnd = random(seed);
    const world = new World(rnd, "");
    const writers = Array.from({ length: 3 }, () => {
      const connection = new Connection(world.connection);
      const drafts: unknown[] = [];
      return { wire: world.wires.at(-1)!, drafts, edits: 0, document: connection.open("d", text, { compose: false, events: { draft: (draft) => drafts.push(draft) } }) };
    });
    for (const { wire } of writers) world.server.grant(wire, "write");
    for (let i = 0; i < 400; i++) {
      const writer = writers[rnd.int(writers.length)]!;
      if (rnd.int(8) === 0) world.server.grant(writer.wire, rnd.int(2) === 0 ? "read" : "write");
      else if (rnd.int(3) === 0 && writer.document.editable) writer.document.edit(["x"], undefined), writer.edits++;
      else world.step();
    }
    for (const { wire } of writers) world.server.grant(wire, "write");
    world.settle();
    const edits = writers.reduce((sum, writer) => sum + writer.edits, 0);
    assert.equal(world.server.content.length, edits, `seed ${seed}`);
    for (const { document, drafts } of writers) {
      assert.deepEqual([document.content, document.state.kind, drafts.length], [world.server.content, "saved", 0], `seed ${seed}`);
    }
    if (seed === 40) assert.ok(world.server.refused.length > 0, "something was refused");
  }
});
