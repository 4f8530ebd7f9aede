import { ApiError } from "../api.js";
import { confirmed } from "../dialog.js";
import { ago, count, el } from "../dom.js";
import { visible } from "../names.js";
import * as server from "./server.js";
import { Table, type Column } from "./table.js";
import { bytes, few } from "./words.js";

/** One of the page's views. */
export interface View {
  readonly name: string;
  readonly node: HTMLElement;
  /** Asks for what is new and shows it. */
  refresh(signal: AbortSignal): Promise<void>;
}

/** Does what a button is for and tells how that went. */
export type Act = (what: () => Promise<string>) => void;

function button(label: string, title: string, click: () => void): HTMLElement {
  return el("button", { type: "button", className: "small", title, on: { click } }, label);
}

function choice(label: string, options: readonly (readonly [string, string])[], change: () => void): [HTMLElement, () => string] {
  const select = el("select", { on: { change } }, ...options.map(([value, text]) => el("option", { value }, text)));
  return [el("label", { className: "choice" }, label, select), () => select.value];
}

async function letGo(doc: string): Promise<string> {
  if (!await confirmed("Close this document?", `“${doc}” leaves the server's memory. Everyone who has it open opens it again by themselves, and loses nothing.`, "Close it")) return "";
  try {
    await server.release(doc);
    return `“${doc}” was closed.`;
  } catch (error) {
    if (error instanceof ApiError && error.code === "not_found") return `“${doc}” is not in memory any more.`;
    throw error;
  }
}

async function shorten(doc: string): Promise<string> {
  const keep = el("input", { type: "number", min: "1", step: "1", value: "1000", required: true, attrs: { "aria-label": "Revisions to keep" } });
  const more = el("label", { className: "choice" }, "Keep the newest revisions", keep);
  if (!await confirmed("Drop the old past?", `Older revisions of “${doc}” than these cannot be read any more, except labelled ones. This cannot be taken back.`, "Drop it", more)) return "";
  const { oldest } = await server.squash(doc, Number(keep.value));
  return `The past of “${doc}” begins with revision ${Math.max(0, oldest)}.`;
}

/** The documents in memory, the hottest first. */
export function sessionsView(act: Act, refresh: () => void): View {
  const [order, by] = choice("Order", [["rate", "busiest"], ["memory", "largest"], ["readers", "most open"], ["doc", "name"]], refresh);
  const columns: Column<server.Session>[] = [
    { label: "Document", text: (s) => s.doc },
    { label: "Edits/s", number: true, text: (s) => few(s.operations_per_second) },
    { label: "Readers", number: true, text: (s) => String(s.readers) },
    { label: "Writers", number: true, text: (s) => String(s.writers) },
    { label: "Revision", number: true, text: (s) => s.head.toLocaleString("en") },
    { label: "Size", number: true, text: (s) => bytes(s.size_bytes) },
    { label: "Memory", number: true, text: (s) => bytes(s.memory_bytes) },
    { label: "Not saved", number: true, text: (s) => String(s.unsaved_operations) },
    { label: "", make: (row) => [button("Close", "Have the document leave memory", () => act(() => letGo(row().doc)))] },
  ];
  const table = new Table(columns, (s) => s.doc, "No document is in memory.");
  const total = el("p", { className: "total" });
  return {
    name: "In memory",
    node: el("div", {}, el("div", { className: "tools" }, order, total), table.node),
    async refresh(signal) {
      const { sessions, total: n } = await server.sessions(by(), signal);
      table.show(sessions);
      total.textContent = sessions.length < n ? `${sessions.length} of ${count(n, "document")}` : count(n, "document");
    },
  };
}

/** All documents, by name. */
export function docsView(act: Act, refresh: () => void): View {
  let after: string[] = [""]; // where each page so far begins
  let next: string | undefined;
  const prefix = el("input", { type: "search", placeholder: "beginning of the name", on: { input: () => { after = [""]; refresh(); } }, attrs: { "aria-label": "Documents whose names begin so" } });
  const back = el("button", { type: "button", className: "small", on: { click: () => { after.pop(); refresh(); } } }, "Back");
  const more = el("button", { type: "button", className: "small", on: { click: () => { if (next !== undefined) after.push(next); refresh(); } } }, "More");
  const columns: Column<server.Doc>[] = [
    { label: "Document", text: (d) => d.id },
    { label: "Type", text: (d) => d.type },
    { label: "Revision", number: true, text: (d) => d.head.toLocaleString("en") },
    { label: "Past from", number: true, text: (d) => String(Math.max(0, d.oldest)) },
    { label: "Size", number: true, text: (d) => d.session === null ? "–" : bytes(d.session.size_bytes) },
    { label: "Edited", text: (d) => ago(Date.parse(d.modified)) },
    { label: "", make: (row) => [button("Past…", "Drop the old part of its past", () => act(() => shorten(row().id)))] },
  ];
  const table = new Table(columns, (d) => d.id, "There are no such documents.");
  return {
    name: "All documents",
    node: el("div", {}, el("div", { className: "tools" }, prefix, back, more), table.node),
    async refresh(signal) {
      const page = await server.docs(prefix.value, after[after.length - 1]!, signal);
      next = page.next;
      table.show(page.docs);
      back.hidden = after.length === 1;
      more.hidden = next === undefined;
    },
  };
}

/** Returns who has a connection, by name and as recorded; nothing of one who was not asked. */
function personOf({ author, name }: server.Connection): string {
  return visible(name ? `${name} (${author})` : author);
}

/** Who is connected. */
export function connectionsView(act: Act, refresh: () => void): View {
  const [order, by] = choice("Order", [["since", "longest"], ["sent", "most sent"], ["received", "most received"]], refresh);
  async function close(k: server.Connection): Promise<string> {
    const who = personOf(k) || k.address;
    if (!await confirmed("Close this connection?", `${who} is told to come back, and does so in a moment if allowed to. Withdraw their token or invitation first to keep them out.`, "Close it")) return "";
    await server.disconnect(k.id);
    return `The connection of ${who} was closed.`;
  }
  const columns: Column<server.Connection>[] = [
    { label: "Author", text: (k) => personOf(k) || "–" },
    { label: "Address", text: (k) => k.address },
    { label: "Protocol", text: (k) => k.protocol },
    { label: "Since", text: (k) => ago(Date.parse(k.since)) },
    { label: "Sent", number: true, text: (k) => bytes(k.sent_bytes) },
    { label: "Received", number: true, text: (k) => bytes(k.received_bytes) },
    { label: "Documents", text: (k) => k.docs.length === 0 ? "none" : k.docs[0] + (k.doc_count > 1 ? ` and ${k.doc_count - 1} more` : "") },
    { label: "Id in the log", text: (k) => k.id },
    { label: "", make: (row) => [button("Close", "Close the connection", () => act(() => close(row())))] },
  ];
  const table = new Table(columns, (k) => k.id, "Nobody is connected.");
  const total = el("p", { className: "total" });
  return {
    name: "Connections",
    node: el("div", {}, el("div", { className: "tools" }, order, total), table.node),
    async refresh(signal) {
      const { connections, total: n } = await server.connections(by(), signal);
      table.show(connections);
      total.textContent = connections.length < n ? `${connections.length} of ${count(n, "connection")}` : count(n, "connection");
    },
  };
}

/** Copies of all data. */
export function backupsView(act: Act): View {
  const make = el("button", { type: "button", className: "primary" }, "Back up now");
  make.addEventListener("click", () => {
    make.disabled = true;
    act(async () => {
      try {
        const made = await server.backUp();
        return `${made.file} was made, ${bytes(made.bytes)}.`;
      } finally {
        make.disabled = false;
      }
    });
  });
  const columns: Column<server.Backup>[] = [
    { label: "File", text: (b) => b.file },
    { label: "Size", number: true, text: (b) => bytes(b.bytes) },
    { label: "Made", text: (b) => ago(Date.parse(b.time)) },
  ];
  const table = new Table(columns, (b) => b.file, "There are none yet.");
  const folder = el("p", { className: "total" });
  return {
    name: "Backups",
    node: el("div", {}, el("div", { className: "tools" }, make, el("a", { href: "/api/backup", download: "" }, "Download one"), folder), table.node),
    async refresh(signal) {
      const found = await server.backups(signal);
      table.show(found.backups);
      folder.textContent = `On the server in ${found.folder}`;
    },
  };
}
