// What the operators' interface answers; docs/operations.md describes it.

import { call, saying } from "../api.js";

export interface Latency {
  readonly over_seconds: number;
  readonly count: number;
  readonly p50_ms: number | null;
  readonly p99_ms: number | null;
}

export interface Session {
  readonly doc: string;
  readonly type: string;
  readonly head: number;
  readonly oldest: number;
  readonly size_bytes: number;
  readonly memory_bytes: number;
  readonly readers: number;
  readonly writers: number;
  readonly operations_per_second: number;
  readonly unsaved_operations: number;
  readonly edited: string;
  readonly failures?: number;
  readonly why?: string;
}

export interface Status {
  readonly version: string;
  readonly uptime_seconds: number;
  readonly ready: boolean;
  readonly why?: string;
  readonly memory: { readonly heap_bytes: number; readonly system_bytes: number; readonly sessions_bytes: number; readonly limit_bytes: number; readonly goroutines: number };
  readonly disk?: { readonly file_bytes: number; readonly free_bytes: number; readonly total_bytes: number };
  readonly connections: number;
  readonly streams: number;
  readonly sessions: number;
  readonly places: number;
  readonly unsaved_documents: number;
  readonly failing: readonly Session[];
  readonly failing_documents: number;
  readonly operations_per_second: number;
  readonly latency: { readonly acknowledge: Latency; readonly deliver: Latency; readonly append: Latency };
  readonly limits: { readonly [name: string]: string };
}

export interface Connection {
  readonly id: string;
  readonly address: string;
  readonly protocol: string;
  readonly author: string;
  /** What the author is called, where that is something else. */
  readonly name?: string;
  readonly namespace: string;
  readonly since: string;
  readonly sent_bytes: number;
  readonly received_bytes: number;
  readonly docs: readonly string[];
  readonly doc_count: number;
}

export interface Doc {
  readonly id: string;
  readonly type: string;
  readonly head: number;
  readonly oldest: number;
  readonly modified: string;
  readonly session: Session | null;
}

export interface Backup {
  readonly file: string;
  readonly bytes: number;
  readonly time: string;
}

const root = "/api/admin";

export const status = (signal: AbortSignal) => call<Status>(`${root}/status`, { signal });
export const sessions = (by: string, signal: AbortSignal) => call<{ sessions: Session[]; total: number }>(`${root}/sessions?limit=200&by=${by}`, { signal });
export const connections = (by: string, signal: AbortSignal) => call<{ connections: Connection[]; total: number }>(`${root}/connections?limit=200&by=${by}`, { signal });
export const docs = (prefix: string, after: string, signal: AbortSignal) =>
  call<{ docs: Doc[]; next?: string }>(`${root}/docs?${new URLSearchParams({ limit: "100", prefix, after })}`, { signal });
export const backups = (signal: AbortSignal) => call<{ folder: string; backups: Backup[] }>(`${root}/backups`, { signal });

export const release = (doc: string) => call(`${root}/sessions/${encodeURIComponent(doc)}`, { method: "DELETE" });
export const disconnect = (id: string) => call(`${root}/connections/${encodeURIComponent(id)}`, { method: "DELETE" });
export const squash = (doc: string, revisions: number) => call<{ oldest: number }>(`${root}/docs/${encodeURIComponent(doc)}/squash`, saying("POST", { revisions }));
export const backUp = () => call<Backup & { sha256: string }>(`${root}/backups`, { method: "POST" });

export const signIn = (token: string) => call(`/api/session`, saying("POST", { token }));
export const signOut = () => call(`/api/session`, { method: "DELETE" });
