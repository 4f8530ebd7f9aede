// Who the person at this browser is to the server, and what they may do there (docs/auth.md).

import { ApiError, call, saying } from "./api.js";

/** What somebody may do with a document; each includes those before it. */
export const roles = ["none", "read", "write", "admin"] as const;
export type Role = (typeof roles)[number];

/** Reports whether a role includes what needs another. */
export function includes(role: Role, need: Role): boolean {
  return roles.indexOf(role) >= roles.indexOf(need);
}

/** A role in the documents of a pattern: an id, or the beginning of ids with `*` after it. */
export interface Grant {
  readonly docs: string;
  readonly role: Role;
}

/** What the server says of a session. */
export interface Session {
  readonly author: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly expires?: string;
  readonly grants?: readonly Grant[];
  /** Whether admins of documents can invite others. */
  readonly invites?: boolean;
  /** The documents of the invitation that was just taken up: a pattern. */
  readonly docs?: string;
}

/** Milliseconds within which the server is to say who somebody is. */
const patience = 5_000;

/**
 * Who the person here is. `open`: the server asks nobody. `known`: somebody it knows.
 * `nobody`: it asks, and does not know them. `unknown`: it could not be asked.
 */
export class Access {
  readonly kind: "open" | "known" | "nobody" | "unknown";
  /** What the server says, of one who is known. */
  readonly session: Session | undefined;
  /** Why the server does not know them, or could not say. */
  readonly reason: string;

  constructor(kind: Access["kind"], session?: Session, reason = "") {
    this.kind = kind;
    this.session = session;
    this.reason = reason;
  }

  /** What they are called, and recorded as: undefined where they choose that themselves. */
  get name(): string | undefined {
    return this.session && (this.session.name || this.session.author);
  }

  get author(): string | undefined {
    return this.session?.author;
  }

  /** Whether they joined by an invitation. */
  get invited(): boolean {
    return this.session?.author.includes("~") ?? false;
  }

  /** Reports whether they are the one who made something earlier, or were that when they were invited. */
  continues(by: string | undefined): boolean {
    const stem = (author = "") => author.slice(0, author.lastIndexOf("~") + 1);
    return by === undefined || by === this.author || (this.invited && stem(by) === stem(this.author));
  }

  /** Returns what they may do with a document by its id, as far as it is known: the server decides. */
  role(id: string): Role {
    if (this.kind === "open" || this.kind === "unknown") return "admin";
    const { namespace, grants = [] } = this.session ?? {};
    if (namespace && !id.startsWith(`${namespace}/`)) return "none";
    const fits = ({ docs }: Grant) => (docs.endsWith("*") ? id.startsWith(docs.slice(0, -1)) : id === docs);
    return grants.filter(fits).reduce<Role>((most, { role }) => (includes(role, most) ? role : most), "none");
  }

  /** How the ids of documents that they may make begin: an empty one stands for every id, none for no documents at all. */
  get beginnings(): readonly string[] {
    if (this.kind === "open" || this.kind === "unknown") return [""];
    const { namespace, grants = [] } = this.session ?? {};
    const within = namespace ? `${namespace}/` : "";
    const all = grants
      .filter(({ docs, role }) => docs.endsWith("*") && includes(role, "write"))
      .map(({ docs }) => docs.slice(0, -1))
      .flatMap((start) => (start.startsWith(within) ? [start] : within.startsWith(start) ? [within] : []));
    return [...new Set(all)].filter((start) => !all.some((other) => other !== start && start.startsWith(other))).sort();
  }
}

/** Asks the server who this is. */
export async function whoAmI(): Promise<Access> {
  try {
    const said = await call<Session & { open?: boolean }>("/api/session", { signal: AbortSignal.timeout(patience) });
    return said.open ? new Access("open") : new Access("known", said);
  } catch (error) {
    if (error instanceof ApiError) return new Access(error.code === "unauthenticated" ? "nobody" : "unknown", undefined, error.message);
    return new Access("unknown", undefined, "The server did not answer in time.");
  }
}

/** Signs in by a token. Rejects with ApiError. */
export function signIn(token: string): Promise<Session> {
  return call("/api/session", saying("POST", { token }));
}

/** Takes an invitation up under a name. Rejects with ApiError. */
export function join(link: string, name: string): Promise<Session> {
  return call("/api/session", saying("POST", { link, name }));
}

/** Ends the session of this browser. Rejects with ApiError. */
export function signOut(): Promise<unknown> {
  return call("/api/session", { method: "DELETE" });
}
