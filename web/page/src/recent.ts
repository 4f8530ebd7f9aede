/** A document that was opened in this browser, and when, in milliseconds since 1970. */
export interface Recent {
  readonly id: string;
  readonly at: number;
  /** Its type, where it is not "text". */
  readonly type?: string;
  /** What it was called, where that is not its id. */
  readonly title?: string;
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

/** Puts a document of a type on top of the list. */
export function remember(id: string, type: string, title?: string): void {
  keep([{ id, at: Date.now(), ...(type === "text" ? {} : { type }), ...(title && title !== id ? { title } : {}) }, ...without(id)].slice(0, 30));
}

/** Takes a document off the list. */
export function forget(id: string): void {
  keep(without(id));
}

/** Forgets everything that was opened here. */
export function forgetAll(): void {
  keep([]);
}

const without = (id: string) => recents().filter((one) => one.id !== id);

function keep(list: Recent[]): void {
  try {
    localStorage.setItem(key, JSON.stringify(list));
  } catch {
    // no storage: the list is a convenience
  }
}
