// Builds the page's bundle or the tests.
//
//   node build.mjs page [directory]   page/dist unless a directory is named
//   node build.mjs tests              .build/unit and .build/browser

import { build } from "esbuild";
import { copyFileSync, mkdirSync, readdirSync, rmSync } from "node:fs";

const [what, directory = "page/dist"] = process.argv.slice(2);

if (what === "page") {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(`${directory}/assets`, { recursive: true });
  await build({
    entryPoints: ["page/src/main.ts", "page/static/app.css"].map((file) => ({ in: file, out: "app" })),
    outdir: `${directory}/assets`,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    legalComments: "none",
    charset: "utf8",
  });
  copyFileSync("page/static/index.html", `${directory}/index.html`);
  copyFileSync("page/static/favicon.svg", `${directory}/assets/favicon.svg`);
} else if (what === "tests") {
  rmSync(".build", { recursive: true, force: true });
  const tests = (folder) => readdirSync(folder).filter((name) => name.endsWith(".test.ts")).map((name) => `${folder}/${name}`);
  const options = { bundle: true, platform: "node", format: "esm", target: "node20", packages: "external", sourcemap: "inline", outExtension: { ".js": ".mjs" } };
  await build({ ...options, entryPoints: [...tests("client/test"), ...tests("page/test")], outdir: ".build/unit", outbase: "." });
  await build({ ...options, entryPoints: tests("browsertest"), outdir: ".build/browser" });
} else {
  console.error("usage: node build.mjs page [directory] | tests");
  process.exit(2);
}
