// Names are other people's words: what is shown of them is to look like what they are.

/** Characters that cannot be seen or that change how others around them are read. */
const hidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/** Signs that are meant: within pictures, and between letters of scripts that join them. */
const meant = /(?<=[\p{Extended_Pictographic}\p{Emoji_Modifier}\u{fe0f}])\u200d(?=\p{Extended_Pictographic})|(?<=\p{Extended_Pictographic})\ufe0f|(?<=[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Mongolian}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Gurmukhi}\p{Script=Gujarati}\p{Script=Oriya}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Khmer}])[\u200c\u200d](?=\p{L})/gu;

/** Returns a name or title with what cannot be seen in it made visible: `Ada[U+202E]`. */
export function visible(name: string): string {
  return withHidden(name, (sign) => `[U+${sign.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}]`);
}

/** Returns a name or title without what cannot be seen in it. */
export function stripped(name: string): string {
  return withHidden(name, () => " ").replace(/\s+/g, " ").trim();
}

function withHidden(name: string, shown: (sign: string) => string): string {
  if (name.search(hidden) < 0) return name;
  const keep = new Set([...name.matchAll(meant)].map(({ index }) => index));
  return name.replace(hidden, (sign: string, at: number) => (keep.has(at) ? sign : shown(sign)));
}

/** Somebody who is to be told apart from others. */
export interface Named {
  readonly name: string;
  /** Who they are, where somebody else has said so than they themselves. */
  readonly author?: string | undefined;
}

/** Returns what to call people so that no two who are not the same read alike: by their authors where these are known, else by numbers. */
export function distinct(people: readonly Named[]): string[] {
  const names = people.map(({ name }) => visible(name) || "Somebody");
  const alike = new Map<string, number[]>();
  names.forEach((name, i) => alike.set(skeleton(name), [...(alike.get(skeleton(name)) ?? []), i]));
  const calls = [...names];
  for (const group of alike.values()) {
    const whos = new Set(group.map((i) => people[i]!.author ?? `\0${i}`));
    if (whos.size < 2) continue;
    group.forEach((i, n) => {
      const { author } = people[i]!;
      if (author !== undefined && author !== people[i]!.name) calls[i] = `${names[i]} (${visible(author)})`;
      else if (author === undefined && n > 0) calls[i] = `${names[i]} (${n + 1})`;
    });
  }
  return calls;
}

/** What authors are called, by author, where that is not the author itself (docs/http.md). */
export interface NamesByAuthor {
  readonly [author: string]: string;
}

/** What the authors of a document are called, as the server says, so that no two read alike. */
export class AuthorNames {
  readonly #names = new Map<string, string>();
  /** Authors by what a reader would take for one name. */
  readonly #alike = new Map<string, Set<string>>();
  #version = 0;

  /** Is another number when somebody who was asked for may be called otherwise than before. */
  get version(): number {
    return this.#version;
  }

  /** Takes in what an answer of the server says. */
  learn(names: NamesByAuthor = {}): void {
    for (const [author, name] of Object.entries(names)) if (stripped(name) !== "") this.#set(author, name);
  }

  /** Returns what an author is called: as recorded, too, where another is called so or could be taken for it. */
  call(author: string): string {
    if (author === "") return "Somebody";
    if (!this.#names.has(author)) this.#set(author, author);
    const name = this.#names.get(author)!;
    if (name === author) return visible(author);
    if (this.#alike.get(skeleton(name))!.size > 1 || /\)\s*$/.test(name)) return `${visible(name)} (${visible(author)})`;
    return isGuest(author, name) ? `${visible(name)} (guest)` : visible(name);
  }

  /** Returns as whom an author is recorded, to be shown beside what they are called; nothing when that is the same. */
  recorded(author: string): string {
    const recorded = visible(author);
    return this.call(author) === recorded || author === "" ? "" : recorded;
  }

  #set(author: string, name: string): void {
    const before = this.#names.get(author);
    if (before === name) return;
    if (before !== undefined) this.#alike.get(skeleton(before))!.delete(author);
    this.#names.set(author, name);
    const alike = this.#alike.get(skeleton(name)) ?? new Set();
    this.#alike.set(skeleton(name), alike.add(author));
    if (before !== undefined || alike.size > 1) this.#version++;
  }
}

/** Reports whether an author is a guest who gave a name: others do not choose theirs. */
function isGuest(author: string, name: string): boolean {
  return author.startsWith(`${name}~`) && /^[0-9a-f]{8}$/.test(author.slice(name.length + 1));
}

/** Letters of other scripts that look like those of the Latin one. */
const lookalikes: { readonly [letter: string]: string } = Object.fromEntries(
  [..."аеорсухіјѕһԁԛԝкмтвнΑΒΕΖΗΙΚΜΝΟΡΤΥΧοαινρυ"].map((letter, i) => [letter, "aeopcyxijshdqwkmtbhabezhikmnoptyxoaivpu"[i]!]));

/** Returns what two names have in common that a reader would take for one. */
function skeleton(name: string): string {
  const letters = (text: string) => [...text].map((letter) => lookalikes[letter] ?? letter).join("");
  return letters(letters(withHidden(name, () => "").replace(/[\ufe0f\u200c\u200d]/g, "").normalize("NFKC")).toLowerCase()).replace(/\s+/g, " ").trim();
}
