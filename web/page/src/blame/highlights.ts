// Colours over a text without touching its elements (CSS Custom Highlight API).

import type { Authors } from "../authors.js";
import { stretches, type Run } from "./runs.js";

/** The highlights that are there, by name. */
const shown = new Set<string>();

/**
 * Colours text by author, or no more. `rangeOf` returns where a stretch of it is in the
 * page. Reports whether this browser can.
 */
export function highlight(runs: readonly Run[] | null, authors: Authors, rangeOf: (from: number, to: number) => Range | null): boolean {
  if (!("highlights" in CSS)) return false;
  for (const name of shown) CSS.highlights.delete(name);
  shown.clear();
  for (const { from, to, author } of stretches(runs ?? [])) {
    const range = rangeOf(from, to);
    if (!range) continue;
    const name = authors.className(author);
    const there = CSS.highlights.get(name) ?? new Highlight();
    there.add(range);
    CSS.highlights.set(name, there);
    shown.add(name);
  }
  return true;
}

/** Returns the place in a text node under a point in the window: the character, not the gap. */
export function characterAt(x: number, y: number): { node: Text; offset: number } | null {
  const caret = document.caretPositionFromPoint?.(x, y);
  const range = caret ? null : document.caretRangeFromPoint?.(x, y);
  const node = caret?.offsetNode ?? range?.startContainer;
  let offset = caret?.offset ?? range?.startOffset ?? 0;
  if (!(node instanceof Text) || node.length === 0) return null;
  // The gap nearest to the point may be behind the character that is under it.
  const box = document.createRange();
  box.setStart(node, Math.min(offset, node.length - 1));
  box.setEnd(node, Math.min(offset, node.length - 1) + 1);
  const { left } = box.getBoundingClientRect();
  if (offset > 0 && (offset === node.length || x < left)) offset--;
  return { node, offset };
}
