import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { binary, person, QuireServer } from "./harness.js";

test("an operator signs in, sees what goes on, and closes, shortens and backs up", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "quire-admin-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const key = join(folder, "key");
  execFileSync(binary, ["genkey", key]);
  const token = (author: string, grant: string) => execFileSync(binary, ["token", "--key", key, "--author", author, "--grant", grant], { encoding: "utf8" }).trim();
  const root = token("root", "*=admin");
  const server = await QuireServer.start("--auth-keys", `${key}.pub`);
  const asRoot = { authorization: `Bearer ${root}`, "content-type": "application/json" };
  const hostile = "plan <img src=x onerror=document.title='hacked'>";
  const made = await fetch(`${server.url}/api/docs`, { method: "POST", headers: asRoot, body: JSON.stringify({ id: hostile }) });
  assert.equal(made.status, 201);

  const { page, complaints } = await person("root", { dark: true, phone: true });
  await page.setViewportSize({ width: 360, height: 760 });
  await page.goto(`${server.url}/admin`);
  await page.getByLabel("Token").fill(token("ada", "plan*=admin"));
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("it needs the role admin in all documents").waitFor();
  await page.getByRole("button", { name: "Sign in as somebody else" }).click();
  await page.getByLabel("Token").fill(` ${root} `);
  await page.getByRole("button", { name: "Sign in" }).click();

  await page.locator(".state", { hasText: "ready" }).waitFor();
  await page.locator(".figure", { hasText: "Acknowledged in" }).getByText(/ms$/).waitFor();
  await page.locator(".figure", { hasText: "Delivered in" }).getByText("nobody else there").waitFor();
  await page.getByRole("row").filter({ hasText: hostile }).getByRole("button", { name: "Close" }).click();
  await page.getByRole("button", { name: "Close it" }).click();
  await page.locator(".said", { hasText: "was closed" }).waitFor();
  await page.locator(".figure", { hasText: "Acknowledged in" }).getByText(/ms$/).waitFor(); // looked at more than once
  await page.getByText("No document is in memory.").waitFor();

  await page.getByRole("tab", { name: "All documents" }).click();
  await page.getByRole("row").filter({ hasText: hostile }).getByRole("button", { name: "Past…" }).click();
  await page.getByLabel("Revisions to keep").fill("");
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.locator("dialog").waitFor({ state: "detached" });
  await page.getByRole("row").filter({ hasText: hostile }).getByRole("button", { name: "Past…" }).click();
  await page.getByLabel("Revisions to keep").fill("1");
  await page.keyboard.press("Enter");
  await page.locator(".said", { hasText: "begins with revision 0" }).waitFor();

  await page.getByRole("tab", { name: "Backups" }).click();
  await page.getByRole("button", { name: "Back up now" }).click();
  await page.locator(".said", { hasText: ".db was made" }).waitFor();
  await page.getByRole("row").filter({ hasText: ".db" }).waitFor();

  await page.getByRole("tab", { name: "Connections" }).click();
  await page.getByText("Nobody is connected.").waitFor();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= 360, "the page is wider than the screen");
  assert.equal(await page.title(), "Quire: operators");
  assert.deepEqual(complaints, []);
});
