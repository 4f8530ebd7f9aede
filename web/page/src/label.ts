import { el } from "./dom.js";

/** Milliseconds for which a name stays beside a caret that moved; as long as the animation in the style sheet. */
const labelFor = 2400;

/** Writes a name beside a caret that moved at a time of `performance.now()`: on its left where there is little room on its right. */
export function label(caret: HTMLElement, name: string, movedAt: number, toLeft: boolean): void {
  const node = el("span", { className: toLeft ? "peer-label to-left" : "peer-label" }, name);
  // Begin where the animation would be by now, so that a caret that others push about stays unlabelled.
  node.style.animationDelay = `${-Math.min(labelFor, performance.now() - movedAt)}ms`;
  caret.append(node);
  caret.dataset["peer"] = name;
}
