/** A document that was opened in this browser, and when, in milliseconds since 1970. */
export interface Recent {
  readonly id: string;
  readonly at: number;
}

const key = "quire:recent";

/** Returns the documents opened here, newest first. */
export function recents(): Recent[] {
  try {
    const kept = JSON.parse(localStorage.getItem(key) ?? "[]") as Recent[];
    return kept.filter(({ id, at }) => typeof id === "string" && typeof at === "number");
  } catch {
    return [];
  }
}

/** Puts a document on top of the list, or takes it off. */
export function remember(id: string, opened: boolean): void {
  const rest = recents().filter((one) => one.id !== id);
  const list = opened ? [{ id, at: Date.now() }, ...rest].slice(0, 30) : rest;
  try {
    localStorage.setItem(key, JSON.stringify(list));
  } catch {
    // no storage: the list is a convenience
  }
}
