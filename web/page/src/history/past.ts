// What the server tells about a document's past (docs/http.md).

import { apiOf, call, saying } from "../api.js";
import type { AuthorNames, NamesByAuthor } from "../names.js";

/** A stretch of revisions (from, to] that reads as one edit. Times are as `Date` takes them. */
export interface Group {
  readonly from: number;
  readonly to: number;
  readonly start: string;
  readonly end: string;
  readonly authors: readonly string[];
  readonly kind: "edit" | "create" | "delete";
  readonly operations: number;
  readonly inserted: number;
  readonly deleted: number;
}

/** Some groups, newest first; `next` is the revision to ask on with, absent when that was all. */
export interface Groups {
  readonly edits: readonly Group[];
  readonly next?: number;
}

/** A part of a document with who made it. Positions are in the unit of the document's type, within the text at `path` where there is one. */
export interface Span {
  readonly start: number;
  readonly length: number;
  readonly path?: readonly (string | number)[];
  readonly author: string;
  readonly rev: number;
  readonly time: string;
}

/** What leads from one revision to another. */
export interface Difference {
  readonly type: string;
  readonly op: unknown;
  readonly spans?: readonly Span[];
}

/** A document at a revision. */
export interface Content {
  readonly type: string;
  readonly content: unknown;
}

/** A name for a revision. */
export interface Label {
  readonly name: string;
  readonly rev: number;
  readonly author: string;
  readonly time: string;
}

/** What the server did to the document when it was asked to. */
export interface Edited {
  readonly rev: number;
}

/** Asks for a document's past. Every method rejects with ApiError. */
export interface Past {
  /** The groups of the revisions up to `before`, newest first, `limit` at most. */
  groups(before: number, limit: number): Promise<Groups>;
  difference(from: number, to: number, withSpans: boolean): Promise<Difference>;
  content(rev: number): Promise<Content>;
}

/** The past of one document, from its server. Edits are made in the name of whom `author` returns; `names` learns what authors are called. */
export class ServerPast implements Past {
  readonly #base: string;
  readonly #author: () => string;
  readonly #names: AuthorNames;

  constructor(id: string, author: () => string, names: AuthorNames) {
    this.#base = apiOf(id);
    this.#author = author;
    this.#names = names;
  }

  groups(before: number, limit: number): Promise<Groups> {
    return this.#told(`/history?before=${before}&limit=${limit}`);
  }

  difference(from: number, to: number, withSpans: boolean): Promise<Difference> {
    return this.#told(`/diff?from=${from}&to=${to}&fields=op${withSpans ? ",spans" : ""}`);
  }

  /** Asks for something that names authors. */
  async #told<T>(path: string): Promise<T> {
    const answer = await call<T & { names?: NamesByAuthor }>(this.#base + path);
    this.#names.learn(answer.names);
    return answer;
  }

  content(rev: number): Promise<Content> {
    return call(`${this.#base}?rev=${rev}`, { headers: { accept: "application/json" } });
  }

  async labels(): Promise<Label[]> {
    return (await this.#told<{ labels: Label[] }>("/labels")).labels;
  }

  /** Names a revision; a name that is there is moved to it. */
  setLabel(name: string, rev: number): Promise<Label> {
    return call(`${this.#base}/labels/${encodeURIComponent(name)}`, saying("PUT", { rev }, this.#author()));
  }

  removeLabel(name: string): Promise<unknown> {
    return call(`${this.#base}/labels/${encodeURIComponent(name)}`, { method: "DELETE" });
  }

  restore(rev: number): Promise<Edited> {
    return call(`${this.#base}/restore`, saying("POST", { rev }, this.#author()));
  }

  /** Takes back what an author did in revisions (from, to]. */
  revert(author: string, from: number, to: number): Promise<Edited> {
    return call(`${this.#base}/revert`, saying("POST", { author, from, to }, this.#author()));
  }
}
