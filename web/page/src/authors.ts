import { el } from "./dom.js";
import { AuthorNames } from "./names.js";
import { colors, inkOn, noColor, paint } from "./person.js";

/**
 * What authors are called, and their colours: their own where it is known when it is first asked
 * for, and nobody else's, else one of those to choose from, mostly the same one always. What has the
 * class, or is a highlight, of an author finds the colour in `--peer`.
 */
export class Authors {
  readonly names = new AuthorNames();
  readonly #own: (author: string) => string | undefined;
  readonly #known = new Map<string, { color: string; className: string }>();
  readonly #sheet = new CSSStyleSheet();

  /** `own` returns the colour that somebody chose. */
  constructor(own: (author: string) => string | undefined) {
    this.#own = own;
    document.adoptedStyleSheets.push(this.#sheet);
  }

  /** Returns an author's colour, `#rrggbb`. */
  color(author: string): string {
    return this.#of(author).color;
  }

  /** Returns the class of what comes from an author, which is also the name of a highlight in the author's colour. */
  className(author: string): string {
    return this.#of(author).className;
  }

  /** Returns an element with what an author is called, in their colour. */
  named(tag: "li" | "span", author: string): HTMLElement {
    const name = el(tag, { className: "author", title: this.names.recorded(author) }, this.names.call(author));
    paint(name, this.color(author));
    return name;
  }

  #of(author: string): { color: string; className: string } {
    const known = this.#known.get(author);
    if (known) return known;
    const made = { color: this.#choose(author), className: `by-${this.#known.size}` };
    this.#known.set(author, made);
    const { color, className } = made;
    this.#sheet.insertRule(`.${className}, [data-mark$=" ${className}"] { --peer: ${color}; --peer-ink: ${inkOn(color)} }`);
    this.#sheet.insertRule(`::highlight(${className}) { background-color: color-mix(in srgb, ${color} 28%, transparent); text-decoration: underline 2px ${color} }`);
    return made;
  }

  #choose(author: string): string {
    const own = author === "" ? noColor : this.#own(author);
    const taken = new Set([...this.#known.values()].map(({ color }) => color));
    if (own && /^#[0-9a-f]{6}$/i.test(own) && !taken.has(own)) return own;
    const start = hash(author) % colors.length;
    const order = colors.map((_, i) => colors[(start + i) % colors.length]!);
    return order.find((color) => !taken.has(color)) ?? order[0]!;
  }
}

function hash(author: string): number {
  let sum = 7;
  for (let i = 0; i < author.length; i++) sum = (sum * 31 + author.charCodeAt(i)) >>> 0;
  return sum;
}
