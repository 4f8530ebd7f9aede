// Serves this folder to browsers on this machine, with the application bundled on the way:
//
//   node serve.mjs [port]       3000 unless named
//
// It serves files and nothing else: the documents are Quire's.

import { context } from "esbuild";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const app = await context({
  absWorkingDir: folder,
  entryPoints: ["app.js"],
  outdir: "built", // in memory only
  write: false,
  bundle: true,
  format: "esm",
  target: "es2022",
  define: { "process.env.NODE_ENV": '"production"' },
});
const { port } = await app.serve({ servedir: folder, host: "127.0.0.1", port: Number(process.argv[2] ?? 3000) });
console.log(`The example is at http://127.0.0.1:${port}/`);
