// Copies documents from a ShareDB server to Quire, as they are now:
//
//   node copy.mjs FROM TO COLLECTION...
//   node copy.mjs ws://127.0.0.1:3001 ws://127.0.0.1:8080/sharedb examples notes
//
// What exists at the destination is left alone. The history stays behind: a copied
// document begins with version 1. Fails if anything that was copied does not read the same.

import { isDeepStrictEqual } from "node:util";

import text0 from "ot-json0/lib/text0.js";
import textUnicode from "ot-text-unicode";
import richText from "rich-text";
import sharedb from "sharedb/lib/client/index.js";
import { WebSocket } from "ws";

for (const type of [text0, textUnicode.type, richText.type]) sharedb.types.register(type);

const [from, to, ...collections] = process.argv.slice(2);
if (collections.length === 0) {
  console.error("usage: node copy.mjs FROM TO COLLECTION...");
  process.exit(2);
}
const [source, destination] = [from, to].map((url) => {
  const socket = new WebSocket(url);
  socket.on("error", (error) => {
    console.error(`${url}: ${error.message}`);
    process.exit(1);
  });
  return new sharedb.Connection(socket);
});
const called = (start) => new Promise((resolve, reject) => start((error, value) => (error ? reject(error) : resolve(value))));
const plain = (doc) => ({ type: doc.type?.uri, data: JSON.parse(JSON.stringify(doc.data)) });

for (const collection of collections) {
  let [copied, there] = [0, 0];
  for (const old of await called((done) => source.createFetchQuery(collection, {}, {}, done))) {
    const copy = destination.get(collection, old.id);
    await called((done) => copy.fetch(done));
    if (copy.type) {
      there++;
      continue;
    }
    await called((done) => copy.create(plain(old).data, old.type.uri, done));
    const stored = await called((done) => destination.fetchSnapshot(collection, old.id, null, done));
    if (!isDeepStrictEqual(JSON.parse(JSON.stringify(stored.data)), plain(old).data) || stored.type !== old.type.uri) {
      throw new Error(`${collection}/${old.id} does not read the same`);
    }
    copied++;
  }
  console.log(`${collection}: ${copied} copied, ${there} already there`);
}
source.close();
destination.close();
