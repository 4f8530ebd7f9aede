import assert from "node:assert/strict";
import { test } from "node:test";

import { Connection, countUnsent, Keeper, recoverUnsent, sendUnsent, text, type KeyStore, type Locks } from "../index.js";
import { random } from "./random.js";
import { World } from "./world.js";

/** The browser's storage and locks, shared by pages. */
class Browser implements KeyStore, Locks {
  readonly items = new Map<string, string>();
  readonly held = new Set<string>();
  full = false;

  get length() {
    return this.items.size;
  }
  key(index: number) {
    return [...this.items.keys()][index] ?? null;
  }
  getItem(key: string) {
    return this.items.get(key) ?? null;
  }
  setItem(key: string, value: string) {
    if (this.full) throw new Error("QuotaExceededError");
    this.items.set(key, value);
  }
  removeItem(key: string) {
    this.items.delete(key);
  }
  async request(name: string, _: { ifAvailable: true }, hold: (lock: unknown) => Promise<void>) {
    if (this.held.has(name)) return hold(null);
    this.held.add(name);
    await hold({ name });
    this.held.delete(name);
  }
}

/** A page that edits "d" and keeps what is unsent. */
function page(world: World, browser: Browser) {
  const connection = new Connection(world.connection);
  const keeper = new Keeper(browser, browser, world.clock);
  const document = connection.open("d", text, {
    events: { state: () => keeper.changed(), sending: () => keeper.sending() },
  });
  keeper.watch(document);
  return {
    document,
    keeper,
    /** The process dies: nothing is said, locks end. */
    die(wire = world.wires.at(-1)!) {
      wire.cut(world.rnd);
      wire.onclose = wire.onmessage = null;
      world.clock.timers.clear();
      browser.held.clear();
    },
  };
}

function recover(world: World, browser: Browser, drafts: string[] = []): Promise<void> {
  return recoverUnsent(browser, browser, "d", (unsent) => {
    const connection = new Connection(world.connection);
    const keeper = new Keeper(browser, browser, world.clock);
    const done = sendUnsent(connection, text, unsent, keeper, (draft) => drafts.push(draft.text));
    void done.then(() => connection.close());
    return done;
  });
}

test("edits made offline survive the page and are sent by the next one, once", async () => {
  const world = new World(random(1), "Hello");
  const browser = new Browser();
  const first = page(world, browser);
  world.settle();
  world.down = true;
  world.wires[0]!.cut(world.rnd);
  first.document.edit([5, "!"]);
  first.document.edit(["> "]);
  world.clock.advance(1000);
  assert.deepEqual(countUnsent(browser), new Map([["d", 1]]));
  assert.ok(first.keeper.kept);
  first.die();

  world.down = false;
  const done = recover(world, browser);
  world.settle();
  await done;
  assert.equal(world.server.content, "> Hello!");
  assert.equal(browser.items.size, 0);
  await recover(world, browser);
  assert.equal(world.server.content, "> Hello!");
});

test("a page that lives keeps its edits to itself", async () => {
  const world = new World(random(1), "Hello");
  const browser = new Browser();
  const first = page(world, browser);
  world.settle();
  world.down = true;
  world.wires[0]!.cut(world.rnd);
  first.document.edit(["a"]);
  first.keeper.flush();
  await recover(world, browser); // finds the lock taken
  assert.equal(browser.items.size, 1);
  world.down = false;
  world.settle();
  assert.equal(world.server.content, "aHello");
  assert.equal(browser.items.size, 0);
});

test("whenever a page dies, nothing that was kept is lost and nothing arrives twice", async () => {
  const first = Number(process.env["SEED"] ?? 1);
  for (let seed = first; seed < first + 200; seed++) {
    const rnd = random(seed);
    const world = new World(rnd, "");
    const browser = new Browser();
    const writer = page(world, browser);
    world.settle();
    let typed = 0;
    const next = () => String.fromCodePoint(0x4e00 + typed++);
    for (let step = rnd.int(60); step > 0; step--) {
      if (rnd.chance(0.3)) writer.document.edit([...text.operation(writer.document.content ? [1, next()] : [next()])]);
      else if (rnd.chance(0.05)) world.wires.at(-1)!.cut(rnd);
      else world.step();
    }
    writer.keeper.flush();
    const kept = writer.document.content!;
    writer.die();
    if (rnd.chance(0.5)) {
      // Somebody else edits before the next page comes.
      const other = page(world, new Browser());
      world.settle();
      other.document.edit(["-"]);
      world.settle();
    }
    const drafts: string[] = [];
    let done = recover(world, browser, drafts);
    if (rnd.chance(0.5)) {
      // The recovering page dies as well, at any moment.
      for (let step = rnd.int(30); step > 0; step--) world.step();
      world.wires.forEach((wire) => wire.cut(rnd));
      world.clock.timers.clear();
      browser.held.clear();
      done = recover(world, browser, drafts);
    }
    world.settle();
    await done;
    world.settle();
    assert.deepEqual(drafts, [], `seed ${seed}`);
    assert.equal([...world.server.content.replace("-", "")].sort().join(""), [...kept].sort().join(""), `seed ${seed}`);
    assert.equal(browser.items.size, 0, `seed ${seed}`);
  }
});

test("unsent edits that cannot be merged any more become a draft", async () => {
  const world = new World(random(1), "Hello");
  const browser = new Browser();
  const first = page(world, browser);
  world.settle();
  world.wires[0]!.cut(world.rnd);
  first.document.edit([5, " you"]);
  first.keeper.flush();
  first.die();
  world.server.inc = "another";
  const drafts: string[] = [];
  const done = recover(world, browser, drafts);
  world.settle();
  await done;
  assert.deepEqual(drafts, ["Hello you"]);
  assert.equal(world.server.content, "Hello");
  assert.equal(browser.items.size, 0);
});

test("a full storage is admitted", () => {
  const world = new World(random(1), "Hello");
  const browser = new Browser();
  const { document, keeper } = page(world, browser);
  world.settle();
  world.wires[0]!.cut(world.rnd);
  browser.full = true;
  document.edit(["a"]);
  keeper.flush();
  assert.equal(keeper.kept, false);
});

test("edits of a document that is renamed meanwhile are kept for its new id, and not handed back", async () => {
  const world = new World(random(1), "Hello");
  const browser = new Browser();
  const { document, keeper } = page(world, browser);
  world.settle();
  await new Promise(setImmediate); // the lock is there
  world.wires.at(-1)!.cut(world.rnd);
  document.edit([5, "!"]);
  document.attach({ limits: { message: 4096, document: 4096, run: 4, docs: 8, ranges: 8, presence: 4096 }, send: () => {} });
  document.receive({ t: "error", doc: "d", code: "moved", class: "fatal", message: "new name" });
  assert.deepEqual(document.state, { kind: "closed", unsaved: 1, code: "moved", message: "new name" });
  assert.equal(document.editable, false);
  keeper.follow("new name");
  keeper.flush();
  assert.ok(keeper.kept);
  assert.deepEqual([...countUnsent(browser)], [["new name", 1]]);
  const [entry] = [...browser.items.values()].map((item) => JSON.parse(item));
  assert.deepEqual([entry.doc, entry.content, entry.client], ["new name", "Hello!", document.client]);
});
