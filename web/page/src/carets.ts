import { StateEffect, StateField, EditorSelection, type Extension } from "@codemirror/state";
import { layer, RectangleMarker, type EditorView, type LayerMarker, type ViewUpdate } from "@codemirror/view";

import { text, type Peer, type TextCursor } from "../../client/index.js";
import { label } from "./label.js";
import { paint } from "./person.js";

/** Says who is here and where. Cursors are on the document after the transaction. */
export const setPeers = StateEffect.define<Peer<TextCursor>[]>();

/** Somebody's selections, and when they last moved by that person's own doing. */
interface Shown {
  readonly peer: Peer<TextCursor>;
  readonly movedAt: number;
}

const peersField = StateField.define<readonly Shown[]>({
  create: () => [],
  update(shown, tr) {
    if (tr.docChanged) {
      shown = shown.map(({ peer, movedAt }) => ({
        peer: { ...peer, cursor: peer.cursor?.map(([anchor, head]) => [tr.changes.mapPos(anchor), tr.changes.mapPos(head)] as const) ?? null },
        movedAt,
      }));
    }
    for (const effect of tr.effects) {
      if (!effect.is(setPeers)) continue;
      const before = new Map(shown.map((one) => [one.peer.client, one]));
      shown = effect.value.map((peer) => {
        const old = before.get(peer.client);
        const still = old?.peer.cursor && peer.cursor && text.sameCursor(old.peer.cursor, peer.cursor);
        return { peer, movedAt: still ? old.movedAt : performance.now() };
      });
    }
    return shown;
  },
});

/** One rectangle in somebody's colour; a caret when it has a name. */
class PeerMarker implements LayerMarker {
  constructor(
    private readonly rectangle: RectangleMarker,
    private readonly color: string,
    private readonly name?: string,
    private readonly movedAt = 0,
    private readonly toLeft = false,
  ) {}

  eq(other: PeerMarker): boolean {
    return (
      this.rectangle.eq(other.rectangle) &&
      this.color === other.color &&
      this.name === other.name &&
      this.movedAt === other.movedAt &&
      this.toLeft === other.toLeft
    );
  }

  draw(): HTMLElement {
    const node = this.rectangle.draw();
    paint(node, this.color);
    if (this.name === undefined) return node;
    label(node, this.name, this.movedAt, this.toLeft);
    return node;
  }
}

function* ranges(view: EditorView) {
  const end = view.state.doc.length;
  for (const { peer, movedAt } of view.state.field(peersField)) {
    for (const [anchor, head] of peer.cursor ?? []) {
      yield { peer, movedAt, anchor: Math.min(anchor, end), head: Math.min(head, end) };
    }
  }
}

const changed = (update: ViewUpdate) =>
  update.docChanged || update.geometryChanged || update.startState.field(peersField) !== update.state.field(peersField);

/** Shows others' carets with their names, and their selections, behind and above the text. */
export const peerCarets: Extension = [
  peersField,
  layer({
    above: false,
    class: "peer-selections",
    update: changed,
    markers: (view) =>
      [...ranges(view)]
        .filter(({ anchor, head }) => anchor !== head)
        .flatMap(({ peer, anchor, head }) =>
          RectangleMarker.forRange(view, "peer-selection", EditorSelection.range(anchor, head)).map(
            (rectangle) => new PeerMarker(rectangle, peer.user?.color ?? ""),
          ),
        ),
  }),
  layer({
    above: true,
    class: "peer-carets",
    update: changed,
    markers: (view) =>
      [...ranges(view)].flatMap(({ peer, movedAt, head }) =>
        RectangleMarker.forRange(view, "peer-caret", EditorSelection.cursor(head)).map(
          (rectangle) =>
            new PeerMarker(rectangle, peer.user?.color ?? "", peer.user?.name || "Somebody", movedAt, rectangle.left > view.scrollDOM.clientWidth / 2),
        ),
      ),
  }),
];
