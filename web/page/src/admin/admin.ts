import { ApiError } from "../api.js";
import { count, el } from "../dom.js";
import * as server from "./server.js";
import { backupsView, connectionsView, docsView, sessionsView, type View } from "./views.js";
import { bytes, few, span } from "./words.js";

/** Time between looks in milliseconds. */
const every = 2000;

const root = document.getElementById("admin")!;

/** Shows a form for a token, and why it is wanted. */
function showSignIn(why: string): void {
  const token = el("input", { type: "password", required: true, placeholder: "Token", autocomplete: "off", attrs: { "aria-label": "Token" } });
  const problem = el("p", { className: "problem", attrs: { role: "alert" } }, why);
  const form = el("form", { className: "card sign-in" },
    el("h1", {}, "Quire for operators"),
    el("p", {}, "This needs a token with the role admin in all documents. The command ", el("code", {}, "quire token"), " makes one."),
    token, problem, el("button", { className: "primary" }, "Sign in"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    server.signIn(token.value.trim()).then(show, (error: Error) => (problem.textContent = error.message));
  });
  root.replaceChildren(form);
  token.focus();
}

/** Says that whoever is signed in may not see this. */
function showForbidden(): void {
  const out = el("button", { type: "button", className: "primary" }, "Sign in as somebody else");
  out.addEventListener("click", () => void server.signOut().catch(() => undefined).then(() => showSignIn("")));
  root.replaceChildren(el("div", { className: "card sign-in" }, el("h1", {}, "Quire for operators"),
    el("p", {}, "You are signed in, and may not see this: it needs the role admin in all documents."), out));
}

/** A number with its name. */
function figure(name: string): { node: HTMLElement; set(text: string): void } {
  const value = el("dd");
  return {
    node: el("div", { className: "figure" }, el("dt", {}, name), value),
    set: (text) => { if (value.textContent !== text) value.textContent = text; },
  };
}

/** Returns how long something takes, or why that is not known. */
function latency(l: server.Latency, none: string): string {
  return l.p50_ms === null || l.p99_ms === null ? none : `${few(l.p50_ms)} / ${few(l.p99_ms)} ms`;
}

/** Shows the server until somebody has to sign in. */
function show(): void {
  const stopped = new AbortController();
  const names = ["Edits/s", "Acknowledged in", "Delivered in", "Disk took", "Connections", "Documents in memory", "Not saved", "Memory", "Data", "Disk free"] as const;
  const figures = new Map(names.map((name) => [name, figure(name)]));
  const set = (name: (typeof names)[number], text: string) => figures.get(name)!.set(text);
  const about = el("p", { className: "about" });
  const note = el("p", { className: "note" });
  const state = el("strong", { className: "state", attrs: { role: "status" } });
  const wrong = el("ul", { className: "wrong", attrs: { "aria-label": "What is wrong" } });
  const said = el("p", { className: "said", attrs: { role: "status" } });
  const limits = el("dl", { className: "limits" });

  const again = () => void look();
  const act = (what: () => Promise<string>) => void what()
    .then((words) => { said.textContent = words; }, (error: Error) => { said.textContent = error.message; })
    .then(again);
  const views: View[] = [sessionsView(act, again), docsView(act, again), connectionsView(act, again), backupsView(act)];
  let view = views[0]!;
  const place = el("section", { id: "view", attrs: { role: "tabpanel" } }, view.node);
  const tabs = views.map((v) => el("button", { type: "button", attrs: { role: "tab", "aria-controls": "view" } }, v.name));
  const choose = (i: number) => {
    view = views[i]!;
    tabs.forEach((tab, n) => {
      tab.setAttribute("aria-selected", String(n === i));
      tab.tabIndex = n === i ? 0 : -1;
    });
    place.replaceChildren(view.node);
  };
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => { choose(i); again(); });
    tab.addEventListener("keydown", (event) => {
      const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (step === 0) return;
      const to = (i + step + tabs.length) % tabs.length;
      choose(to);
      tabs[to]!.focus();
      again();
    });
  });
  choose(0);

  function told(s: server.Status): void {
    about.textContent = `${s.version}, up ${span(s.uptime_seconds)}`;
    state.textContent = s.ready ? "ready" : "not ready";
    state.className = s.ready ? "state" : "state bad";
    set("Edits/s", few(s.operations_per_second));
    set("Acknowledged in", latency(s.latency.acknowledge, "no edits"));
    set("Delivered in", latency(s.latency.deliver, s.latency.acknowledge.count > 0 ? "nobody else there" : "no edits"));
    note.textContent = `Times are the median and the 99th of 100, of the last ${span(s.latency.acknowledge.over_seconds)}.`;
    set("Disk took", latency(s.latency.append, "no edits"));
    set("Connections", `${s.connections.toLocaleString("en")}${s.streams > 0 ? ` + ${count(s.streams, "stream")}` : ""}`);
    set("Documents in memory", `${s.sessions.toLocaleString("en")}, open ${count(s.places, "time")}`);
    set("Not saved", count(s.unsaved_documents, "document"));
    set("Memory", bytes(s.memory.system_bytes) + (s.memory.limit_bytes > 0 ? ` of ${bytes(s.memory.limit_bytes)}` : ""));
    set("Data", s.disk ? bytes(s.disk.file_bytes) : "–");
    set("Disk free", s.disk ? bytes(s.disk.free_bytes) : "–");
    wrong.replaceChildren(
      ...(s.ready ? [] : [el("li", {}, s.why ?? "")]),
      ...s.failing.map((d) => el("li", {}, `“${d.doc}” cannot be written, tried ${count(d.failures ?? 0, "time")}: ${d.why ?? ""}`)),
      ...(s.failing_documents > s.failing.length ? [el("li", {}, `and ${s.failing_documents - s.failing.length} more`)] : []),
    );
    if (limits.childElementCount === 0) {
      for (const [name, value] of Object.entries(s.limits)) limits.append(el("div", {}, el("dt", {}, name), el("dd", {}, value === "" ? "–" : value)));
    }
  }

  let looking: AbortController | undefined;
  async function look(): Promise<void> {
    looking?.abort();
    const mine = (looking = new AbortController());
    clearTimeout(timer);
    try {
      told(await server.status(mine.signal));
      await view.refresh(mine.signal);
      root.removeAttribute("data-old");
    } catch (error) {
      if (mine.signal.aborted) return;
      if (error instanceof ApiError && error.code === "unauthenticated") return end(() => showSignIn(""));
      if (error instanceof ApiError && error.code === "forbidden") return end(showForbidden);
      root.setAttribute("data-old", "");
      state.textContent = error instanceof Error ? error.message : String(error);
      state.className = "state bad";
    }
    if (!stopped.signal.aborted) timer = setTimeout(again, every);
  }
  let timer: ReturnType<typeof setTimeout> | undefined;
  function end(then: () => void): void {
    stopped.abort();
    document.removeEventListener("visibilitychange", seen);
    then();
  }
  // A page that nobody sees asks for nothing.
  function seen(): void {
    if (document.hidden) {
      looking?.abort();
      clearTimeout(timer);
    } else again();
  }
  document.addEventListener("visibilitychange", seen);

  root.replaceChildren(
    el("header", {}, el("h1", {}, "Quire"), about, state),
    wrong,
    el("dl", { className: "figures" }, ...names.map((name) => figures.get(name)!.node)),
    note,
    el("div", { className: "tabs", attrs: { role: "tablist" } }, ...tabs),
    said, place,
    el("details", {}, el("summary", {}, "Limits"), limits),
  );
  again();
}

show();
