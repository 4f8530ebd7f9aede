import assert from "node:assert/strict";
import { test } from "node:test";

import { Connection, crc32c, OperationError, text, type Draft, type State, type TextOp } from "../index.js";
import { random } from "./random.js";
import { limits } from "./server.js";
import { World, type Wire } from "./world.js";

/** One document "d" on a server that the test plays by hand or lets run. */
function setup(content = "Hello", options: { create?: boolean } = {}) {
  const world = new World(random(1), content);
  const connection = new Connection(world.connection);
  const states: State[] = [];
  const drafts: Draft<TextOp>[] = [];
  const resets: string[] = [];
  const document = connection.open("d", text, {
    ...options,
    events: {
      state: (state) => states.push(state),
      draft: (draft) => drafts.push(draft),
      reset: (content) => resets.push(content),
    },
  });
  const wire = (): Wire => world.wires.at(-1)!;
  return { world, connection, document, states, drafts, resets, wire };
}

/** Reads what the client has sent since the last look. */
const sent = (wire: Wire) => wire.up.splice(0).map((data) => JSON.parse(data));

test("the first edit goes at once, what is typed meanwhile goes as one when it is acknowledged", () => {
  const { world, document, wire } = setup("");
  world.settle();
  for (const [i, char] of [..."abc"].entries()) document.edit(i ? [i, char] : [char], [[i + 1, i + 1]]);
  assert.equal(document.state.unsaved, 3);
  assert.deepEqual(sent(wire()), [{ t: "submit", doc: "d", base: 0, seq: 1, ops: [["a"]], cursor: [[1, 1]] }]);
  wire().send({ t: "ops", doc: "d", rev: 0, ops: [{ c: document.client, s: 1, op: ["a"] }] });
  wire().moveDown();
  assert.deepEqual(sent(wire()), [{ t: "submit", doc: "d", base: 1, seq: 2, ops: [[1, "bc"]], cursor: [[3, 3]] }]);
  assert.deepEqual(document.state, { kind: "saving", unsaved: 2 });
});

test("typing and taking it back before it is sent sends nothing", () => {
  const { world, document, wire } = setup("");
  world.settle();
  wire().cut(world.rnd);
  document.edit(["x"]);
  document.edit([-1]);
  assert.deepEqual(document.state, { kind: "offline", unsaved: 0 });
});

test("states: connecting, saved, saving, offline with a count, saved again", () => {
  const { world, document, states, wire } = setup();
  assert.equal(document.state.kind, "connecting");
  assert.equal(document.editable, false);
  world.settle();
  document.edit(["a"]);
  wire().cut(world.rnd);
  document.edit(["b"]);
  world.settle();
  assert.equal(world.server.content, "baHello");
  const told = states.map(({ kind, unsaved }) => `${kind} ${unsaved}`);
  assert.deepEqual(told.slice(0, 4), ["saved 0", "saving 1", "offline 1", "offline 2"]);
  assert.equal(told.at(-1), "saved 0");
});

test("a store that fails is told, and so is its recovery", () => {
  const { world, document, wire } = setup();
  world.settle();
  document.edit(["a"]);
  wire().send({ t: "status", doc: "d", saved: false });
  wire().moveDown();
  assert.deepEqual(document.state, { kind: "failing", unsaved: 1 });
  wire().send({ t: "status", doc: "d", saved: true });
  wire().moveDown();
  assert.deepEqual(document.state, { kind: "saving", unsaved: 1 });
});

test("a document that cannot be read is unreadable, not empty, and tried again", () => {
  const { world, document, resets } = setup("precious");
  world.server.fault = { code: "unavailable", class: "retry" };
  for (let i = 0; i < 4; i++) world.wires.forEach((wire) => (wire.moveDown(), wire.moveUp()));
  assert.equal(document.state.kind, "unreadable");
  assert.equal(document.state.code, "unavailable");
  assert.equal(document.editable, false);
  assert.deepEqual(resets, []);
  document.retry();
  world.settle();
  assert.equal(document.state.kind, "saved");
  assert.deepEqual(resets, ["precious"]);
});

test("a refused edit is handed back with what was typed after it, and the document opened afresh", () => {
  const { world, document, drafts, resets } = setup();
  world.settle();
  const client = document.client;
  world.server.fault = { code: "too_large", class: "fatal" };
  document.edit([5, " you"]);
  document.edit([9, "!"]);
  world.settle();
  assert.deepEqual(drafts, [
    { doc: "d", type: "text", code: "too_large", message: "too_large", text: "Hello you!", content: "Hello you!", ops: [[5, " you"], [9, "!"]] },
  ]);
  assert.notEqual(document.client, client);
  assert.deepEqual(resets, ["Hello", "Hello"]);
  assert.deepEqual(document.state, { kind: "saved", unsaved: 0 });
  document.edit(["> "]);
  world.settle();
  assert.equal(world.server.content, "> Hello");
});

for (const code of ["incarnation", "future", "mismatch", "gone"] as const) {
  test(`when a resume ends in ${code}, unsent edits become a draft`, () => {
    const { world, document, drafts, wire } = setup();
    world.settle();
    document.edit(["a"]);
    world.settle();
    wire().cut(world.rnd);
    document.edit(["b"]);
    if (code === "incarnation") world.server.inc = "inc2";
    else if (code === "gone") world.server.oldest = world.server.head + 1;
    else if (code === "mismatch") world.server.log[0]!.client = "somebody";
    else {
      world.server.log.length = world.server.head = 0;
      world.server.content = "Hello";
    }
    world.settle();
    assert.deepEqual(drafts.map(({ code, text }) => ({ code, text })), [{ code, text: "baHello" }]);
    assert.equal(document.content, world.server.content);
    assert.equal(document.state.kind, "saved");
  });
}

test("a document that is not there, was deleted or was taken over is closed for good", () => {
  const missing = setup();
  missing.world.server.fault = { code: "not_found", class: "fatal" };
  missing.world.settle();
  assert.deepEqual(missing.document.state, { kind: "closed", unsaved: 0, code: "not_found", message: "not_found" });
  assert.deepEqual(missing.drafts, []);

  const deleted = setup("some text");
  deleted.world.settle();
  deleted.wire().send({ t: "error", doc: "d", code: "deleted", class: "fatal", message: "gone" });
  deleted.wire().moveDown();
  assert.equal(deleted.document.state.code, "deleted");
  assert.deepEqual(deleted.drafts.map(({ text }) => text), ["some text"]);
  assert.throws(() => deleted.document.edit(["x"]));
  assert.doesNotThrow(() => deleted.connection.open("d", text));
});

test("a text that differs from the server's is kept as a draft and fetched afresh", () => {
  const { world, document, drafts, resets } = setup();
  world.settle();
  document.edit(["a"]);
  world.clock.advance(1);
  while (world.wires[0]!.moveUp());
  world.server.commit();
  world.server.content = "another text";
  world.settle();
  assert.deepEqual(drafts.map(({ code, text }) => ({ code, text })), [{ code: "checksum", text: "aHello" }]);
  assert.equal(resets.at(-1), "another text");
  assert.equal(document.content, "another text");
});

test("a content that arrives damaged is not shown", () => {
  const { world, document, resets, wire } = setup();
  wire().moveDown();
  const [open] = sent(wire());
  const damaged = { t: "opened", doc: "d", client: open.client, type: "text", inc: "i", rev: 0, seq: 0, content: "Hellp", sum: crc32c("Hello") };
  wire().send(damaged);
  wire().moveDown();
  assert.equal(document.state.kind, "unreadable");
  world.settle();
  assert.deepEqual(resets, ["Hello"]);
});

test("an operation that does not fit is refused here and changes nothing", () => {
  const { world, document, wire } = setup("a🌍");
  world.settle();
  for (const op of [[9, "x"], [2, "x"], ["a", "b"], ["\ud800"], [1]]) assert.throws(() => document.edit(op), OperationError);
  assert.equal(document.content, "a🌍");
  assert.deepEqual(sent(wire()), []);
});

test("a paste larger than a message is split, whatever its characters weigh", () => {
  for (const char of ["x", "é", "中", "🌍", "\u0001", '"']) {
    const { world, document } = setup("[]");
    world.settle();
    document.edit([1, char.repeat(limits.message * 2), -1, "!"]);
    world.settle(); // the model refuses messages over the limit
    assert.equal(document.state.kind, "saved");
    assert.equal(world.server.content, `[${char.repeat(limits.message * 2)}!`);
  }
});

test("cursors are throttled, and only the latest is sent", () => {
  const { world, document, wire } = setup();
  world.settle();
  for (const at of [1, 2, 3]) document.setCursor([[at, at]]);
  world.clock.advance(60);
  const cursors = sent(wire()).map((message) => message.cursor);
  assert.deepEqual(cursors, [[[1, 1]], [[3, 3]]]);
  document.setCursor([[3, 3]]);
  world.clock.advance(60);
  assert.deepEqual(sent(wire()), []);
});

test("a cursor moved by others' edits alone is not sent again", () => {
  const { world, document, wire } = setup();
  world.settle();
  document.setCursor([[3, 3]]);
  sent(wire());
  wire().send({ t: "ops", doc: "d", rev: 0, ops: [{ c: "somebody", s: 1, op: ["> "] }] });
  wire().moveDown();
  document.setCursor([[5, 5]]);
  world.clock.advance(60);
  assert.deepEqual(sent(wire()), []);
});

test("others' cursors follow every edit as the server moves them", () => {
  const { world, document, wire } = setup();
  world.settle();
  const peer = (cursor: number) => ({ c: "somebody", user: { name: "Bob", color: "#0369a1" }, cursor: [[cursor, cursor]] });
  const cursor = () => document.peers.map((peer) => peer.cursor)[0];
  wire().send({ t: "presence", doc: "d", rev: 0, full: true, set: [peer(2)] });
  wire().moveDown();
  wire().send({ t: "ops", doc: "d", rev: 0, ops: [{ c: "somebody", s: 1, op: [2, "xx"] }] });
  wire().moveDown();
  assert.deepEqual(cursor(), [[4, 4]], "behind what they type themselves");
  wire().send({ t: "ops", doc: "d", rev: 1, ops: [{ c: "another1", s: 1, op: [4, "y"] }] });
  wire().moveDown();
  assert.deepEqual(cursor(), [[4, 4]], "before what others insert there");
  document.edit([4, "mine"]);
  assert.deepEqual(cursor(), [[4, 4]], "before what is typed here");
  document.edit(["> "]);
  assert.deepEqual(cursor(), [[6, 6]]);
  wire().send({ t: "presence", doc: "d", rev: 2, gone: ["somebody"] });
  wire().moveDown();
  assert.deepEqual(document.peers, []);
});

test("an edit made here is told when it was taken in, one that does not fit is not", () => {
  const world = new World(random(1), "Hello");
  const told: unknown[] = [];
  const document = new Connection(world.connection).open("d", text, { events: { edited: (op) => told.push([op, document.content]) } });
  world.settle();
  document.edit([5, "!"]);
  assert.throws(() => document.edit([50, "!"]), OperationError);
  assert.deepEqual(told, [[[5, "!"], "Hello!"]]);
});

test("a live document that is renamed is closed, with its new id as the message", () => {
  const { world, document, drafts, wire } = setup();
  world.settle();
  wire().send({ t: "error", doc: "d", code: "moved", class: "fatal", message: "elsewhere" });
  wire().moveDown();
  assert.deepEqual(document.state, { kind: "closed", unsaved: 0, code: "moved", message: "elsewhere" });
  assert.deepEqual(drafts, []);
});
