import { el } from "./dom.js";

/** Returns the bar on top of a page that shows no document, with more on its right. */
export function plainBar(...more: (Node | false)[]): HTMLElement {
  return el("div", { className: "top" },
    el("header", { className: "bar" },
      el("a", { className: "home", href: "/", title: "All documents" }, el("span", { className: "mark" }), "Quire"),
      el("span", { className: "between" }),
      ...more));
}

/** Returns what stands in place of a document: a heading, and more under it. */
export function notice(name: string, heading: string, ...more: (Node | string)[]): HTMLElement {
  return el("section", { className: "panel", attrs: { "data-panel": name } }, el("h2", {}, heading), ...more);
}

/** Returns the panel for who has to sign in; `again` is called when they say that they have. */
export function signInNotice(reason: string, again: () => void): HTMLElement {
  return notice("unauthenticated", "You need an invitation, or have to sign in",
    el("p", {}, "This server shows documents to people it knows. Open the address of an invitation that somebody sent you, or sign in at the application that you come from and return."),
    reason !== "" && reason !== "say who you are" ? el("p", { className: "reason" }, `The server says: ${reason}`) : "",
    el("button", { type: "button", className: "primary", on: { click: again } }, "I have signed in"));
}

/** The page for who has to sign in. */
export function showSignIn(app: HTMLElement, reason: string): void {
  document.title = "Sign in — Quire";
  app.replaceChildren(plainBar(), el("main", { className: "desk" }, signInNotice(reason, () => location.reload())));
}
