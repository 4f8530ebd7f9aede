import assert from "node:assert/strict";
import { test } from "node:test";

import { person, picture, QuireServer, shown, untilEqual, untilNamed, untilShown, visit } from "./harness.js";

/** Two people in one new document of a server of their own. */
async function two(id: string, content = "", second = "Bob") {
  const server = await QuireServer.start();
  await server.create(id, content);
  const ada = await person("Ada Lovelace", { color: "#b4432f" });
  const bob = await person(second, { color: "#3a63b8" });
  for (const { page } of [ada, bob]) await visit(page, server.url, id);
  return { server, ada, bob };
}

test("two people type at once and end with one text, which is the store's", async () => {
  const id = "Letter / to Charles? 100% äöü 🌍";
  const { server, ada, bob } = await two(id);
  const letter = "My dear Babbage,\n\nI am in much dismay at having got into so amazing a quagmire and botheration with these Numbers.";
  const marks = "0123456789".repeat(8);
  await Promise.all([ada.page.keyboard.type(letter, { delay: 3 }), bob.page.keyboard.type(marks, { delay: 3 })]);
  const all = await untilEqual([ada.page, bob.page], (text) => text.length === letter.length + marks.length);
  assert.equal(await server.content(id), all);
  assert.equal(all.replace(/\d/g, ""), letter, "what Ada typed, in her order");
  assert.equal(all.replace(/\D/g, ""), marks, "what Bob typed, in his order");
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});

test("carets and selections of others are shown with their names, and go when they go", async () => {
  const { ada, bob } = await two("carets", "A first line\n\nA second line");
  await bob.page.keyboard.press("Control+End");
  await bob.page.keyboard.press("Shift+Home");
  await ada.page.locator('.peer-caret[data-peer="Bob"]').waitFor();
  await ada.page.locator(".peer-selection").waitFor();
  await ada.page.locator('.people [data-peer="Bob"]').waitFor();
  const [caret, line] = await Promise.all([
    ada.page.locator(".peer-caret").boundingBox(),
    ada.page.locator(".cm-line").nth(2).boundingBox(),
  ]);
  assert.ok(caret && line && caret.y >= line.y - 2 && caret.y + caret.height <= line.y + line.height + 2, "in the line where Bob is");
  await picture(ada.page, "carets");

  // Bob calls himself something else.
  await bob.page.locator(".avatar.self").click();
  await bob.page.keyboard.type("Robert Smith");
  await bob.page.keyboard.press("Enter");
  await ada.page.locator('.people [data-peer="Robert Smith"]').waitFor();
  await ada.page.locator('.peer-caret[data-peer="Robert Smith"]').waitFor();

  await bob.page.close();
  await ada.page.locator(".people li").waitFor({ state: "detached" });
  await ada.page.locator(".peer-caret").waitFor({ state: "detached" });
  assert.deepEqual(ada.complaints, []);
});

test("a name fits beside its caret in a narrow window", async () => {
  const { ada, bob } = await two("narrow", "It goes to the edge", "Robert Fitzgerald-Smith of Edinburgh");
  await ada.page.setViewportSize({ width: 260, height: 600 });
  await bob.page.keyboard.press("Control+End");
  await untilNamed(ada.page);
  await bob.page.keyboard.press("Control+Home");
  await untilNamed(ada.page);
});

test("a caret stays with its text while others type before it", async () => {
  const { ada, bob } = await two("moving", "abc");
  await bob.page.keyboard.press("Control+End");
  const caret = ada.page.locator(".peer-caret");
  await caret.waitFor();
  await ada.page.keyboard.press("Control+Home");
  await ada.page.keyboard.type("0123456789");
  await untilEqual([ada.page, bob.page], (text) => text === "0123456789abc");
  await bob.page.keyboard.type("!");
  await untilEqual([ada.page, bob.page], (text) => text === "0123456789abc!");
  // Where he is now may come after what he wrote.
  await ada.page.waitForFunction(() => {
    const range = document.createRange();
    range.selectNodeContents(document.querySelector(".cm-line")!);
    const caret = document.querySelector(".peer-caret")?.getBoundingClientRect();
    return caret && Math.abs(caret.x + caret.width / 2 - range.getBoundingClientRect().right) < 3;
  });
});

test("undo and redo take back one's own edits only", async () => {
  const { server, ada, bob } = await two("undo");
  // At once: what is typed slowly is undone in pieces.
  await ada.page.keyboard.insertText("ada");
  await untilShown(bob.page, (text) => text === "ada");
  await bob.page.keyboard.press("Control+End");
  await bob.page.keyboard.insertText(" bob");
  await untilEqual([ada.page, bob.page], (text) => text === "ada bob");
  await ada.page.keyboard.press("Control+z");
  await untilEqual([ada.page, bob.page], (text) => text === " bob");
  await ada.page.keyboard.press("Control+z");
  await ada.page.keyboard.press("Control+y");
  await untilEqual([ada.page, bob.page], (text) => text === "ada bob");
  await bob.page.keyboard.press("Control+z");
  await untilEqual([ada.page, bob.page], (text) => text === "ada");
  assert.equal(await server.content("undo"), "ada");
});

test("carriage returns, tabs and characters of two units stay what they are", async () => {
  const content = "one\r\ntwo\ttabs\r\n👩‍👩‍👧 family\n";
  const { server, ada, bob } = await two("characters", content);
  await ada.page.keyboard.press("Control+End");
  await ada.page.keyboard.insertText("😀");
  await ada.page.keyboard.press("Shift+ArrowLeft");
  await ada.page.keyboard.insertText("😃"); // differs in its second half only
  await bob.page.keyboard.press("Control+Home");
  await bob.page.keyboard.insertText("🌍");
  await untilShown(ada.page, (text) => text.startsWith("🌍") && text.endsWith("😃"));
  await untilShown(bob.page, (text) => text.startsWith("🌍") && text.endsWith("😃"));
  assert.equal(await server.content("characters"), `🌍${content}😃`);
});

test("what is pasted from Windows has plain line ends", async () => {
  const { server, ada } = await two("paste");
  await ada.page.locator(".cm-content").evaluate((content) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", "one\r\ntwo\r\nthree");
    content.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
  });
  await untilEqual([ada.page], (text) => text === "one\ntwo\nthree");
  assert.equal(await server.content("paste"), "one\ntwo\nthree");
});

test("a document of one megabyte is opened and written in, in its middle too", async () => {
  const line = "The quick brown fox jumps over the lazy dog, again and again and again.\n";
  const server = await QuireServer.start();
  await server.create("big");
  const ada = await person("Ada");
  await visit(ada.page, server.url, "big");
  // One paste, larger than one message may be.
  const content = line.repeat(Math.ceil(1_100_000 / line.length));
  await ada.page.locator(".cm-content").evaluate((node, pasted) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", pasted);
    node.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
  }, content);
  await ada.page.locator('[data-state="saved"]').waitFor();
  const bob = await person("Bob");
  await visit(bob.page, server.url, "big");
  await bob.page.evaluate(() => scrollTo(0, document.body.scrollHeight / 2));
  const middle = bob.page.locator(".cm-line", { hasText: "fox" }).first();
  await middle.click();
  await bob.page.keyboard.press("Home");
  await bob.page.keyboard.type("In the middle. ");
  await ada.page.keyboard.type("At the end.");
  for (const { page } of [ada, bob]) await page.locator('[data-state="saved"]').waitFor();
  const stored = await server.content("big");
  assert.equal(stored.length, content.length + "In the middle. At the end.".length);
  assert.ok(stored.endsWith("At the end.") && /^In the middle\. The quick/m.test(stored));
  assert.ok((await shown(ada.page)).endsWith("At the end."));
  assert.deepEqual([...ada.complaints, ...bob.complaints], []);
});
