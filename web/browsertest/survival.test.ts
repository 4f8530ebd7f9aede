import assert from "node:assert/strict";
import { test } from "node:test";

import type { Page } from "playwright-core";

import { person, picture, QuireServer, shown, untilEqual, untilShown, untilState, visit, Way } from "./harness.js";

/** Keeps every text that the page shows at a moment when its state line says that everything is saved. */
async function recordSaved(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const line = document.querySelector("[data-state]") as HTMLElement;
    const saved: string[] = ((window as any).savedTexts = []);
    new MutationObserver(() => {
      if (line.dataset["state"] === "saved") saved.push((document.querySelector(".cm-content") as HTMLElement).innerText);
    }).observe(line, { attributes: true });
  });
  return () => page.evaluate(() => (window as any).savedTexts);
}

test("one goes offline, writes on, and comes back", async () => {
  const server = await QuireServer.start();
  await server.create("offline", "start ");
  const way = await Way.to(server);
  const ada = await person("Ada", { color: "#b4432f" });
  const bob = await person("Bob", { color: "#3a63b8" });
  await visit(ada.page, way.url, "offline");
  await visit(bob.page, server.url, "offline");
  await ada.page.keyboard.press("Control+End");
  await bob.page.keyboard.press("Control+Home");

  way.cut();
  await untilState(ada.page, "offline");
  await ada.page.keyboard.type("from ada");
  await bob.page.keyboard.type("from bob ");
  await untilState(bob.page, "saved");
  assert.match(await ada.page.locator("[data-state]").innerText(), /^Offline — 8 unsaved changes/);
  assert.match(await ada.page.title(), /^• offline/);
  await picture(ada.page, "offline");
  await ada.page.locator(".people li").waitFor({ state: "detached" });

  way.restore();
  const text = await untilEqual([ada.page, bob.page], (text) => text.length > "start ".length + 10);
  assert.equal(text, "from bob start from ada");
  assert.equal(await server.content("offline"), text);
  assert.match(await ada.page.title(), /^offline/);
  assert.deepEqual(ada.complaints, []);
});

test("the server is killed in the middle of typing: what was shown as saved is on disk, and nothing is lost", async () => {
  const server = await QuireServer.start();
  await server.create("crash", "\n");
  const ways = [await Way.to(server), await Way.to(server)];
  const ada = await person("Ada", { color: "#b4432f" });
  const bob = await person("Bob", { color: "#3a63b8" });
  const pages = [ada.page, bob.page];
  for (const [i, page] of pages.entries()) await visit(page, ways[i]!.url, "crash");
  await ada.page.keyboard.press("Control+Home");
  await bob.page.keyboard.press("Control+End");
  const saved = await Promise.all(pages.map(recordSaved));

  const words = { ada: "", bob: "" };
  for (let round = 0; round < 4; round++) {
    const number = (who: string) => Array.from({ length: 30 }, (_, i) => `${who}${round * 30 + i} `).join("");
    const [a, b] = [number("a"), number("b")];
    words.ada += a;
    words.bob += b;
    const before = (await saved[0]!()).length;
    const typing = Promise.all([ada.page.keyboard.type(a, { delay: 2 }), bob.page.keyboard.type(b, { delay: 2 })]);
    if (round < 3) {
      await ada.page.waitForFunction((before) => (window as any).savedTexts.length > before, before);
      await server.kill();
      for (const way of ways) way.cut();
      await server.start(); // nobody has told it anything yet
      const stored = await server.content("crash");
      for (const texts of await Promise.all(saved.map((read) => read()))) {
        for (const word of (texts.at(-1) ?? "").split(/\s+/).slice(0, -1)) assert.ok(stored.includes(word), `${word} was shown as saved`);
      }
      for (const way of ways) way.restore();
    }
    await typing;
  }
  const text = await untilEqual(pages, (text) => text.length === words.ada.length + words.bob.length + 1);
  assert.equal(text, `${words.ada}\n${words.bob}`);
  assert.equal(await server.content("crash"), text);
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("edits made offline survive their page", async () => {
  const server = await QuireServer.start();
  await server.create("survive", "start");
  const way = await Way.to(server);
  const ada = await person("Ada");
  await visit(ada.page, way.url, "survive");
  way.cut();
  await untilState(ada.page, "offline");
  await ada.page.keyboard.press("Control+End");
  await ada.page.keyboard.type(" and on");
  await ada.page.waitForFunction(() => Object.keys(localStorage).some((key) => key.startsWith("quire:unsent:")));
  await ada.page.close(); // no question is asked: the edits are kept
  way.restore();

  const later = await ada.context.newPage();
  await later.goto(way.url);
  await later.locator(".badge", { hasText: "unsent changes" }).first().waitFor();
  await later.locator(".docs a", { hasText: "survive" }).first().click();
  await untilEqual([later], (text) => text === "start and on");
  assert.equal(await server.content("survive"), "start and on");
  await later.waitForFunction(() => !Object.keys(localStorage).some((key) => key.startsWith("quire:unsent:")));
  await later.reload();
  await untilState(later, "saved");
  assert.equal(await shown(later), "start and on");
});

test("an edit that the server refuses becomes a draft that can be taken along", async () => {
  const server = await QuireServer.start("--max-document", "40");
  await server.create("small", "This is about as much as fits.");
  const ada = await person("Ada");
  await visit(ada.page, server.url, "small");
  await ada.page.keyboard.press("Control+End");
  await ada.page.keyboard.insertText(" But there is always more to say.");
  const draft = ada.page.locator('[data-draft="too_large"]');
  await draft.waitFor();
  await untilState(ada.page, "saved");
  const whole = "This is about as much as fits. But there is always more to say.";
  assert.equal(await draft.locator("textarea").inputValue(), whole);
  assert.match(await draft.locator("p").innerText(), /as you last saw it, [A-Z][a-z]{2} \d+, \d{4}, \d\d:\d\d:\d\d\.$/, "a moment as all others are written");
  assert.equal(await shown(ada.page), "This is about as much as fits.");
  await picture(ada.page, "draft");

  await ada.page.reload();
  assert.equal(await draft.locator("textarea").inputValue(), whole, "kept until it is discarded");
  const [download] = await Promise.all([ada.page.waitForEvent("download"), draft.getByText("Download").click()]);
  assert.equal(download.suggestedFilename(), "small (draft).txt");
  ada.page.once("dialog", (dialog) => void dialog.accept());
  await draft.getByText("Discard").click();
  await draft.waitFor({ state: "detached" });
  await ada.page.reload();
  await untilState(ada.page, "saved");
  assert.equal(await draft.count(), 0);
});

test("a page that opens while the server is away says so, and works when it is back", async () => {
  const server = await QuireServer.start();
  await server.create("later", "Here all along.");
  const ada = await person("Ada");
  // The page arrives, and then the way is cut before the conversation begins.
  let away = true;
  await ada.page.routeWebSocket("**/ws", (page) => {
    if (away) void page.close();
    else page.connectToServer();
  });
  await ada.page.goto(`${server.url}/d/later`);
  await untilState(ada.page, "offline");
  await ada.page.locator('[data-panel="offline"]').waitFor();
  assert.equal(await ada.page.locator(".cm-content").count(), 0, "no empty page to write on");
  await picture(ada.page, "server-away");
  away = false;
  // It may have come back by itself between two looks.
  await ada.page.locator(".panel button").evaluateAll((buttons) => buttons.forEach((button) => (button as HTMLElement).click()));
  await untilShown(ada.page, (text) => text === "Here all along.");

  await ada.page.goto(server.url);
  await ada.page.locator(".docs a").first().waitFor();
  await server.kill();
  await ada.page.locator("input[type=search]").fill("la");
  await ada.page.locator('[data-problem="list"]').waitFor();
  await picture(ada.page, "list-away");
  await ada.page.locator("#new-name").fill("another");
  await ada.page.keyboard.press("Enter");
  await ada.page.locator("#new-problem", { hasText: "cannot be reached" }).waitFor();
  await server.start();
  await ada.page.getByText("Try again").click();
  await ada.page.locator(".docs a", { hasText: "later" }).first().waitFor();
});

test("a server that is stopped says goodbye, and its editors come back to the next one", async () => {
  const server = await QuireServer.start();
  await server.create("restart", "before");
  const ada = await person("Ada");
  await visit(ada.page, server.url, "restart");
  await ada.page.keyboard.press("Control+End");
  await server.kill("SIGTERM");
  await untilState(ada.page, "offline");
  await ada.page.keyboard.type(", meanwhile");
  await server.start();
  await untilState(ada.page, "saved");
  assert.equal(await server.content("restart"), "before, meanwhile");
  assert.deepEqual(ada.complaints, []);
});

test("a store that fails, a document that cannot be read and a deletion are told as what they are", async () => {
  const server = await QuireServer.start();
  await server.create("trouble", "precious");
  const ada = await person("Ada");
  // The real server, with one message of it replaced at a time.
  let toPage: (message: object) => void = () => {};
  let instead: object | null = { t: "error", doc: "trouble", code: "unavailable", class: "retry", message: "the document could not be read now" };
  let hold: string[] | null = null;
  await ada.page.routeWebSocket("**/ws", (page) => {
    const real = page.connectToServer();
    toPage = (message) => page.send(JSON.stringify(message));
    page.onMessage((message) => {
      if (instead && String(message).startsWith('{"t":"open"')) {
        toPage(instead);
        instead = null;
      } else real.send(message);
    });
    real.onMessage((message) => {
      if (hold && String(message).startsWith('{"t":"ops"')) hold.push(String(message));
      else page.send(message);
    });
  });
  await ada.page.goto(`${server.url}/d/trouble`);
  await ada.page.locator('[data-panel="unavailable"]').waitFor();
  assert.equal(await ada.page.locator(".cm-content").count(), 0, "nothing that looks empty");
  await picture(ada.page, "unreadable");
  await untilShown(ada.page, (text) => text === "precious"); // it is tried again without being asked
  await untilState(ada.page, "saved");

  hold = [];
  await ada.page.route("**/readyz", (route) => route.fulfill({ status: 503, body: "not ready: the disk is full; edits of 1 document are kept in memory and tried again\n" }));
  toPage({ t: "status", doc: "trouble", saved: false });
  await ada.page.keyboard.type("more ");
  await untilState(ada.page, "failing");
  await ada.page.locator("[data-state]", { hasText: /^Not saved: the server cannot write \(its disk is full\)\. 5 unsaved changes/ }).waitFor();
  await picture(ada.page, "failing");
  toPage({ t: "status", doc: "trouble", saved: true });
  for (const message of hold) toPage(JSON.parse(message));
  hold = null;
  await untilState(ada.page, "saved");
  assert.equal(await server.content("trouble"), "more precious");

  toPage({ t: "error", doc: "trouble", code: "deleted", class: "fatal", message: "the document was deleted" });
  await ada.page.locator('[data-panel="deleted"]').waitFor();
  assert.equal(await ada.page.locator('[data-draft="deleted"] textarea').inputValue(), "more precious");
  assert.deepEqual(ada.complaints, []);
});
