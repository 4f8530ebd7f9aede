import Clipboard from "quill/modules/clipboard.js";
import Quill, { Delta } from "quill/core.js";

import { safeImage, safeLink } from "./formats.js";

/** Under which name a style attribute comes through the parser. */
const kept = "data-style-kept";

/** Matches a tag of HTML with its attributes. */
const tag = /<[a-z](?:"[^"]*"|'[^']*'|[^'">])*>/gi;

/**
 * Reads what is pasted. The page's Content-Security-Policy forbids style
 * attributes also in HTML that is only parsed, and without them colours and
 * alignments would be lost; so they are put aside and set by script, which it
 * allows. What becomes of them is decided by the formats that the editor has.
 */
class StyledClipboard extends Clipboard {
  override convertHTML(html: string) {
    // Word's own attributes are told from the text of its styles, which scripts cannot set.
    if (html.includes("urn:schemas-microsoft-com:office:word")) return super.convertHTML(html);
    const inert = html
      .replace(/<style\b[^]*?(<\/style\s*>|$)/gi, "")
      .replace(tag, (tag) => tag.replace(/([\s"'/])style(\s*=)/gi, `$1${kept}$2`).replace(/([\s"'/])on[a-z]+(\s*=)/gi, "$1data-off$2"));
    return super.convertHTML(inert);
  }

  protected override normalizeHTML(doc: Document): void {
    apply(doc, kept);
    super.normalizeHTML(doc);
    apply(doc, "style");
  }
}

function apply(doc: Document, attribute: string): void {
  for (const node of doc.querySelectorAll<HTMLElement>(`[${attribute}]`)) if (node.style) node.style.cssText = node.getAttribute(attribute)!;
}

Quill.register("modules/clipboard", StyledClipboard, true);

/** What is left out of a pasted text beyond what the editor has no format for: pictures and links of unsafe addresses. */
export const matchers: readonly (readonly [selector: string, matcher: (node: Node, delta: Delta) => Delta])[] = [
  ["img", (node, delta) => (safeImage((node as Element).getAttribute("src")) ? delta : new Delta())],
  ["a", (node, delta) => {
    if (safeLink((node as Element).getAttribute("href"))) return delta;
    return new Delta(delta.ops.map(({ attributes: { link: _, ...attributes } = {}, ...op }) => ({ ...op, ...(Object.keys(attributes).length > 0 ? { attributes } : {}) })));
  }],
];
