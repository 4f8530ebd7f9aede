import { StateEffect, StateField } from "@codemirror/state";
import { Decoration, EditorView, type DecorationSet } from "@codemirror/view";

import type { Authors } from "../authors.js";
import { stretches, type Run } from "./runs.js";

/** Says who wrote what of the text after the transaction. */
const setColors = StateEffect.define<DecorationSet>();

/** Shows the text in the colours of those who wrote it. */
export const authorColors = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(colors, tr) {
    for (const effect of tr.effects) if (effect.is(setColors)) return effect.value;
    return colors.map(tr.changes);
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** Gives a text the colours of its authors, or none. */
export function colorText(view: EditorView, runs: readonly Run[] | null, authors: Authors): void {
  const end = view.state.doc.length;
  const ranges = stretches(runs ?? [])
    .filter(({ from }) => from < end)
    .map(({ from, to, author }) => Decoration.mark({ class: `blamed ${authors.className(author)}` }).range(from, Math.min(to, end)));
  view.dispatch({ effects: setColors.of(Decoration.set(ranges)) });
}
