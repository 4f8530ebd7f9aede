import assert from "node:assert/strict";
import { test } from "node:test";

import { Connection, text, type Document, type Draft, type TextCursor, type TextOp } from "../index.js";
import { random, randomOp, type Random } from "./random.js";
import { World } from "./world.js";

type TextDocument = Document<string, TextOp, TextCursor>;

/** One editor: a document and a screen that knows only what the events told it. */
class Editor {
  readonly document: TextDocument;
  readonly connection: Connection;
  readonly drafts: Draft<TextOp>[] = [];
  screen = "";
  cursor: TextCursor = [];

  constructor(
    readonly world: World,
    compose: boolean,
  ) {
    this.connection = new Connection(world.connection);
    this.document = this.connection.open("d", text, {
      compose,
      user: { name: "someone", color: "#000000" },
      events: {
        reset: (content) => {
          this.screen = content;
          this.cursor = [];
        },
        remote: (op) => {
          this.screen = text.apply(this.screen, op);
          this.cursor = text.transformCursor(this.cursor, op, "left");
        },
        draft: (draft) => this.drafts.push(draft),
      },
    });
  }

  type(op: TextOp, rnd: Random): void {
    if (!this.document.editable) return;
    this.screen = text.apply(this.screen, op);
    this.cursor = this.place(rnd);
    this.document.edit(op, this.cursor);
  }

  look(rnd: Random): void {
    if (!this.document.editable) return;
    this.cursor = this.place(rnd);
    this.document.setCursor(this.cursor);
  }

  place(rnd: Random): TextCursor {
    const ends = [0, ...Array.from(this.screen, (char) => char.length)];
    for (let i = 1; i < ends.length; i++) ends[i]! += ends[i - 1]!;
    return [[ends[rnd.int(ends.length)]!, ends[rnd.int(ends.length)]!]];
  }

  check(at: string): void {
    assert.equal(this.screen, this.document.content ?? "", `${at}: the screen and the document differ`);
    for (const { cursor } of this.document.peers) {
      for (const position of (cursor ?? []).flat()) assert.ok(position >= 0 && position <= this.screen.length, at);
    }
  }
}

function finish(world: World, editors: Editor[], at: string): void {
  world.down = false;
  world.server.saved = true;
  world.settle();
  // A cursor moved over edits in another order may stand elsewhere, until it is set again.
  for (const editor of editors) editor.look(world.rnd);
  world.settle();
  const { server } = world;
  for (const editor of editors) {
    editor.check(at);
    assert.equal(editor.document.state.kind, "saved", at);
    assert.equal(editor.document.state.unsaved, 0, at);
    assert.equal(editor.screen, server.content, `${at}: a screen and the server differ`);
    assert.equal(editor.document.rev, server.head, at);
    assert.deepEqual(server.people.get(editor.document.client)?.cursor, editor.cursor, `${at}: own cursor`);
    const others = editors.filter((other) => other !== editor);
    const peers = new Map(editor.document.peers.map((peer) => [peer.client, peer.cursor ?? []]));
    assert.deepEqual(peers, new Map(others.map((other) => [other.document.client, other.cursor])), `${at}: peers`);
  }
  const seqs = new Map<string, number>();
  for (const { client, seq } of server.log) {
    assert.equal(seq, (seqs.get(client) ?? 0) + 1, `${at}: ${client} has a gap or a duplicate`);
    seqs.set(client, seq);
  }
}

const rounds = Number(process.env["ROUNDS"] ?? 300);
const firstSeed = Number(process.env["SEED"] ?? 1);

for (const compose of [true, false]) {
  test(`editors converge through drops, composites and resends (${compose ? "composed" : "separate"} waiting)`, () => {
    let drops = 0;
    let faults = 0;
    let stale = 0;
    for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
      const at = `seed ${seed}`;
      const rnd = random(seed);
      const world = new World(rnd, "Hello 🌍");
      const editors = Array.from({ length: 2 + rnd.int(3) }, () => new Editor(world, compose));
      world.settle();
      for (let step = 0; step < 150; step++) {
        const editor = editors[rnd.int(editors.length)]!;
        const dice = rnd();
        if (dice < 0.2) editor.type(randomOp(rnd, editor.screen), rnd);
        else if (dice < 0.25) editor.look(rnd);
        else if (dice < 0.27) {
          drops++;
          world.wires[rnd.int(world.wires.length)]!.cut(rnd);
        } else if (dice < 0.28) {
          faults++;
          const codes = [{ code: "busy", class: "retry" }, { code: "stale", class: "resync" }] as const;
          world.server.fault = codes[rnd.int(2)]!;
        } else if (dice < 0.285) world.down = !world.down;
        else world.step();
        editor.check(`${at} step ${step}`);
      }
      finish(world, editors, at);
      assert.deepEqual(editors.flatMap((editor) => editor.drafts), [], at);
      for (const editor of editors) editor.connection.close();
      stale += world.server.stale;
    }
    assert.ok(drops > 0 && faults > 0 && stale > 0);
  });
}

test("every character typed arrives exactly once", () => {
  for (let seed = firstSeed; seed < firstSeed + rounds / 3; seed++) {
    const at = `seed ${seed}`;
    const rnd = random(seed);
    const world = new World(rnd);
    const editors = [new Editor(world, true), new Editor(world, true), new Editor(world, false)];
    world.settle();
    const typed: string[] = [];
    for (let step = 0; step < 200; step++) {
      const editor = editors[rnd.int(3)]!;
      if (rnd.chance(0.2)) {
        const char = String.fromCodePoint(0x4e00 + typed.length);
        typed.push(char);
        const place = rnd.int(editor.screen.length + 1);
        editor.type(place > 0 ? [place, char] : [char], rnd);
      } else if (rnd.chance(0.03)) {
        world.wires[rnd.int(world.wires.length)]!.cut(rnd);
      } else {
        world.step();
      }
    }
    finish(world, editors, at);
    assert.equal([...world.server.content].sort().join(""), typed.sort().join(""), at);
  }
});
