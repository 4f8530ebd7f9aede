import { richText, toDeltaOp, type DeltaComponent, type DeltaDoc, type DeltaOp } from "../../../client/delta.js";

/** Returns the text of a document, with one character in the place of each embed. */
function textOf(doc: DeltaDoc): string {
  return doc.map(({ insert }) => (typeof insert === "string" ? insert : "\ufffc")).join("");
}

/** Reports whether a position in a text is within a surrogate pair. */
function within(text: string, at: number): boolean {
  return /^[\ud800-\udbff][\udc00-\udfff]$/.test(text.slice(Math.max(0, at - 1), at + 1));
}

/**
 * Returns an operation of an editor such that it takes, formats and leaves whole
 * characters only: editors may delete the second half of an emoji and leave the
 * first. What reaches into a character takes all of it; what is inserted into one
 * goes before it.
 */
export function wholeCharacters(doc: DeltaDoc, op: DeltaOp): DeltaOp {
  const text = textOf(doc);
  const down = (at: number) => (within(text, at) ? at - 1 : at);
  const up = (at: number) => (within(text, at) ? at + 1 : at);
  let formats: DeltaOp = [];
  const changes: DeltaComponent[] = [];
  let at = 0; // in the document, of the component
  let done = 0; // in the document, how far the changes reach
  const retain = (to: number) => {
    if (to > done) changes.push({ retain: to - done });
    done = Math.max(done, to);
  };
  for (const component of op) {
    if (component.insert !== undefined) {
      retain(down(at));
      changes.push(component);
      continue;
    }
    const from = at;
    at += component.retain ?? component.delete!;
    if (component.delete !== undefined) {
      retain(down(from));
      if (up(at) > done) changes.push({ delete: up(at) - done });
      done = Math.max(done, up(at));
    } else if (component.attributes) {
      formats = richText.compose(formats, toDeltaOp([{ retain: down(from) }, { retain: up(at) - down(from), attributes: component.attributes }]));
    }
  }
  return richText.compose(formats, toDeltaOp(changes));
}
