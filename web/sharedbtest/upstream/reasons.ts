// Why a test of ShareDB's is not run.

/** What a test asks of ShareDB's server beyond a connection, and why that is not to be had. */
export const needs: Record<string, string> = {
  'backend.use("apply")': "middleware is code inside ShareDB's server",
  'backend.use("commit")': "middleware is code inside ShareDB's server",
  'backend.use("connect")': "middleware is code inside ShareDB's server",
  'backend.use("query")': "middleware is code inside ShareDB's server (among it: channels of one's own for queries)",
  'backend.use("readSnapshots")': "middleware is code inside ShareDB's server",
  'backend.use("receive")': "middleware is code inside ShareDB's server",
  'backend.use("receivePresence")': "middleware is code inside ShareDB's server",
  'backend.use("reply")': "middleware is code inside ShareDB's server",
  'backend.use("sendPresence")': "middleware that refuses (middleware that only delays is imitated on the client's side)",
  'backend.use("submit")': "middleware is code inside ShareDB's server",
  "backend.middleware": "middleware is code inside ShareDB's server",
  "backend.addProjection": "Quire has no projections",
  "backend.db": "replaces or looks into ShareDB's database adapter",
  "new Backend({db})": "replaces ShareDB's database adapter",
  "backend.pubsub": "looks into ShareDB's pubsub",
  "backend.agentsCount": "looks into ShareDB's server",
  "backend.getOps": "looks into ShareDB's server",
  "backend.listen": "hands ShareDB's server a stream inside the process",
  "connection.agent": "looks into ShareDB's server through the connection",
  "socket.stream": "looks into ShareDB's server through the socket",
  "backend.doNotCommitNoOps": "an option of ShareDB, off by default: Quire commits operations that became nothing, as ShareDB does by default",
  "backend.suppressPublish": "an option of ShareDB, off by default",
  "backend.maxSubmitRetries": "an option of ShareDB, which retries lost races with its database; Quire has none",
  "backend.doNotForwardSendPresenceErrorsToClient": "an option of ShareDB for errors of middleware",
  "types.register": "a type that only ShareDB's tests have, or json1, which Quire does not have",
  clock: "sets the server's clock",
};

/** Other tests that are not run, and why. */
export const notRun: Record<string, string> = {
  "client/presence/doc-presence.js: DocPresence returns errors when failing to transform old presence to the latest doc":
    "the type of ShareDB's tests goes over the wire as rich text, which moves any presence: fails with ShareDB's server too",
};

/**
 * Tests with two connections that take for granted which of them is heard, or hears, first, as is certain inside one
 * process. Over two sockets it is not, whatever the server. They are tried until they pass, a number of times.
 */
export const raced = new Set([
  "client/presence/doc-presence.js: DocPresence transforms old presence when a doc is deleted and then created",
  "client/presence/doc-presence.js: DocPresence transforms old presence when new ops keep beating the presence responses",
  "client/presence/presence.js: Presence broadcasts a null presence when the connection is disconnected",
  "client/presence/presence.js: Presence destroys its connection reference, unsubscribes and nulls its local presences",
  "client/submit.js: client submit an op submitted concurrently is transformed by the first",
  "client/submit.js: client submit concurrent delete operations transform",
  "client/submit.js: client submit second of two concurrent creates is rejected",
]);
