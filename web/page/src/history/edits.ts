import { noneWhenGone } from "./scrubber.js";
import type { Group, Past } from "./past.js";

/** The most steps that one edit can have; see the server's grouping. */
const longest = 2_000;

/** How many edits are asked for at once, and the most that are kept. */
const page = 50;
const most = 1_000;

/**
 * A stretch of a document's edits, newest first, without gaps, that can be extended at
 * both ends. What is kept is bounded: extended at one end, it loses at the other.
 */
export class Edits {
  readonly #past: Past;
  #groups: readonly Group[] = [];
  #head: number;
  #end = false;

  constructor(past: Past, head: number) {
    this.#past = past;
    this.#head = head;
  }

  get groups(): readonly Group[] {
    return this.#groups;
  }

  /** Whether there are edits before those that are here. */
  get hasOlder(): boolean {
    return !this.#end;
  }

  /** Whether there are edits after those that are here. */
  get hasNewer(): boolean {
    return this.#groups.length > 0 && this.#groups[0]!.to < this.#head;
  }

  /** The newest revision that is known of. */
  get head(): number {
    return this.#head;
  }

  /** Says that the document has come to a revision. */
  reached(head: number): void {
    this.#head = Math.max(this.#head, head);
  }

  /** Returns the edit that led to a revision, if it is here. */
  find(rev: number): Group | undefined {
    return this.#groups.find(({ from, to }) => from < rev && rev <= to);
  }

  /** Begins anew, with the edits up to a revision and the newer ones of the edit that it belongs to. */
  async begin(rev: number): Promise<void> {
    const after = rev < this.#head ? await this.#after(rev) : [];
    const { edits, next } = await noneWhenGone(this.#past.groups(after.at(-1)?.from ?? rev, page));
    this.#groups = [...after, ...edits];
    this.#end = next === undefined;
  }

  /** Fetches edits before those that are here. */
  async older(): Promise<void> {
    const last = this.#groups.at(-1);
    if (!last || this.#end) return;
    const { edits, next } = await noneWhenGone(this.#past.groups(last.from, page));
    if (this.#groups.at(-1) !== last) return; // it began anew meanwhile
    this.#groups = [...this.#groups, ...edits].slice(-most);
    this.#end = next === undefined;
  }

  /** Fetches edits after those that are here, and the newest again, which may have grown. */
  async newer(): Promise<void> {
    const first = this.#groups[0];
    if (!first) return this.begin(this.#head);
    const groups = await this.#after(first.from);
    if (this.#groups[0] !== first) return;
    // Where edits end depends on where one began to ask: those that are here stay if they go on from these.
    const { from } = groups.at(-1) ?? { from: first.to };
    const rest = this.#groups.findIndex(({ to }) => to === from);
    this.#groups = [...groups, ...(rest < 0 ? [] : this.#groups.slice(rest))];
    if (rest < 0) this.#end = from < 0;
    if (this.#groups.length > most) {
      this.#groups = this.#groups.slice(0, most);
      this.#end = false;
    }
  }

  /** Returns an edit that begins at a revision or goes on past it; undefined at the head. */
  async next(rev: number): Promise<Group | undefined> {
    const here = this.find(rev + 1);
    if (here || rev >= this.#head) return here;
    return (await this.#after(rev)).findLast(({ to }) => to > rev);
  }

  /** Returns edits that end after a revision, some at least, without gaps; the last begins there, or before. */
  async #after(rev: number): Promise<Group[]> {
    // An edit begun at or before the next revision has ended there.
    const until = Math.min(this.#head, rev + longest + 1);
    const found: Group[] = [];
    for (let before = until; before > rev; ) {
      const { edits, next } = await noneWhenGone(this.#past.groups(before, 1_000));
      found.push(...edits.filter(({ to }) => to > rev));
      before = next ?? rev;
    }
    // The first was cut off where it was asked for, unless that is the head.
    return until < this.#head && found.length > 1 ? found.slice(1).slice(-page) : found.slice(-page);
  }
}
