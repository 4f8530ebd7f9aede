import type Quill from "quill/core.js";

import { richText, type DeltaCursor } from "../../../client/delta.js";
import type { Peer } from "../../../client/index.js";
import { el } from "../dom.js";
import { label } from "../label.js";
import { paint } from "../person.js";

/** Somebody's selections, and when they last moved by that person's own doing. */
interface Shown {
  readonly peer: Peer<DeltaCursor>;
  readonly movedAt: number;
}

/** Draws others' carets with their names, and their selections, over an editor. */
export class Carets {
  readonly element = el("div", { className: "rich-carets" });
  readonly #quill: Quill;
  readonly #back = el("div", { className: "peer-selections" });
  readonly #front = el("div", { className: "peer-carets" });
  #shown: readonly Shown[] = [];
  #frame: number | undefined;

  constructor(quill: Quill) {
    this.#quill = quill;
    this.element.append(this.#back, this.#front);
    new ResizeObserver(() => this.#draw()).observe(quill.root);
    quill.root.addEventListener("load", () => this.#draw(), true); // of pictures
    quill.on("text-change", (change) => {
      // A caret that is pushed about by the edits of others has not moved.
      const op = change.ops as never;
      this.#shown = this.#shown.map(({ peer, movedAt }) => ({
        peer: { ...peer, cursor: peer.cursor && richText.transformCursor(peer.cursor, op, "left") },
        movedAt,
      }));
      this.#draw();
    });
  }

  /** Shows these people. Their cursors are on what the editor shows. */
  show(peers: readonly Peer<DeltaCursor>[]): void {
    const before = new Map(this.#shown.map((one) => [one.peer.client, one]));
    this.#shown = peers.map((peer) => {
      const old = before.get(peer.client);
      const still = old?.peer.cursor && peer.cursor && richText.sameCursor(old.peer.cursor, peer.cursor);
      return { peer, movedAt: still ? old.movedAt : performance.now() };
    });
    this.#draw();
  }

  /** Returns where a caret at a position would be, in the window. */
  at(position: number): DOMRect | null {
    const [leaf, offset] = this.#quill.getLeaf(Math.min(position, this.#quill.getLength() - 1));
    if (!leaf) return null;
    const [node, at] = leaf.position(offset, true);
    const range = document.createRange();
    range.setStart(node, at);
    const rects = range.getClientRects();
    const rect = rects[rects.length - 1];
    if (rect) return rect;
    // Between elements, or in an empty line, a range has no place of its own.
    const element = node instanceof Element ? (node.childNodes[at] ?? node.childNodes[at - 1] ?? node) : node.parentElement!;
    const box = (element instanceof Element ? element : element.parentElement!).getBoundingClientRect();
    const behind = node instanceof Element && !node.childNodes[at] && at > 0;
    return new DOMRect(behind ? box.right : box.left, box.top, 0, box.height || parseFloat(getComputedStyle(this.#quill.root).lineHeight));
  }

  /** Draws everything anew, once before the next frame. */
  #draw(): void {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      const origin = this.element.getBoundingClientRect();
      const carets: HTMLElement[] = [];
      const selections: HTMLElement[] = [];
      for (const { peer, movedAt } of this.#shown) {
        for (const [anchor, head] of peer.cursor ?? []) {
          for (const rect of this.#rectangles(Math.min(anchor, head), Math.max(anchor, head))) selections.push(box("peer-selection", rect, origin, peer));
          const rect = this.at(head);
          if (rect) carets.push(caret(rect, origin, peer, movedAt));
        }
      }
      this.#back.replaceChildren(...selections);
      this.#front.replaceChildren(...carets);
    });
  }

  #rectangles(from: number, to: number): Iterable<DOMRect> {
    to = Math.min(to, this.#quill.getLength());
    if (from >= to) return [];
    const [startNode, startOffset, endNode, endOffset] = this.#quill.selection.rangeToNative({ index: from, length: to - from });
    if (!startNode || !endNode) return [];
    const range = document.createRange();
    range.setStart(startNode, startOffset!);
    range.setEnd(endNode, endOffset!);
    // The boxes of elements would be drawn over those of the text in them.
    const rectangles: DOMRect[] = [];
    const walker = document.createTreeWalker(range.commonAncestorContainer, NodeFilter.SHOW_ALL);
    for (let node: Node | null = walker.currentNode; node; node = walker.nextNode()) {
      if (!range.intersectsNode(node)) continue;
      if (node instanceof HTMLImageElement) rectangles.push(node.getBoundingClientRect());
      if (!(node instanceof Text)) continue;
      const part = document.createRange();
      part.setStart(node, node === range.startContainer ? range.startOffset : 0);
      part.setEnd(node, node === range.endContainer ? range.endOffset : node.length);
      rectangles.push(...part.getClientRects());
    }
    return rectangles.filter((rect) => rect.width > 0);
  }
}

function box(className: string, rect: DOMRect, origin: DOMRect, { user }: Peer<unknown>): HTMLElement {
  const node = el("div", { className });
  node.style.left = `${rect.left - origin.left}px`;
  node.style.top = `${rect.top - origin.top}px`;
  node.style.width = className === "peer-caret" ? "" : `${rect.width}px`;
  node.style.height = `${rect.height}px`;
  paint(node, user?.color ?? "");
  return node;
}

function caret(rect: DOMRect, origin: DOMRect, peer: Peer<unknown>, movedAt: number): HTMLElement {
  const name = peer.user?.name || "Somebody";
  const node = box("peer-caret", rect, origin, peer);
  label(node, name, movedAt, rect.left - origin.left > origin.width / 2);
  return node;
}
