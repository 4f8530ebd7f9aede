// A client of `quire.v1` (docs/protocol.md) for browsers and Node, without
// dependencies. Begin with Connection, open a Document of the type `text`. Rich
// text is in delta.ts, which needs quill-delta.

export { systemClock, type Clock } from "./clock.js";
export { Connection, newClient, somebodyElse, subprotocol, type ConnectionOptions, type ConnectionState, type Identity, type Socket } from "./connection.js";
export { crc32c } from "./crc32c.js";
export { Document, type DocumentEvents, type DocumentOptions, type Draft, type State, type Unsent } from "./document.js";
export { orderedJSON } from "./json.js";
export type { Limits, Role, User } from "./message.js";
export type { Peer } from "./presence.js";
export { Builder, text, type Component, type TextCursor, type TextOp } from "./text.js";
export { OperationError, type AnyType, type Side, type Type } from "./type.js";
export type { TokenSource } from "./token.js";
export { countUnsent, Keeper, putAside, recoverUnsent, sendUnsent, type KeyStore, type Locks } from "./unsent.js";
