import assert from "node:assert/strict";
import { test } from "node:test";

import { person, picture, QuireServer, shown, untilEqual, untilState, visit } from "./harness.js";

test("a document is made and written with the keyboard alone", async () => {
  const server = await QuireServer.start();
  const ada = await person("Ada Lovelace", { color: "#b4432f" });
  const { page } = ada;
  await page.goto(server.url);
  await page.locator("[data-empty]").waitFor();
  await picture(page, "list-empty");
  const focused = () => page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent);
  for (let i = 0; (await focused()) !== "new-name"; i++) {
    assert.ok(i < 5, "the name is among the first stops");
    await page.keyboard.press("Tab");
  }
  await page.keyboard.type("Made by hand");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/d/Made%20by%20hand");
  await untilState(page, "saved");
  await page.keyboard.type("Begun at once.");
  await untilEqual([page], (text) => text === "Begun at once.");
  assert.equal(await server.content("Made by hand"), "Begun at once.");
  assert.match(await page.title(), /^Made by hand — Quire$/);

  // Out of the text, round the bar, and every stop can be seen.
  await page.keyboard.press("Shift+Tab");
  const outline = () => page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle);
  assert.equal(await page.evaluate(() => document.activeElement?.className), "avatar self");
  assert.equal(await outline(), "solid");
  await page.keyboard.press("Enter");
  await page.locator("dialog.who").waitFor();
  await picture(page, "who");
  await page.keyboard.press("Escape");
  await page.locator("dialog.who").waitFor({ state: "detached" });

  // The same name again is refused, with the way to what is there.
  await page.goto(server.url);
  await page.locator("#new-name").fill("Made by hand");
  await page.keyboard.press("Enter");
  await page.locator("#new-problem a").click();
  await page.waitForURL("**/d/Made%20by%20hand");

  // No name is needed.
  await page.goto(server.url);
  await page.locator("#new-name").focus();
  await page.keyboard.press("Enter");
  await page.waitForURL("**/d/*");
  await untilState(page, "saved");
  assert.deepEqual(ada.complaints, []);
});

test("a link to nothing offers to begin there", async () => {
  const server = await QuireServer.start();
  const ada = await person("Ada");
  await ada.page.goto(`${server.url}/d/not%20there`);
  await ada.page.locator('[data-panel="not_found"]').waitFor();
  await picture(ada.page, "not-found");
  await ada.page.getByText("Create it").click();
  await untilState(ada.page, "saved");
  await ada.page.keyboard.type("now it is");
  await untilEqual([ada.page], (text) => text === "now it is");
  assert.equal(await server.content("not there"), "now it is");
});

test("the list shows what was opened here, filters, and goes on page by page", async () => {
  const server = await QuireServer.start();
  for (let i = 0; i < 60; i++) await server.create(`note ${String(i).padStart(2, "0")}`);
  await server.create("Zebra", "stripes");
  const ada = await person("Ada");
  await visit(ada.page, server.url, "Zebra");
  await ada.page.goto(server.url);
  const recent = ada.page.locator('section[aria-labelledby="recent"] .name');
  const all = ada.page.locator('section[aria-labelledby="all"] .name');
  await ada.page.getByText("Show more").click();
  await all.nth(60).waitFor();
  assert.equal(await all.count(), 61);
  assert.deepEqual(await recent.allTextContents(), ["Zebra"]);
  await picture(ada.page, "list");
  await ada.page.locator("input[type=search]").fill("note 1");
  await all.filter({ hasText: "note 00" }).waitFor({ state: "detached" });
  assert.equal(await all.count(), 10);
  await ada.page.locator("input[type=search]").fill("nothing like it");
  await ada.page.getByText("No document’s name begins like that.").waitFor();
});

for (const [name, options] of [["light", {}], ["dark", { dark: true }], ["phone", { phone: true }]] as const) {
  test(`the page under a policy without inline styles or scripts: ${name}`, async () => {
    const server = await QuireServer.start();
    await server.create("Letter to Charles", "My dear Babbage,\n\nI am in much dismay at having got into so amazing a quagmire and botheration with these Numbers, that I cannot possibly get the thing done today.\n\nI am now going out on horseback. Tant mieux.\n");
    const strict = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'";
    const ada = await person("Ada Lovelace", { color: "#b4432f", ...options });
    // A page that did not come over the network may not speak to it without leave.
    await ada.context.grantPermissions(["local-network-access"]);
    await ada.page.route("**/d/*", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, headers: { ...response.headers(), "content-security-policy": strict } });
    });
    await visit(ada.page, server.url, "Letter to Charles");
    const bob = await person("Bob", { color: "#3a63b8" });
    await visit(bob.page, server.url, "Letter to Charles");
    await bob.page.locator(".cm-line").nth(2).click();
    await bob.page.keyboard.press("Shift+Home");
    await ada.page.locator(".peer-selection").first().waitFor();
    await ada.page.locator(".cm-content").click();
    await ada.page.keyboard.press("Control+End");
    await picture(ada.page, `editor-${name}`);
    await ada.page.keyboard.press("Control+f");
    await ada.page.locator(".cm-search").waitFor();
    await ada.page.keyboard.type("am");
    await ada.page.locator(".cm-searchMatch").first().waitFor();
    await picture(ada.page, `search-${name}`);
    const family = await ada.page.locator(".cm-scroller").evaluate((node) => getComputedStyle(node).display);
    assert.equal(family, "flex", "the editor's own styles are there");
    const wide = await ada.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(wide, 0, "nothing sticks out to the side");
    assert.ok((await shown(ada.page)).startsWith("My dear Babbage"));
    assert.deepEqual(ada.complaints, []);
  });
}
