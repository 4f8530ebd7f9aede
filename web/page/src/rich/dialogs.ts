import { el } from "../dom.js";
import { safeImage, safeLink } from "./formats.js";

/**
 * Asks something in a dialog. `answer` returns what is wrong with the answer, or
 * what is to be done with it once the dialog is gone.
 */
function ask(title: string, fields: HTMLElement[], more: HTMLElement[], answer: () => string | (() => void), closed: () => void): HTMLDialogElement {
  const problem = el("p", { className: "problem", attrs: { role: "alert" } });
  const submit = (event: Event) => {
    event.preventDefault();
    const act = answer();
    if (typeof act === "string") return void (problem.textContent = act);
    dialog.close();
    act();
  };
  const form = el("form", { on: { submit } },
    el("h2", {}, title), ...fields, problem,
    el("div", { className: "actions" }, ...more,
      el("button", { type: "button", className: "quiet", on: { click: () => dialog.close() } }, "Cancel"),
      el("button", { type: "submit", className: "primary" }, "Done")));
  const dialog: HTMLDialogElement = el("dialog", { className: "who ask" }, form);
  dialog.addEventListener("close", () => {
    dialog.remove();
    closed();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function field(id: string, label: string, input: HTMLInputElement): HTMLElement {
  input.id = id;
  return el("div", { className: "field" }, el("label", { htmlFor: id }, label), input);
}

/** Returns an address as a person means it: with a scheme. */
function complete(address: string): string {
  if (address === "" || /^[a-z][a-z0-9+.-]*:/i.test(address)) return address;
  return /^[^\s/@]+@[^\s/@]+$/.test(address) ? `mailto:${address}` : `https://${address}`;
}

export interface LinkQuestion {
  /** The address that is there; empty when none is. */
  readonly current: string;
  /** The text that is to be a link; empty when there is none yet. */
  readonly text: string;
  done(address: string, text: string): void;
  remove(): void;
  closed(): void;
}

/** Asks where a link leads. */
export function askLink({ current, text, done, remove, closed }: LinkQuestion): void {
  const address = el("input", { value: current, placeholder: "https://", attrs: { inputmode: "url", autocomplete: "off" } });
  const words = el("input", { attrs: { autocomplete: "off" } });
  const more = current === "" ? [] : [
    el("button", { type: "button", className: "quiet", on: { click: () => (dialog.close(), remove()) } }, "Remove"),
    ...(safeLink(current) ? [el("a", { href: current, target: "_blank", rel: "noopener noreferrer" }, "Open")] : []),
  ];
  const answer = () => {
    const to = complete(address.value.trim());
    if (!safeLink(to)) return "A link leads to an address that begins with http:, https: or mailto:.";
    return () => done(to, words.value.trim());
  };
  const fields = [field("link-address", "Address", address), ...(text === "" ? [field("link-text", "Words to show", words)] : [])];
  const dialog: HTMLDialogElement = ask("Link", fields, more, answer, closed);
  address.select();
}

/** Asks for a picture: the address of one, or files. */
export function askImage(done: (address: string, alt: string) => void, files: (files: File[]) => void, closed: () => void): void {
  const address = el("input", { placeholder: "https://", attrs: { inputmode: "url", autocomplete: "off" } });
  const alt = el("input", { attrs: { autocomplete: "off" } });
  const file = el("input", { type: "file", accept: "image/png,image/jpeg,image/gif,image/webp,image/avif", multiple: true });
  const answer = () => {
    const chosen = [...(file.files ?? [])];
    if (chosen.length > 0) return () => files(chosen);
    const from = complete(address.value.trim());
    if (!safeImage(from)) return "A picture is shown from an address that begins with http: or https:.";
    return () => done(from, alt.value.trim());
  };
  ask("Picture", [field("image-address", "Address", address), field("image-alt", "What it shows, in words", alt), field("image-file", "Or a file from here", file)], [], answer, closed);
}
