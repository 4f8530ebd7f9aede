// The example in examples/sharedb-quill: an application made for ShareDB, whose only server is Quire.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";

import type { Page } from "playwright-core";

import { person, picture, QuireServer, until } from "./harness.js";

/** Serves the example as its README says, and returns where. */
async function serveExample(t: TestContext): Promise<string> {
  const child = spawn(process.execPath, ["examples/sharedb-quill/serve.mjs", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(async () => {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  });
  for await (const line of createInterface({ input: child.stdout! })) {
    const url = /^The example is at (http:\/\/127\.0\.0\.1:\d+)\//.exec(line)?.[1];
    if (url) return url;
  }
  throw new Error("the example is not served");
}

/** Returns what Quill shows, as a Delta's operations. */
const contents = (page: Page) => page.evaluate(() => {
  const walk = (node: Node, bold: boolean): [string, boolean][] => {
    if (node.nodeType === Node.TEXT_NODE) return [[node.textContent!.replace(/\ufeff/g, ""), bold]];
    if ((node as Element).classList.contains("ql-cursors")) return [];
    return [...node.childNodes].flatMap((child) => walk(child, bold || node.nodeName === "STRONG"));
  };
  return [...document.querySelectorAll(".ql-editor > *")].map((line) => walk(line, false).filter(([text]) => text));
});

const shown = async (page: Page) => (await contents(page)).map((line) => line.map(([text]) => text).join("")).join("\n");

/** Waits until every page shows one text that fulfils `done`, with nothing left to send. */
async function untilEqual(pages: Page[], done: (text: string) => boolean): Promise<string> {
  const look = () => Promise.all(pages.map(async (page) => ({ text: await shown(page), changes: await page.locator("#changes").innerText() })));
  const seen = await until(look, (all) => all.every(({ text, changes }) => text === all[0]!.text && changes === "saved") && done(all[0]!.text));
  return seen[0]!.text;
}

test("an application made for ShareDB works on Quire", async (t) => {
  const origin = await serveExample(t);
  const server = await QuireServer.start("--origins", origin);
  const url = `${origin}/?server=${encodeURIComponent(`${server.url.replace("http", "ws")}/sharedb`)}`;
  const [ada, bob] = [await person("Ada"), await person("Bob")];
  const pages = [ada.page, bob.page];
  await Promise.all(pages.map((page) => page.goto(url)));
  await Promise.all(pages.map((page) => page.locator(".ql-editor[contenteditable=true]").waitFor()));

  // Both write, one in bold.
  await ada.page.locator(".ql-editor").click();
  await ada.page.keyboard.type("Hello 🌍 from Ada");
  await ada.page.keyboard.press("Enter");
  await untilEqual(pages, (text) => text === "Hello 🌍 from Ada\n");
  await bob.page.locator(".ql-editor").click();
  await bob.page.keyboard.press("Control+End");
  await bob.page.keyboard.press("Control+b");
  await bob.page.keyboard.type("and from Bob");
  await untilEqual(pages, (text) => text === "Hello 🌍 from Ada\nand from Bob");
  assert.deepEqual(await contents(ada.page), [[["Hello 🌍 from Ada", false]], [["and from Bob", true]]]);

  // Each sees where the other is.
  for (const [page, other] of [[ada.page, bob.page], [bob.page, ada.page]] as const) {
    const name = await other.locator("#name").innerText();
    assert.equal(await page.locator(".ql-cursor-name").textContent(), name);
  }
  await bob.page.keyboard.press("Shift+Home");
  await ada.page.waitForFunction(() => [...(CSS as any).highlights.values()].some((ranges) => [...ranges].join("") === "and from Bob"));
  await bob.page.keyboard.press("Control+End");
  await picture(ada.page, "sharedb-quill");

  // Both at once, and the server dies and comes back meanwhile.
  const words = (who: string) => Array.from({ length: 40 }, (_, i) => ` ${who}${i}`).join("");
  await ada.page.keyboard.press("Control+Home");
  const typing = Promise.all([
    ada.page.keyboard.type(words("a"), { delay: 5 }),
    bob.page.keyboard.type(words("b"), { delay: 5 }),
  ]);
  await ada.page.waitForFunction(() => document.querySelector(".ql-editor")!.textContent!.includes("b9 "));
  await server.kill();
  await Promise.all(pages.map((page) => page.locator("#state", { hasText: /^disconnected$/ }).waitFor()));
  await server.start();
  await typing;
  const length = `Hello 🌍 from Ada\nand from Bob${words("a")}${words("b")}`.length;
  assert.equal(await untilEqual(pages, (text) => text.length === length), `${words("a")}Hello 🌍 from Ada\nand from Bob${words("b")}`);
  await Promise.all(pages.map((page) => page.locator("#state", { hasText: /^connected$/ }).waitFor()));

  // A new page has it all, and so has the server's own.
  await bob.page.reload();
  await untilEqual(pages, (text) => text.length === length);
  assert.deepEqual(await server.richContent("examples/richtext"), [
    { insert: `${words("a")}Hello 🌍 from Ada\n` },
    { insert: `and from Bob${words("b")}`, attributes: { bold: true } },
    { insert: "\n" },
  ]);

  // Whoever leaves is not shown any more.
  await ada.page.locator(".ql-editor").click();
  await bob.page.locator(".ql-cursor").first().waitFor({ state: "attached" });
  await ada.page.close();
  await bob.page.locator(".ql-cursor").first().waitFor({ state: "detached" });
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("a page of another origin may not connect", async (t) => {
  const origin = await serveExample(t);
  const server = await QuireServer.start();
  const { page } = await person("Ada");
  const refused = page.waitForEvent("websocket").then((socket) => socket.waitForEvent("socketerror"));
  await page.goto(`${origin}/?server=${encodeURIComponent(`${server.url.replace("http", "ws")}/sharedb`)}`);
  assert.match(await refused, /403/);
});
