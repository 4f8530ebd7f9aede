import { OperationError, type Clock } from "../../../client/index.js";
import { ApiError } from "../api.js";
import type { Kind } from "./kinds.js";
import type { Content, Group, Groups, Past, Span } from "./past.js";

/** A document's content at a revision; `kind` is undefined where it had none, or is of a type that is not known here. */
export interface Held {
  readonly rev: number;
  readonly type: string;
  readonly kind: Kind<unknown> | undefined;
  readonly doc: unknown;
}

/** What was done in the edit that a revision belongs to, up to that revision. */
export interface Changes {
  readonly before: Held;
  readonly op: unknown;
  /** Who made what is new, in UTF-16 units. */
  readonly spans: readonly Span[];
}

/** A revision as it is shown. */
export interface Shown {
  readonly at: Held;
  /** The edit that the revision belongs to, up to it; undefined where none is kept. */
  readonly group: Group | undefined;
  /** What changed; undefined while that was not asked for, and where there is nothing to compare with. */
  readonly changes: Changes | undefined;
  /** Whether everything about the revision is here. */
  readonly settled: boolean;
}

export interface ScrubberOptions {
  readonly past: Past;
  readonly clock: Clock;
  /** Returns what is known of a type; see kindOf. */
  kindOf(type: string): Promise<Kind<unknown> | undefined>;
  /** Something is to be shown. */
  show(shown: Shown): void;
  /** The revision that is wanted could not be fetched. Nothing happens until `retry` or `goto`. */
  failed(error: unknown): void;
  /** Whether something is being fetched. */
  busy(busy: boolean): void;
}

/** Codes of errors after which the server need not be asked for the same in another way. */
const hopeless = ["unreachable", "unavailable", "not_found", "moved"];

/** Milliseconds after which a revision is shown without what changed, if that is still to come. */
const patience = 120;

/** The most contents that are kept, the most UTF-16 units of them together, and the most edits that are known. */
const most = { contents: 24, units: 8 << 20, groups: 4_000, changes: 24 };

/**
 * Shows a document at any of its revisions. It holds the content at a few of them and
 * asks the server what leads from there to the next. One revision is fetched at a time;
 * of those that are asked for meanwhile the last one is next, the others are passed over.
 */
export class Scrubber {
  readonly #options: ScrubberOptions;
  readonly #contents = new Recent<Held>(most.contents);
  readonly #groups = new Recent<Group>(most.groups);
  readonly #changes = new Recent<Changes>(most.changes);
  #wanted: number | undefined;
  #settled: number | undefined;
  #running = false;

  constructor(options: ScrubberOptions) {
    this.#options = options;
  }

  /** The revision that was asked for last. */
  get wanted(): number | undefined {
    return this.#wanted;
  }

  /** Shows a revision as soon as it is here. */
  goto(rev: number): void {
    this.#wanted = rev;
    void this.#run();
  }

  /** Tries again after a failure. */
  retry(): void {
    void this.#run();
  }

  /** Takes in edits that were fetched for another purpose. */
  learn(groups: readonly Group[]): void {
    for (const group of groups) this.#groups.set(group.to, group);
  }

  /** Returns the edit that a revision belongs to, up to that revision; undefined where none is kept. */
  async groupAt(rev: number): Promise<Group | undefined> {
    const known = this.#groups.get(rev);
    if (known) return known;
    const { edits: [group] } = await noneWhenGone(this.#options.past.groups(rev, 1));
    if (group?.to === rev) this.#groups.set(rev, group);
    return group?.to === rev ? group : undefined;
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    this.#options.busy(true);
    try {
      while (this.#wanted !== this.#settled && (await this.#step(this.#wanted!)));
    } finally {
      this.#running = false;
      this.#options.busy(false);
    }
  }

  /** Shows one revision, as much of it as there is time for before another is wanted. Reports whether to go on. */
  async #step(rev: number): Promise<boolean> {
    try {
      const [at, group] = await Promise.all([this.#contentAt(rev), this.groupAt(rev)]);
      const changes = this.#wanted === rev && group ? await this.#changesSoon(at, group) : undefined;
      const settled = this.#wanted === rev;
      if (settled) this.#settled = rev;
      this.#options.show({ at, group, changes, settled });
      return true;
    } catch (error) {
      if (this.#wanted !== rev) return true; // what failed is not wanted any more
      this.#options.failed(error);
      return false;
    }
  }

  /** Returns what changed; shows the revision without it when that takes long. */
  async #changesSoon(at: Held, group: Group): Promise<Changes | undefined> {
    const { clock, show } = this.#options;
    const early = clock.after(patience, () => show({ at, group, changes: undefined, settled: false }));
    try {
      return await this.#changesTo(at, group);
    } finally {
      clock.cancel(early);
    }
  }

  async #contentAt(rev: number): Promise<Held> {
    const known = this.#contents.get(rev);
    if (known) return known;
    const near = this.#nearest(rev);
    const held = (near && (await this.#reached(near, rev))) ?? (await this.#fetched(rev));
    this.#contents.set(rev, held);
    this.#contents.shrink((one) => one.kind?.size(one.doc) ?? 0, most.units);
    return held;
  }

  #nearest(rev: number): Held | undefined {
    let nearest: Held | undefined;
    for (const held of this.#contents.values()) {
      if (held.kind && (!nearest || Math.abs(held.rev - rev) < Math.abs(nearest.rev - rev))) nearest = held;
    }
    return nearest;
  }

  /** Returns the content at a revision by way of another; undefined when no way leads from there. */
  async #reached(from: Held, rev: number): Promise<Held | undefined> {
    try {
      const difference = await this.#options.past.difference(from.rev, rev, false);
      return difference.type === from.type ? { ...from, rev, doc: from.kind!.apply(from.doc, difference.op) } : undefined;
    } catch (error) {
      if (error instanceof OperationError || (error instanceof ApiError && !hopeless.includes(error.code))) return undefined;
      throw error;
    }
  }

  async #fetched(rev: number): Promise<Held> {
    let content: Content;
    try {
      content = await this.#options.past.content(rev);
    } catch (error) {
      if (error instanceof ApiError && ["deleted", "not_found"].includes(error.code)) return { rev, type: "", kind: undefined, doc: undefined };
      throw error;
    }
    const kind = await this.#options.kindOf(content.type);
    return { rev, type: content.type, kind, doc: kind ? kind.create(content.content) : content.content };
  }

  /** Returns what was done in a group up to the revision it ends with. */
  async #changesTo(at: Held, group: Group): Promise<Changes | undefined> {
    if (!at.kind || group.kind !== "edit") return undefined;
    const known = this.#changes.get(at.rev);
    if (known?.before.rev === group.from) return known;
    try {
      // Of one author's edit, the operation says what is hers.
      const [author = "", ...others] = group.authors;
      const alone = others.length === 0 && at.kind.shows !== "json";
      const [before, { type, op, spans = [] }] = await Promise.all([this.#contentAt(group.from), this.#options.past.difference(group.from, at.rev, !alone)]);
      if (type !== before.type || before.type !== at.type) return undefined;
      const touched = alone ? at.kind.touched(before.doc, op) : null;
      const made = touched?.map((part): Span => ({ ...part, author, rev: at.rev, time: group.end }));
      const changes = { before, op, spans: made ?? at.kind.toUnits(at.doc, spans) };
      this.#changes.set(at.rev, changes);
      return changes;
    } catch (error) {
      // What came before is not kept any more, or was something else: there is nothing to compare with.
      if (error instanceof ApiError && ["gone", "bad_type", "deleted"].includes(error.code)) return undefined;
      throw error;
    }
  }
}

/** Returns groups, or none where they are not kept any more. */
export async function noneWhenGone(groups: Promise<Groups>): Promise<Groups> {
  try {
    return await groups;
  } catch (error) {
    if (error instanceof ApiError && error.code === "gone") return { edits: [] };
    throw error;
  }
}

/** The most recently used values by revision, `most` of them. */
class Recent<V> {
  readonly #values = new Map<number, V>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  get(rev: number): V | undefined {
    const value = this.#values.get(rev);
    if (value !== undefined) this.set(rev, value);
    return value;
  }

  set(rev: number, value: V): void {
    this.#values.delete(rev);
    this.#values.set(rev, value);
    if (this.#values.size > this.#most) this.#dropOldest();
  }

  values(): Iterable<V> {
    return this.#values.values();
  }

  /** Drops what was not used for longest until the sizes of the others are `units` at most together. One stays always. */
  shrink(size: (value: V) => number, units: number): void {
    let all = 0;
    for (const value of this.#values.values()) all += size(value);
    while (all > units && this.#values.size > 1) {
      all -= size(this.#values.values().next().value!);
      this.#dropOldest();
    }
  }

  #dropOldest(): void {
    this.#values.delete(this.#values.keys().next().value!);
  }
}
