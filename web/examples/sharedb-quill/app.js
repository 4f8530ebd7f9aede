// A text that several people write in: Quill in the page, ShareDB's client beneath it.
// Nothing here knows of Quire but the one line that names the server.

import Quill from "quill";
import "quill/dist/quill.snow.css";
import QuillCursors from "quill-cursors";
import ReconnectingWebSocket from "reconnecting-websocket";
import richText from "rich-text";
import { Connection, types } from "sharedb/lib/client";

types.register(richText.type);
Quill.register("modules/cursors", QuillCursors);

const server = new URLSearchParams(location.search).get("server") ?? "ws://127.0.0.1:8080/sharedb"; // was: "ws://127.0.0.1:8080"
const connection = new Connection(new ReconnectingWebSocket(server, [], { maxEnqueuedMessages: 0 }));

const [collection, id] = ["examples", "richtext"];
const doc = connection.get(collection, id);
const quill = new Quill("#editor", { theme: "snow", modules: { cursors: true, toolbar: [["bold", "italic"], [{ header: 1 }], ["clean"]] } });
quill.disable();

doc.subscribe((error) => {
  if (error) throw error;
  if (doc.type) return begin();
  doc.create([{ insert: "\n" }], richText.type.uri, (error) => {
    if (error && error.code !== "ERR_DOC_ALREADY_CREATED") throw error;
    begin(); // whoever made it
  });
});

function begin() {
  const show = () => quill.setContents(doc.data);
  show();
  quill.enable();
  quill.on("text-change", (delta, _, source) => source === "user" && doc.submitOp(delta, { source: quill }));
  doc.on("op", (op, source) => source !== quill && quill.updateContents(op));
  doc.on("load", show); // read afresh, after the server refused a change
  cursors();
}

function cursors() {
  const name = `Guest ${Math.floor(Math.random() * 1000)}`;
  document.querySelector("#name").textContent = name;
  const presence = connection.getDocPresence(collection, id);
  const mine = presence.create();
  presence.subscribe();
  // The place after a change is sent with the change: it is a selection change that Quill does not tell of.
  const send = (range) => mine.submit(range && { ...range, name });
  quill.on("selection-change", (range, _, source) => source === "user" && send(range));
  quill.on("text-change", (_, __, source) => source === "user" && send(quill.getSelection()));
  const shown = quill.getModule("cursors");
  presence.on("receive", (who, range) => {
    if (!range) return shown.removeCursor(who);
    shown.createCursor(who, range.name, `hsl(${[...who].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 360, 0)} 60% 40%)`);
    shown.moveCursor(who, range);
  });
}

// Who makes the document at the same moment as somebody else may be told of it here as well.
doc.on("error", (error) => console.warn(error.message));
connection.on("state", (state) => (document.querySelector("#state").textContent = state));
const changes = document.querySelector("#changes");
doc.on("before op", (_, source) => source && (changes.textContent = "on their way"));
doc.on("nothing pending", () => (changes.textContent = "saved"));
