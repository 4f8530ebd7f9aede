// Servers that ask people who they are: invitations, reading without the right to write, and
// rights that come and go while a document is open.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Page } from "playwright-core";

import { person, picture, QuireServer, shown, untilShown, untilState, visit, Way } from "./harness.js";

/** Waits until the page says that the document can be read only. */
const untilReading = (page: Page) => page.locator(".reading", { hasText: "You may read this document, not change it." }).waitFor();

/** Makes an invitation in the share dialog, which stays open, and returns its address. */
async function invite(page: Page, role: string, uses: string, note: string): Promise<string> {
  await page.locator('.invite [name="role"]').selectOption(role);
  await page.locator('.invite [name="uses"]').selectOption(uses);
  await page.locator('.invite [name="note"]').fill(note);
  await page.keyboard.press("Enter");
  await page.locator(".invitations strong", { hasText: note }).waitFor();
  return page.locator(".made input").inputValue();
}

/** Takes an invitation up at the join page. */
async function join(page: Page, address: string, name: string): Promise<void> {
  await page.goto(address);
  await page.locator("#join-name").fill(name);
  await page.keyboard.press("Enter");
}

test("somebody is invited, writes under a name of their own, and is out when the invitation is withdrawn", async () => {
  const server = await QuireServer.guarded();
  await server.create("plan", "What we do\n");
  await server.create("secret", "Not for guests");
  const [ada, bob, eve] = [await person("Ada"), await person("Calm Wren"), await person("Eve")];
  await bob.page.goto(`${server.url}/d/plan`);
  await bob.page.locator('[data-panel="unauthenticated"]').waitFor();
  await picture(bob.page, "rights-sign-in");

  await server.signIn(ada, "ada", ["*=admin"], "Ada");
  await visit(ada.page, server.url, "plan");
  await ada.page.locator(".share", { hasText: "Share" }).click();
  const address = await invite(ada.page, "write", "1", "For Bob");
  const reading = await invite(ada.page, "read", "0", "For readers");
  await picture(ada.page, "rights-share");
  await ada.page.keyboard.press("Escape");

  await join(bob.page, address, "Ada\u202e"); // as if he were she
  await bob.page.waitForURL("**/d/plan");
  await untilState(bob.page, "saved");
  assert.ok(!(await bob.page.evaluate(() => JSON.stringify([location.href, document.referrer, { ...localStorage }]))).includes(new URL(address).hash.slice(1)), "nothing keeps the secret");
  await bob.page.locator(".cm-content").click();
  await bob.page.keyboard.press("Control+End");
  await bob.page.keyboard.type("by Bob");
  await untilShown(ada.page, (text) => text === "What we do\nby Bob");
  const guest = await ada.page.locator(".people [data-peer]").getAttribute("data-peer");
  assert.match(guest!, /^Ada \(Ada~\w+\)$/, "a guest is not taken for somebody else");
  await bob.page.locator(".avatar.self").click();
  assert.equal(await bob.page.locator("#who-name").count(), 0, "the name stays");
  assert.match(await bob.page.locator(".identity").innerText(), /^Ada\s+Ada~\w+$/);
  await picture(bob.page, "rights-who");
  await bob.page.keyboard.press("Escape");
  assert.equal(await bob.page.locator(".share").innerText(), "Copy link", "only who may share does");

  // He sees what he was invited to, and no more.
  await bob.page.goto(server.url);
  await bob.page.locator('section[aria-labelledby="all"] .docs a').first().waitFor();
  assert.deepEqual(await bob.page.locator('section[aria-labelledby="all"] .name').allInnerTexts(), ["plan"]);
  assert.equal(await bob.page.locator(".new").count(), 0, "he may make no documents");
  await bob.page.goto(`${server.url}/d/secret`);
  await bob.page.locator('[data-panel="not_found"]').waitFor();
  assert.equal(await bob.page.getByText("Create it").count(), 0);

  await join(eve.page, address, "Eve");
  await eve.page.locator('[data-panel="refused"]', { hasText: /used/ }).waitFor();
  await picture(eve.page, "rights-used-up");
  assert.equal(eve.page.url(), `${server.url}/join`);
  await join(eve.page, reading, "Eve");
  await eve.page.waitForURL("**/d/plan");
  await untilReading(eve.page);

  // Invited once more under the same name, she stays who she is; who is no guest becomes one.
  const who = () => eve.page.evaluate(async () => (await (await fetch("/api/session")).json()).author as string);
  const before = await who();
  await eve.page.goto(reading);
  await eve.page.locator("[data-known]", { hasText: "You are signed in as Eve. Under this name you stay that" }).waitFor();
  assert.equal(await eve.page.locator("#join-name").inputValue(), "Eve");
  await eve.page.keyboard.press("Enter");
  await eve.page.waitForURL("**/d/plan");
  await untilReading(eve.page);
  assert.equal(await who(), before);
  const other = await ada.page.context().newPage();
  await other.goto(reading);
  await other.locator("[data-known]", { hasText: "this browser becomes the guest you name here instead" }).waitFor();
  await other.close();

  // Withdrawn: he is told, what he had not sent stays, and Eve is not disturbed.
  await visit(bob.page, server.url, "plan");
  await ada.page.locator(".share").click();
  const row = ada.page.locator(".invitations li", { hasText: "For Bob" });
  await row.filter({ hasText: "used 1 of 1" }).waitFor();
  await row.locator(".withdraw").click();
  await picture(ada.page, "rights-withdraw");
  await ada.page.locator("dialog.confirm .primary").click();
  await row.waitFor({ state: "detached" });
  await bob.page.locator('[data-state="signed-out"], [data-panel="forbidden"]').waitFor();
  await picture(bob.page, "rights-withdrawn");
  await join(bob.page, address, "Bob");
  await bob.page.locator('[data-panel="refused"]').waitFor();
  assert.equal(await shown(eve.page), "What we do\nby Bob");
  await untilReading(eve.page);
  assert.deepEqual([...ada.complaints, ...bob.complaints, ...eve.complaints], []);

  // When the last one is withdrawn, too, there is none, which is not to say that nobody was invited.
  await ada.page.locator(".invitations .withdraw").click();
  await ada.page.locator("dialog.confirm .primary").click();
  await ada.page.getByText("There are no invitations.").waitFor();
});

test("who may read sees everything and changes nothing", async () => {
  const server = await QuireServer.guarded();
  await server.create("notes", "One\nTwo\nThree\n");
  await server.createRich("rich", [{ insert: "Rich words" }]);
  const [ada, bob] = [await person("Ada"), await person("Bob")];
  await server.signIn(ada, "ada", ["*=write"], "Ada");
  await server.signIn(bob, "bob", ["*=read", "mine/*=write"], "Bob");
  await visit(ada.page, server.url, "notes");
  await visit(bob.page, server.url, "notes");
  const { page } = bob;
  await untilReading(page);
  await page.locator(".cm-line", { hasText: "Two" }).click();
  await page.keyboard.press("Shift+End");
  await ada.page.locator('.peer-caret[data-peer="Bob"]').waitFor();
  await page.keyboard.type("not this");
  await page.keyboard.press("Delete");
  await page.keyboard.press("Control+z");
  await page.keyboard.press("Control+x");
  await ada.page.locator(".cm-content").click();
  await ada.page.keyboard.press("Control+End");
  await ada.page.keyboard.type("Four");
  await untilShown(page, (text) => text === "One\nTwo\nThree\nFour");
  await page.locator('.peer-caret[data-peer="Ada"]').waitFor();
  assert.equal(await page.locator(".titles h1 button").count(), 0, "the title stays");
  assert.equal(await page.locator(".share").innerText(), "Copy link");
  await picture(page, "rights-reading");
  await page.locator(".history-button").click();
  await page.locator('dialog.history[data-settled="true"][data-busy="false"]').waitFor();
  await page.locator(".edits li").first().waitFor();
  await page.locator(".edits button").last().click();
  for (const gone of [".undo-edits", ".label-panel form", ".history .bar .primary"]) assert.equal(await page.locator(gone).filter({ visible: true }).count(), 0, gone);
  await page.keyboard.press("Escape");
  assert.equal(await server.content("notes"), "One\nTwo\nThree\nFour");

  await visit(page, server.url, "rich");
  await untilReading(page);
  await page.locator(".ql-editor").click();
  await page.keyboard.type("no");
  await page.keyboard.press("Control+b");
  await page.locator(".ql-editor").evaluate((node) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", "pasted");
    node.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
  });
  assert.equal(await page.locator(".tools").filter({ visible: true }).count(), 0);
  await picture(page, "rights-reading-rich");
  assert.deepEqual(await server.richContent("rich"), [{ insert: "Rich words\n" }]);

  // Documents of his own have names that begin as they have to.
  await page.goto(server.url);
  await page.locator("#new-name").fill("list");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/d/mine%2Flist");
  await untilState(page, "saved");
  assert.equal(await page.locator(".reading").filter({ visible: true }).count(), 0);
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("a right that goes while somebody writes leaves them their text, and sends it when it returns", async () => {
  const server = await QuireServer.start();
  await server.create("going", "Ours. ");
  const ada = await person("Ada");
  // The real server, with rights that are said in between.
  let say: (role: string) => void = () => {};
  let forbid: () => void = () => {};
  let role = "write";
  await ada.page.routeWebSocket("**/ws", (page) => {
    const real = page.connectToServer();
    say = (now) => {
      role = now;
      page.send(JSON.stringify({ t: "rights", doc: "going", role }));
    };
    forbid = () => page.send(JSON.stringify({ t: "error", doc: "going", code: "forbidden", class: "fatal", message: "you may not read this document any more" }));
    page.onMessage((message) => {
      const { t, seq } = JSON.parse(String(message));
      if (t === "submit" && role === "read") page.send(JSON.stringify({ t: "error", doc: "going", code: "forbidden", class: "fatal", seq, message: "this needs the right to write; you may read" }));
      else real.send(message);
    });
    real.onMessage((message) => page.send(String(message).replace('{"t":"opened","doc":"going"', `{"t":"opened","role":"${role}","doc":"going"`)));
  });
  await visit(ada.page, server.url, "going");
  const { page } = ada;
  role = "read"; // the page does not know it yet
  await page.keyboard.press("Control+End");
  await page.keyboard.type("Mine");
  say("read");
  await untilReading(page);
  await page.locator(".reading", { hasText: "of yours came too late" }).waitFor();
  await page.keyboard.type("more");
  assert.equal(await shown(page), "Ours. Mine", "no more is taken in");
  assert.equal(await server.content("going"), "Ours. ");
  await picture(page, "rights-lost");
  say("write");
  await untilState(page, "saved");
  assert.equal(await server.content("going"), "Ours. Mine");
  await page.keyboard.type("!");
  await untilState(page, "saved");

  // And put aside, it stays as a draft.
  role = "read";
  await page.keyboard.type(" Late");
  say("read");
  await page.getByText("Put them aside").click();
  const draft = page.locator('[data-draft="forbidden"]');
  assert.equal(await draft.locator("textarea").inputValue(), "Ours. Mine! Late");
  await untilShown(page, (text) => text === "Ours. Mine!");
  await picture(page, "rights-aside");
  await page.reload();
  await untilShown(page, (text) => text === "Ours. Mine!");
  assert.equal(await draft.locator("textarea").inputValue(), "Ours. Mine! Late", "across a reload");

  // The right to read goes, too.
  say("write");
  await page.locator(".reading").waitFor({ state: "hidden" });
  role = "read";
  await page.locator(".cm-content").click();
  await page.keyboard.press("Control+End");
  await page.keyboard.type(" Last");
  forbid();
  await page.locator('[data-panel="forbidden"]', { hasText: "You may not see this document any more" }).waitFor();
  assert.equal(await draft.last().locator("textarea").inputValue(), "Ours. Mine! Last");
  await picture(page, "rights-gone");
  assert.deepEqual(ada.complaints, []);
});

test("a session that ends asks to sign in again, and what was unsent is sent then", async () => {
  const server = await QuireServer.guarded();
  await server.create("long", "Start");
  const way = await Way.to(server);
  const ada = await person("Ada");
  const { page } = ada;
  await server.signIn(ada, "ada", ["*=write"], "Ada", way.url);
  await visit(page, way.url, "long");
  way.cut();
  await untilState(page, "offline");
  await page.keyboard.press("Control+End");
  await page.keyboard.type(" and on");
  await server.revoke("ada");
  way.restore();
  await untilState(page, "signed-out");
  assert.equal(await shown(page), "Start and on", "what is unsent is still to be seen");
  assert.match(await page.locator("[data-state]").innerText(), /^Signed out — 7 unsaved changes/);
  await picture(page, "rights-signed-out");
  await page.getByText("I have signed in").click();
  await page.locator(".toast", { hasText: "still does not know you" }).waitFor();

  // A token that is being filled in stays while somebody looks for the rest of it elsewhere.
  await page.getByText("Sign in with a token").click();
  await page.locator("#token").fill("half of it");
  const asked = page.waitForEvent("websocket");
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await (await asked).waitForEvent("close");
  assert.equal(await page.locator("#token").inputValue(), "half of it");

  // Across a reload, too, and another person does not send it.
  await page.reload();
  await page.locator('[data-panel="unauthenticated"] [data-unsent]').waitFor();
  await server.signIn(ada, "carl", ["*=write"], "Carl", way.url);
  await visit(page, way.url, "long");
  assert.equal(await shown(page), "Start");
  await server.signIn(ada, "ada", ["*=write"], "Ada", way.url);
  await page.reload();
  await untilShown(page, (text) => text === "Start and on");
  await untilState(page, "saved");
  assert.equal(await server.content("long"), "Start and on");

  await page.locator(".avatar.self").click();
  await page.locator(".sign-out").click();
  await page.locator("dialog.confirm .primary").click();
  await page.locator('[data-panel="unauthenticated"]').waitFor();
  // The connection may end before the answer to the sign-out is there.
  await page.waitForFunction(() => localStorage.getItem("quire:recent") === "[]"); // the next person does not see what was opened
  assert.deepEqual(ada.complaints, []);
});

test("what a guest had not sent when the session ended is a draft of theirs when they have joined again", async () => {
  const server = await QuireServer.guarded();
  await server.create("plan", "Start");
  const way = await Way.to(server);
  const [ada, guest] = [await person("Ada"), await person("Calm Wren")];
  await server.signIn(ada, "ada", ["*=admin"], "Ada");
  await visit(ada.page, server.url, "plan");
  await ada.page.locator(".share", { hasText: "Share" }).click();
  const address = (await invite(ada.page, "write", "0", "For guests")).replace(server.url, way.url);
  await ada.page.keyboard.press("Escape");
  const { page } = guest;
  await join(page, address, "Bob");
  await page.waitForURL("**/d/plan");
  await untilState(page, "saved");
  const author = () => page.evaluate(async () => (await (await fetch("/api/session")).json()).author as string);
  const before = await author();
  way.cut();
  await untilState(page, "offline");
  await page.locator(".cm-content").click();
  await page.keyboard.press("Control+End");
  await page.keyboard.type(" and on");
  await server.revoke(before);
  way.restore();
  await untilState(page, "signed-out");
  assert.equal(await shown(page), "Start and on");

  await join(page, address, "Bob");
  await page.waitForURL("**/d/plan");
  await untilState(page, "saved");
  assert.notEqual(await author(), before);
  assert.equal(await shown(page), "Start", "nobody else sends it");
  await page.locator(".draft").waitFor();
  await picture(page, "rights-guest-draft");
  assert.equal(await server.content("plan"), "Start");
  assert.deepEqual([...ada.complaints, ...guest.complaints], []);
});

test("somebody else signs in at the same browser: each writes, and finds drafts, as who they are", async () => {
  const server = await QuireServer.guarded();
  const start = `${"line\n".repeat(60)}Start`;
  await server.create("ours", start);
  await server.create("hers", "Secret");
  const way = await Way.to(server);
  const ada = await person("Ada");
  await server.signIn(ada, "ada", ["*=write"], "Ada", way.url);
  // A draft of hers, of a document that the other may not see.
  await ada.page.goto(`${way.url}/favicon.ico`);
  await ada.page.evaluate(() => localStorage.setItem("quire:draft:hers:1", JSON.stringify({ text: "Her secret", code: "forbidden", message: "", at: 1, by: "ada" })));
  await visit(ada.page, way.url, "hers");
  await ada.page.locator(".draft").waitFor();
  await visit(ada.page, way.url, "ours");

  const other = await ada.page.context().newPage();
  await server.signIn(ada, "carl", ["ours=write"], "Carl", way.url);
  await visit(other, way.url, "ours");
  way.cut();
  await untilState(ada.page, "offline");
  await ada.page.keyboard.press("Control+End");
  await ada.page.keyboard.type(" by Ada");
  way.restore();
  await ada.page.evaluate(() => dispatchEvent(new Event("online")));
  await ada.page.waitForFunction(() => {
    const box = document.querySelector('[data-panel="unauthenticated"] button')?.getBoundingClientRect();
    return box && box.top > 0 && box.bottom < innerHeight; // wherever somebody was in the text
  });
  await picture(ada.page, "rights-somebody-else");
  await untilState(other, "saved");
  assert.equal(await server.content("ours"), start, "nothing of hers is sent as his");
  await other.goto(`${way.url}/d/hers`);
  await other.locator('[data-panel="not_found"]').waitFor();
  assert.equal(await other.locator(".draft").count(), 0, "he does not see her draft");

  await server.signIn(ada, "ada", ["*=write"], "Ada", way.url);
  await ada.page.getByText("Go on as that person").click();
  await untilState(ada.page, "saved");
  assert.equal(await server.content("ours"), `${start} by Ada`);
  assert.deepEqual(ada.complaints, []);
});

test("an open server says that everybody may edit", async () => {
  const server = await QuireServer.start();
  await server.create("open", "x");
  const ada = await person("Ada");
  await visit(ada.page, server.url, "open");
  await ada.page.locator(".share", { hasText: "Share" }).click();
  assert.equal(await ada.page.locator('[data-share="open"] input').inputValue(), `${server.url}/d/open`);
  await ada.page.locator('[data-share="open"]', { hasText: "everybody who can reach it may open this document and change it" }).waitFor();
  assert.equal(await ada.page.locator(".invite").count(), 0);
  await picture(ada.page, "rights-open");
  await ada.page.goto(`${server.url}/join#anything`);
  await ada.page.locator('[data-panel="open"]').waitFor();
  assert.ok(!ada.page.url().includes("#"));
  assert.deepEqual(ada.complaints, []);
});

test("authors are called by their names in the history and in the colours, and no two alike", async () => {
  const server = await QuireServer.guarded();
  await server.create("plan", "Start\n");
  const [ada, bob, eve] = [await person("x"), await person("y"), await person("z")];
  const writers: [typeof ada, author: string, name: string][] = [[ada, "idp|7f1", "Ada"], [bob, "idp|7f2", "Bob"], [eve, "idp|7f3", "\u0410da\u202e"]];
  for (const [{ page, context }, author, name] of writers) {
    await server.signIn({ page, context, complaints: [] }, author, ["*=write"], name);
    await visit(page, server.url, "plan");
    await page.locator(".cm-content").click();
    await page.keyboard.press("Control+End");
    await page.keyboard.type(`by ${author}\n`);
    await untilShown(ada.page, (text) => text.includes(author));
    await untilState(page, "saved");
  }

  await ada.page.getByRole("button", { name: "More" }).click();
  await ada.page.getByLabel("Colours by author").check();
  await ada.page.keyboard.press("Escape");
  await ada.page.locator(".blame-bar .author").nth(3).waitFor();
  const colored = await ada.page.locator(".blame-bar .author").evaluateAll((authors) => authors.map((author) => [author.textContent, author.getAttribute("title")]));
  const want = [["Ada (idp|7f1)", "idp|7f1"], ["Bob", "idp|7f2"], ["operator", ""], ["\u0410da[U+202E] (idp|7f3)", "idp|7f3"]];
  assert.deepEqual(colored.sort(), want);
  const colors = await ada.page.locator(".blame-bar .author").evaluateAll((authors) => authors.map((author) => (author as HTMLElement).style.getPropertyValue("--peer")));
  assert.equal(new Set(colors).size, 4, `people who chose one colour are told apart: ${colors}`);
  await ada.page.locator(".history-button").click();
  await ada.page.locator(".edits .author", { hasText: "Bob" }).waitFor();
  const listed = new Set(await ada.page.locator(".edits .author").allTextContents());
  assert.deepEqual([...listed].sort(), want.map(([name]) => name));
  assert.equal(await ada.page.locator(".edits .author", { hasText: "Bob" }).first().getAttribute("title"), "idp|7f2");
  await bob.page.evaluate(() => fetch("/api/docs/plan/labels/sent", { method: "PUT", headers: { "content-type": "application/json" }, body: '{"rev":1}' }));
  await ada.page.keyboard.press("Escape");
  await ada.page.locator(".history-button").click();
  await ada.page.locator(".labels .about", { hasText: "revision 1 · Bob" }).waitFor();
  await picture(ada.page, "rights-names");
  assert.deepEqual(ada.complaints, []);

  await server.kill("SIGTERM"); // what is known does not go with the process
  await server.start();
  for (const { context } of [bob, eve]) await context.close();
  await visit(ada.page, server.url, "plan");
  await ada.page.locator(".history-button").click();
  await ada.page.locator(".edits .author", { hasText: "Bob" }).waitFor();
});
