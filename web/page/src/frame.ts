import { countUnsent, somebodyElse } from "../../client/index.js";
import { ApiError } from "./api.js";
import { el } from "./dom.js";
import { signIn, type Access } from "./session.js";

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

/** Returns the panel for who has to sign in; `again` is called when they say that they have. `was` is who they were, where they were somebody; `kept` is whether the browser keeps what was not saved. */
export function signInNotice(reason: string, again: () => void, was?: Access, kept = true): HTMLElement {
  const place = kept ? "in this browser" : "in this window, which has to stay open,";
  const other = reason === somebodyElse;
  const heading = other ? "Somebody else is signed in here now" : was ? "You are signed out" : "You need an invitation, or have to sign in";
  const how = other
    ? `Another window of this browser is signed in as somebody else. What was not saved is kept ${place} until you sign in again.`
    : was?.invited
      ? `The invitation that you came by has ended or was withdrawn, or your session was ended. What was saved stays in the document. To go on, open the address of an invitation under the same name; what was not saved is kept ${place} until then.`
      : was
        ? `Your session has ended. Sign in at the application that you come from and return; what was not saved is kept ${place} until then.`
        : "This server shows documents to people it knows. Open the address of an invitation that somebody sent you, or sign in at the application that you come from and return.";
  return notice("unauthenticated", heading,
    el("p", {}, how),
    was === undefined && unsentHere() ? el("p", { attrs: { "data-unsent": "" } }, "Changes that were not saved are kept in this browser. They are sent, or shown to you, when you come back as who you were.") : "",
    reason !== "" && !other && !reason.startsWith("say who you are") ? el("p", { className: "reason" }, `The server says: ${reason}`) : "",
    el("button", { type: "button", className: "primary", on: { click: again } }, other ? "Go on as that person" : "I have signed in"),
    tokenForm(again));
}

/** Reports whether this browser keeps what could not be sent. */
function unsentHere(): boolean {
  try {
    return countUnsent(localStorage).size > 0;
  } catch {
    return false; // no storage
  }
}

/** Lets somebody sign in with a token of their own, as those have who run the server. */
function tokenForm(done: () => void): HTMLElement {
  const token = el("input", { id: "token", type: "password", required: true, attrs: { autocomplete: "off", spellcheck: "false", "aria-describedby": "token-problem" } });
  const problem = el("p", { id: "token-problem", className: "problem", attrs: { role: "alert" } });
  const enter = async () => {
    problem.replaceChildren();
    try {
      await signIn(token.value.trim());
      token.value = "";
      done();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problem.replaceChildren(`The server does not take it: ${error.message}`);
    }
  };
  const submit = (event: Event) => {
    event.preventDefault();
    void enter();
  };
  return el("details", {},
    el("summary", {}, "Sign in with a token"),
    el("form", { className: "join", on: { submit } },
      el("label", { htmlFor: "token" }, "Token"),
      el("div", { className: "row" }, token, el("button", { type: "submit" }, "Sign in")),
      problem));
}

/** The page for who has to sign in. */
export function showSignIn(app: HTMLElement, reason: string): void {
  document.title = "Sign in — Quire";
  app.replaceChildren(plainBar(), el("main", { className: "desk" }, signInNotice(reason, () => location.reload())));
}
