// Builds the page's bundle or the tests.
//
//   node build.mjs page [directory]   page/dist unless a directory is named
//   node build.mjs tests              .build/unit and .build/browser
//   node build.mjs sharedb            .build/sharedb

import { build } from "esbuild";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

const [what, directory = "page/dist"] = process.argv.slice(2);

if (what === "page") {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(`${directory}/assets`, { recursive: true });
  const { metafile } = await build({
    entryPoints: [
      { in: "page/src/main.ts", out: "app" },
      { in: "page/static/app.css", out: "app" },
      { in: "page/static/rich.css", out: "rich" },
      { in: "page/static/history.css", out: "history" },
    ],
    outdir: `${directory}/assets`,
    bundle: true,
    minify: true,
    format: "esm",
    splitting: true, // what only one kind of document needs is loaded with the first of that kind
    chunkNames: "[name]-[hash]",
    target: "es2022",
    legalComments: "none",
    charset: "utf8",
    metafile: true,
  });
  // The operators' page shares no file with the other, which it is not to make larger.
  await build({
    entryPoints: [{ in: "page/src/admin/admin.ts", out: "admin" }, { in: "page/static/admin.css", out: "admin" }],
    outdir: `${directory}/assets`,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    legalComments: "none",
    charset: "utf8",
  });
  copyFileSync("page/static/admin.html", `${directory}/admin.html`);
  // What the page needs at once is fetched at once.
  const [, { imports }] = Object.entries(metafile.outputs).find(([path]) => basename(path) === "app.js");
  const chunks = imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => `/assets/${basename(path)}`);
  const preload = chunks.map((path) => `<link rel="modulepreload" href="${path}">\n`).join("");
  const index = readFileSync("page/static/index.html", "utf8");
  writeFileSync(`${directory}/index.html`, index.replace("</head>", () => `${preload}</head>`));
  copyFileSync("page/static/favicon.svg", `${directory}/assets/favicon.svg`);
} else if (what === "tests" || what === "sharedb") {
  const tests = (folder) => readdirSync(folder).filter((name) => name.endsWith(".test.ts")).map((name) => `${folder}/${name}`);
  const options = { bundle: true, platform: "node", format: "esm", target: "node20", packages: "external", sourcemap: "inline", outExtension: { ".js": ".mjs" } };
  const into = async (outdir, outbase, entryPoints) => {
    rmSync(outdir, { recursive: true, force: true });
    await build({ ...options, entryPoints, outdir, outbase });
  };
  if (what === "tests") {
    await into(".build/unit", ".", [...tests("client/test"), ...tests("page/test")]);
    await into(".build/browser", "browsertest", tests("browsertest"));
  } else await into(".build/sharedb", "sharedbtest", [...tests("sharedbtest"), "sharedbtest/upstream/run.ts"]);
} else {
  console.error("usage: node build.mjs page [directory] | tests | sharedb");
  process.exit(2);
}
