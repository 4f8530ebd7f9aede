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

/** Letters of other scripts that look like those of the Latin one. */
const lookalikes: { readonly [letter: string]: string } = Object.fromEntries(
  [..."аеорсухіјѕһԁԛԝкмтвнΑΒΕΖΗΙΚΜΝΟΡΤΥΧοαινρυ"].map((letter, i) => [letter, "aeopcyxijshdqwkmtbhabezhikmnoptyxoaivpu"[i]!]));

/** Returns what two names have in common that a reader would take for one. */
function skeleton(name: string): string {
  const letters = (text: string) => [...text].map((letter) => lookalikes[letter] ?? letter).join("");
  return letters(letters(withHidden(name, () => "").replace(/[\ufe0f\u200c\u200d]/g, "").normalize("NFKC")).toLowerCase()).replace(/\s+/g, " ").trim();
}
