/** A document as the server describes it (docs/http.md). */
export interface Listed {
  readonly id: string;
  readonly type: string;
  /** Shown instead of the id; absent when nobody gave one. */
  readonly title?: string;
  readonly rev: number;
  /** The oldest revision that can be read. */
  readonly oldest?: number;
  /** Times, as `Date` takes them. */
  readonly created: string | number;
  readonly modified: string | number;
}

/** A refusal of the server, with its stable code; `unreachable` when there was no answer. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    /** The numbers that came with it, such as `oldest`. */
    readonly details: { readonly [name: string]: unknown } = {},
  ) {
    super(message);
  }
}

/** Asks the server for something in JSON. Rejects with ApiError. */
export async function call<T>(path: string, init: RequestInit = {}): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError("unreachable", "The server cannot be reached.");
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError(body.code ?? String(response.status), body.detail ?? body.title ?? response.statusText, body);
  return body as T;
}

/** Returns a request that says something in JSON, in the name of `author` unless that is empty. */
export function saying(method: string, body: unknown, author = ""): RequestInit {
  return { method, headers: { "content-type": "application/json", ...authorHeader(author) }, body: JSON.stringify(body) };
}

function authorHeader(author: string): Record<string, string> {
  return author === "" ? {} : { "quire-author": encodeURIComponent(author) };
}

/** Lists documents in the order of their ids, those after `after`. */
export function listDocs(prefix: string, after: string, signal: AbortSignal): Promise<{ docs: Listed[]; next?: string }> {
  const query = new URLSearchParams({ limit: "50", ...(prefix ? { prefix } : {}), ...(after ? { after } : {}) });
  return call(`/api/docs?${query}`, { signal });
}

/** Returns what the server says of a document, without its content; undefined when it is not there. */
export async function describeDoc(id: string): Promise<Listed | undefined> {
  const { docs } = await call<{ docs: Listed[] }>(`/api/docs?${new URLSearchParams({ limit: "1", prefix: id })}`);
  return docs.find((doc) => doc.id === id);
}

/** Creates an empty document of a type and returns its id; without `id`, the server makes one up. */
export async function createDoc(type: string, id?: string): Promise<string> {
  return (await call<Listed>("/api/docs", saying("POST", { ...(id === undefined ? {} : { id }), type }))).id;
}

/** Creates a document from what a file holds, as the type of its content says. */
export function importDoc(body: BodyInit, contentType: string, { id, title, author = "" }: { id?: string; title?: string; author?: string }): Promise<Listed> {
  const query = new URLSearchParams({ ...(id ? { id } : {}), ...(title ? { title } : {}) });
  return call(`/api/docs?${query}`, { method: "POST", headers: { "content-type": contentType, ...authorHeader(author) }, body });
}

/** Gives a document a title, or takes it away. */
export function setTitle(id: string, title: string, author: string): Promise<Listed> {
  return call(apiOf(id), saying("PATCH", { title }, author));
}

/** Returns the path of a document in the HTTP interface. */
export function apiOf(id: string): string {
  return `/api/docs/${encodeURIComponent(id)}`;
}

/** Returns the path of a document's page. */
export function pathOf(id: string): string {
  return `/d/${encodeURIComponent(id)}`;
}
