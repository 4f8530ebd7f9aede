// Other people's words in every place where the page shows them: nothing of them is to run,
// to become an element, or to look like what it is not.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Page } from "playwright-core";

import type { DeltaOp } from "../client/delta.js";
import { Connection, text } from "../client/index.js";
import { person, picture, QuireServer, untilState, visit, type Person } from "./harness.js";

/** Markup that runs, if anything makes markup of it, and says where it came from. */
const evil = (place: string) => `"'><img src=q onerror="ran('${place}')"><script>ran('${place}')</script>&lt;`;

/** Somebody whose page tells when something of these ran or was stopped by the policy. */
async function watched(name: string): Promise<Person> {
  const one = await person(name);
  await one.context.exposeFunction("ran", (place: string) => one.complaints.push(`ran: ${place}`));
  await one.context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => console.error(`policy: ${violatedDirective} ${blockedURI}`));
  });
  one.page.on("dialog", (dialog) => {
    one.complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  return one;
}

/** Finds nothing that came of markup: every element of the page is one that the page makes. */
async function untainted(page: Page, where: string): Promise<void> {
  const found = await page.evaluate(() =>
    [...document.querySelectorAll("*")]
      .filter((node) =>
        node.matches('script:not([src^="/assets/"]), iframe, object, embed, base, form[action], meta[http-equiv], style, [srcdoc], img[src="q"], link[href]:not([href^="/assets/"])')
        || [...node.attributes].some(({ name, value }) => name.startsWith("on") || (/^(href|src|action|formaction|xlink:href)$/.test(name) && /^\s*(javascript|vbscript|data:text)/i.test(value))))
      .map((node) => node.outerHTML.slice(0, 200)));
  assert.deepEqual(found, [], where);
}

const api = (server: QuireServer, path: string, method: string, body: unknown, author = "") =>
  fetch(`${server.url}/api${path}`, { method, headers: { "content-type": "application/json", "quire-author": encodeURIComponent(author) }, body: JSON.stringify(body) })
    .then(async (response) => assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.text()}`));

/** Presses and shows everything that the page of a document has. */
async function lookAtEverything({ page }: Person, where: string): Promise<void> {
  await page.locator(".menu-button").click();
  await page.locator("#menu .choice input").check();
  await page.keyboard.press("Escape");
  await page.locator(".blame-bar .author").first().waitFor();
  await untainted(page, `${where}: colours`);
  await page.locator(".share").click();
  await page.keyboard.press("Escape");
  await page.locator(".history-button").click();
  await page.locator('dialog.history[data-settled="true"][data-busy="false"]').waitFor();
  await page.locator(".edits .author").first().waitFor();
  await untainted(page, `${where}: history`);
  await picture(page, `hostile-${where.replace(/\W/g, "-")}-history`);
  const undo = page.locator(".undo-edits");
  if (await undo.count()) {
    await undo.click();
    await page.locator("dialog.confirm").waitFor();
    await untainted(page, `${where}: question`);
    await page.locator("dialog.confirm .quiet").click();
  }
  await page.locator(".history .back").click();
}

test("hostile names, titles, ids, labels and texts are shown as what they are", async () => {
  const server = await QuireServer.start();
  const id = `a/../${evil("id")}?#%00`;
  const name = evil("name").slice(0, 60);
  await server.create(id, evil("text"));
  const path = `/docs/${encodeURIComponent(id)}`;
  await api(server, path, "PATCH", { title: evil("title").slice(0, 190) }, name);
  await api(server, `${path}/labels/${encodeURIComponent(evil("label").slice(0, 90))}`, "PUT", { rev: 1 }, name);
  const [ada, mallory] = [await watched("Ada"), await watched(name)];
  await visit(mallory.page, server.url, id);
  await mallory.page.keyboard.press("Control+End");
  await mallory.page.keyboard.type("<svg onload=ran(1)>{{ran(2)}}${ran(3)}</textarea>");
  await untilState(mallory.page, "saved");
  await visit(ada.page, server.url, id);
  await mallory.page.keyboard.press("Shift+Home");
  await ada.page.locator(".peer-caret").waitFor();
  assert.equal(await ada.page.locator(".peer-caret").getAttribute("data-peer"), name);
  assert.equal(await ada.page.locator(".titles h1").textContent(), evil("title").slice(0, 190));
  await untainted(ada.page, "text");
  await picture(ada.page, "hostile-text");
  await lookAtEverything(ada, "text");
  await mallory.page.locator(".avatar.self").click();
  await untainted(mallory.page, "oneself");

  await ada.page.goto(server.url);
  await ada.page.locator('section[aria-labelledby="all"] .docs a').first().waitFor();
  await untainted(ada.page, "list");
  await picture(ada.page, "hostile-list");
  await ada.page.locator("#new-name").fill(id);
  await ada.page.keyboard.press("Enter");
  await ada.page.locator("#new-problem a").waitFor();
  await untainted(ada.page, "the same id again");
  // Ids in addresses that nobody has made.
  for (const address of ["/d/javascript:ran(4)", `/d/${encodeURIComponent(evil("address"))}`, `/join?${encodeURIComponent(evil("query"))}#${evil("fragment")}`]) {
    await ada.page.goto(server.url + address);
    await ada.page.locator(".panel").waitFor();
    await untainted(ada.page, address);
  }
  assert.ok(!ada.page.url().includes("fragment"), "an invitation's secret does not stay in the address");
  assert.deepEqual([...ada.complaints, ...mallory.complaints], []);
});

test("hostile rich text and JSON do not run either", async () => {
  const server = await QuireServer.start();
  const addresses = ["javascript:ran(1)", "JaVaScRiPt:ran(2)", " javascript:ran(3)", "java\tscript:ran(4)", "\u0001javascript:ran(5)", "vbscript:ran(6)", "data:text/html,<script>ran(7)</script>", "//example.org/", "blob:x", evil("link")];
  const op: DeltaOp = [
    ...addresses.map((link) => ({ insert: "link ", attributes: { link } })),
    ...addresses.map((image) => ({ insert: { image } })),
    { insert: { image: "data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9InJhbig4KSIvPg==" } },
    { insert: { [evil("embed")]: evil("value") } },
    { insert: { video: "javascript:ran(9)" } },
    { insert: { formula: evil("formula") } },
    { insert: evil("rich"), attributes: { color: "red; background: url(javascript:ran(10))", background: "url(//example.org/)", font: evil("font"), onclick: "ran(11)", style: "position:fixed", class: "paper" } },
    { insert: "\n", attributes: { header: evil("header"), list: evil("list"), align: evil("align"), indent: 1e9 } },
  ];
  await server.createRich("rich", op);
  await api(server, "/docs", "POST", { id: "json", type: "json0", content: { [evil("key")]: [evil("item"), { constructor: evil("deep"), hasOwnProperty: 1 }] } }, evil("by").slice(0, 60));
  const ada = await watched("Ada");
  await visit(ada.page, server.url, "rich");
  const { page } = ada;
  await untainted(page, "rich text");
  await picture(page, "hostile-rich");
  assert.deepEqual([...new Set(await page.locator(".ql-editor a").evaluateAll((links) => links.map((link) => link.getAttribute("href"))))], ["about:blank"]);
  assert.deepEqual(await page.locator(".ql-editor a, .ql-editor span").evaluateAll((nodes) => nodes.filter((node) => getComputedStyle(node).position === "fixed").length), 0);
  await lookAtEverything(ada, "rich");
  await page.goto(`${server.url}/d/json`);
  await page.locator("[data-foreign]").waitFor();
  await untainted(page, "json");
  await page.locator(".history-button").click();
  await page.locator('dialog.history[data-settled="true"]').waitFor();
  await untainted(page, "json: history");
  assert.deepEqual(ada.complaints, []);
});

test("names cannot pass for others", async () => {
  const server = await QuireServer.start();
  await server.create("names", "Who is who?\n");
  const ada = await watched("Ada");
  await visit(ada.page, server.url, "names");
  // A program may call itself what it likes; the page has no field for these.
  const names = ["Ada", "\u0410da", "A\u200bda", "Bob\u202egnp.exe"];
  const connections = names.map((name) => {
    const connection = new Connection({ url: `${server.url.replace("http", "ws")}/ws` });
    const document = connection.open("names", text, { user: { name, color: "#3a63b8" }, events: { reset: () => queueMicrotask(() => document.setCursor([[3, 7]])) } });
    return connection;
  });
  const shown = ada.page.locator(".people [data-peer]");
  await shown.nth(3).waitFor();
  const read = (await shown.evaluateAll((nodes) => nodes.map((node) => node.getAttribute("data-peer")!))).sort();
  assert.equal(new Set([...read, "Ada"]).size, 5, `all different, the person here among them: ${read}`);
  assert.ok(read.includes("Bob[U+202E]gnp.exe"), String(read));
  assert.ok(read.every((name) => !/[\u200b\u202e]/.test(name)));
  await ada.page.locator('.peer-caret[data-peer="Bob[U+202E]gnp.exe"]').waitFor();
  await picture(ada.page, "hostile-names");
  for (const connection of connections) connection.close();
  assert.deepEqual(ada.complaints, []);
});
