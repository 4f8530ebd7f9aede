import { el } from "./dom.js";

/** Asks whether something is to be done, with more to fill in when given. Resolves with the answer; closing the dialog is no. */
export function confirmed(question: string, words: string, action: string, more?: HTMLElement): Promise<boolean> {
  return new Promise((resolve) => {
    const dialog: HTMLDialogElement = el("dialog", { className: "who confirm", attrs: { "aria-labelledby": "confirm-question" } },
      el("form", { method: "dialog" },
        el("h2", { id: "confirm-question" }, question),
        el("p", {}, words),
        more,
        el("div", { className: "actions" },
          el("button", { type: "button", className: "quiet", on: { click: () => dialog.close() } }, "Cancel"),
          el("button", { className: "primary", value: "yes", autofocus: true }, action))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
