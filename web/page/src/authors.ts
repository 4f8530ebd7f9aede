import { visible } from "./names.js";
import { colors, inkOn, noColor } from "./person.js";

/**
 * The colours of authors by name: their own where it is known when it is first asked
 * for, else one of those to choose from, mostly the same one always. What has the
 * class, or is a highlight, of an author finds the colour in `--peer`.
 */
export class Authors {
  readonly #own: (name: string) => string | undefined;
  readonly #known = new Map<string, { color: string; className: string }>();
  readonly #sheet = new CSSStyleSheet();

  /** `own` returns the colour that somebody chose. */
  constructor(own: (name: string) => string | undefined) {
    this.#own = own;
    document.adoptedStyleSheets.push(this.#sheet);
  }

  /** Returns an author's colour, `#rrggbb`. */
  color(name: string): string {
    return this.#of(name).color;
  }

  /** Returns the class of what comes from an author, which is also the name of a highlight in the author's colour. */
  className(name: string): string {
    return this.#of(name).className;
  }

  #of(name: string): { color: string; className: string } {
    const known = this.#known.get(name);
    if (known) return known;
    const author = { color: this.#choose(name), className: `by-${this.#known.size}` };
    this.#known.set(name, author);
    const { color, className } = author;
    this.#sheet.insertRule(`.${className}, [data-mark$=" ${className}"] { --peer: ${color}; --peer-ink: ${inkOn(color)} }`);
    this.#sheet.insertRule(`::highlight(${className}) { background-color: color-mix(in srgb, ${color} 28%, transparent); text-decoration: underline 2px ${color} }`);
    return author;
  }

  #choose(name: string): string {
    const own = name === "" ? noColor : this.#own(name);
    if (own && /^#[0-9a-f]{6}$/i.test(own)) return own;
    const taken = new Set([...this.#known.values()].map(({ color }) => color));
    const start = hash(name) % colors.length;
    const order = colors.map((_, i) => colors[(start + i) % colors.length]!);
    return order.find((color) => !taken.has(color)) ?? order[0]!;
  }
}

/** Returns what an author is called. */
export function nameOf(author: string): string {
  return visible(author) || "Somebody";
}

function hash(name: string): number {
  let sum = 7;
  for (let i = 0; i < name.length; i++) sum = (sum * 31 + name.charCodeAt(i)) >>> 0;
  return sum;
}
