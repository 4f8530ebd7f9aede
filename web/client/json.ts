// JSON in which the order of names can be relied upon: canonical JSON (RFC 8785)
// sorts them by UTF-16 code units, and JavaScript objects keep the order in which
// they were made, but for names that look like whole numbers, which come first.

/** Matches the names that JavaScript puts first. */
export const wholeNumber = /^(0|[1-9]\d*)$/;

/**
 * Returns the JSON of a value whose objects were made with their names in order:
 * what `JSON.stringify` gives, with whole numbers among the names put where they
 * belong.
 */
export function orderedJSON(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(orderedJSON).join(",")}]`;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  if (members.length > 1 && wholeNumber.test(members[0]![0])) members.sort(byName);
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${orderedJSON(member)}`).join(",")}}`;
}

/** Orders entries by their names' UTF-16 code units. */
export function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
