/**
 * What a method's bytes say field by field: one row a method. Only the page of an analysis asks, so
 * nothing on the packet path imports this.
 */
import { dhtFields } from "./dht/fields.ts";
import { extensionFields } from "./extension/fields.ts";
import type { FieldList } from "./field_list.ts";
import { httpFields } from "./http_tracker/fields.ts";
import { lsdFields } from "./lsd/fields.ts";
import type { Match, Method } from "./match.ts";
import { encryptedFields } from "./mse/fields.ts";
import { chainFields } from "./peer_wire/chain_fields.ts";
import { handshakeFields } from "./peer_wire/fields.ts";
import { socksFields } from "./socks/fields.ts";
import { udpTrackerFields } from "./udp_tracker/fields.ts";
import { utpFields } from "./utp/fields.ts";
import { websocketFields } from "./websocket_tracker/fields.ts";

/** Names the parts of a payload that the match rests on, and those beside them. */
export type FieldReader = (list: FieldList, match: Match, bytes: Uint8Array) => void;

/** The reader of each method. */
export const FIELD_READERS: Readonly<Record<Method, FieldReader>> = {
  "peer-wire": handshakeFields,
  extension: extensionFields,
  fast: chainFields,
  "mid-stream": chainFields,
  "http-tracker": httpFields,
  "web-seed": httpFields,
  "websocket-tracker": websocketFields,
  mse: encryptedFields,
  dht: dhtFields,
  "udp-tracker": udpTrackerFields,
  utp: utpFields,
  lsd: lsdFields,
  socks: socksFields,
  entropy: encryptedFields,
};
