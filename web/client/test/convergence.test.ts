import assert from "node:assert/strict";
import { test } from "node:test";

import { richText } from "../delta.js";
import { Connection, text, type Document, type Draft, type TextCursor, type Type } from "../index.js";
import { deltaPlaces, random, randomDeltaOp, randomOp, type Random } from "./random.js";
import { World } from "./world.js";

/** A type of document, how it begins, and how it is edited at random. */
interface Flavour<D = any, O = any> {
  readonly type: Type<D, O, TextCursor>;
  readonly start: D;
  readonly op: (rnd: Random, doc: D) => O;
  /** Where a cursor may stand. */
  readonly places: (doc: D) => number[];
}

function textPlaces(doc: string): number[] {
  const places = [0, ...Array.from(doc, (char) => char.length)];
  for (let i = 1; i < places.length; i++) places[i]! += places[i - 1]!;
  return places;
}

const plain: Flavour = { type: text, start: "Hello 🌍", op: randomOp, places: textPlaces };
const rich: Flavour = {
  type: richText,
  start: [{ insert: "Hello 🌍" }, { insert: "\n", attributes: { header: 1 } }],
  op: randomDeltaOp,
  places: deltaPlaces,
};

/** One editor: a document and a screen that knows only what the events told it. */
class Editor {
  readonly document: Document<any, any, TextCursor>;
  readonly connection: Connection;
  readonly drafts: Draft<unknown>[] = [];
  screen: any;
  cursor: TextCursor = [];

  constructor(
    readonly world: World,
    readonly flavour: Flavour,
    compose: boolean,
  ) {
    const { type } = flavour;
    this.connection = new Connection(world.connection);
    this.document = this.connection.open("d", type, {
      compose,
      user: { name: "someone", color: "#000000" },
      events: {
        reset: (content) => {
          this.screen = content;
          this.cursor = [];
        },
        remote: (op) => {
          this.screen = type.apply(this.screen, op);
          this.cursor = type.transformCursor(this.cursor, op, "left");
        },
        draft: (draft) => this.drafts.push(draft),
      },
    });
  }

  type(op: unknown, rnd: Random): void {
    if (!this.document.editable) return;
    this.screen = this.flavour.type.apply(this.screen, op);
    this.cursor = this.place(rnd);
    this.document.edit(op, this.cursor);
  }

  look(rnd: Random): void {
    if (!this.document.editable) return;
    this.cursor = this.place(rnd);
    this.document.setCursor(this.cursor);
  }

  place(rnd: Random): TextCursor {
    const ends = this.flavour.places(this.screen);
    return [[ends[rnd.int(ends.length)]!, ends[rnd.int(ends.length)]!]];
  }

  check(at: string): void {
    assert.deepEqual(this.screen, this.document.content, `${at}: the screen and the document differ`);
    const end = this.screen && this.flavour.places(this.screen).at(-1)!;
    for (const { cursor } of this.document.peers) {
      for (const position of (cursor ?? []).flat()) assert.ok(position >= 0 && position <= end, at);
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
    assert.deepEqual(editor.screen, server.content, `${at}: a screen and the server differ`);
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

for (const [flavour, compose] of [[plain, true], [plain, false], [rich, true], [rich, false]] as const) {
  const { type, start, op } = flavour;
  test(`editors of a ${type.name} converge through drops, composites and resends (${compose ? "composed" : "separate"} waiting)`, () => {
    let drops = 0;
    let faults = 0;
    let stale = 0;
    for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
      const at = `seed ${seed}`;
      const rnd = random(seed);
      const world = new World(rnd, start, type);
      const editors = Array.from({ length: 2 + rnd.int(3) }, () => new Editor(world, flavour, compose));
      world.settle();
      for (let step = 0; step < 150; step++) {
        const editor = editors[rnd.int(editors.length)]!;
        const dice = rnd();
        if (dice < 0.2) editor.type(op(rnd, editor.screen), rnd);
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
    const editors = [new Editor(world, plain, true), new Editor(world, plain, true), new Editor(world, plain, false)];
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
