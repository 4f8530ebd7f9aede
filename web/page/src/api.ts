/** One document in a list (docs/protocol.md, HTTP). Times are milliseconds since 1970. */
export interface Listed {
  readonly id: string;
  readonly type: string;
  readonly rev: number;
  readonly created: number;
  readonly modified: number;
}

/** A refusal of the server, with its stable code; `unreachable` when there was no answer. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

async function call<T>(path: string, init: RequestInit = {}): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError("unreachable", "The server cannot be reached.");
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError(body.code ?? String(response.status), body.detail ?? body.title ?? response.statusText);
  return body as T;
}

/** Lists documents in the order of their ids, those after `after`. */
export function listDocs(prefix: string, after: string, signal: AbortSignal): Promise<{ docs: Listed[]; next?: string }> {
  const query = new URLSearchParams({ limit: "50", ...(prefix ? { prefix } : {}), ...(after ? { after } : {}) });
  return call(`/api/docs?${query}`, { signal });
}

/** Creates an empty document of a type and returns its id; without `id`, the server makes one up. */
export async function createDoc(type: string, id?: string): Promise<string> {
  const body = JSON.stringify({ ...(id === undefined ? {} : { id }), type });
  const made = await call<Listed>("/api/docs", { method: "POST", headers: { "content-type": "application/json" }, body });
  return made.id;
}

/** Returns the path of a document's page. */
export function pathOf(id: string): string {
  return `/d/${encodeURIComponent(id)}`;
}
