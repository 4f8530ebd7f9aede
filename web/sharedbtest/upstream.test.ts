// ShareDB's own client tests pass against Quire: each that can be run against a server
// which is not inside the test's own process, and each that passes against ShareDB's.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { needs, notRun, raced } from "./upstream/reasons.js";
import type { Outcome } from "./upstream/run.js";
import { kinds } from "./servers.js";

const list = "sharedbtest/upstream.md";

async function run(server: string): Promise<Record<string, Outcome>> {
  const script = fileURLToPath(new URL("./upstream/run.mjs", import.meta.url));
  const child = spawn(process.execPath, ["--enable-source-maps", script, server], { stdio: ["ignore", "pipe", "inherit"] });
  return JSON.parse(await text(child.stdout!));
}

/** The list that a person can read: what is run, and what is not and why. */
function described(outcomes: Record<string, Outcome>): string {
  const names = Object.keys(outcomes);
  const skipped = (need: string) => names.filter((name) => (outcomes[name] as { skipped?: string }).skipped === need);
  const ran = names.filter((name) => !("skipped" in outcomes[name]!));
  const item = (name: string) => `- ${name}${raced.has(name) ? " (may be tried again: see `raced` in reasons.ts)" : ""}`;
  return [
    "# ShareDB's client tests against Quire",
    `The tests of \`sharedb/test/client\` (version ${JSON.parse(readFileSync("node_modules/sharedb/package.json", "utf8")).version}), run unmodified from \`node_modules\`, with \`new Backend()\` replaced by something that`,
    "only connects over a WebSocket: to ShareDB's server, and to `quire`. What is run passes against both. A test that asks for",
    "more than a connection is skipped when it asks. This list is written by the test (`UPDATE=1 npm run test:sharedb`), which fails",
    "when the list is not what happened.",
    "",
    `## Run: ${ran.length} of ${names.length}`,
    "",
    ...ran.map(item),
    "",
    `## Not run, each for a reason of its own: ${skipped("").length}`,
    "",
    ...Object.entries(notRun).map(([name, why]) => `${item(name)} (${why})`),
    ...Object.entries(needs).flatMap(([need, why]) => ["", `## Skipped, asks for \`${need}\`: ${skipped(need).length}`, "", `${why[0]!.toUpperCase()}${why.slice(1)}.`, "", ...skipped(need).map(item)]),
    "",
  ].join("\n");
}

const outcomes = new Map(kinds.map(({ name }) => [name, run(name)]));

for (const { name } of kinds) {
  test(`${name}: passes ShareDB's client tests`, async () => {
    const failed = Object.entries(await outcomes.get(name)!).filter(([, outcome]) => "failed" in outcome);
    assert.deepEqual(failed, []);
  });

  test(`${name}: ran what the list says`, async () => {
    const all = await outcomes.get(name)!;
    const unexplained = Object.entries(all).filter(([key, outcome]) => "skipped" in outcome && !(outcome.skipped ? outcome.skipped in needs : key in notRun));
    assert.deepEqual(unexplained, []);
    assert.deepEqual([...raced].filter((key) => !(key in all)), []);
    if (process.env["UPDATE"]) writeFileSync(list, described(all));
    assert.equal(described(all), readFileSync(list, "utf8"));
  });
}
