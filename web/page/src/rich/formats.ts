// What the rich text editor can show, and how a document is put before it. The
// view of a document is exactly as long as the document, plus a line end where it
// has none at its end, so that positions need no conversion.

import CodeBlock, { Code } from "quill/formats/code.js";
import { AlignClass } from "quill/formats/align.js";
import { BackgroundStyle } from "quill/formats/background.js";
import Blockquote from "quill/formats/blockquote.js";
import Bold from "quill/formats/bold.js";
import { ColorStyle } from "quill/formats/color.js";
import { DirectionClass } from "quill/formats/direction.js";
import Embed from "quill/blots/embed.js";
import Header from "quill/formats/header.js";
import Image from "quill/formats/image.js";
import IndentClass from "quill/formats/indent.js";
import Italic from "quill/formats/italic.js";
import Link from "quill/formats/link.js";
import List from "quill/formats/list.js";
import Quill, { Parchment } from "quill/core.js";
import Strike from "quill/formats/strike.js";
import Underline from "quill/formats/underline.js";

import type { Attributes, DeltaComponent, DeltaDoc, DeltaOp } from "../../../client/delta.js";
import { orderedJSON } from "../../../client/index.js";

/** The name under which the editor knows embeds that it cannot show. */
const foreign = "quire-embed";

/** The schemes of addresses that a link may have. */
const linkSchemes = ["http", "https", "mailto"];

const schemeOf = (address: string) => /^([a-z][a-z0-9+.-]*):/i.exec(address)?.[1]!.toLowerCase();

/** Reports whether an address may be followed from a document. */
export function safeLink(address: unknown): address is string {
  return typeof address === "string" && linkSchemes.includes(schemeOf(address) ?? "");
}

/** Reports whether a picture may be fetched from an address. */
export function safeImage(address: unknown): address is string {
  return typeof address === "string" && (/^https?:\/\//i.test(address) || /^data:image\/(png|jpeg|gif|webp|avif);base64,/i.test(address));
}

/** A link that leads nowhere but to an address of a safe kind. */
class SafeLink extends Link {
  static override PROTOCOL_WHITELIST = linkSchemes;

  static override sanitize(address: string): string {
    return safeLink(address) ? address : this.SANITIZED_URL;
  }
}

/** A picture from an address of a safe kind. */
class SafeImage extends Image {
  static override sanitize(address: string): string {
    return safeImage(address) ? address : "//:0";
  }
}

/** Stands in place of an embed that the editor does not know: one character that says its name. */
class ForeignEmbed extends Embed {
  static override blotName = foreign;
  static override tagName = "SPAN";
  static override className = "foreign";

  static override create(value: unknown): HTMLElement {
    const node = super.create() as HTMLElement;
    const json = String(value);
    node.dataset["embed"] = json;
    node.textContent = Object.keys(JSON.parse(json) as object)[0] || "?";
    node.title = json.length <= 300 ? json : `${json.slice(0, 300)}…`;
    return node;
  }

  static override value(node: HTMLElement): string {
    return node.dataset["embed"]!;
  }
}

/** Lines of code, in which embeds may stand too: the editor would take them out, and so would every reader. */
class RoomyCodeBlock extends CodeBlock {
  static override allowedChildren = [...CodeBlock.allowedChildren, Parchment.EmbedBlot];
}

Quill.register(
  {
    "formats/align": AlignClass,
    "formats/background": BackgroundStyle,
    "formats/blockquote": Blockquote,
    "formats/bold": Bold,
    "formats/code": Code,
    "formats/code-block": RoomyCodeBlock,
    "formats/color": ColorStyle,
    "formats/direction": DirectionClass,
    "formats/header": Header,
    "formats/image": SafeImage,
    "formats/indent": IndentClass,
    "formats/italic": Italic,
    "formats/link": SafeLink,
    "formats/list": List,
    [`formats/${foreign}`]: ForeignEmbed,
    "formats/strike": Strike,
    "formats/underline": Underline,
  },
  true,
);

/** What makes a value of a format one that the editor takes, or undefined. */
const readers: { readonly [name: string]: (value: unknown) => unknown } = {
  ...Object.fromEntries(["bold", "italic", "underline", "strike", "code", "blockquote", "code-block"].map((name) => [name, (value: unknown) => (value ? true : undefined)])),
  align: oneOf("right", "center", "justify"),
  background: shortText,
  color: shortText,
  direction: oneOf("rtl"),
  header: oneOf(1, 2, 3, 4, 5, 6),
  indent: oneOf(1, 2, 3, 4, 5, 6, 7, 8),
  link: (value) => (typeof value === "string" && value !== "" ? value : undefined),
  list: oneOf("ordered", "bullet", "checked", "unchecked"),
  alt: shortText,
  height: shortText,
  width: shortText,
};

/** Formats of which a line has one at most; the first of those it is given counts. */
const exclusive = ["code-block", "list", "header", "blockquote"];

/** Formats of lines, which a document keeps at line ends. */
const lineFormats = [...exclusive, "align", "direction", "indent"];

/** Formats of characters. */
const textFormats = Object.keys(readers).filter((name) => !lineFormats.includes(name));

/** The names of everything the editor knows. */
export const formats = ["image", foreign, ...Object.keys(readers).filter((name) => !["alt", "height", "width"].includes(name))];

function oneOf(...values: unknown[]) {
  return (value: unknown) => (values.includes(value) ? value : undefined);
}

function shortText(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" && value.length <= 1000 ? value : undefined;
}

/** Returns what the editor is to know of attributes. What it does not know is null where nulls are kept. */
function viewAttributes(attributes: Attributes, keepNull: boolean): Record<string, unknown> {
  const view: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(attributes)) {
    const known = readers[name]?.(value);
    if (known !== undefined) view[name] = known;
    else if (keepNull && name in readers) view[name] = null;
  }
  return view;
}

/** Returns components as the editor is to have them. */
export function toView(components: readonly DeltaComponent[]): DeltaComponent[] {
  return components.map((component) => {
    const { insert, attributes, ...rest } = component;
    const view = attributes ? { attributes: viewAttributes(attributes, insert === undefined) } : {};
    if (insert === undefined) return { ...rest, ...view };
    // The editor would turn a carriage return into a line end, and both together into one.
    if (typeof insert === "string") return { insert: insert.replace(/\r/g, "␍"), ...view };
    return { insert: Object.keys(insert)[0] === "image" && safeImage(insert["image"]) ? insert : { [foreign]: orderedJSON(insert) }, ...view };
  });
}

/** Returns components that the editor has made as a document is to have them. */
export function fromView(components: readonly DeltaComponent[]): DeltaComponent[] {
  return components.map((component) => {
    const { insert } = component;
    const json = typeof insert === "object" ? insert[foreign] : undefined;
    return typeof json === "string" ? { ...component, insert: JSON.parse(json) as { [name: string]: unknown } } : component;
  });
}

/** Reports whether a document ends with a line end, as the editor wants it to. */
export function endsWithLine(doc: DeltaDoc): boolean {
  const last = doc.at(-1)?.insert;
  return typeof last === "string" && last.endsWith("\n");
}

/** Reports whether an operation may change what lines look like, more than their text. */
export function touchesLines(op: DeltaOp): boolean {
  return op.some(({ attributes, delete: gone }) => gone !== undefined || (attributes && lineFormats.some((name) => name in attributes)));
}

/** Returns the formats that a line with these attributes at its end is to be shown with. */
export function lineView(attributes: Attributes): Record<string, unknown> {
  const view = viewAttributes(attributes, false);
  const chosen = exclusive.find((name) => name in view);
  return Object.fromEntries(Object.entries(view).filter(([name]) => lineFormats.includes(name) && (name === chosen || !exclusive.includes(name))));
}

/** A line of a document: where it starts, its content, and the attributes of its end. */
export interface Line {
  readonly start: number;
  readonly length: number;
  readonly content: readonly DeltaComponent[];
  readonly attributes: Attributes;
}

/** Returns a document's lines. */
export function linesOf(doc: DeltaDoc): Line[] {
  const lines: Line[] = [];
  let start = 0;
  let at = 0;
  let content: DeltaComponent[] = [];
  for (const component of doc) {
    const { insert, attributes = {} } = component;
    if (typeof insert !== "string") {
      content.push(component);
      at++;
      continue;
    }
    const parts = insert.split("\n");
    parts.forEach((part, i) => {
      if (part !== "") content.push({ insert: part, attributes });
      at += part.length;
      if (i === parts.length - 1) return;
      lines.push({ start, length: ++at - start, content, attributes });
      start = at;
      content = [];
    });
  }
  if (content.length > 0) lines.push({ start, length: at + 1 - start, content, attributes: {} });
  return lines;
}

/** Returns the change that makes the editor show a line as the document has it. */
export function repair(line: Line): object[] {
  const none = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, null]));
  const content = toView(line.content).map(({ insert, attributes }) => ({
    retain: typeof insert === "string" ? insert.length : 1,
    attributes: { ...none(textFormats), ...attributes },
  }));
  const change = [...content, { retain: 1, attributes: { ...none(lineFormats), ...lineView(line.attributes) } }];
  return line.start > 0 ? [{ retain: line.start }, ...change] : change;
}
